"""Situation of a key: a pure function of journal record, key description and time.

The only place that decides whether a pending deletion is the journal's own. apply, cancel, guard,
status and write ask it, and compare no dates or states themselves.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from .access import Access
from .journal import IntentLine, KeyRecord, OutcomeLine
from .models import PENDING_DELETION, KeyArn, KeyDescription, NotFound

SAME_DATE: Final = timedelta(seconds=2)
"""Deletion dates this close are the same date: AWS rounds them differently."""

OURS_WITHIN: Final = timedelta(minutes=2)
"""Largest age of an unanswered intent, at the start of a deletion, to have begun it."""

UNDETERMINED_WITHIN: Final = timedelta(minutes=60)
"""Largest age of an unanswered intent, at the start of a deletion, that may have begun it."""

CONCLUSIVE_AFTER: Final = timedelta(minutes=5)
"""Age of an intent from which DescribeKey is conclusive if it shows no effect: AWS KMS may show a
change minutes late ("AWS KMS eventual consistency", AWS KMS Developer Guide)."""

UNWATCHED_AFTER: Final = timedelta(days=3)
"""Time without a check after which a key pending deletion counts as unwatched."""

NEAR_DAYS: Final = 3
"""Days before the deletion date from which a key is always reported."""

KEY_NOT_FOUND: Final = "Key not found"

GONE_EARLY: Final = "Key not found, although its deletion date has not come"
"""Message for GONE_EARLY."""

NOT_VISIBLE_YET: Final = "DescribeKey does not show the deletion yet"
"""Message for NOT_VISIBLE_YET."""

LOOK_AGAIN: Final = f"{NOT_VISIBLE_YET}. Fix: run the same command again in five minutes"

CANCELLED_A_MOMENT_AGO: Final = (
    "DescribeKey does not show yet that the deletion was cancelled. Fix: run the same command "
    "again in five minutes"
)

CANCELLED_ELSEWHERE: Final = "Deletion cancelled outside this journal"
"""Message for CANCELLED_ELSEWHERE."""

SCHEDULED_ELSEWHERE: Final = "Deletion scheduled outside this journal"
"""Message for FOREIGN."""

RESCHEDULED_ELSEWHERE: Final = "Deletion cancelled and scheduled again outside this journal"
"""Message for DRIFTED."""


def undetermined_origin(arn: KeyArn, access: Access) -> str:
    """Message for UNDETERMINED, with the command that ends it."""
    return (
        "Pending deletion; it could not be determined whether this journal began it. Fix: unless "
        f"the key is to be deleted, run: {access.command_line('cancel', '--key', str(arn))}"
    )


class Situation(StrEnum):
    """What journal and AWS say of a key, taken together."""

    OURS = "ours"
    """Pending deletion, begun by the journal."""
    UNDETERMINED = "undetermined"
    """Pending deletion; an unanswered intent of the journal may have begun it."""
    DRIFTED = "drifted"
    """Pending deletion; the journal's deletion was cancelled and another one scheduled."""
    FOREIGN = "foreign"
    """Pending deletion, not begun by the journal."""
    NOT_VISIBLE_YET = "not-visible-yet"
    """Not pending; the journal's deletion is so recent that DescribeKey may not show it yet."""
    CANCELLED_ELSEWHERE = "cancelled-elsewhere"
    """Not pending; the journal's deletion was cancelled outside the journal."""
    INTERRUPTED = "interrupted"
    """Not pending; the journal has an intent without outcome."""
    RESTORED = "restored"
    """Not pending; cancelled through the journal."""
    NEVER_BEGUN = "never-begun"
    """Not pending; the journal began no deletion."""
    DELETED = "deleted"
    """Not found after the end of the waiting period."""
    GONE_EARLY = "gone-early"
    """Not found before the deletion date in the journal."""
    NOT_FOUND = "not-found"
    """Not found; the journal began no deletion."""


PENDING: Final = frozenset(
    {Situation.OURS, Situation.UNDETERMINED, Situation.DRIFTED, Situation.FOREIGN}
)
"""Situations in which a deletion can be cancelled."""

WATCHED: Final = PENDING - {Situation.FOREIGN}
"""Situations in which a deletion that the journal began, or may have begun, is pending."""

GONE: Final = frozenset({Situation.DELETED, Situation.GONE_EARLY, Situation.NOT_FOUND})
"""Situations in which the key was not found."""


@dataclass(frozen=True, slots=True)
class State:
    """The situation of one key."""

    situation: Situation
    until: datetime | None = None
    """NOT_VISIBLE_YET and INTERRUPTED: time from which DescribeKey is conclusive."""
    promised: datetime | None = None
    """Deletion date in the journal."""


class Origin(StrEnum):
    """Whether an unanswered intent began the deletion that DescribeKey shows."""

    OURS = "ours"
    UNDETERMINED = "undetermined"
    FOREIGN = "foreign"


