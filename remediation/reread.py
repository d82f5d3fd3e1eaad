"""Read the evidence of a plan again, and compare it with the review (rule 3 of docs/safety.md).

`apply` asks for what is expensive once for all keys, and for the rest right before each call.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from .evidence import SOURCES, Collector
from .evidence.history.joining import join_changes
from .journal import USE_REPORTING_DELAY
from .models import (
    Cost,
    Evidence,
    KeyArn,
    KeyResult,
    Outcome,
    PlanItem,
    References,
    Unreadable,
    UseAttempts,
    VerdictKind,
)
from .plan import Plan
from .planner import verdict
from .policy import Policy
from .rules import evaluate, pieces_used
from .runner import Stop

REFERENCES_FRESH_FOR: Final = timedelta(minutes=15)
"""Age of the evidence up to which references are not read again: they take about 220 listings in
each account-Region. The other expensive pieces are read again for every plan (rule 3 of
docs/safety.md)."""

EXPENSIVE: Final = frozenset(
    {Cost.ACCOUNT_REGION_SCAN, Cost.EVENT_NAME, Cost.LAST_USE, Cost.EVENT_KEY}
)
"""Costs too high to read a piece again for each key right before its call."""


def used_pieces(plan: Plan, item: PlanItem, now: datetime) -> frozenset[str]:
    """Pieces of evidence that the item's verdict rests on, under the plan's policy.

    Includes those of a rule whose exception has ended since.
    """
    used = {"description"}
    for moment in (plan.created_at, now):
        used |= pieces_used(item.evidence, plan.policy, moment)
    for piece in tuple(used & SOURCES.keys()):
        used.update(SOURCES[piece].after)
    return frozenset(piece for piece in used if getattr(item.evidence, piece) is not None)


def is_expensive(piece: str) -> bool:
    return piece in SOURCES and SOURCES[piece].cost in EXPENSIVE


def read_expensive(
    plan: Plan, items: Iterable[PlanItem], collector: Collector, stop: Stop
) -> Mapping[KeyArn, Evidence]:
    """Read history and use of these items again, all together, and references unless fresh.

    Items without such a piece are left out. `joined` adds what the plan knows already.
    """
    now = collector.accounts.clock.now()
    begun = plan.evidence_from
    fresh = begun is not None and now - begun < REFERENCES_FRESH_FOR
    shared: dict[frozenset[str], frozenset[str]] = {}
    pieces_of: dict[KeyArn, frozenset[str]] = {}
    for item in items:
        pieces = frozenset(
            piece
            for piece in used_pieces(plan, item, now)
            if is_expensive(piece)
            and not (fresh and SOURCES[piece].cost is Cost.ACCOUNT_REGION_SCAN)
        )
        if pieces:
            pieces_of[item.key_arn] = shared.setdefault(pieces, pieces)

    planned = plan.by_key

    def begin(arn: KeyArn) -> Evidence:
        return planned[arn].evidence.model_copy(update=dict.fromkeys(pieces_of[arn]))

    def needed(evidence: Evidence) -> frozenset[str]:
        pieces = frozenset[str]() if stop.requested else pieces_of[evidence.key_arn]
        return frozenset(piece for piece in pieces if getattr(evidence, piece) is None)

    if (start := _reread_from(plan)) is not None:
        collector = _since(collector, start)
    return collector.collect(pieces_of, needed, begin)


def _reread_from(plan: Plan) -> datetime | None:
    """The time from which attempts to use a key are read again; None: the whole history."""
    return None if plan.evidence_from is None else plan.evidence_from - USE_REPORTING_DELAY


def _since(collector: Collector, start: datetime) -> Collector:
    """The collector, limited to events since then for sources that can."""
    sources = {
        piece: source if source.since is None else source.since(start)
        for piece, source in collector.sources.items()
    }
    return replace(collector, sources=sources)


def joined(plan: Plan, item: PlanItem, again: Evidence) -> Evidence:
    """The evidence of an item read again, with the earlier events of the plan."""
    start = _reread_from(plan)
    evidence = with_earlier_attempts(again, item.evidence, start)
    if plan.history is not None:
        evidence = join_changes(item.evidence, evidence, start or plan.created_at)
    return evidence


def with_earlier_attempts(again: Evidence, before: Evidence, start: datetime | None) -> Evidence:
    """The evidence read again from `start` on, with the earlier attempts to use the key.

    A history that now begins later than requested has a gap: only its own part counts.
    """
    old, new = before.use_attempts, again.use_attempts
    if not isinstance(old, UseAttempts) or not isinstance(new, UseAttempts):
        return again
    both = tuple(dict.fromkeys((*new.attempts, *old.attempts)))
    whole = start is None or new.since <= start
    attempts = {"attempts": both, "since": min(old.since, new.since) if whole else new.since}
    return again.model_copy(update={"use_attempts": old.model_copy(update=attempts)})


def changed_row(
    used: frozenset[str], item: PlanItem, now: Evidence, policy: Policy, moment: datetime
) -> KeyResult | None:
    """The row of a key that has changed since the review; None if it has not."""

    def row(outcome: Outcome, message: str) -> KeyResult:
        return KeyResult(key_arn=item.key_arn, outcome=outcome, message=message)

    for piece in sorted(used):
        why = _unreadable(getattr(now, piece), getattr(item.evidence, piece))
        if why is not None:
            name = piece.replace("_", " ").capitalize()
            return row(Outcome.FAILED, f"{name} could not be read: {why}")
    differing = now.difference(item.evidence)
    if differing:
        return row(Outcome.CHANGED, f"Changed since the plan: {'; '.join(differing)}")
    # The evidence is newer than any finding, so the age of the finding no longer matters.
    evaluation = evaluate(now.model_copy(update={"finding_time": None}), policy, moment)
    kind, reasons = verdict(now, evaluation)
    if kind is not VerdictKind.SCHEDULE:
        message = "; ".join(f"{reason.rule}: {reason.message}" for reason in reasons)
        return row(Outcome.CHANGED, message)
    # When one exception has ended and another begins to count, nobody has reviewed the other.
    other = [one for one in evaluation.exceptions if one not in item.exceptions]
    if other:
        ends = ", ".join(f"{one.rule} (approved by {one.approved_by})" for one in other)
        return row(Outcome.CHANGED, f"Rests on exceptions that the plan does not show: {ends}")
    return None


def _unreadable(now: object, before: object) -> str | None:
    """Why a piece of the plan could not be read again completely; None if it could."""
    if isinstance(now, Unreadable) and not isinstance(before, Unreadable):
        return now.unreadable
    if isinstance(now, References) and isinstance(before, References):
        gaps = [gap for gap in now.gaps if gap.answer not in before.unread]
        if gaps and set(now.found) <= set(before.found):
            return "; ".join(f"{gap.service} in {gap.region}: {gap.why}" for gap in gaps[:3])
    return None
