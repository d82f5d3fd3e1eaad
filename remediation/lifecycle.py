"""What has become of a deletion: a pure function from journal, key and time to a named situation.

The one place that decides whether a pending deletion is the journal's own. apply, cancel, guard,
status and write ask it, and compare no dates or states themselves.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from .journal import IntentLine, KeyRecord, OutcomeLine
from .models import PENDING_DELETION, KeyDescription, NotFound

SAME_DATE: Final = timedelta(seconds=2)
"""Deletion dates this near are one: answers may round differently."""

OURS_WITHIN: Final = timedelta(minutes=2)
"""How much older than a deletion an unanswered intent may be to have begun it."""

UNDETERMINED_WITHIN: Final = timedelta(minutes=60)
"""An unanswered intent that is older than OURS_WITHIN, and no older than this, may have begun the
deletion, or somebody else may."""

SETTLED_AFTER: Final = timedelta(minutes=5)
"""Age of an intent from which "nothing happened" is believed: AWS KMS may show a change minutes
late ("AWS KMS eventual consistency", AWS KMS Developer Guide)."""


class Situation(StrEnum):
    """What the journal and AWS say together of one key."""

    OURS = "ours"
    """Pending deletion, as the journal began it."""
    UNDETERMINED = "undetermined"
    """Pending deletion: an unanswered intent of the journal may have begun it, or somebody else."""
    DRIFTED = "drifted"
    """Pending deletion by another request than the journal's, whose deletion was cancelled."""
    FOREIGN = "foreign"
    """Pending deletion by somebody else's request: the journal began none."""
    LATE = "late"
    """The journal's deletion is so young that DescribeKey may not show it yet."""
    CANCELLED_BY_OTHERS = "cancelled-by-others"
    """The journal's deletion stands no more, and it was not cancelled through this journal."""
    INTERRUPTED = "interrupted"
    """Not pending, and the journal has an intent whose outcome is not known."""
    RESTORED = "restored"
    """The journal has its cancellation."""
    NEVER_BEGUN = "never-begun"
    """The journal began no deletion, and none is pending."""
    DELETED = "deleted"
    """Not found: the waiting period of the journal's deletion has ended."""
    GONE_EARLY = "gone-early"
    """Not found before the date that the journal has."""
    NOT_FOUND = "not-found"
    """Not found, and the journal scheduled no such key."""


PENDING: Final = frozenset(
    {Situation.OURS, Situation.UNDETERMINED, Situation.DRIFTED, Situation.FOREIGN}
)
"""The situations in which a deletion can be cancelled."""


@dataclass(frozen=True, slots=True)
class State:
    """The situation of one key."""

    situation: Situation
    until: datetime | None = None
    """LATE and INTERRUPTED: from then on DescribeKey is believed."""
    promised: datetime | None = None
    """The deletion date that the journal has."""


class Origin(StrEnum):
    """What one unanswered intent has to do with what DescribeKey shows."""

    OURS = "ours"
    UNDETERMINED = "undetermined"
    FOREIGN = "foreign"


def origin(seen: KeyDescription, intent: IntentLine, now: datetime) -> Origin:
    """Whether a call whose answer was lost began the deletion that is pending."""
    window = intent.pending_window_days
    if window is None or seen.key_state not in PENDING_DELETION:
        return Origin.FOREIGN
    if seen.deletion_date is None:
        # A primary that waits for its replicas shows no start: only the intent's age tells.
        if seen.pending_window_days != window:
            return Origin.FOREIGN
        young = now - intent.time <= OURS_WITHIN
        return Origin.OURS if young else Origin.UNDETERMINED
    later = seen.deletion_date - timedelta(days=window) - intent.time
    if -SAME_DATE <= later <= OURS_WITHIN:
        return Origin.OURS
    # Before the intent: by somebody else, or the clocks differ. The waiting period of a primary
    # begins when its last replica is gone, however much later.
    waited = seen.multi_region_type == "PRIMARY" and later > OURS_WITHIN
    if waited or -OURS_WITHIN <= later <= UNDETERMINED_WITHIN:
        return Origin.UNDETERMINED
    return Origin.FOREIGN


def origin_of_any(seen: KeyDescription, intents: Iterable[IntentLine], now: datetime) -> Origin:
    """The strongest that any of these intents has to do with the deletion."""
    found = {origin(seen, intent, now) for intent in intents}
    return next((one for one in Origin if one in found), Origin.FOREIGN)


def is_settled(intent: IntentLine, now: datetime) -> bool:
    """Whether DescribeKey is believed when it shows nothing of this intent."""
    return now - intent.time >= SETTLED_AFTER


def state_of(record: KeyRecord, seen: KeyDescription | NotFound, now: datetime) -> State:
    """The situation of a key of the journal, or of one that the journal does not know."""
    standing = record.scheduled_outcome
    promised = None if standing is None else standing.deletion_date
    if isinstance(seen, NotFound):
        return State(_gone(standing, now), promised=promised)
    if seen.key_state in PENDING_DELETION:
        return State(_pending(record, seen, now), promised=promised)
    if standing is not None:
        until = standing.time + SETTLED_AFTER
        if seen.key_state == "Disabled" and now < until:
            return State(Situation.LATE, until, promised)
        return State(Situation.CANCELLED_BY_OTHERS, promised=promised)
    if record.open_schedules:
        newest = max(intent.time for intent in record.open_schedules)
        return State(Situation.INTERRUPTED, newest + SETTLED_AFTER)
    cancelled = record.cancelled is not None
    return State(Situation.RESTORED if cancelled else Situation.NEVER_BEGUN)


def _gone(standing: OutcomeLine | None, now: datetime) -> Situation:
    if standing is None:
        return Situation.NOT_FOUND
    early = standing.deletion_date is not None and now < standing.deletion_date
    return Situation.GONE_EARLY if early else Situation.DELETED


def _pending(record: KeyRecord, seen: KeyDescription, now: datetime) -> Situation:
    standing = record.scheduled_outcome
    if standing is not None and _stands(seen, standing, record.scheduled):
        return Situation.OURS
    began = origin_of_any(seen, record.open_schedules, now)
    if began is not Origin.FOREIGN:
        return Situation(began.value)
    return Situation.FOREIGN if standing is None else Situation.DRIFTED


def _stands(seen: KeyDescription, standing: OutcomeLine, asked: IntentLine | None) -> bool:
    """Whether the pending deletion is the one that the journal knows to have begun."""
    if standing.deletion_date is not None:
        date = seen.deletion_date
        return date is not None and abs(date - standing.deletion_date) <= SAME_DATE
    # A primary that waited for its replicas: its own waiting period begins when they are gone.
    window = None if asked is None else asked.pending_window_days
    if seen.deletion_date is None:
        return window is None or seen.pending_window_days == window
    return seen.deletion_date - timedelta(days=window or 0) >= standing.time - OURS_WITHIN