def same_date(one: datetime, other: datetime) -> bool:
    """Whether two deletion dates are that of one deletion."""
    return abs(one - other) <= SAME_DATE


def is_pending(seen: KeyDescription) -> bool:
    """Whether the key is pending deletion, or a primary key that waits for its replicas."""
    return seen.key_state in PENDING_DELETION


def is_near(deletion_date: datetime | None, now: datetime, days: int = NEAR_DAYS) -> bool:
    """Whether the deletion date is at most this many days away."""
    return deletion_date is not None and deletion_date - now <= timedelta(days=days)


def checked_at(record: KeyRecord) -> datetime | None:
    """When attempts to use the key were last read: by `guard`, or by `apply` before its intent.

    When the run of a rebuilt deletion did so is unknown.
    """
    scheduled = None if record.rebuilt else record.scheduled
    begun = (*record.open_schedules, *filter(None, (scheduled,)))
    times = (*(intent.time for intent in begun), *filter(None, (record.looked_at,)))
    return max(times, default=None)


def is_unwatched(record: KeyRecord, now: datetime) -> bool:
    """Whether nothing has checked the key for too long, if it is pending deletion."""
    checked = checked_at(record)
    return checked is None or now - checked > UNWATCHED_AFTER


def waits_in_journal(record: KeyRecord, now: datetime) -> bool:
    """Whether a deletion of the journal is pending, as far as the journal alone shows."""
    standing = record.scheduled_outcome
    if standing is None:
        return bool(record.open_schedules)
    return standing.deletion_date is None or now < standing.deletion_date


def origin(seen: KeyDescription, intent: IntentLine, now: datetime) -> Origin:
    """Whether a call whose answer was lost began the deletion that is pending."""
    window = intent.pending_window_days
    if window is None or not is_pending(seen):
        return Origin.FOREIGN
    if seen.deletion_date is None:
        # A primary key that waits for its replicas has no start: only the intent's age decides.
        if seen.pending_window_days != window:
            return Origin.FOREIGN
        young = now - intent.time <= OURS_WITHIN
        return Origin.OURS if young else Origin.UNDETERMINED
    later = seen.deletion_date - timedelta(days=window) - intent.time
    if -SAME_DATE <= later <= OURS_WITHIN:
        return Origin.OURS
    # Before the intent: another request, or clock skew. The waiting period of a primary key starts
    # when its last replica is deleted, however much later.
    waited = seen.multi_region_type == "PRIMARY" and later > OURS_WITHIN
    if waited or -OURS_WITHIN <= later <= UNDETERMINED_WITHIN:
        return Origin.UNDETERMINED
    return Origin.FOREIGN


def origin_of_any(seen: KeyDescription, intents: Iterable[IntentLine], now: datetime) -> Origin:
    """The strongest origin among these intents."""
    found = {origin(seen, intent, now) for intent in intents}
    return next((one for one in Origin if one in found), Origin.FOREIGN)


def is_conclusive(intent: IntentLine, now: datetime) -> bool:
    """Whether DescribeKey is conclusive if it shows no effect of this intent."""
    return now - intent.time >= CONCLUSIVE_AFTER


def was_cancelled_a_moment_ago(record: KeyRecord, now: datetime) -> bool:
    """Whether DescribeKey may still show the deletion that the journal has cancelled."""
    cancelled = record.cancelled
    return cancelled is not None and now - cancelled.time < CONCLUSIVE_AFTER


def state_of(record: KeyRecord, seen: KeyDescription | NotFound, now: datetime) -> State:
    """The situation of a key; an empty record stands for a key that is not in the journal."""
    standing = record.scheduled_outcome
    promised = None if standing is None else standing.deletion_date
    if isinstance(seen, NotFound):
        return State(_gone(standing, now), promised=promised)
    if is_pending(seen):
        return State(_pending(record, seen, now), promised=promised)
    if standing is not None:
        until = standing.time + CONCLUSIVE_AFTER
        if seen.key_state == "Disabled" and now < until:
            return State(Situation.NOT_VISIBLE_YET, until, promised)
        return State(Situation.CANCELLED_ELSEWHERE, promised=promised)
    if record.open_schedules:
        newest = max(intent.time for intent in record.open_schedules)
        return State(Situation.INTERRUPTED, newest + CONCLUSIVE_AFTER)
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


def _stands(seen: KeyDescription, standing: OutcomeLine, intent: IntentLine | None) -> bool:
    """Whether the pending deletion is the one in the journal."""
    if standing.deletion_date is not None:
        date = seen.deletion_date
        return date is not None and same_date(date, standing.deletion_date)
    # A primary key that waited for its replicas: its own waiting period starts afterwards.
    window = None if intent is None else intent.pending_window_days
    if seen.deletion_date is None:
        return window is None or seen.pending_window_days == window
    return seen.deletion_date - timedelta(days=window or 0) >= standing.time - OURS_WITHIN
