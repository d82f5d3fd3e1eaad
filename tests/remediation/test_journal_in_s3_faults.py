"""apply and cancel with a journal in S3 that fails, and that are killed at any of its writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import stages as held
from s3_stages import NAME, S3Stages, make_bucket
from scenarios import DEAD, in_shop
from stages import QUICK, outcomes, state_only, wait_for, work_here

from embedded_aws.process import EmbeddedAws
from keysweep.remediation.aws import ClientSettings
from keysweep.remediation.errors import AccessRefused, Refused

NOT_WRITTEN = ("throttle", "deny", "expire", "error_500", "drop_before", "hang_before")
WRITTEN = ("drop_after", "hang_after", "truncate", "truncate_unsized", "truncate_valid_length")
"""The line is there, and S3's answer came cut or not at all."""
SAMPLE = {"throttle", "hang_before", "hang_after"}
SLOW = {"expire", "error_500", "truncate", "truncate_unsized", "truncate_valid_length"}

LOCK, RUN, INTENT, OUTCOME = range(4)
"""The order of a run's writes to the bucket."""


def kinds(names: tuple[str, ...]) -> list[Any]:
    marks = dict.fromkeys(SAMPLE, pytest.mark.sample) | dict.fromkeys(SLOW, pytest.mark.slow)
    return [pytest.param(one, marks=marks.get(one, ())) for one in names]


@pytest.fixture
def run(own_server: EmbeddedAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> S3Stages:
    own_server.reset(in_shop({"name": "dead", **DEAD}))
    make_bucket(own_server)
    work_here(monkeypatch, own_server)
    return S3Stages(own_server, tmp_path, state_only())


def _fail(run: S3Stages, kind: str, skip: int, operation: str = "PutObject") -> None:
    run.aws.fault(kind, operation=operation, skip=skip, times=None, seconds=30)
    if kind.startswith("hang"):
        run.settings = ClientSettings(quota_share=100, read_timeout=1, attempts=1)


def _clear(run: S3Stages) -> None:
    run.aws.clear_faults()
    run.aws.advance(seconds=600)
    run.settings = QUICK


def _check(run: S3Stages, plan: Any) -> None:
    held.every_write_was_announced(run, plan)
    held.scheduled_once(run)
    held.undo_finds_everything(run)


@pytest.mark.parametrize("kind", kinds(NOT_WRITTEN))
def test_without_its_line_no_call_is_made(kind: str, run: S3Stages) -> None:
    plan = run.plan()
    for write in (LOCK, RUN):
        _fail(run, kind, write)
        with pytest.raises(AccessRefused):
            run.apply(plan)
        _clear(run)
    _fail(run, kind, INTENT)
    assert outcomes(run.apply(plan)) == {"dead": "failed"}
    _clear(run)
    assert run.aws.calls(operation="ScheduleKeyDeletion") == []
    assert not run.unlock()

    _fail(run, kind, OUTCOME)
    assert outcomes(run.apply(plan)) == {"dead": "scheduled"}
    _clear(run)
    (record,) = run.history().keys.values()
    assert record.undecided is not None
    _check(run, plan)
    assert outcomes(run.apply(plan)) == {"dead": "scheduled"}
    held.nothing_is_open(run)
    _check(run, plan)

    _fail(run, kind, INTENT)
    assert outcomes(run.cancel()) == {"dead": "failed"}
    _clear(run)
    assert run.aws.calls(operation="CancelKeyDeletion") == []
    assert outcomes(run.cancel()) == {"dead": "cancelled"}
    held.nothing_is_open(run)
    _check(run, plan)


@pytest.mark.parametrize("kind", kinds(WRITTEN))
def test_lines_whose_answers_are_lost_are_found(kind: str, run: S3Stages) -> None:
    plan = run.plan()
    _fail(run, kind, LOCK)
    assert outcomes(run.apply(plan)) == {"dead": "scheduled"}
    assert [one["line"] for one in run.lines()] == ["run", "intent", "outcome"]
    assert outcomes(run.cancel()) == {"dead": "cancelled"}
    _clear(run)
    held.nothing_is_open(run)
    _check(run, plan)
    assert not run.unlock()


@pytest.mark.parametrize("operation", ["ListObjectsV2", "GetObject"])
@pytest.mark.parametrize(
    "kind", kinds(("throttle", "deny", "drop_before", "truncate", "truncate_valid_length"))
)
def test_a_journal_that_cannot_be_read_changes_nothing(
    kind: str, operation: str, run: S3Stages
) -> None:
    plan = run.plan()
    run.apply(plan)
    _fail(run, kind, 0, operation)
    with pytest.raises(AccessRefused):
        run.cancel()
    assert run.aws.calls(operation="CancelKeyDeletion") == []
    _clear(run)
    assert outcomes(run.cancel()) == {"dead": "cancelled"}


MOMENTS = [(kind, write) for kind in ("hang_before", "hang_after") for write in range(OUTCOME + 1)]


@pytest.mark.parametrize(
    ("kind", "write"),
    [
        pytest.param(*moment, marks=() if moment == ("hang_after", INTENT) else pytest.mark.sample)
        for moment in MOMENTS
    ],
)
def test_a_run_killed_while_it_writes_a_line(kind: str, write: int, run: S3Stages) -> None:
    """The lock stays until a person removes it; one more run finishes, and nothing is lost."""
    plan = run.plan()
    run.aws.fault(kind, operation="PutObject", skip=write, times=None, seconds=60)
    process = run.start("apply", "plan.json", "--yes", "--journal", NAME)
    wait_for(lambda: len(run.aws.calls(operation="PutObject")) > write)
    process.kill()
    process.communicate()
    _clear(run)
    _check(run, plan)
    called = {call["operation"] for call in run.aws.calls(service="kms")}
    assert ("ScheduleKeyDeletion" in called) == (write == OUTCOME)

    locked = write > LOCK or kind == "hang_after"
    if locked:
        with pytest.raises(Refused):
            run.apply(plan)
        again = run.command("apply", "plan.json", "--yes", "--journal", NAME)
        assert (again.code, str(process.pid) in again.err) == (3, True), again.err
    assert run.unlock() == locked
    assert outcomes(run.apply(plan)) == {"dead": "scheduled"}
    held.nothing_is_open(run)
    _check(run, plan)
    assert outcomes(run.cancel()) == {"dead": "cancelled"}
    held.nothing_is_open(run)
    _check(run, plan)


def test_a_run_killed_between_its_line_and_the_answer(run: S3Stages) -> None:
    plan = run.plan()
    run.aws.fault("hang_after", operation="ScheduleKeyDeletion", times=None, seconds=60)
    process = run.start("apply", "plan.json", "--yes", "--journal", NAME)
    wait_for(lambda: run.aws.calls(operation="ScheduleKeyDeletion"))
    process.kill()
    process.communicate()
    _clear(run)
    assert [one["line"] for one in run.lines()] == ["run", "intent"]
    assert run.unlock()
    assert outcomes(run.apply(plan)) == {"dead": "scheduled"}
    held.nothing_is_open(run)
    _check(run, plan)
