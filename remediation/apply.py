"""Carry out a plan: read each key again, and schedule its deletion if nothing has changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from .aws import Clock, Connection
from .aws.failures import explain
from .errors import RUN_AGAIN, AccountUnavailable, Refused, TruncatedResponse, present
from .evidence import Collector
from .evidence.description import describe
from .journal import (
    USE_REPORTING_DELAY,
    History,
    IntentLine,
    Journal,
    JournalFailed,
    KeyRecord,
)
from .lifecycle import (
    CANCELLED_ELSEWHERE,
    KEY_NOT_FOUND,
    LOOK_AGAIN,
    RESCHEDULED_ELSEWHERE,
    SCHEDULED_ELSEWHERE,
    Situation,
    is_pending,
    state_of,
    undetermined_origin,
)
from .models import (
    PENDING_DELETION,
    Evidence,
    KeyArn,
    KeyDescription,
    KeyResult,
    NotFound,
    Outcome,
    PlanItem,
    Unreadable,
    known,
)
from .plan import Plan
from .reread import changed_row, is_expensive, joined, read_expensive, used_pieces
from .runner import Stop, Stopped, each_key
from .wording import counted
from .write import (
    CANCEL,
    SCHEDULE,
    Reconciliation,
    Write,
    await_state,
    await_visible,
    not_called,
    reconcile,
    write,
)

VERIFIED_AGAIN_FOR: Final = timedelta(hours=1)
"""Age of a deletion up to which a rerun verifies it again: the run that scheduled the key may have
been killed before it could. Later, a difference says nothing about the moment of the call."""

_RECONCILED: Final = {operation.name: operation for operation in (SCHEDULE, CANCEL)}
"""Operations whose open intents decide about scheduling."""

BY_ANOTHER_PLAN: Final = "Scheduled by another plan of this journal"
BY_AN_EARLIER_RUN: Final = "Scheduled by an earlier run"

CLOCK_SKEW: Final = timedelta(minutes=5)
"""A plan dated further in the future was made with a wrong clock, and would not expire in time."""

FROZEN: Final = frozenset({"tags", "aliases", "grants", "key_policy"})
"""Pieces verified again after the call. AWS refuses new tags, aliases and grants for a key that is
pending deletion ("Key states of AWS KMS keys"), so they cannot change any more."""


def refuse_expired(plan: Plan, clock: Clock) -> None:
    """Raise Refused if the plan has expired or is dated in the future."""
    now = clock.now()
    whose = "AWS's" if clock.is_of_aws else "this machine's"
    if plan.created_at > now + CLOCK_SKEW:
        raise Refused(
            f"The plan is dated {plan.created_at:%Y-%m-%d %H:%M} UTC; by {whose} clock it is "
            f"{now:%Y-%m-%d %H:%M} UTC. Fix: set this machine's clock, then make and review a new "
            "plan."
        )
    if _has_expired(plan, now):
        raise Refused(f"{_expired(plan)}. Fix: make and review a new plan.")


def to_do(plan: Plan, history: History, now: datetime) -> tuple[KeyArn, ...]:
    """The keys that this run may schedule: not those that earlier runs scheduled or cancelled."""
    if _has_expired(plan, now):
        return ()
    return tuple(
        item.key_arn
        for item in plan.chosen
        if not _is_done(plan, record := history.keys.get(item.key_arn))
        and not _was_cancelled(plan, record)
    )


def _has_expired(plan: Plan, now: datetime) -> bool:
    return now >= plan.expires_at


def _expired(plan: Plan) -> str:
    return (
        f"The plan expired on {plan.expires_at:%Y-%m-%d %H:%M} UTC "
        f"({counted(plan.policy.plan_expires_days, 'day')} after it was made)"
    )


def apply(
    plan: Plan,
    collector: Collector,
    journal: Journal,
    *,
    stop: Stop | None = None,
    done: Callable[[KeyResult], None] = lambda result: None,
) -> tuple[KeyResult, ...]:
    """Schedule the deletion of the plan's keys. One row for each key.

    If the plan has expired, only reconcile the open intents of earlier runs.
    """
    stop = stop or Stop()
    records = journal.history().keys
    accounts = collector.accounts
    limited = accounts.access.only or accounts.access.regions
    items = [i for i in plan.chosen if accounts.admits(i.key_arn)] if limited else plan.chosen
    now = collector.accounts.clock.now()
    expired = _has_expired(plan, now)
    watch_use_from = now - USE_REPORTING_DELAY
    unfinished = (item for item in items if not _is_done(plan, records.get(item.key_arn)))
    again = {} if expired else read_expensive(plan, unfinished, collector, stop)

    def one(item: PlanItem) -> KeyResult:
        record = records.get(item.key_arn)
        try:
            connection = collector.accounts.connect(item.key_arn.account_region)
        except AccountUnavailable as error:
            return _row(item, Outcome.FAILED, str(error))
        scheduling = _Scheduling(plan, item, connection, collector, journal, stop, watch_use_from)
        read = again.get(item.key_arn)
        evidence = item.evidence if read is None else joined(plan, item, read)
        return scheduling.run(record, evidence)

    return each_key(items, one, _failed, stop=stop, done=done)


def _failed(arn: KeyArn, message: str) -> KeyResult:
    return KeyResult(key_arn=arn, outcome=Outcome.FAILED, message=message)


def _row(item: PlanItem, outcome: Outcome, message: str, date: datetime | None = None) -> KeyResult:
    return KeyResult(key_arn=item.key_arn, outcome=outcome, deletion_date=date, message=message)


@dataclass(frozen=True)
class _Scheduling:
    """Scheduling the deletion of one key of the plan."""

    plan: Plan
    item: PlanItem
    connection: Connection
    collector: Collector
    journal: Journal
    stop: Stop
    watch_use_from: datetime

    def run(self, record: KeyRecord | None, expensive: Evidence) -> KeyResult:
        """Reconcile open intents, then schedule the deletion."""
        still_open: tuple[IntentLine, ...] = ()
        if record is not None:
            earlier, still_open = self._earlier(record)
            if earlier is not None:
                return earlier
        # All waiting comes first: nothing may come between the last read and the call.
        if not _has_expired(self.plan, self._now()):
            self.connection.turn(f"kms:{SCHEDULE.name}")
        if _has_expired(self.plan, self._now()):  # the process may have been suspended
            return _row(self.item, Outcome.FAILED, f"{_expired(self.plan)}. Not scheduled")
        if self.stop.requested:
            raise Stopped
        return self._schedule(record, expensive, still_open)

    def _schedule(
        self,
        record: KeyRecord | None,
        expensive: Evidence,
        still_open: tuple[IntentLine, ...],
    ) -> KeyResult:
        """Read the key again, schedule its deletion, and verify it once more."""
        used = used_pieces(self.plan, self.item, self._now())
        try:
            now = self._read_again(used, expensive)
        except (ClientError, BotoCoreError, TruncatedResponse) as error:
            return _row(self.item, Outcome.FAILED, explain(error, self.connection).unreadable)
        if isinstance(now.description, NotFound):
            return _row(self.item, Outcome.CHANGED, KEY_NOT_FOUND)
        seen = known(now.description)
        if is_pending(seen):
            return self._already_pending(seen, record, still_open)
        changed = changed_row(used, self.item, now, self.plan.policy, self._now())
        if changed is not None:
            return changed
        change = Write(
            SCHEDULE,
            self.item.key_arn,
            {"PendingWindowInDays": self.item.pending_window_days},
            pending_window_days=self.item.pending_window_days,
            monthly_cost_usd=self.item.monthly_cost_usd,
            alias=self.item.evidence.alias or None,
            owner=self.item.owner,
            exceptions=self.item.exceptions,
            watch_use_from=self.watch_use_from,
            earlier=still_open,
        )
        result = write(self.connection, self.journal, change, seen)
        if result.outcome is Outcome.SCHEDULED:
            return self._verify(used, now, result)
        return result

    def _already_pending(
        self, seen: KeyDescription, record: KeyRecord | None, still_open: tuple[IntentLine, ...]
    ) -> KeyResult:
        """The row of a key that is pending deletion already."""
        for intent in reversed(still_open):  # not visible yet when it was reconciled
            done = reconcile(self.connection, self.journal, intent, SCHEDULE)
            if done.result.outcome is Outcome.SCHEDULED:
                return self._verify_against_plan(done.result)
        situation = state_of(record or KeyRecord(self.item.key_arn), seen, self._now()).situation
        date = seen.deletion_date
        if situation is Situation.OURS:
            return _row(self.item, Outcome.ALREADY_PENDING, BY_ANOTHER_PLAN, date)
        if situation is Situation.UNDETERMINED:
            return _row(self.item, Outcome.FAILED, self._undetermined(), date)
        return _row(self.item, Outcome.ALREADY_PENDING, SCHEDULED_ELSEWHERE, date)

    def _now(self) -> datetime:
        return self.connection.clock.now()

    def _undetermined(self) -> str:
        return undetermined_origin(self.item.key_arn, self.connection.access)

    def _earlier(self, record: KeyRecord) -> tuple[KeyResult | None, tuple[IntentLine, ...]]:
        """The row of a key that earlier runs finished, or the intents that are still open."""
        still_open: list[IntentLine] = []
        other: KeyResult | None = None
        undo_failed = record.undo_failed
        for intent in reversed(record.open):
            operation = _RECONCILED.get(intent.operation)
            if operation is None:
                continue
            done = reconcile(self.connection, self.journal, intent, operation)
            if done.result.outcome is Outcome.SCHEDULED:
                # The run that called may have ended before it could verify.
                return self._verify_against_plan(done.result), ()
            if done.result.outcome is Outcome.CANCELLED:
                return replace(done.result, outcome=Outcome.CHANGED), ()
            undo_failed = undo_failed or operation is CANCEL
            other = _most_telling(other, done)
            if operation is SCHEDULE and not done.final:
                still_open.insert(0, intent)
        if other is not None:
            return other, ()
        if _was_cancelled(self.plan, record):
            message = "Deletion cancelled after the plan was made"
            return _row(self.item, Outcome.CHANGED, message), ()
        if _is_done(self.plan, record):
            return self._still_scheduled(record, undo_failed=undo_failed), ()
        return None, tuple(still_open)

    def _verify_against_plan(self, result: KeyResult) -> KeyResult:
        """Verify a key that an earlier run scheduled, against the reviewed evidence."""
        used = used_pieces(self.plan, self.item, self._now())
        return self._verify(used, self.item.evidence, result)

    def _still_scheduled(self, record: KeyRecord, *, undo_failed: bool) -> KeyResult:
        """The row of a key that an earlier run scheduled, read again.

        That run may have ended before it could verify the key, or failed to cancel a changed one:
        if it was recent, or a cancellation failed, this run verifies.
        """
        standing = present(record.scheduled_outcome, "the deletion that an earlier run began")
        try:
            seen = describe(self.connection, self.item.key_arn)
        except (ClientError, BotoCoreError, TruncatedResponse) as error:
            why = f"{BY_AN_EARLIER_RUN}. {explain(error, self.connection).unreadable}"
            return _row(self.item, Outcome.FAILED, why, standing.deletion_date)
        state = state_of(record, seen, self._now())
        seen, state = await_visible(self.connection, record, seen, state)
        if state.situation is not Situation.OURS:
            return self._not_standing(state.situation, seen, standing.deletion_date)
        message = f"{BY_AN_EARLIER_RUN} of this plan"
        row = _row(self.item, Outcome.SCHEDULED, message, known(seen).deletion_date)
        if undo_failed or self._now() - standing.time < VERIFIED_AGAIN_FOR:
            return self._verify_against_plan(row)
        return row

    def _not_standing(
        self, situation: Situation, seen: KeyDescription | NotFound, promised: datetime | None
    ) -> KeyResult:
        """The row of a key whose deletion by an earlier run does not stand."""
        if isinstance(seen, NotFound):
            return _row(self.item, Outcome.CHANGED, KEY_NOT_FOUND)
        if situation is Situation.NOT_VISIBLE_YET:
            return _row(self.item, Outcome.FAILED, LOOK_AGAIN, promised)
        if situation is Situation.UNDETERMINED:
            return _row(self.item, Outcome.FAILED, self._undetermined(), promised)
        if situation is Situation.DRIFTED:
            date = seen.deletion_date
            return _row(self.item, Outcome.ALREADY_PENDING, RESCHEDULED_ELSEWHERE, date)
        message = f"{CANCELLED_ELSEWHERE}: the key is {seen.key_state}"
        return _row(self.item, Outcome.CHANGED, message)

    def _read_again(self, used: frozenset[str], expensive: Evidence) -> Evidence:
        """The evidence read again; DescribeKey comes last, right before the call."""
        cheap = {piece for piece in used if not is_expensive(piece)} - {"description"}
        evidence = self.collector.read_one(expensive, cheap)
        seen = describe(self.connection, self.item.key_arn)
        return evidence.model_copy(update={"description": seen})

    def _verify(self, used: frozenset[str], before: Evidence, result: KeyResult) -> KeyResult:
        """Cancel at once if something changed between the last read and the call."""
        pieces = used & FROZEN
        now = self.collector.read_one(before, pieces)
        unreadable = [p for p in sorted(pieces) if isinstance(getattr(now, p), Unreadable)]
        cancel = self.connection.access.command_line("cancel", "--key", str(self.item.key_arn))
        fix = f"Fix: {RUN_AGAIN}, or run: {cancel}"
        if unreadable:
            names = ", ".join(unreadable).replace("_", " ")
            why = f"{names} could not be read again after the call"
            self._leave_to_the_next_run(why)
            message = f"Scheduled, but {why}. {fix}"
            return _row(self.item, Outcome.FAILED, message, result.deletion_date)
        changed = now.difference(before)
        if not changed:
            return result
        why = f"Changed while it was being scheduled ({'; '.join(changed)})"
        failed = self._cancel_at_once(why)
        if failed is None:
            return _row(self.item, Outcome.CHANGED, f"{why}. Deletion cancelled")
        message = f"{why}. Deletion not cancelled: {failed}. {fix}"
        return _row(self.item, Outcome.FAILED, message, result.deletion_date)

    def _cancel_at_once(self, why: str) -> str | None:
        """Cancel the deletion that this plan began; None, or why it could not be cancelled."""
        seen = await_state(self.connection, self.item.key_arn, PENDING_DELETION)
        if seen is None or not is_pending(seen):
            failed = (
                "DescribeKey did not answer"
                if seen is None
                else f"DescribeKey still shows {seen.key_state}"
            )
            self._leave_to_the_next_run(f"{why}. {failed}")
            return failed
        try:
            row = write(self.connection, self.journal, Write(CANCEL, self.item.key_arn), seen)
        except JournalFailed as error:
            self.stop.request(str(error), error.fix)
            return str(error)
        return None if row.outcome in {Outcome.CANCELLED, Outcome.UNCHANGED} else row.message

    def _leave_to_the_next_run(self, why: str) -> None:
        """Record in the journal that the deletion may have to be cancelled."""
        try:
            not_called(self.connection, self.journal, Write(CANCEL, self.item.key_arn), why)
        except JournalFailed as error:
            self.stop.request(str(error), error.fix)


def _most_telling(other: KeyResult | None, done: Reconciliation) -> KeyResult | None:
    """The row that says most about several intents: whose deletion is pending, if any."""
    if done.undetermined:
        return done.result
    return other or (None if done.result.outcome is Outcome.FAILED else done.result)


def _is_done(plan: Plan, record: KeyRecord | None) -> bool:
    """Whether an earlier run of this plan has scheduled the key."""
    return record is not None and (
        record.scheduled_outcome is not None and record.plan_digest == plan.digest
    )


def _was_cancelled(plan: Plan, record: KeyRecord | None) -> bool:
    """Whether the key's deletion was cancelled after the plan was made."""
    return record is not None and (
        record.cancelled is not None and record.cancelled.time >= plan.created_at
    )
