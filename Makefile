# Everything here needs Python 3.11 to 3.13, make and git; test-browser needs chromium, and two how-tos
# of test-docs need jq.
PYTHON ?= python3
TOX := .venv/bin/tox run -q
OLDER_PROWLERS := prowler-5.37.1 prowler-5.37.0 prowler-5.30.0 prowler-5.10.2
OLDER_CHECKOVS := checkov-3.2.10 checkov-2.4.0
comma := ,
empty :=
# Tests and demo start many processes, which would compile the same modules again and again.
unexport PYTHONDONTWRITEBYTECODE
list = $(subst $(empty) ,$2,$(strip $1))
OLDEST_PROWLER := $(lastword $(OLDER_PROWLERS))
OLDEST_CHECKOV := $(lastword $(OLDER_CHECKOVS))

# The longer tests of the checks, in each scanner's own environment.
define try_checks
.tox/prowler/bin/python -P -m pytest -n auto -m 'sample or slow' tests/checks/prowler && \
  .tox/checkov/bin/python -P -m pytest -n auto -m 'sample or slow' tests/checks/checkov
endef

# The tests of these environments' Prowlers and Checkovs.
define try_versions
KEYSWEEP_PROWLERS=$(call list,$(patsubst %,.tox/%/bin/prowler,$1),:) \
  KEYSWEEP_CHECKOVS=$(call list,$(patsubst %,.tox/%/bin/checkov,$2),:) \
  .tox/command/bin/python -P -m pytest -n auto tests/versions
endef

.DEFAULT_GOAL := help
.PHONY: help dev demo playground docs lint check test test-sample test-all test-docs test-faults \
  test-versions test-browser fuzz coverage newest bench figures dist size clean

# How often hypothesis tries each property: tests/conftest.py has the numbers.
check: export KEYSWEEP_EXAMPLES = check
test-all: export KEYSWEEP_EXAMPLES = all

# How many seconds tests/model may try histories of events, on one of the workers.
export KEYSWEEP_MODEL_SECONDS ?= 45
test-sample: export KEYSWEEP_MODEL_SECONDS = 240
test-all: export KEYSWEEP_MODEL_SECONDS = 3600

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.venv/.ready: tests/requirements-tox.txt
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) has no venv module; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { \
	  echo "Keysweep needs Python 3.11 to 3.13; say which with: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -m venv --clear .venv
	@.venv/bin/pip install -q --disable-pip-version-check -r tests/requirements-tox.txt
	@touch $@

dev: .venv/.ready ## An environment to work in, .tox/dev: the working tree, pytest, ruff, mypy
	@$(TOX) --notest -e dev

demo: .venv/.ready ## The main job, on an AWS of its own: scan, doctor, plan, apply, status, cancel
	@$(TOX) --notest -e prowler,checkov,command
	@.tox/command/bin/python -P examples/demo.py

playground: .venv/.ready ## An AWS of its own to try things on by hand; docs/tutorial.md walks through it
	@$(TOX) --notest -e prowler,checkov,command
	@.tox/command/bin/python -P examples/playground.py start

docs: .venv/.ready ## The documentation site, into site/; a warning is an error
	@$(TOX) -e docs
	@echo "The site is in site/index.html"

check: .venv/.ready ## Lint, and the tests that need neither AWS nor a process: a minute
	@$(TOX) -e lint,command -- -m 'pure and not sample and not slow' tests/remediation

test: .venv/.ready ## Lint and the tests to run before a push: five minutes
	@$(TOX) --notest -e prowler,checkov
	@.venv/bin/tox run-parallel -q -p all -e lint,prowler,checkov,command

test-sample: docs ## Some of what takes long: faults, kills, shell blocks, the oldest scanners
	@$(TOX) --notest -e prowler,checkov,typed,$(OLDEST_PROWLER)
	@$(call try_checks)
	@$(TOX) -e $(OLDEST_CHECKOV)
	@$(TOX) -e command -- -m sample
	@$(TOX) -e command -- -n 0 -m 'pages and not slow' tests/docs
	@$(call try_versions,prowler $(OLDEST_PROWLER),$(OLDEST_CHECKOV))

test-all: test test-faults test-versions test-docs test-browser fuzz ## Everything: nightly, before a release

test-faults: .venv/.ready ## Every kind of fault, and 220 runs that are killed at a random moment
	@$(TOX) --notest -e prowler,checkov
	@$(call try_checks)
	@$(TOX) -e command -- --dist load -m 'sample or slow' --deselect tests/remediation/test_kills.py
	@$(TOX) -e command -- -n 0 -m 'sample or slow' tests/remediation/test_kills.py

test-versions: .venv/.ready ## The ways into Prowlers and Checkovs, older ones too
	@$(TOX) -e $(call list,$(OLDER_CHECKOVS),$(comma))
	@$(TOX) --notest -e command,prowler,checkov,$(call list,$(OLDER_PROWLERS),$(comma))
	@$(call try_versions,prowler $(OLDER_PROWLERS),checkov $(OLDER_CHECKOVS))

coverage: .venv/.ready ## The lines and branches of the command that its tests never take
	@$(TOX) --notest -e prowler,checkov
	@$(TOX) -e coverage

newest: .venv/.ready ## The newest scanners, the oldest and newest libraries: a line each, 1 if one broke
	@.venv/bin/python -P tests/newest.py

test-docs: docs ## Every shell block of README and docs, typed as it stands; and the built site
	@$(TOX) --notest -e prowler,checkov,typed
	@$(TOX) -e command -- -n 0 -m pages tests/docs

test-browser: .venv/.ready ## The pages of the reports in a real browser; needs chromium
	@$(TOX) --notest -e command
	@.tox/command/bin/python -P -m pytest tests/browser

fuzz: export KEYSWEEP_FUZZ_SECONDS ?= 240
fuzz: .venv/.ready ## Fuzz the readers of plans, journals, policies, results and states: two minutes
	@$(TOX) -e fuzz

# BENCH_ONLY="topic topic" measures these alone; BENCH_QUICK=1 small and once, to see that it works.
bench: .venv/.ready ## Keysweep beside its peers: an hour, on a machine that does nothing else
	@$(TOX) --notest -e command,prowler,checkov,bench-custodian,bench-awscli,bench-readers,bench-former
	@.tox/command/bin/python -m benchmarks $(BENCH_ONLY:%=--only %) $(if $(BENCH_QUICK),--quick)

figures: dev ## The figures of docs/reliability.md, from a run of today: a quarter of an hour
	@KEYSWEEP_MODEL_SECONDS=240 .tox/dev/bin/pytest -q -n 2 -m 'not slow' --figures docs/figures.json \
	  tests/model tests/remediation/test_kills.py
	@KEYSWEEP_FUZZ_SECONDS=240 $(TOX) -e fuzz -- --figures docs/figures.json
	@.tox/dev/bin/python docs/generate .

dist: .venv/.ready ## The distribution in dist/, looked at and installed; uploads nothing
	@$(TOX) -e dist

lint: .venv/.ready ## What CI runs: ruff, the one way of imports, and mypy strict in each environment
	@$(TOX) -e lint
	@$(TOX) --notest -e prowler,checkov
	@.tox/prowler/bin/mypy checks/prowler
	@MYPYPATH=checks/checkov .tox/checkov/bin/mypy --explicit-package-bases checks/checkov

size: ## Lines of code, without blank lines, comments and docstrings
	@$(PYTHON) -P tests/code_size.py checks remediation

clean: ## Remove what the other targets made
	@rm -rf .venv .tox build dist demo-run playground site *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
