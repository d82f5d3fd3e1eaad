"""Each command once as a process, as users run it; what each does is tested in process."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from embedded_aws.process import EmbeddedAws
from keysweep.remediation import paths

SHOP = "111122223333"
ROLE = ("--role-name", "KeysweepOperator")
JSON = ("--format", "json")
DEAD = {"dead-1", "dead-2", "dead-3", "dead-far", "dead-other"}


def test_the_commands_of_a_retirement(
    aws: EmbeddedAws,
    keysweep_process: Callable[..., Any],
    results: Callable[..., Path],
    state_only: Path,
    tmp_path: Path,
) -> None:
    policy = ("--policy", state_only)
    planned = keysweep_process("plan", "-", *policy, *ROLE, stdin=results().read_text("utf-8"))
    assert planned.code == 0, planned.err
    summary = json.loads((tmp_path / "plan.json").read_text("utf-8"))["summary"]
    assert summary == {
        "schedule": 5,
        "on_exceptions": 5,
        "hold": 1,
        "skip": 0,
        "monthly_cost_usd": 5.0,
    }

    applied = keysweep_process("apply", "plan.json", "--yes", *ROLE, *JSON)
    assert (applied.code, applied.document["summary"]) == (0, {"scheduled": 5})
    assert {key["name"] for key in aws.keys(state="PendingDeletion")} == {*DEAD, "pending"}

    shown = keysweep_process("status", *ROLE, *JSON)
    assert (shown.code, shown.document["pending"]) == (0, 5)

    watched = keysweep_process("guard", *policy, *ROLE, *JSON)
    assert watched.code == 0
    assert len(watched.out.splitlines()) == 5

    muted = keysweep_process("mutelist", *ROLE, *JSON)
    assert muted.code == 0
    assert set(muted.document["Mutelist"]["Accounts"]) == {SHOP, "444455556666"}

    undone = keysweep_process(
        "cancel", "--journal", "keysweep-journal.jsonl", "--yes", *ROLE, *JSON
    )
    assert (undone.code, undone.document["summary"]) == (0, {"cancelled": 5})
    assert {key["name"] for key in aws.keys(state="PendingDeletion")} == {"pending"}


def test_the_commands_that_make_no_aws_call(keysweep_process: Callable[..., Any]) -> None:
    explained = keysweep_process("policy", *JSON)
    assert explained.code == 0
    assert "pending_window_days" in {value["name"] for value in explained.document["values"]}
    found = keysweep_process("path", "prowler")
    assert (found.code, found.out) == (0, f"{paths.folder('prowler')}\n")
    proof = keysweep_process("verify", "checkov", "--checkov", "/nowhere/checkov", *JSON)
    assert proof.code == 2
    assert "--checkov PATH" in proof.err


@pytest.mark.sample
def test_closed_standard_streams_change_nothing(
    aws: EmbeddedAws,
    results: Callable[..., Path],
    state_only: Path,
    as_operator: Callable[..., dict[str, str]],
    tmp_path: Path,
) -> None:
    """Their numbers are free then, for files and for the pipes of workers."""
    shell = ("sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh")
    command = ("plan", results(), "--policy", state_only, *ROLE, "--jobs", "2")
    done = subprocess.run(
        [*shell, sys.executable, "-P", "-m", "keysweep.remediation", *map(str, command)],
        cwd=tmp_path,
        env=as_operator(),
        check=False,
        timeout=120,
    )
    assert done.returncode == 0
    plan = json.loads((tmp_path / "plan.json").read_text("utf-8"))
    assert (plan["unread_accounts"], plan["summary"]["schedule"]) == ([], 5)


@pytest.mark.parametrize(
    "arguments",
    [("apply", "plan.json", "--yes"), ("path", "prowler"), ("path", "--help")],
    ids=" ".join,
)
def test_output_that_cannot_be_written_is_one_sentence(
    arguments: tuple[str, ...],
    request: pytest.FixtureRequest,
    as_operator: Callable[..., dict[str, str]],
    tmp_path: Path,
) -> None:
    if arguments[0] == "apply":
        request.getfixturevalue("planned")
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "keysweep.remediation", *arguments],
            cwd=tmp_path,
            env={**as_operator(), "PYTHONUNBUFFERED": ""},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            check=False,
        )
    assert done.returncode == 1
    assert os.strerror(errno.ENOSPC) in done.stderr.splitlines()[-1]
    assert done.stderr.splitlines()[-1].startswith("keysweep: ")
    assert "Traceback" not in done.stderr
