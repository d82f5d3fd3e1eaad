"""The journal before a run: damage is reported and not added to, and finished keys are not asked
about again."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from message_parts import figures

from embedded_aws.process import EmbeddedAws

SHOP = "111122223333"
ROLE = ("--role-name", "KeysweepOperator")
Run = Callable[..., Any]


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "keysweep-journal.jsonl"


def scheduled(aws: EmbeddedAws) -> int:
    """How often a deletion was asked for."""
    return len(aws.calls(operation="ScheduleKeyDeletion"))


def doubled(journal: Path) -> None:
    """Write its last line twice."""
    lines = journal.read_text(encoding="utf-8").splitlines(keepends=True)
    journal.write_text("".join([*lines, lines[-1]]), encoding="utf-8")


@pytest.fixture
def damaged(aws: EmbeddedAws, planned: Path, keysweep: Run, journal: Path) -> Path:
    """The plan's journal after a run that one key was denied in, with a line too many."""
    aws.fault("deny", operation="ScheduleKeyDeletion", times=1)
    assert keysweep("apply", planned, "--yes", *ROLE).code == 1
    doubled(journal)
    return journal


def test_apply_adds_nothing_to_a_journal_that_is_not_whole(
    aws: EmbeddedAws, damaged: Path, planned: Path, keysweep: Run
) -> None:
    calls, text = scheduled(aws), damaged.read_bytes()
    done = keysweep("apply", planned, "--yes", *ROLE)
    assert (done.code, done.out) == (2, "")
    (line,) = done.err.splitlines()
    number = len(text.splitlines())
    assert f"line {number} is a second" in line
    assert "--journal" in line
    assert scheduled(aws) == calls
    assert damaged.read_bytes() == text
    other = keysweep("apply", planned, "--yes", "--journal", "new.jsonl", *ROLE)
    assert other.code == 0
    assert {key["name"] for key in aws.keys(state="PendingDeletion")} == {
        *("dead-1", "dead-2", "dead-3", "dead-far", "dead-other", "pending")
    }


def test_a_torn_last_line_is_a_killed_runs_and_apply_goes_on(
    aws: EmbeddedAws, planned: Path, keysweep: Run, journal: Path
) -> None:
    aws.fault("deny", operation="ScheduleKeyDeletion", times=1)
    assert keysweep("apply", planned, "--yes", *ROLE).code == 1
    journal.write_bytes(journal.read_bytes()[:-30])
    assert keysweep("apply", planned, "--yes", *ROLE).code == 0


@pytest.mark.parametrize("way", ["--journal", "--key"])
def test_cancel_reports_the_damage_and_cancels(
    way: str, aws: EmbeddedAws, damaged: Path, keysweep: Run
) -> None:
    waiting = aws.keys(state="PendingDeletion")
    pending = sorted(key["arn"] for key in waiting if key["name"] != "pending")
    arguments = (way, damaged) if way == "--journal" else [x for arn in pending for x in (way, arn)]
    done = keysweep("cancel", *arguments, "--yes", *ROLE, "--format", "json")
    assert done.code == 0
    assert "is a second outcome" in done.err
    assert {row["key_arn"] for row in done.document["results"]} >= {*pending}
    assert {key["name"] for key in aws.keys(state="PendingDeletion")} == {"pending"}


def test_guard_reports_the_damage_beside_its_json(
    damaged: Path, keysweep: Run, state_only: Path
) -> None:
    done = keysweep("guard", "--policy", state_only, *ROLE, "--format", "json")
    assert done.code == 1
    assert "is a second outcome" in done.err
    assert all(json.loads(line)["in_use"] is False for line in done.out.splitlines())


def test_mutelist_reports_the_damage_beside_its_mutelist(damaged: Path, keysweep: Run) -> None:
    done = keysweep("mutelist", *ROLE, "--format", "json")
    assert done.code == 1
    assert "is a second outcome" in done.err
    assert done.document["Mutelist"]["Accounts"]


def without_outcome(journal: Path, operation: str) -> str:
    """Take away the outcome of one intent, as a kill would; returns its key's ARN."""
    lines = [json.loads(line) for line in journal.read_text(encoding="utf-8").splitlines()]
    intent = next(x for x in lines if x["line"] == "intent" and x["operation"] == operation)
    kept = [x for x in lines if (x["line"], x.get("id")) != ("outcome", intent["id"])]
    journal.write_text("".join(f"{json.dumps(line)}\n" for line in kept), encoding="utf-8")
    return str(intent["key_arn"])


def words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text))


def test_status_names_the_command_that_reconciles_an_open_intent(
    planned: Path, keysweep: Run, journal: Path
) -> None:
    def drift() -> dict[str, str]:
        rows = keysweep("status", *ROLE, "--format", "json").document["rows"]
        return {row["key_arn"]: row["drift"] for row in rows if row["drift"]}

    assert keysweep("apply", planned, "--yes", *ROLE).code == 0
    whole = journal.read_bytes()
    arn = without_outcome(journal, "ScheduleKeyDeletion")
    ((drifted, message),) = drift().items()
    assert drifted == arn
    assert {"ScheduleKeyDeletion", "apply", "cancel"} <= words(message)
    journal.write_bytes(whole)
    cancel = ("cancel", "--key", arn, "--journal", journal, "--yes", *ROLE)
    assert keysweep(*cancel).code == 0
    assert without_outcome(journal, "CancelKeyDeletion") == arn
    ((drifted, message),) = drift().items()
    assert drifted == arn
    assert {"CancelKeyDeletion", "cancel", "guard"} <= words(message)
    assert keysweep(*cancel).code == 0
    assert drift() == {}


def question(done: Any) -> str:
    (line,) = (line for line in done.err.splitlines() if "Schedule the deletion" in line)
    return line


def test_the_question_counts_what_is_left_to_do(
    aws: EmbeddedAws, planned: Path, keysweep: Run
) -> None:
    first = keysweep("apply", planned, *ROLE)
    assert first.code == 2
    assert figures(question(first)) == ["5", "4", "111122223333", "1", "444455556666"]
    # Each fault has an account of its own: one without would leave open which key takes it.
    for account in ("111122223333", "444455556666"):
        aws.fault("deny", operation="ScheduleKeyDeletion", account=account, times=1)
    failed = keysweep("apply", planned, "--yes", *ROLE, "--format", "json").document["summary"]
    assert failed["failed"] == 2
    second = keysweep("apply", planned, *ROLE)
    assert second.code == 2
    assert figures(question(second))[0] == "2"
    assert keysweep("apply", planned, "--yes", *ROLE).code == 0
    calls = scheduled(aws)
    done = keysweep("apply", planned, *ROLE, "--format", "json")
    assert done.code == 0, "there is nothing to ask about"
    assert {row["outcome"] for row in done.document["results"]} == {"scheduled"}
    assert scheduled(aws) == calls


def test_a_key_that_was_cancelled_since_the_plan_is_not_counted(
    aws: EmbeddedAws, planned: Path, keysweep: Run
) -> None:
    assert keysweep("apply", planned, "--yes", *ROLE).code == 0
    arn = aws.key_arn(SHOP, "eu-west-1", "dead-1")
    assert keysweep("cancel", "--key", arn, "--yes", *ROLE).code == 0
    done = keysweep("apply", planned, *ROLE, "--format", "json")
    assert {row["key_arn"]: row["outcome"] for row in done.document["results"]}[arn] == "changed"
    assert aws.key(arn)["state"] == "Disabled"
