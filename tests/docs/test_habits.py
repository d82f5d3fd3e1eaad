"""What the forge and contributors run are targets of the Makefile, and those say what they do."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import yaml
from doc_pages import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").iterdir())
TARGETS = dict(
    re.findall(
        r"^([a-z-]+):.*## (.+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
    )
)
CI = (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def runs(path) -> Iterator[str]:
    """Every line that a workflow runs, with each value of its matrix."""
    for job in yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].values():
        targets = job.get("strategy", {}).get("matrix", {}).get("target", [""])
        for step in job["steps"]:
            for target in targets if "run" in step else ():
                yield step["run"].replace("${{ matrix.target }}", target)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_runs_targets_of_the_makefile_and_nothing_else(path) -> None:
    commands = list(runs(path))
    assert commands
    for command in commands:
        make, target = command.split()
        assert make == "make"
        assert target in TARGETS


def test_the_workflow_of_every_push_runs_what_ci_runs() -> None:
    wanted = set(re.findall(r"^make ([a-z-]+)", CI, re.MULTILINE))
    assert {line.split()[1] for line in runs(ROOT / ".github/workflows/ci.yml")} == wanted


def test_every_target_that_contributing_names_exists() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`make ([a-z-]+)`|^make ([a-z-]+)", page, re.MULTILINE))
    assert {one or other for one, other in named} <= TARGETS.keys()


@pytest.mark.parametrize("path", sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")))
def test_an_issue_template_has_the_fields_that_the_forge_requires(path) -> None:
    template = yaml.safe_load(path.read_text(encoding="utf-8"))
    if path.name != "config.yml":
        assert {"name", "description", "body"} <= template.keys()
        fields = [part for part in template["body"] if part["type"] != "markdown"]
        assert all("id" in part and "label" in part["attributes"] for part in fields)
