"""What the state machine does with each exit code: containers end as a table says, at once."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

import pytest
from organization_runs import TOOL, account_with, organization, script

CONTAINER = '''#!{python} -SE
"""Ends with the exit codes of ends.json, by account and step, one for each attempt."""
import json, os, signal, sys
words = sys.argv[1:]
step = "prowler" if "prowler" in words else words[words.index("keysweep") + 1]
account = "all" if step == "index" else next(
    part for word in words for part in word.replace(":", "/").split("/") if part.isdigit()
    and len(part) == 12
)
with open("{folder}/started", "a+", encoding="utf-8") as started:
    started.write(f"{{account}} {{step}}\\n")
    started.seek(0)
    attempt = started.read().splitlines().count(f"{{account}} {{step}}")
with open("{folder}/ends.json", encoding="utf-8") as file:
    ends = json.load(file).get(account, {{}}).get(step, [0])
code = ends[min(attempt, len(ends)) - 1]
if code < 0:
    os.kill(os.getpid(), -code)
sys.exit(code)
'''

QUIET = "200000000000"
FOUND = "200000000003"
BLIND = "200000000013"
USAGE = "200000000002"
KILLED = "200000000009"
TWICE = "200000000112"
THRICE = "200000000111"
BAD_PLAN = "300000000002"
REFUSED = "300000000003"
LATE_PLAN = "300000000110"
NO_PLAN = "300000000111"
NO_FILE = "400000000000"

ENDS: dict[str, dict[str, list[int]]] = {
    QUIET: {},
    FOUND: {"prowler": [3]},
    BLIND: {"prowler": [3], "doctor": [2]},
    USAGE: {"prowler": [2]},
    KILLED: {"prowler": [-9]},
    TWICE: {"prowler": [1, 1, 3]},
    THRICE: {"prowler": [1, 1, 1, 3]},
    BAD_PLAN: {"plan": [2]},
    REFUSED: {"plan": [3]},
    LATE_PLAN: {"plan": [1, -15, 0]},
    NO_PLAN: {"plan": [1, 1, 1, 0]},
    NO_FILE: {},
}
NOT_COLLECTED = {USAGE, KILLED, THRICE, BAD_PLAN, REFUSED, NO_PLAN, NO_FILE}


@pytest.mark.sample
def test_every_exit_code_has_its_transition(tmp_path: Path) -> None:
    container = script(
        tmp_path / "container", CONTAINER.format(python=sys.executable, folder=tmp_path)
    )
    (tmp_path / "ends.json").write_text(json.dumps(ENDS), encoding="utf-8")
    accounts = {account: account_with() for account in ENDS}
    with organization(tmp_path, accounts, {}, [str(container)], AccountsAtATime="20") as made:
        for account in {*ENDS, TOOL} - {NO_FILE}:
            made.write(f"night/plans/{account}.json", b"{}")
        ended = made.run("night")
        assert json.loads(made.read("night/accounts.json")) == [TOOL, *ENDS]
        few = made.run("few", {"accounts": [QUIET]})
        assert json.loads(made.read("few/accounts.json")) == [QUIET]
        listed = made.calls("organizations", "ListAccounts")
    assert (ended["status"], ended["error"]) == ("FAILED", "Keysweep.NotCollected")
    assert {account for account in ENDS if account in ended["cause"]} == NOT_COLLECTED
    assert len(listed) == 1, "the second run was given its accounts"
    assert few["status"] == "FAILED", "its plan is in the first run's folder alone"

    started = Counter((tmp_path / "started").read_text(encoding="utf-8").splitlines())
    steps = {
        account: [
            started[f"{account} {step}"] - (account == QUIET and step != "doctor")
            for step in ("prowler", "doctor", "plan")
        ]
        for account in ENDS
    }
    assert steps == {
        QUIET: [1, 0, 1],
        FOUND: [1, 1, 1],
        BLIND: [1, 1, 1],
        USAGE: [1, 0, 0],
        KILLED: [3, 0, 0],
        TWICE: [3, 1, 1],
        THRICE: [3, 0, 0],
        BAD_PLAN: [1, 0, 1],
        REFUSED: [1, 0, 1],
        LATE_PLAN: [1, 0, 3],
        NO_PLAN: [1, 0, 3],
        NO_FILE: [1, 0, 1],
    }
    assert started["all index"] == 2


def test_an_index_that_finds_an_account_missing_fails_the_run(tmp_path: Path) -> None:
    ends = {"all": {"index": [1]}}
    container = script(
        tmp_path / "container", CONTAINER.format(python=sys.executable, folder=tmp_path)
    )
    (tmp_path / "ends.json").write_text(json.dumps(ends), encoding="utf-8")
    with organization(tmp_path, {}, {}, [str(container)]) as made:
        made.write(f"night/plans/{TOOL}.json", b"{}")
        assert made.run("night")["error"] == "Keysweep.NotCollected"


def test_an_empty_list_of_accounts_is_not_the_whole_organization(tmp_path: Path) -> None:
    """`keysweep index` refuses it, so that the run fails."""
    ends = {"all": {"index": [2]}}
    container = script(
        tmp_path / "container", CONTAINER.format(python=sys.executable, folder=tmp_path)
    )
    (tmp_path / "ends.json").write_text(json.dumps(ends), encoding="utf-8")
    with organization(tmp_path, {}, {}, [str(container)]) as made:
        assert made.run("none", {"accounts": []})["error"] == "Keysweep.NotCollected"
        assert json.loads(made.read("none/accounts.json")) == []
        assert made.calls("organizations", "ListAccounts") == []


def test_a_container_that_cannot_start_is_no_plan(tmp_path: Path) -> None:
    with organization(tmp_path, {}, {}, [str(tmp_path / "missing")]) as made:
        ended = made.run("night")
    assert (ended["status"], TOOL in ended["cause"]) == ("FAILED", True)
