"""Carry out a plan: re-read each key, and schedule it if nothing changed since the review."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from .aws import Connection
from .aws.failures import explain
from .errors import AccountUnavailable, Refused, TruncatedResponse, present
from .evidence import SOURCES, Collector
from .evidence.description import describe
from .journal import AGAIN, USE_SHOWS_LATE, History, IntentLine, Journal, JournalFailed, KeyRecord
from .lifecycle import Situation, state_of
from .models import (
    PENDING_DELETION,
    Cost,
    Evidence,
    KeyArn,
    KeyDescription,
    KeyResult,
    NotFound,
    Outcome,
    PlanItem,
    References,
    Unreadable,
    UseAttempts,
    VerdictKind,
    known,
)
from .plan import Plan
from .planner import verdict
from .policy import Policy
from .rules import evaluate, pieces_used
from .work import Stop, Stopped, each_key
from .write import (
    CANCEL,
    SCHEDULE,
    Settled,
    Write,
    await_state,
    not_asked,
    settle,
    who_began_it,
    write,
)

FRESH: Final = timedelta(minutes=15)
"""Evidence this young is trusted for the resources that name a key: some 220 listings in each
account and Region. What else is dear is read again for every plan (rule 3 of docs/safety.md)."""

DEAR: Final = frozenset({Cost.ACCOUNT_REGION_SCAN, Cost.EVENT_NAME, Cost.LAST_USE, Cost.EVENT_KEY})
"""What costs more than looking at each key again right before its call."""

LOOKED_AGAIN: Final = timedelta(hours=1)
"""A deletion this young is looked at once more by a rerun: the run that scheduled the key may have
been killed before it could. Later a difference says nothing of that moment."""

_SETTLED_HERE: Final = {operation.name: operation for operation in (SCHEDULE, CANCEL)}
"""What an interrupted run may have left open that decides on scheduling."""

CLOCKS_DIFFER: Final = timedelta(minutes=5)
"""A plan made further in the future than this was made by a wrong clock, and would never age."""

FROZEN: Final = frozenset({"tags", "aliases", "grants", "key_policy"})
"""Pieces that are looked at once more after the call. AWS refuses new tags, aliases and grants for
a key that is pending deletion ("Key states of AWS KMS keys"), so nothing slips in any more."""


def refuse_expired(plan: Plan, now: datetime) -> None:
    """Raise Refused when the plan is older than its policy allows, or dated in the future."""
    if plan.created_at > now + CLOCKS_DIFFER:
        raise Refused(
            f"the plan is dated {plan.created_at:%Y-%m-%d %H:%M} UTC, and AWS says that it is "
            f"{now:%Y-%m-%d %H:%M} UTC; set the clock right, then make and review a new plan"
        )
    if _has_expired(plan, now):
        raise Refused(f"{_expired(plan)}; make and review a new one")


def to_do(plan: Plan, history: History, now: datetime) -> tuple[KeyArn, ...]:
    """The keys whose deletion may be scheduled now: not those that earlier runs are done with."""
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
        f"the plan expired on {plan.expires_at:%Y-%m-%d %H:%M} UTC "
        f"({plan.policy.plan_expires_days} days after it was made)"
    )


def apply(
    plan: Plan,
    collector: Collector,
    journal: Journal,
    *,
    stop: Stop | None = None,
    done: Callable[[KeyResult], None] = lambda result: None,
) -> tuple[KeyResult, ...]:
    """Schedule the keys of the plan. One row for each key, whatever happens to the others.

    When the plan has expired, only what an earlier run left open is settled.
    """
    stop = stop or Stop()
    records = journal.history().keys
    items = plan.chosen
    expired = _has_expired(plan, collector.accounts.clock.now())
    now = collector.accounts.clock.now()
    fresh = {} if expired else _read_dear_again(plan, records, collector, stop)

    def one(item: PlanItem) -> KeyResult:
        record = records.get(item.key_arn)
        try:
            connection = collector.accounts.connect(item.key_arn)
        except AccountUnavailable as error:
            return _row(item, Outcome.FAILED, str(error))
        work = _Work(plan, item, connection, collector, journal, stop, now - USE_SHOWS_LATE)
        return work.run(record, _joined(item.evidence, fresh.get(item.key_arn)))

    return each_key(items, one, _trouble, stop=stop, done=done)


def _trouble(arn: KeyArn, message: str) -> KeyResult:
    return KeyResult(key_arn=arn, outcome=Outcome.FAILED, message=message)


def _row(item: PlanItem, outcome: Outcome, message: str, date: datetime | None = None) -> KeyResult:
    return KeyResult(key_arn=item.key_arn, outcome=outcome, deletion_date=date, message=message)


@dataclass(frozen=True)
class _Work:
    """One key of the plan, to be scheduled."""

    plan: Plan
    item: PlanItem
    connection: Connection
    collector: Collector
    journal: Journal
    stop: Stop
    watch_use_from: datetime

    def run(self, record: KeyRecord | None, dear: Evidence | None) -> KeyResult:
        """Settle what was begun before, look again, schedule, and look once more."""
        still_open: tuple[IntentLine, ...] = ()
        if record is not None:
            earlier, still_open = self._earlier(record)
            if earlier is not None:
                return earlier
        used = _used_pieces(self.plan, self.item, self._now())
        # Everything that waits comes first: between the last look and the call there is nothing.
        if not _has_expired(self.plan, self._now()):
            self.connection.turn(f"kms:{SCHEDULE.name}")
        if _has_expired(self.plan, self._now()):  # this run may have been stopped for days
            return _row(self.item, Outcome.FAILED, f"{_expired(self.plan)}: not scheduled")
        if self.stop.asked:
            raise Stopped
        try:
            now = self._read_again(used, dear)
        except (ClientError, BotoCoreError, TruncatedResponse) as error:
            return _row(self.item, Outcome.FAILED, explain(error, self.connection).unreadable)
        left_alone = _left_alone(used, self.item, now, self.plan.policy, self._now())
        if left_alone is not None:
            if left_alone.outcome is Outcome.ALREADY_PENDING:
                return self._already_pending(left_alone, now, record, still_open)
            return left_alone
        change = Write(
            SCHEDULE,
            self.item.key_arn,
            {"PendingWindowInDays": self.item.pending_window_days},
            pending_window_days=self.item.pending_window_days,
            monthly_cost_usd=self.item.monthly_cost_usd,
            watch_use_from=self.watch_use_from,
            earlier=still_open,
        )
        result = write(self.connection, self.journal, change, known(now.description))
        if result.outcome is Outcome.SCHEDULED:
            return self._look_once_more(used, now, result)
        return result

    def _already_pending(
        self,
        row: KeyResult,
        now: Evidence,
        record: KeyRecord | None,
        still_open: tuple[IntentLine, ...],
    ) -> KeyResult:
        """The row of a key that is pending deletion, by whose request?"""
        for intent in reversed(still_open):  # DescribeKey did not show its work when it was settled
            settled = settle(self.connection, self.journal, intent, SCHEDULE)
            if settled.result.outcome is Outcome.SCHEDULED:
                return self._look_at_plans(settled.result)
        if record is None:
            return row
        state = state_of(record, known(now.description), self._now())
        if state.situation is Situation.OURS:
            return replace(row, message="scheduled by another plan of this journal")
        if state.situation is Situation.UNDETERMINED:
            told = who_began_it(self.item.key_arn)
            return replace(row, outcome=Outcome.FAILED, message=told)
        return row

    def _now(self) -> datetime:
        return self.connection.clock.now()

    def _earlier(self, record: KeyRecord) -> tuple[KeyResult | None, tuple[IntentLine, ...]]:
        """The row of a key that earlier runs are done with, or intents that are still open."""
        still_open: list[IntentLine] = []
        other: KeyResult | None = None
        undo_failed = record.undo_failed
        for intent in reversed(record.open):
            operation = _SETTLED_HERE.get(intent.operation)
            if operation is None:
                continue
            settled = settle(self.connection, self.journal, intent, operation)
            if settled.result.outcome is Outcome.SCHEDULED:
                # The run that called may have ended before it could look.
                return self._look_at_plans(settled.result), ()
            if settled.result.outcome is Outcome.CANCELLED:
                return replace(settled.result, outcome=Outcome.CHANGED), ()
            undo_failed = undo_failed or operation is CANCEL
            other = _first_to_tell(other, settled)
            if operation is SCHEDULE and not settled.final:
                still_open.insert(0, intent)
        if other is not None:
            return other, ()
        if _was_cancelled(self.plan, record):
            message = "its deletion was cancelled after the plan was made"
            return _row(self.item, Outcome.CHANGED, message), ()
        if _is_done(self.plan, record):
            return self._still_scheduled(record, undo_failed=undo_failed), ()
        return None, tuple(still_open)

    def _look_at_plans(self, result: KeyResult) -> KeyResult:
        """Look once more at a key that an earlier run scheduled, beside what was reviewed."""
        used = _used_pieces(self.plan, self.item, self._now())
        return self._look_once_more(used, self.item.evidence, result)

    def _still_scheduled(self, record: KeyRecord, *, undo_failed: bool) -> KeyResult:
        """The row of a key that an earlier run scheduled: AWS is asked whether that stands.

        That run may have ended before it could look once more, or failed to cancel what it found
        to be changed: soon after it, or after a cancellation that failed, this one looks.
        """
        standing = present(record.scheduled_outcome, "the deletion that an earlier run began")
        try:
            seen = describe(self.connection, self.item.key_arn)
        except (ClientError, BotoCoreError, TruncatedResponse) as error:
            why = f"scheduled by an earlier run; {explain(error, self.connection).unreadable}"
            return _row(self.item, Outcome.FAILED, why, standing.deletion_date)
        situation = state_of(record, seen, self._now()).situation
        if situation is not Situation.OURS:
            return self._not_standing(situation, seen, standing.deletion_date)
        message = "scheduled by an earlier run of this plan"
        row = _row(self.item, Outcome.SCHEDULED, message, known(seen).deletion_date)
        if undo_failed or self._now() - standing.time < LOOKED_AGAIN:
            return self._look_at_plans(row)
        return row

    def _not_standing(
        self, situation: Situation, seen: KeyDescription | NotFound, promised: datetime | None
    ) -> KeyResult:
        """The row of a key that an earlier run scheduled, and whose deletion is not that one."""
        if isinstance(seen, NotFound):
            return _row(self.item, Outcome.CHANGED, "AWS knows no such key any more")
        if situation is Situation.LATE:
            message = "scheduled by an earlier run; DescribeKey does not show it yet"
            return _row(self.item, Outcome.FAILED, f"{message}: {AGAIN}", promised)
        if situation is Situation.UNDETERMINED:
            return _row(self.item, Outcome.FAILED, who_began_it(self.item.key_arn), promised)
        if situation is Situation.DRIFTED:
            message = "somebody else cancelled its deletion, and scheduled it anew"
            return _row(self.item, Outcome.ALREADY_PENDING, message, seen.deletion_date)
        message = f"somebody else cancelled its deletion: the key is {seen.key_state}"
        return _row(self.item, Outcome.CHANGED, message)

    def _read_again(self, used: frozenset[str], dear: Evidence | None) -> Evidence:
        """The evidence as it is now; DescribeKey comes last, right before the call."""
        cheap = {piece for piece in used if not _is_dear(piece)} - {"description"}
        evidence = self.collector.read_one(dear or self.item.evidence, cheap)
        seen = describe(self.connection, self.item.key_arn)
        return evidence.model_copy(update={"description": seen})

    def _look_once_more(
        self, used: frozenset[str], before: Evidence, result: KeyResult
    ) -> KeyResult:
        """Cancel at once when something changed between the last look and the call."""
        pieces = used & FROZEN
        now = self.collector.read_one(before, pieces)
        unread = [p for p in sorted(pieces) if isinstance(getattr(now, p), Unreadable)]
        cure = f"keysweep cancel --key {self.item.key_arn}"
        if unread:
            names = ", ".join(unread).replace("_", " ")
            why = f"{names} could not be looked at once more after the call"
            self._leave_to_the_next_run(why)
            message = f"scheduled, but {why}; {AGAIN}, or look yourself and run: {cure}"
            return _row(self.item, Outcome.FAILED, message, result.deletion_date)
        changed = now.difference(before)
        if not changed:
            return result
        why = f"changed while it was being scheduled ({'; '.join(changed)})"
        failed = self._cancel_at_once(why)
        if failed is None:
            return _row(self.item, Outcome.CHANGED, f"{why}: its deletion was cancelled")
        message = f"{why}, and {failed}; {AGAIN}, or run: {cure}"
        return _row(self.item, Outcome.FAILED, message, result.deletion_date)

    def _cancel_at_once(self, why: str) -> str | None:
        """Cancel the deletion that this plan began; None, or what kept it from that."""
        seen = await_state(self.connection, self.item.key_arn, PENDING_DELETION)
        if seen is None or seen.key_state not in PENDING_DELETION:
            shown = "does not answer" if seen is None else f"shows it as {seen.key_state} yet"
            failed = f"DescribeKey {shown}"
            self._leave_to_the_next_run(f"{why}, and {failed}")
            return failed
        try:
            row = write(self.connection, self.journal, Write(CANCEL, self.item.key_arn), seen)
        except JournalFailed as error:
            self.stop.ask(str(error))
            return f"could not be cancelled ({error})"
        if row.outcome in {Outcome.CANCELLED, Outcome.NOT_PENDING}:
            return None
        return f"could not be cancelled ({row.message})"

    def _leave_to_the_next_run(self, why: str) -> None:
        """Leave in the journal that the deletion may have to be cancelled."""
        try:
            not_asked(self.connection, self.journal, Write(CANCEL, self.item.key_arn), why)
        except JournalFailed as error:
            self.stop.ask(str(error))


def _first_to_tell(other: KeyResult | None, settled: Settled) -> KeyResult | None:
    """The row that says most of several intents: whose deletion is pending, where that is known."""
    if settled.undetermined:
        return settled.result
    return other or (None if settled.result.outcome is Outcome.FAILED else settled.result)


def _used_pieces(plan: Plan, item: PlanItem, now: datetime) -> frozenset[str]:
    """The pieces of evidence that this item's verdict rests on, under the plan's policy.

    Those of a rule whose waiver has ended since count too.
    """
    used = {"description"}
    for moment in (plan.created_at, now):
        used |= pieces_used(item.evidence, plan.policy, moment)
    for piece in tuple(used & SOURCES.keys()):
        used.update(SOURCES[piece].after)
    return frozenset(piece for piece in used if getattr(item.evidence, piece) is not None)


def _is_dear(piece: str) -> bool:
    return piece in SOURCES and SOURCES[piece].cost in DEAR


def _read_dear_again(
    plan: Plan,
    records: Mapping[KeyArn, KeyRecord],
    collector: Collector,
    stop: Stop,
) -> Mapping[KeyArn, Evidence]:
    """History and use again, of all keys together; references unless the evidence is young."""
    now = collector.accounts.clock.now()
    start = plan.evidence_from
    young = start is not None and now - start < FRESH
    alike: dict[frozenset[str], frozenset[str]] = {}
    dear: dict[KeyArn, frozenset[str]] = {}
    for item in plan.chosen:
        pieces = frozenset(
            piece
            for piece in _used_pieces(plan, item, now)
            if _is_dear(piece) and not (young and SOURCES[piece].cost is Cost.ACCOUNT_REGION_SCAN)
        )
        if pieces and not _is_done(plan, records.get(item.key_arn)):
            dear[item.key_arn] = alike.setdefault(pieces, pieces)

    items = plan.by_key

    def begin(arn: KeyArn) -> Evidence:
        return items[arn].evidence.model_copy(update=dict.fromkeys(dear[arn]))

    def wanted(evidence: Evidence) -> frozenset[str]:
        pieces = frozenset[str]() if stop.asked else dear[evidence.key_arn]
        return frozenset(piece for piece in pieces if getattr(evidence, piece) is None)

    if start is not None:
        collector = _since(collector, start - USE_SHOWS_LATE)
    return collector.collect(dear, wanted, begin)


def _since(collector: Collector, start: datetime) -> Collector:
    """The collector, asking for what happened since then where a source can."""
    sources = {
        piece: source if source.since is None else source.since(start)
        for piece, source in collector.sources.items()
    }
    return replace(collector, sources=sources)


def _joined(before: Evidence, again: Evidence | None) -> Evidence | None:
    """What was read again; attempts to use the key since the plan join those that it had."""
    if again is None:
        return None
    old, new = before.use_attempts, again.use_attempts
    if not isinstance(old, UseAttempts) or not isinstance(new, UseAttempts):
        return again
    both = tuple(dict.fromkeys((*new.attempts, *old.attempts)))
    return again.model_copy(update={"use_attempts": old.model_copy(update={"attempts": both})})


def _is_done(plan: Plan, record: KeyRecord | None) -> bool:
    """Whether an earlier run of this plan has scheduled the key."""
    return record is not None and (
        record.scheduled_outcome is not None and record.plan_digest == plan.digest
    )


def _was_cancelled(plan: Plan, record: KeyRecord | None) -> bool:
    """Whether the key's deletion was cancelled since the plan was made."""
    return record is not None and (
        record.cancelled is not None and record.cancelled.time >= plan.created_at
    )


