"""What a rebuild of a journal found."""

from __future__ import annotations

from enum import StrEnum

from .base import Model, Time
from .keys import KeyArn


class RebuildDecision(StrEnum):
    """What a rebuild does with a key that is pending deletion."""

    REBUILT = "rebuilt"
    """Keysweep scheduled it."""
    LEFT_OUT = "left_out"
    """Another caller scheduled it, or another plan."""
    UNDETERMINED = "undetermined"
    """It could not be determined who scheduled it. Exit code 1."""


class RebuildReason(StrEnum):
    """Why a key is left out or undetermined."""

    ANOTHER_CALLER = "another-caller"
    """The user agent of its event is not Keysweep's."""
    ANOTHER_PLAN = "another-plan"
    """Its event is not of the time in which the plan could be applied."""
    NO_EVENT = "no-event"
    """CloudTrail shows no event with its deletion date, or not yet."""
    NO_DATE = "no-date"
    """A primary key that waits for its replicas has no deletion date to compare."""
    SEVERAL_EVENTS = "several-events"
    """Events of Keysweep and of other callers have its deletion date."""
    INCOMPLETE_EVENT = "incomplete-event"
    """Its event has no valid waiting period, which Keysweep always sends."""
    KEY_UNREADABLE = "key-unreadable"
    """DescribeKey did not answer, so that it may be pending deletion."""
    HISTORY_UNREADABLE = "history-unreadable"
    """The events of its account-Region could not be read."""


class RebuildRow(Model):
    """One key that is pending deletion, or may be."""

    key_arn: KeyArn
    """ARN of the key."""
    decision: RebuildDecision
    """What becomes of it."""
    reason: RebuildReason | None = None
    """Why it is left out or undetermined; None if it is rebuilt."""
    message: str = ""
    """The same in words; empty if it is rebuilt."""
    deletion_date: Time | None = None
    """Deletion date in DescribeKey; None: it has none, or could not be read."""
    event_id: str | None = None
    """Id of the event with this date; None: there is none."""
    scheduled_at: Time | None = None
    """Time of the event."""
    caller: str | None = None
    """ARN of the identity that made the call, from the event."""
    source: str | None = None
    """Address that the call came from, from the event."""
    user_agent: str | None = None
    """Keysweep's part of the event's user agent; None: the call was not Keysweep's."""


class UnreadAccountRegion(Model):
    """An account-Region that could not be read. Nothing is concluded about its keys."""

    account_id: str
    """The account."""
    region: str
    """The Region."""
    message: str
    """Why, and what to do."""


class Rebuild(Model):
    """What a rebuild found, as `--format json` prints it."""

    journal: str
    """The journal that was to be rebuilt."""
    written: bool
    """Whether it was written."""
    plan_digest: str | None = None
    """Digest of the plan to which the rebuild was limited."""
    rows: tuple[RebuildRow, ...]
    """Every key that is pending deletion, or may be, in order of the ARNs."""
    unread: tuple[UnreadAccountRegion, ...] = ()
    """Account-Regions that could not be read."""
    not_pending: int = 0
    """Number of keys that the plan schedules and that are not pending deletion."""
    notes: tuple[str, ...] = ()
    """Keys that the options left out."""

    @property
    def is_incomplete(self) -> bool:
        """Whether something could not be read or determined."""
        return bool(self.unread) or bool(self.of(RebuildDecision.UNDETERMINED))

    def of(self, decision: RebuildDecision) -> tuple[RebuildRow, ...]:
        """The keys with this decision."""
        return tuple(row for row in self.rows if row.decision is decision)
