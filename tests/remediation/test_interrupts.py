"""Ctrl-C, a journal that fails, two runs at once: what is left is done by the next run."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import stages as held
from command_runs import Done
from scenarios import DEAD, SHOP, in_shop
from stages import Stages, outcomes, state_only, wait_for, work_here

from embedded_aws.process import EmbeddedAws
from keysweep.remediation.aws.concurrency import keys_at_a_time
from keysweep.remediation.errors import INTERRUPTED, RUN_AGAIN
from keysweep.remediation.journal import Journal
from keysweep.remediation.models import KeyResult
from keysweep.remediation.runner import Stop

ALL = {f"key-{number}" for number in range(1, 25)}
AT_A_TIME = keys_at_a_time(1)
APPLY = ("apply", "plan.json", "--yes", "--journal", "journal.jsonl", "--format", "json")


@pytest.fixture
def run(own_server: EmbeddedAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stages:
    work_here(monkeypatch, own_server)
    keys = [{"name": "key-{n}", "count": 24, **DEAD}]
    own_server.reset(in_shop(*keys))
    return Stages(own_server, tmp_path, state_only())


def _in_flight(run: Stages, kind: str) -> subprocess.Popen[str]:
    """A run of apply that waits for its first answers."""
    run.plan()
    run.aws.fault(kind, operation="ScheduleKeyDeletion", times=None, seconds=240)
    process = run.start(*APPLY)
    wait_for(lambda: len(run.aws.calls(operation="ScheduleKeyDeletion")) == AT_A_TIME)
    return process


def _rows(run: Stages, out: str) -> dict[str, KeyResult]:
    return run.by_name(KeyResult(**row) for row in json.loads(out)["results"])


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.sample)]
)
def test_interrupted_once_it_ends_the_calls_in_flight(number: int, run: Stages) -> None:
    process = _in_flight(run, "hang_after")
    process.send_signal(number)
    assert process.stderr is not None
    assert "Ctrl-C" in process.stderr.readline()
    run.aws.clear_faults()
    out, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert err.startswith("keysweep: ")
    assert err.count("\n") == 1
    rows = _rows(run, out)
    assert set(rows) == ALL
    begun = {name for name, row in rows.items() if row.outcome.value == "scheduled"}
    assert len(begun) == AT_A_TIME
    assert run.state("PendingDeletion") == begun
    assert all(rows[name].message.startswith("Not started: ") for name in ALL - begun)
    held.nothing_is_open(run)
    again = run.command(*APPLY)
    assert again.code == 0
    assert held.nothing_but_the_alarm(again.err)
    assert outcomes(_rows(run, again.out)) == dict.fromkeys(ALL, "scheduled")


@pytest.mark.sample
def test_interrupted_twice_it_ends_at_once_and_loses_nothing(run: Stages) -> None:
    process = _in_flight(run, "hang_after")
    assert process.stderr is not None
    process.send_signal(signal.SIGINT)
    process.stderr.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert held.lines_of(run, "outcome") == [], "it did not wait for the calls in flight"
    assert (process.returncode, out) == (1, "")
    assert RUN_AGAIN in err
    run.aws.clear_faults()
    assert len(held.lines_of(run, "intent")) == AT_A_TIME
    held.undo_finds_everything(run)
    plan = json.loads((run.folder / "plan.json").read_text("utf-8"))
    assert plan["summary"]["schedule"] == len(ALL)
    again = run.start(*APPLY)
    out, _ = again.communicate(timeout=120)
    assert outcomes(_rows(run, out)) == dict.fromkeys(ALL, "scheduled")
    held.nothing_is_open(run)


def test_plan_ends_at_once_since_it_changes_nothing(run: Stages) -> None:
    run.results()
    run.aws.fault("hang_before", operation="DescribeKey", times=None, seconds=60)
    process = run.start("plan", "results.json")
    wait_for(lambda: run.aws.calls(operation="DescribeKey"))
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (1, "")
    assert err.startswith("keysweep: Interrupted. ")
    assert err.count("\n") == 1
    run.aws.clear_faults()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_while_it_starts_it_ends_in_one_sentence(number: int, tmp_path: Path) -> None:
    loading = tmp_path / "loading"
    # A library that takes its time, found before the installed one.
    (tmp_path / "click.py").write_text(
        f"import pathlib, time\npathlib.Path({str(loading)!r}).touch()\ntime.sleep(60)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "keysweep.remediation", "plan", "--help"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for(loading.exists)
    process.send_signal(number)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (1, "")
    assert err == f"keysweep: {INTERRUPTED}\n"


def test_a_second_apply_of_the_plan_is_refused_under_any_journal(run: Stages) -> None:
    process = _in_flight(run, "hang_after")
    for journal in ("journal.jsonl", "other.jsonl"):
        second = run.command(*APPLY[:4], journal, "--format", "json")
        assert (second.code, second.out) == (3, "")
        assert "Another keysweep" in second.err
        assert len(second.err.splitlines()) == 1
    run.aws.clear_faults()
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    assert outcomes(_rows(run, out)) == dict.fromkeys(ALL, "scheduled")
    held.scheduled_once(run)


@pytest.mark.sample
def test_a_disk_that_fills_up_stops_the_run_with_one_message(run: Stages) -> None:
    plan = run.plan()

    def little_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))

    process = run.start(*APPLY, preexec_fn=little_room)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert len(err.splitlines()) == 1, err
    assert re.search(r" \d+ of \d+ bytes", err)
    assert "journal.jsonl" in err
    assert err.count("Fix: ") == err.count(RUN_AGAIN) == 1
    rows = _rows(run, out)
    assert set(rows) == ALL
    held.every_write_was_announced(run, plan)
    held.undo_finds_everything(run)
    assert run.state("PendingDeletion") < ALL
    again = run.start(*APPLY)
    out, err = again.communicate(timeout=120)
    assert again.returncode == 0
    assert held.nothing_but_the_alarm(err)
    assert outcomes(_rows(run, out)) == dict.fromkeys(ALL, "scheduled")
    held.nothing_is_open(run)
    held.scheduled_once(run)


def _no_room() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))


def _refused_before_any_write(run: Stages, journal: str, words: str, done: Done) -> None:
    assert (done.code, done.out) == (2, "")
    assert len(done.err.splitlines()) == 1
    assert journal in done.err
    assert words in done.err
    assert run.aws.calls(operation="ScheduleKeyDeletion") == []


def test_a_full_disk_takes_no_journal_and_nothing_is_written(run: Stages) -> None:
    run.plan()
    process = run.start(*APPLY[:5], preexec_fn=_no_room)
    out, err = process.communicate(timeout=120)
    done = Done(process.returncode, out, err)
    _refused_before_any_write(run, "journal.jsonl", "File too large", done)


@pytest.mark.parametrize(
    ("journal", "words"),
    [
        ("/proc/journal.jsonl", "Nothing was done"),
        ("/dev/full", "ot a regular file"),
        ("none/journal.jsonl", "Nothing was done"),
    ],
)
def test_a_path_that_cannot_hold_a_journal_is_refused_before_any_write(
    journal: str, words: str, run: Stages
) -> None:
    run.plan()
    _refused_before_any_write(run, journal, words, run.command(*APPLY[:4], journal))


def test_an_expired_plan_still_reconciles_open_intents(run: Stages) -> None:
    plan = run.plan()
    one = run.aws.key_arn(SHOP, "eu-west-1", "key-1")
    two = run.aws.key_arn(SHOP, "eu-west-1", "key-2")
    run.aws.fault("drop_after", operation="ScheduleKeyDeletion", key=one)
    run.aws.fault("deny", operation="DescribeKey", key=one, skip=1, times=None)
    run.aws.fault("deny", operation="ScheduleKeyDeletion", key=two)
    first = run.apply(plan)
    assert outcomes(first) == {
        **dict.fromkeys(ALL, "scheduled"),
        "key-1": "failed",
        "key-2": "failed",
    }
    run.aws.clear_faults()
    run.aws.advance(days=8)
    done = run.command(*APPLY)
    rows = _rows(run, done.out)
    assert outcomes(rows) == {**dict.fromkeys(ALL, "scheduled"), "key-2": "failed"}
    assert "The plan expired on" in rows["key-2"].message
    assert done.code == 1
    assert run.state("Disabled") == {"key-2"}
    held.nothing_is_open(run)
    refused = run.command(*APPLY)
    assert (refused.code, refused.out) == (3, "")
    assert "The plan expired on" in refused.err


# --- in this process ------------------------------------------------------------------------------


def test_a_run_that_is_stopped_before_it_begins_does_nothing(run: Stages) -> None:
    plan = run.plan()
    stop = Stop()
    stop.request("stopped by hand")
    stop.request("another reason")
    rows = run.apply(plan, stop)
    (message,) = {row.message for row in rows.values()}
    assert "stopped by hand" in message
    assert RUN_AGAIN in message
    assert set(rows) == ALL
    assert held.lines_of(run, "intent") == []


def test_a_journal_that_fails_once_stops_all_threads(
    run: Stages, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = run.plan()
    ordinary = os.fsync
    syncs = 0

    def fsync(handle: int) -> None:
        nonlocal syncs
        syncs += 1
        if syncs == 7:
            raise OSError(5, "Input/output error")
        ordinary(handle)

    stop = Stop()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        rows = run.apply(plan, stop)
    assert set(rows) == ALL
    assert stop.requested or any("not recorded" in row.message for row in rows.values())
    held.every_write_was_announced(run, plan)
    held.undo_finds_everything(run)
    assert len(run.aws.calls(operation="ScheduleKeyDeletion")) < len(ALL)
    assert outcomes(run.apply(plan)) == dict.fromkeys(ALL, "scheduled")
    held.scheduled_once(run)
    held.nothing_is_open(run)


def test_an_unexpected_error_is_the_row_of_one_key(
    run: Stages, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = run.plan()
    odd = run.aws.key_arn(SHOP, "eu-west-1", "key-3")
    ordinary = Journal.intent

    def intent(self: Journal, now: Any, operation: str, key_arn: Any, **more: Any) -> Any:
        if str(key_arn) == odd:
            raise RuntimeError("surprise")
        return ordinary(self, now, operation, key_arn, **more)

    monkeypatch.setattr(Journal, "intent", intent)
    rows = run.apply(plan)
    assert outcomes(rows) == {**dict.fromkeys(ALL, "scheduled"), "key-3": "failed"}
    assert "Internal error (RuntimeError: surprise)" in rows["key-3"].message
    assert run.state("Disabled") == {"key-3"}
