"""Which pending deletions a rebuild takes for Keysweep's, and what it writes of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from dead_key import ARN, DEAD, NOW, PRIMARY, days_ago

from keysweep.remediation.audit import audit
from keysweep.remediation.cancel import batch
from keysweep.remediation.errors import BadInput
from keysweep.remediation.evidence.history.deletion_events import DeletionEvent
from keysweep.remediation.journal import (
    Journal,
    RebuildLine,
    RebuiltDeletion,
    deletions,
    read,
    read_undamaged,
)
from keysweep.remediation.journal.lines import encode
from keysweep.remediation.lifecycle import Situation, checked_at, is_unwatched, state_of
from keysweep.remediation.models import (
    AppliedException,
    KeyDescription,
    Outcome,
    PlanItem,
    PlanSummary,
    Rebuild,
    RebuildDecision,
    RebuildReason,
    RebuildRow,
    VerdictKind,
)
from keysweep.remediation.plan import Plan, PlanItems
from keysweep.remediation.policy import Policy
from keysweep.remediation.rebuild import decide, watch_use_from
from keysweep.remediation.report import tables

BEGAN = days_ago(3)
DATE = BEGAN + timedelta(days=30)
OURS = DeletionEvent(
    id="e-1",
    time=BEGAN,
    key_arn=str(ARN),
    caller="arn:aws:sts::111122223333:assumed-role/KeysweepApply/keysweep",
    source="192.0.2.7",
    user_agent="keysweep/1.2.0",
    pending_window_days=30,
    deletion_date=DATE,
)
THEIRS = replace(OURS, id="e-2", user_agent=None)
EXCEPTION = AppliedException(
    rule="in-use", reason="checked by hand", approved_by="security", until="2026-12-31"
)


def pending(date: datetime | None = DATE) -> KeyDescription:
    """The key, pending deletion until then."""
    state = "PendingReplicaDeletion" if date is None else "PendingDeletion"
    assert isinstance(DEAD.description, KeyDescription)
    changes = {"key_state": state, "deletion_date": date}
    return DEAD.description.model_copy(update=changes)


def plan(**changes: object) -> Plan:
    """A plan that schedules the key on an exception."""
    item = PlanItem(
        key_arn=ARN,
        account_id=ARN.account_id,
        region=ARN.region,
        verdict=VerdictKind.SCHEDULE,
        reasons=(),
        evidence=DEAD,
        pending_window_days=30,
        monthly_cost_usd=2.0,
        owner="shop",
        exceptions=(EXCEPTION,),
    )
    fields = {
        "digest": "sha256:1",
        "created_at": days_ago(4),
        "evidence_from": days_ago(5),
        "policy": Policy(),
        "sources": (),
        "summary": PlanSummary(schedule=1, hold=0, skip=0, monthly_cost_usd=2.0),
        "items": PlanItems([item]),
    }
    return Plan(**{**fields, **changes})


R = RebuildReason
LATER = timedelta(minutes=30)
CASES: dict[str, tuple[list[DeletionEvent], RebuildReason | None]] = {
    "its event": ([OURS], None),
    "a date two seconds away": ([replace(OURS, deletion_date=DATE + timedelta(seconds=2))], None),
    "also older ones": ([replace(THEIRS, deletion_date=DATE - LATER), OURS], None),
    "no event": ([], R.NO_EVENT),
    "a date three seconds away": (
        [replace(OURS, deletion_date=DATE + timedelta(seconds=3))],
        R.NO_EVENT,
    ),
    "the event before it was cancelled": ([replace(OURS, deletion_date=DATE - LATER)], R.NO_EVENT),
    "an event that was cut": ([replace(OURS, deletion_date=None)], R.NO_EVENT),
    "another caller's event": ([THEIRS], R.ANOTHER_CALLER),
    "cancelled and scheduled by another caller": (
        [replace(OURS, deletion_date=DATE - LATER), THEIRS],
        R.ANOTHER_CALLER,
    ),
    "both have the date": ([OURS, THEIRS], R.SEVERAL_EVENTS),
    "no waiting period": ([replace(OURS, pending_window_days=None)], R.INCOMPLETE_EVENT),
    "too short a waiting period": ([replace(OURS, pending_window_days=6)], R.INCOMPLETE_EVENT),
}


@pytest.mark.parametrize("what", CASES)
def test_only_keysweeps_own_deletion_is_rebuilt(what: str) -> None:
    events, reason = CASES[what]
    row, deletion = decide(ARN, pending(), events, None, NOW)
    assert (row.reason, deletion is not None) == (reason, reason is None)
    decisions = {None: RebuildDecision.REBUILT, R.ANOTHER_CALLER: RebuildDecision.LEFT_OUT}
    assert row.decision is decisions.get(reason, RebuildDecision.UNDETERMINED)
    assert bool(row.message) is (reason is not None)


def test_a_primary_key_that_waits_for_replicas_is_undetermined() -> None:
    row, deletion = decide(PRIMARY, pending(None), [OURS], None, NOW)
    assert (row.decision, row.reason) == (RebuildDecision.UNDETERMINED, R.NO_DATE)
    assert deletion is None


def test_without_a_plan_nothing_of_it_is_invented() -> None:
    row, deletion = decide(ARN, pending(), [OURS], None, NOW)
    assert (row.event_id, row.scheduled_at, row.source) == ("e-1", BEGAN, "192.0.2.7")
    assert deletion == RebuiltDeletion(
        key_arn=ARN,
        event_id="e-1",
        time=BEGAN,
        caller=OURS.caller,
        user_agent="keysweep/1.2.0",
        pending_window_days=30,
        deletion_date=DATE,
        watch_use_from=NOW - timedelta(days=90),
    )


def test_a_plan_adds_its_facts_about_the_key() -> None:
    _, deletion = decide(ARN, pending(), [OURS], plan(), NOW)
    assert deletion is not None
    assert (deletion.monthly_cost_usd, deletion.alias, deletion.owner, deletion.exceptions) == (
        2.0,
        "alias/old-shop",
        "shop",
        (0,),
    )


@pytest.mark.parametrize(
    ("made", "kept"),
    [(days_ago(4), True), (days_ago(3), True), (days_ago(2), False), (days_ago(11), False)],
)
def test_a_deletion_outside_the_plans_time_is_not_of_the_plan(made: datetime, kept: bool) -> None:
    row, _ = decide(ARN, pending(), [OURS], plan(created_at=made), NOW)
    assert (row.decision is RebuildDecision.REBUILT) is kept
    assert row.reason in ({None} if kept else {R.ANOTHER_PLAN})


def test_the_watch_begins_no_later_than_any_apply_could_have_looked() -> None:
    hour = timedelta(minutes=60)
    assert watch_use_from(plan(), NOW) == days_ago(5) - hour
    for unknown in (None, plan(evidence_from=None)):
        assert watch_use_from(unknown, NOW) == days_ago(90)


# --- the line ----------------------------------------------------------------------------------


def line(made: Plan | None = None, run: str = "r") -> RebuildLine:
    _, deletion = decide(ARN, pending(), [OURS], made, NOW)
    assert deletion is not None
    return RebuildLine(
        run=run,
        time=NOW,
        plan_digest=None if made is None else made.digest,
        exceptions=None if made is None else tuple(made.exceptions),
        read=("111122223333 eu-west-1",),
        keys=(deletion,),
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rebuilt.jsonl"


def rebuild(path: Path, made: Plan | None = None) -> None:
    with Journal(path) as journal:
        journal.rebuild(line(made, journal.run))


def test_a_rebuilt_journal_undoes_watches_and_says_what_it_is(path: Path) -> None:
    rebuild(path)
    history = read_undamaged(path)
    record = history.keys[ARN]
    assert set(batch(history)) == {ARN}
    assert state_of(record, pending(), NOW).situation is Situation.OURS
    other = pending(DATE + timedelta(minutes=5))
    assert state_of(record, other, NOW).situation is Situation.DRIFTED
    assert (record.rebuilt, record.watch_use_from) == (True, days_ago(90))
    assert (record.plan_digest, record.owner, record.alias) == (None, None, "")
    assert len(history.notes) == 1
    assert len(path.read_bytes().splitlines()) == 1


def test_nothing_has_checked_a_rebuilt_key_until_guard_does(path: Path) -> None:
    rebuild(path)
    record = read([path]).keys[ARN]
    assert (checked_at(record), is_unwatched(record, NOW)) == (None, True)
    with Journal(path) as journal:
        journal.look(NOW, [ARN], NOW)
    record = read([path]).keys[ARN]
    assert (checked_at(record), is_unwatched(record, NOW)) == (NOW, False)


def test_the_audit_has_the_events_caller_and_the_plans_exceptions(path: Path) -> None:
    rebuild(path, plan())
    assert read([path]).keys[ARN].plan_digest == "sha256:1"
    (row,) = audit(deletions([path]), {ARN: "PendingDeletion"})
    assert (row.rebuilt, row.caller, row.plan_digest) == (True, OURS.caller, "sha256:1")
    assert (row.exceptions, row.requested_at, row.outcome) == ((EXCEPTION,), BEGAN, "scheduled")
    assert (row.owner, row.ticket, row.approved_by) == ("shop", None, None)


@pytest.mark.parametrize(
    ("operation", "outcome"),
    [("CancelKeyDeletion", Outcome.CANCELLED), ("ScheduleKeyDeletion", Outcome.SCHEDULED)],
)
def test_what_runs_do_next_is_not_rebuilt(path: Path, operation: str, outcome: Outcome) -> None:
    rebuild(path)
    with Journal(path) as journal:
        journal.begin(NOW, "cancel")
        intent = journal.intent(NOW, operation, ARN, pending_window_days=30)
        journal.outcome(NOW, intent, outcome, deletion_date=DATE)
    history = read_undamaged(path)
    assert history.keys[ARN].rebuilt is False
    first, *_ = deletions([path])
    assert (first.rebuilt, first.stands) == (True, outcome is Outcome.SCHEDULED)


def test_a_journal_with_lines_is_never_rebuilt(path: Path) -> None:
    rebuild(path)
    before = path.read_bytes()
    for _ in range(2):
        with pytest.raises(BadInput), Journal(path) as journal:
            journal.rebuild(line())
        assert path.read_bytes() == before
        path.write_bytes(before := b"no journal at all\n")


@pytest.mark.parametrize("left", [b"", b"\n", encode(line())[:40]])
def test_what_a_killed_rebuild_left_is_no_journal(path: Path, left: bytes) -> None:
    path.write_bytes(left)
    rebuild(path)
    assert set(read_undamaged(path).keys) == {ARN}


def _twice(whole: bytes) -> bytes:
    return whole + encode(line(run="s"))


def _after_a_run(whole: bytes) -> bytes:
    return b'{"version":1,"line":"run","run":"a","time":"2026-11-01T12:00:00Z","command":"x"}\n' + (
        whole
    )


def _same_key_twice(_whole: bytes) -> bytes:
    one = line()
    return encode(replace(one, keys=one.keys * 2))


@pytest.mark.parametrize("change", [_twice, _after_a_run, _same_key_twice])
def test_a_rebuild_that_no_run_leaves_behind_is_damage(
    path: Path, change: Callable[[bytes], bytes]
) -> None:
    path.write_bytes(change(encode(line())))
    assert read([path]).problems != ()


@pytest.mark.parametrize("name", ["event_id", "deletion_date", "watch_use_from", "key_arn"])
def test_a_line_without_its_facts_is_no_line(path: Path, name: str) -> None:
    path.write_bytes(encode(line()).replace(f'"{name}"'.encode(), b'"x"', 1))
    with pytest.raises(BadInput):
        read([path])


@pytest.mark.parametrize("reason", [None, RebuildReason.NO_EVENT])
def test_the_prompt_does_not_say_what_became_of_the_journal(reason: RebuildReason | None) -> None:
    decision = RebuildDecision.UNDETERMINED if reason else RebuildDecision.REBUILT
    row = RebuildRow(key_arn=ARN, decision=decision, reason=reason)
    made = Rebuild(journal="rebuilt.jsonl", written=False, rows=(row,))
    asking, after = (tables.of_rebuild(made, asking=one) for one in (True, False))
    assert asking.tables == after.tables
    assert "rebuilt.jsonl" not in " ".join(asking.lines)
    assert len(after.lines) == 1 + (reason is not None)
