"""The jobs on the page about scheduling: whole YAML, and commands that Keysweep would take."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

import click
import pytest
import yaml
from doc_pages import blocks

from keysweep.remediation.cli.main import keysweep
from keysweep.remediation.guard import GuardRow

PAGE = "docs/scheduling.md"
WORKFLOW, BUILDSPEC = (
    yaml.safe_load(block.text) for block in blocks(PAGE) if block.language == "yaml"
)
STEPS = [step for job in WORKFLOW["jobs"].values() for step in job["steps"]]


def scripts() -> Iterator[str]:
    yield from (step["run"] for step in STEPS if "run" in step)
    for phase in BUILDSPEC["phases"].values():
        yield from phase["commands"]


def commands() -> list[list[str]]:
    """Every call of keysweep, as its words, without what the shell takes."""
    lines = "\n".join(scripts()).replace("\\\n", " ").splitlines()
    calls = [line.split(" > ")[0].split(" >> ")[0] for line in lines]
    return [shlex.split(line)[1:] for line in calls if line.strip().startswith("keysweep ")]


def test_each_job_is_there() -> None:
    assert {words[0] for words in commands()} == {"verify", "plan", "apply", "guard"}
    assert set(WORKFLOW["jobs"]) == {"plan", "apply", "guard"}


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_keysweep_takes_the_command(words: list[str]) -> None:
    with click.Context(keysweep) as context:
        command = keysweep.get_command(context, words[0])
        assert command is not None
        command.make_context(words[0], words[1:], parent=context)


def test_jobs_that_write_never_prompt_and_never_overlap() -> None:
    for words in commands():
        writes = words[0] == "apply" or "--cancel" in words
        assert writes == ("--yes" in words)
    writing = {name for name, job in WORKFLOW["jobs"].items() if "concurrency" in job}
    assert writing == {"apply", "guard"}
    assert {WORKFLOW["jobs"][name]["concurrency"] for name in writing} == {"journal"}


def test_no_user_input_becomes_part_of_a_script() -> None:
    for script in scripts():
        assert "${{" not in script


def test_the_schedules_are_those_that_the_jobs_check() -> None:
    triggers: Any = WORKFLOW[True]  # YAML's word for `on`
    checked = {
        found[1]
        for job in WORKFLOW["jobs"].values()
        if (found := re.search(r"schedule == '([^']+)'", job["if"]))
    }
    assert {one["cron"] for one in triggers["schedule"]} == checked


def test_guard_writes_one_line() -> None:
    (line,) = (b.text for b in blocks(PAGE) if b.language == "json" and '"in_use"' in b.text)
    row = GuardRow.model_validate_json(line)
    assert row.model_dump_json() == line.strip()
