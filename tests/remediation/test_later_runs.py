"""What a later run does with a key that an earlier run or another principal has changed."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from prowler_records import prowler_record
from scenarios import DEAD, SHOP
from stages import Stages, few_references, outcomes, state_only, work_here

from embedded_aws.process import EmbeddedAws
from keysweep.remediation import apply as apply_stage
from keysweep.remediation import mutelist as mutelist_stage
from keysweep.remediation import status as status_stage
from keysweep.remediation import write as write_stage
from keysweep.remediation.aws import Accounts, Connection
from keysweep.remediation.aws import clock as clock_stage
from keysweep.remediation.cancel import batch, batches
from keysweep.remediation.cli.main import run as run_cli
from keysweep.remediation.journal import Journal, read
from keysweep.remediation.lifecycle import (
    KEY_NOT_FOUND,
    LOOK_AGAIN,
    NOT_VISIBLE_YET,
    Situation,
)
from keysweep.remediation.models import KeyArn, Outcome
from keysweep.remediation.plan import Plan

KEEP = [{"TagKey": "keysweep:keep", "TagValue": ""}]
AT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def run(own_server: EmbeddedAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stages:
    work_here(monkeypatch, own_server)
    few_references(monkeypatch)
    keys = [{"name": "key", **DEAD}, {"name": "other", **DEAD}]
    regions: dict[str, Any] = {"eu-west-1": {"keys": keys}, "us-east-1": {}}
    own_server.reset({"accounts": {SHOP: {"regions": regions}}})
    return Stages(own_server, tmp_path, state_only())


def _command(run: Stages, *arguments: str) -> tuple[int, str, str]:
    done = run.command(*arguments)
    return done.code, done.out, done.err


def _drifts(run: Stages) -> dict[str, str]:
    names = run.names()
    rows = _status(run).rows
    return {names[str(row.key_arn)]: row.drift for row in rows}


def _status(run: Stages) -> status_stage.Status:
    return status_stage.status(run.history(), Accounts(run.access, run.settings))


# --- DescribeKey does not show a deletion yet -----------------------------------------------------


def test_undo_does_not_trust_that_a_recent_deletion_is_absent(run: Stages) -> None:
    plan = run.plan()
    run.apply(plan)
    run.aws.fault("stale", operation="DescribeKey", times=None)
    rows = run.cancel()
    assert outcomes(rows) == {"key": "failed", "other": "failed"}
    assert rows["key"].message == LOOK_AGAIN
    assert outcomes(run.apply(plan)) == {"key": "failed", "other": "failed"}
    assert _drifts(run) == dict.fromkeys(("key", "other"), NOT_VISIBLE_YET)
    notes = {name: row.notes for name, row in run.guard().items()}
    assert notes == dict.fromkeys(("key", "other"), (NOT_VISIBLE_YET,))
    run.aws.clear_faults()
    assert outcomes(run.cancel()) == {"key": "cancelled", "other": "cancelled"}


@pytest.mark.parametrize("reads", [1, 2])
def test_a_rerun_waits_until_a_deletion_of_a_moment_ago_is_visible(reads: int, run: Stages) -> None:
    """As after a kill, where the outcome is in the journal and DescribeKey lags behind."""
    plan = run.plan()
    run.apply(plan)
    run.aws.fault("stale", operation="DescribeKey", key=run.arn("key"), times=reads)
    assert outcomes(run.apply(plan)) == {"key": "scheduled", "other": "scheduled"}
    run.aws.fault("stale", operation="DescribeKey", key=run.arn("key"), times=reads)
    assert outcomes(run.cancel()) == {"key": "cancelled", "other": "cancelled"}


def test_after_five_minutes_the_answer_is_trusted(run: Stages) -> None:
    run.apply(run.plan())
    run.kms().cancel_key_deletion(KeyId=run.arn("key"))
    run.aws.advance(seconds=400)
    assert outcomes(run.cancel()) == {"key": "unchanged", "other": "cancelled"}


def test_a_key_enabled_since_is_not_a_late_answer(run: Stages) -> None:
    run.apply(run.plan())
    run.kms().cancel_key_deletion(KeyId=run.arn("key"))
    run.kms().enable_key(KeyId=run.arn("key"))
    assert outcomes(run.cancel()) == {"key": "unchanged", "other": "cancelled"}


def test_our_own_deletion_that_shows_late_is_ours(run: Stages) -> None:
    plan = run.plan()
    run.aws.fault("drop_after", operation="ScheduleKeyDeletion", key=run.arn("key"))
    run.aws.fault("stale", operation="DescribeKey", key=run.arn("key"), skip=1, times=None)
    assert outcomes(run.apply(plan)) == {"key": "failed", "other": "scheduled"}
    run.aws.clear_faults()
    pauses = len(write_stage.READ_BACK_PAUSES)
    run.aws.fault("stale", operation="DescribeKey", key=run.arn("key"), times=pauses)
    assert outcomes(run.apply(plan)) == {"key": "scheduled", "other": "scheduled"}
    assert not any(record.open for record in run.history().keys.values())


# --- an immediate undo that failed is tried again, whenever the next run comes --------------------


def _tagged_meanwhile(run: Stages) -> Plan:
    """A plan whose key is tagged between the last look and the call."""
    plan = run.plan()
    then = {"operation": "TagResource", "Tags": KEEP, "KeyId": run.arn("key")}
    run.aws.fault("meddle", operation="ListResourceTags", key=run.arn("key"), then=then)
    return plan


LOST_UNDOS = {
    "DescribeKey does not answer": {"kind": "deny", "operation": "DescribeKey", "skip": 1},
    "DescribeKey is late": {"kind": "stale", "operation": "DescribeKey", "skip": 1},
    "the look is denied": {"kind": "deny", "operation": "ListResourceTags"},
    "the call is lost": {"kind": "drop_before", "operation": "CancelKeyDeletion"},
    "the call is denied": {"kind": "deny", "operation": "CancelKeyDeletion"},
}


@pytest.mark.parametrize("fault", LOST_UNDOS.values(), ids=LOST_UNDOS)
@pytest.mark.parametrize("days", [0.1, 8], ids=["two hours later", "when the plan has expired"])
def test_the_next_run_makes_up_for_an_undo_that_failed(
    fault: dict[str, Any], days: float, run: Stages
) -> None:
    _tagged_meanwhile(run)
    wanted = dict(fault)
    run.aws.fault(wanted.pop("kind"), key=run.arn("key"), times=None, **wanted)
    command = ("apply", "plan.json", "--yes", "--journal", "journal.jsonl", "--format", "json")
    code, out, _ = _command(run, *command)
    outcomes = {row["key_arn"]: row["outcome"] for row in json.loads(out)["results"]}
    assert (code, outcomes) == (1, {run.arn("key"): "failed", run.arn("other"): "scheduled"})
    assert run.state("PendingDeletion") == {"key", "other"}
    run.aws.clear_faults()
    run.aws.advance(days=days)
    code, out, _ = _command(run, *command)
    outcomes = {row["key_arn"]: row["outcome"] for row in json.loads(out)["results"]}
    assert (code, outcomes) == (0, {run.arn("key"): "changed", run.arn("other"): "scheduled"})
    assert run.state("Disabled") == {"key"}


# --- another principal's deletion is left alone ---------------------------------------------------


def _taken_over(run: Stages) -> datetime:
    """Another principal cancels the journal's deletion, tags the key and schedules it again."""
    kms = run.kms()
    kms.cancel_key_deletion(KeyId=run.arn("key"))
    kms.tag_resource(KeyId=run.arn("key"), Tags=[{"TagKey": "ticket", "TagValue": "OWN-1"}])
    answer = kms.schedule_key_deletion(KeyId=run.arn("key"), PendingWindowInDays=7)
    date: datetime = answer["DeletionDate"]
    return date