def _left_alone(
    used: frozenset[str], item: PlanItem, now: Evidence, policy: Policy, moment: datetime
) -> KeyResult | None:
    """The row of a key that is not as it was when it was reviewed; None when it is."""

    def row(outcome: Outcome, message: str, date: datetime | None = None) -> KeyResult:
        return _row(item, outcome, message, date)

    if isinstance(now.description, NotFound):
        return row(Outcome.CHANGED, "AWS knows no such key any more")
    seen = known(now.description)
    if seen.key_state in PENDING_DELETION:
        return row(Outcome.ALREADY_PENDING, "scheduled by somebody else", seen.deletion_date)
    for piece in sorted(used):
        why = _unreadable(getattr(now, piece), getattr(item.evidence, piece))
        if why is not None:
            return row(Outcome.FAILED, f"{piece.replace('_', ' ')} not readable: {why}")
    differing = now.difference(item.evidence)
    if differing:
        return row(Outcome.CHANGED, f"changed since the plan: {'; '.join(differing)}")
    # The re-read is newer than any finding, so a finding's age no longer matters.
    evaluation = evaluate(now.model_copy(update={"finding_time": None}), policy, moment)
    kind, reasons = verdict(now, evaluation)
    if kind is not VerdictKind.SCHEDULE:
        return row(Outcome.CHANGED, "; ".join(f"{r.rule}: {r.message}" for r in reasons))
    return None


def _unreadable(now: object, before: object) -> str | None:
    """Why a piece that the plan had could not be read again, whole; None when it could."""
    if isinstance(now, Unreadable) and not isinstance(before, Unreadable):
        return now.unreadable
    if isinstance(now, References) and isinstance(before, References):
        gaps = [gap for gap in now.gaps if gap not in before.gaps]
        if gaps and set(now.found) <= set(before.found):
            return "; ".join(f"{gap.service} in {gap.region}: {gap.why}" for gap in gaps[:3])
    return None
