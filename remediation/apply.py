"""Carry out a plan: re-read each key, and schedule it if nothing changed since the review."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from .aws import Place
from .aws.failures import explain
from .errors import AccountUnavailable, CutAnswer, Refused
from .evidence import SOURCES, Collector
from .evidence.description import describe
from .journal import Journal, KeyRecord
from .models import (
    Cost,
    Evidence,
    KeyArn,
    KeyDescription,
    KeyResult,
    NotFound,
    Outcome,
    PlanItem,
    Unknown,
    VerdictKind,
)
from .plan import Plan, verdict
from .policy import Policy
from .rules import judge, pieces_used
from .write import CANCEL, PENDING, SCHEDULE, Write, decide, write

FRESH: Final = timedelta(hours=1)
"""A plan this young is trusted for the dear evidence; an older one is read again (rule 3)."""

WORKERS: Final = 16


def refuse_expired(plan: Plan, now: datetime) -> None:
    """Raise Refused when the plan is older than its policy allows."""
    if now >= plan.expires_at:
        raise Refused(
            f"the plan expired on {plan.expires_at:%Y-%m-%d %H:%M} UTC "
            f"({plan.policy.plan_expires_days} days after it was made); make and review a new one"
        )


def apply(
    plan: Plan,
    collector: Collector,
    journal: Journal,
    *,
    done: Callable[[KeyResult], None] = lambda result: None,
) -> tuple[KeyResult, ...]:
    """Schedule the keys of the plan. One row for each key, whatever happens to the others."""
    records = journal.history().keys
    items = plan.chosen()
    fresh = _read_dear_again(plan, items, collector)

    def one(item: PlanItem) -> KeyResult:
        result = _one(plan, item, fresh.get(item.key_arn), collector, journal, records)
        done(result)
        return result

    with ThreadPoolExecutor(WORKERS) as workers:
        return tuple(workers.map(one, items))


def _one(
    plan: Plan,
    item: PlanItem,
    dear: Evidence | None,
    collector: Collector,
    journal: Journal,
    records: dict[KeyArn, KeyRecord],
) -> KeyResult:
    arn = item.key_arn
    try:
        place = collector.accounts.place(arn)
    except AccountUnavailable as error:
        return KeyResult(key_arn=arn, outcome=Outcome.FAILED, message=str(error))
    record = records.get(arn)
    if record is not None:
        earlier = _earlier(plan, record, place, journal)
        if earlier is not None:
            return earlier
    used = _used_pieces(plan, item)
    try:
        now = _read_cheap_again(used, item, dear, collector, place)
    except (ClientError, BotoCoreError, CutAnswer) as error:
        return KeyResult(key_arn=arn, outcome=Outcome.FAILED, message=explain(error, place).unknown)
    left_alone = _left_alone(used, item, now, plan.policy, place.clock.now())
    if left_alone is not None:
        return left_alone
    assert isinstance(now.description, KeyDescription)
    change = Write(
        SCHEDULE,
        arn,
        {"PendingWindowInDays": item.pending_window_days},
        pending_window_days=item.pending_window_days,
        monthly_cost_usd=item.monthly_cost_usd,
    )
    return write(place, journal, change, now.description)


def _earlier(plan: Plan, record: KeyRecord, place: Place, journal: Journal) -> KeyResult | None:
    """What an earlier run of this plan left for this key; None: it is to be done (again)."""
    if record.undecided is not None and record.undecided.operation == SCHEDULE.name:
        result = decide(place, journal, record.undecided, SCHEDULE, None)
        return None if result.outcome is Outcome.FAILED else result
    if record.undecided is not None and record.undecided.operation == CANCEL.name:
        result = decide(place, journal, record.undecided, CANCEL, None)
        if result.outcome is Outcome.CANCELLED:
            return result.model_copy(update={"outcome": Outcome.CHANGED})
    last = record.last
    if last is None:
        return None
    if last.outcome is Outcome.CANCELLED and last.time >= plan.created_at:
        return KeyResult(
            key_arn=record.key_arn,
            outcome=Outcome.CHANGED,
            message="its deletion was cancelled after the plan was made",
        )
    if last.outcome is Outcome.SCHEDULED and record.last_digest == plan.digest:
        return KeyResult(
            key_arn=record.key_arn,
            outcome=Outcome.SCHEDULED,
            deletion_date=last.deletion_date,
            message="scheduled by an earlier run of this plan",
        )
    return None


def _used_pieces(plan: Plan, item: PlanItem) -> frozenset[str]:
    """The pieces of evidence that this item's verdict rests on, under the plan's policy."""
    used = {"description"} | pieces_used(item.evidence, plan.policy, plan.created_at)
    for piece in tuple(used & SOURCES.keys()):
        used.update(SOURCES[piece].after)
    return frozenset(piece for piece in used if getattr(item.evidence, piece) is not None)


def _is_dear(piece: str) -> bool:
    return piece in SOURCES and SOURCES[piece].cost >= Cost.PLACE_SCAN


def _read_dear_again(
    plan: Plan,
    items: tuple[PlanItem, ...],
    collector: Collector,
) -> dict[KeyArn, Evidence]:
    """For a plan older than an hour: references, history and use again, of all keys together."""
    if collector.accounts.clock.now() - plan.created_at < FRESH:
        return {}
    dear = {item.key_arn: frozenset(filter(_is_dear, _used_pieces(plan, item))) for item in items}
    start = [
        item.evidence.model_copy(update=dict.fromkeys(dear[item.key_arn]))
        for item in items
        if dear[item.key_arn]
    ]
    return collector.collect(
        start,
        lambda e: frozenset(p for p in dear[e.key_arn] if getattr(e, p) is None),
    )


def _read_cheap_again(
    used: frozenset[str], item: PlanItem, dear: Evidence | None, collector: Collector, place: Place
) -> Evidence:
    """The evidence as it is now; DescribeKey comes last, right before the call."""
    cheap = {piece for piece in used if not _is_dear(piece)} - {"description"}
    evidence = collector.read_one(dear or item.evidence, cheap)
    return evidence.model_copy(update={"description": describe(place, item.key_arn)})


def _left_alone(
    used: frozenset[str], item: PlanItem, now: Evidence, policy: Policy, moment: datetime
) -> KeyResult | None:
    """The row of a key that is not as it was when it was reviewed; None when it is."""

    def row(outcome: Outcome, message: str, date: datetime | None = None) -> KeyResult:
        return KeyResult(key_arn=item.key_arn, outcome=outcome, deletion_date=date, message=message)

    description = now.description
    if isinstance(description, NotFound):
        return row(Outcome.CHANGED, "AWS knows no such key any more")
    assert isinstance(description, KeyDescription)
    if description.key_state in PENDING:
        return row(Outcome.ALREADY_PENDING, "scheduled by somebody else", description.deletion_date)
    for piece in sorted(used):
        value = getattr(now, piece)
        if isinstance(value, Unknown) and not isinstance(getattr(item.evidence, piece), Unknown):
            return row(Outcome.FAILED, f"{piece.replace('_', ' ')} not readable: {value.unknown}")
    differing = now.difference(item.evidence)
    if differing:
        return row(Outcome.CHANGED, f"changed since the plan: {'; '.join(differing)}")
    # The re-read is newer than any finding, so a finding's age no longer matters.
    judgement = judge(now.model_copy(update={"finding_time": None}), policy, moment)
    kind, reasons = verdict(now, judgement)
    if kind is not VerdictKind.SCHEDULE:
        return row(Outcome.CHANGED, "; ".join(f"{r.rule}: {r.message}" for r in reasons))
    return None