@pytest.mark.parametrize("later", [{"seconds": 600}, {"days": 2}], ids=["at once", "later"])
def test_a_rerun_leaves_a_deletion_alone_that_another_user_scheduled_again(
    later: dict[str, int], run: Stages
) -> None:
    plan = run.plan()
    run.apply(plan)
    run.aws.advance(**later)
    theirs = _taken_over(run)
    rows = run.apply(plan)
    assert outcomes(rows) == {"key": "already_pending", "other": "scheduled"}
    assert rows["key"].deletion_date is not None
    assert abs(rows["key"].deletion_date - theirs) < timedelta(minutes=1)
    assert run.state("PendingDeletion") == {"key", "other"}


def test_a_rerun_reports_a_deleted_key(run: Stages) -> None:
    plan = run.plan()
    run.apply(plan)
    run.aws.advance(days=31)
    rows = run.apply(plan)
    assert outcomes(rows) == {"key": "changed", "other": "changed"}
    assert rows["key"].message == KEY_NOT_FOUND


# --- a plan that expires during its run -----------------------------------------------------------


def test_a_plan_that_expires_while_the_run_waits_schedules_nothing(
    run: Stages, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = run.plan()
    ordinary, turn, asleep = clock_stage._elapsed, Connection.turn, [0.0]
    monkeypatch.setattr(clock_stage, "_elapsed", lambda: ordinary() + asleep[0])

    def sleeps(connection: Connection, operation: str) -> None:
        turn(connection, operation)
        asleep[0] = timedelta(days=10).total_seconds()

    monkeypatch.setattr(Connection, "turn", sleeps)
    rows = run.apply(plan)
    assert outcomes(rows) == {"key": "failed", "other": "failed"}
    assert "The plan expired on" in rows["key"].message
    assert run.state("Disabled") == {"key", "other"}
    assert run.aws.calls(operation="ScheduleKeyDeletion") == []


# --- what follows a cancellation ------------------------------------------------------------------


def test_keys_that_were_cancelled_before_are_not_enabled_with_the_others(run: Stages) -> None:
    run.apply(run.plan())
    run.cancel([KeyArn.parse(run.arn("key"))])
    run.aws.advance(days=3)
    assert outcomes(run.cancel(enable=True)) == {"other": "cancelled"}
    assert run.state("Enabled") == {"other"}


def test_a_rerun_of_guard_tags_what_the_last_one_restored_and_could_not_tag(run: Stages) -> None:
    run.plan()
    assert _command(run, "apply", "plan.json", "--yes")[0] == 0
    with suppress(ClientError):  # an application misses its key
        run.kms().encrypt(KeyId=run.arn("key"), Plaintext=b"x")
    run.aws.fault("throttle", operation="TagResource", key=run.arn("key"), times=1)
    guard = ("guard", "--cancel", "--keep", "--yes", "--plan", "plan.json", "--format", "json")
    code, out, _ = _command(run, *guard)
    cancellations = [
        row["cancellation"] for row in map(json.loads, out.splitlines()) if row["cancellation"]
    ]
    assert (code, [one["outcome"] for one in cancellations]) == (1, ["failed"])
    assert "TagResource failed" in cancellations[0]["message"]
    assert run.aws.key(run.arn("key"))["tags"] == {}
    _, out, _ = _command(run, *guard)
    rows = {row["key_arn"]: row for row in map(json.loads, out.splitlines())}
    assert rows[run.arn("key")]["cancellation"]["outcome"] == "cancelled"
    assert len(rows[run.arn("key")]["notes"]) == 1
    assert "keysweep:keep" in run.aws.key(run.arn("key"))["tags"]
    # And then there is nothing left to do.
    _, out, _ = _command(run, *guard)
    assert run.arn("key") not in {json.loads(line)["key_arn"] for line in out.splitlines()}


def test_a_disk_that_fills_up_after_the_cancellation_does_not_make_it_not_begun(
    run: Stages, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.apply(run.plan())
    ordinary, lines = os.fsync, [0]

    def fsync(handle: int) -> None:
        if Path(f"/proc/self/fd/{handle}").readlink().name == "journal.jsonl":
            lines[0] += 1
            if lines[0] == 3:  # after the run's line and the intent
                raise OSError(28, "No space left on device")
        ordinary(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    rows = run.cancel([KeyArn.parse(run.arn("key"))], protected_tag="keysweep:keep")
    assert rows["key"].outcome is Outcome.FAILED
    assert rows["key"].message.startswith("Cancelled. ")
    assert "TagResource failed" in rows["key"].message
    assert run.state("Disabled") == {"key"}


# --- primaries that wait for their replicas -------------------------------------------------------


def _primary(run: Stages, **replicas: Any) -> tuple[str, Plan]:
    primary = {"name": "primary", "multi_region": True, "replicas": replicas, **DEAD}
    regions = {"eu-west-1": {"keys": [primary]}, "us-east-1": {}}
    run.aws.reset({"accounts": {SHOP: {"regions": regions}}})
    run.policy = state_only(also=("replicas-remain",))
    arn = run.arn("primary")
    return arn, run.plan([arn])


def test_a_lost_deletion_of_a_primary_stays_open_when_its_date_comes_later(run: Stages) -> None:
    arn, plan = _primary(run, **{"us-east-1": {"state": "Disabled"}})
    run.aws.fault("drop_after", operation="ScheduleKeyDeletion", key=arn)
    run.aws.fault("deny", operation="DescribeKey", key=arn, skip=1, times=None)
    run.apply(plan)
    run.aws.clear_faults()
    replica = arn.replace("eu-west-1", "us-east-1")
    run.kms("us-east-1").schedule_key_deletion(KeyId=replica, PendingWindowInDays=7)
    run.aws.advance(days=8)
    assert run.aws.key(arn)["state"] == "PendingDeletion"
    rows = run.cancel()
    assert outcomes(rows) == {"primary": "failed"}
    assert f"keysweep cancel --key {arn}" in rows["primary"].message
    assert batch(run.history()) == (KeyArn.parse(arn),)
    assert outcomes(run.cancel([KeyArn.parse(arn)])) == {"primary": "cancelled"}


def test_a_primarys_deletion_with_another_waiting_period_is_not_ours(run: Stages) -> None:
    arn, plan = _primary(run, **{"us-east-1": {"state": "Disabled"}})
    assert outcomes(run.apply(plan)) == {"primary": "scheduled"}
    run.aws.advance(days=2)
    run.kms().cancel_key_deletion(KeyId=arn)
    run.kms().schedule_key_deletion(KeyId=arn, PendingWindowInDays=7)
    status = _status(run)
    assert status.rows[0].situation is Situation.DRIFTED
    assert mutelist_stage.intended(status) == frozenset()
    assert outcomes(run.cancel()) == {"primary": "unchanged"}
    assert run.aws.key(arn)["state"] == "PendingReplicaDeletion"


def test_a_primary_that_waits_for_replicas_added_later_is_not_muted(run: Stages) -> None:
    arn, plan = _primary(run)
    assert outcomes(run.apply(plan)) == {"primary": "scheduled"}
    kms = run.kms()
    kms.cancel_key_deletion(KeyId=arn)
    kms.enable_key(KeyId=arn)
    kms.replicate_key(KeyId=arn, ReplicaRegion="us-east-1")
    kms.disable_key(KeyId=arn)
    kms.schedule_key_deletion(KeyId=arn, PendingWindowInDays=30)
    status = _status(run)
    assert status.rows[0].situation is Situation.DRIFTED
    assert mutelist_stage.intended(status) == frozenset()


# --- the journal ----------------------------------------------------------------------------------


def test_a_lost_cancellation_has_one_outcome_if_others_cancel_meanwhile(run: Stages) -> None:
    run.apply(run.plan())
    run.aws.fault("drop_before", operation="CancelKeyDeletion", key=run.arn("key"))
    run.aws.fault("deny", operation="DescribeKey", key=run.arn("key"), skip=1, times=None)
    run.cancel([KeyArn.parse(run.arn("key"))])
    run.aws.clear_faults()
    run.aws.advance(seconds=400)
    then = {"operation": "CancelKeyDeletion", "KeyId": run.arn("key")}
    run.aws.fault("meddle", operation="DescribeKey", key=run.arn("key"), skip=1, then=then)
    run.cancel()
    assert run.history().problems == ()


def test_two_lost_cancellations_have_one_outcome_and_the_follow_ups_of_both(run: Stages) -> None:
    run.apply(run.plan())
    arn = KeyArn.parse(run.arn("key"))
    for requested in (frozenset({"TagResource"}), frozenset[str]()):
        with Journal(run.journal) as journal:
            now = datetime.fromtimestamp(run.aws.now(), UTC)
            journal.begin(now, "cancel", follow_ups=requested)
            journal.intent(now, "CancelKeyDeletion", arn)
    run.kms().cancel_key_deletion(KeyId=str(arn))
    assert outcomes(run.cancel()) == {"key": "cancelled", "other": "cancelled"}
    lines = map(json.loads, run.journal.read_text(encoding="utf-8").splitlines())
    named = [one for one in lines if one.get("key_arn") == str(arn) and one["line"] == "outcome"]
    assert [one["operation"] for one in named] == ["ScheduleKeyDeletion", "CancelKeyDeletion"]
    record = run.history().keys[arn]
    assert (record.open, record.follow_ups_left) == ((), {"TagResource"})


def test_guard_reports_no_cancellation_of_a_deletion_that_never_began(run: Stages) -> None:
    plan = run.plan()
    with Journal(run.journal) as journal:
        now = datetime.fromtimestamp(run.aws.now(), UTC)
        journal.begin(now, "apply", plan_digest=plan.digest)
        arn = KeyArn.parse(run.arn("key"))
        journal.intent(now, "ScheduleKeyDeletion", arn, pending_window_days=30)
    (note,) = run.guard()["key"].notes
    assert note.startswith("ScheduleKeyDeletion was interrupted. ")
    assert "keysweep apply" in note


def test_a_run_whose_clock_was_wrong_does_not_hide_a_later_deletion(tmp_path: Path) -> None:
    arn = KeyArn.parse(f"arn:aws:kms:eu-west-1:{SHOP}:key/11111111-1111-4111-8111-111111111111")
    a, b = tmp_path / "a.jsonl", tmp_path / "b.jsonl"

    def line(path: Path, operation: str, outcome: Outcome, *, days: int) -> None:
        with Journal(path) as journal:
            journal.begin(AT + timedelta(days=days), "apply", plan_digest="sha256:1")
            intent = journal.intent(AT + timedelta(days=days), operation, arn)
            journal.outcome(AT + timedelta(days=days), intent, outcome)

    line(a, "ScheduleKeyDeletion", Outcome.SCHEDULED, days=0)
    with Journal(a) as journal:
        journal.begin(AT + timedelta(days=900), "cancel")  # AWS refused its signatures
    line(a, "CancelKeyDeletion", Outcome.CANCELLED, days=1)
    line(b, "ScheduleKeyDeletion", Outcome.SCHEDULED, days=60)
    assert batches(read([a, b])) == {a: [], b: [arn]}


@pytest.mark.parametrize(
    "command", [("cancel", "--yes"), ("status",), ("guard",)], ids=lambda words: words[0]
)
def test_an_altered_line_prevents_neither_checks_nor_cancellations(
    command: tuple[str, ...], run: Stages
) -> None:
    run.apply(run.plan())
    lines = run.journal.read_text(encoding="utf-8").splitlines()
    number = next(n for n, line in enumerate(lines) if '"line":"outcome"' in line)
    lines[number] = lines[number].replace('"outcome"', '"outcoem"', 1)
    run.journal.write_text("\n".join(lines) + "\n", encoding="utf-8")
    code, out, error = _command(run, *command, "--journal", "journal.jsonl", "--format", "json")
    assert f"line {number + 1} " in error + out
    if command[0] == "cancel":
        assert (code, run.state("Disabled")) == (0, {"key", "other"})
    else:
        assert code == 1


@pytest.mark.parametrize("command", ["apply plan.json", "status", "cancel"])
@pytest.mark.parametrize("name", ["a" * 300, "loop.jsonl"], ids=["too long", "a link to itself"])
def test_a_name_that_no_journal_can_have_is_bad_input(command: str, name: str, run: Stages) -> None:
    run.plan()
    (run.folder / "loop.jsonl").symlink_to("loop.jsonl")
    yes = () if command == "status" else ("--yes",)
    code, _, error = _command(run, *command.split(), *yes, "--journal", name)
    assert code == 2
    assert error.startswith(f"keysweep: {name}: The journal c")
    assert error.count("\n") == 1


def test_the_stage_refuses_an_expired_plan_that_the_command_accepts(run: Stages) -> None:
    plan = run.plan()
    run.aws.advance(days=8)
    rows = run.apply(plan)
    assert outcomes(rows) == {"key": "failed", "other": "failed"}
    assert apply_stage.to_do(plan, run.history(), plan.expires_at) == ()


# --- keys that AWS does not find ------------------------------------------------------------------


def _scanned(run: Stages, arn: str) -> Path:
    """Results of Prowler's own check of keys that are pending deletion."""
    record = prowler_record(arn, run.aws.now())
    record["metadata"]["event_code"] = "kms_cmk_not_deleted_unintentionally"
    path = run.folder / "pending.json"
    path.write_text(json.dumps([record]), encoding="utf-8")
    return path


@pytest.mark.parametrize("way", ["key", "plan", "results", "journal"])
def test_undo_of_a_key_that_is_not_found_is_a_failure(
    way: str, run: Stages, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On day 29 `unchanged` and 0 read as saved."""
    monkeypatch.chdir(run.folder)
    run.policy = run.policy.model_copy(update={"plan_expires_days": 60})
    run.apply(run.plan())
    wrong = run.arn("key").replace("eu-west-1", "us-east-1")
    ways = {
        "key": ("--key", wrong),
        "plan": ("--plan", "plan.json"),
        "results": (str(_scanned(run, wrong)),),
        "journal": ("--journal", "journal.jsonl"),
    }
    gone = {wrong} if way in {"key", "results"} else {run.arn("key"), run.arn("other")}
    if way in {"plan", "journal"}:
        run.aws.advance(days=31)
    code = run_cli(["cancel", *ways[way], "--yes", "--format", "json"])
    results = json.loads(capsys.readouterr().out)["results"]
    assert (code, {row["key_arn"]: row["outcome"] for row in results}) == (
        1,
        dict.fromkeys(gone, "failed"),
    )
    assert all(row["message"].startswith(KEY_NOT_FOUND) for row in results)
