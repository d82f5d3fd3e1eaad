"""The evidence that comes from the event history of each account-Region.

The last change of state and cancelled deletions, alias moves, and use attempts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final, Protocol

from ...aws import Connection
from ...models import Cost, Evidence, KeyArn, KeyHistory
from ..source import Piece, ReadMany, Source
from .alias_moves import AFTER, Moves
from .events import ALIAS_CHANGES, STATE_CHANGES, TrailEvent

CANCELLATION: Final = "CancelKeyDeletion"


@dataclass(frozen=True)
class RecordedEvents:
    """Events, and what their record covers."""

    since: datetime
    """The record is complete from here on."""
    events: Sequence[TrailEvent]
    """Of one account-Region."""


class HistorySource(Protocol):
    """A record of KMS events."""

    @property
    def permissions(self) -> tuple[str, ...]:
        """IAM actions of its calls."""

    def changes(self, connection: Connection, names: Sequence[str]) -> RecordedEvents:
        """All events with these names. AWS's errors pass through."""

    def use_attempts(self, start: datetime | None = None) -> Source:
        """The source of use attempts since a moment, or since the record begins."""


Summarize = Callable[[Sequence[TrailEvent], datetime], Callable[[Evidence], Piece]]
"""From the events of one account-Region, and since when they are complete, to a function that
returns a key's piece of evidence."""


def history_sources(history: HistorySource) -> dict[str, Source]:
    """Evidence sources that read a record of events, by piece."""
    return {
        "alias_moves": Source(
            "alias_moves",
            Cost.EVENT_NAME,
            history.permissions,
            read_account_region=key_by_key(
                partial(history.changes, names=ALIAS_CHANGES),
                lambda events, since: partial(Moves.of(events).of_key, since=since),
            ),
            after=AFTER,
        ),
        "history": Source(
            "history",
            Cost.EVENT_NAME,
            history.permissions,
            read_account_region=key_by_key(
                partial(history.changes, names=STATE_CHANGES),
                lambda events, since: partial(history_of, events=events, since=since),
            ),
        ),
        "use_attempts": history.use_attempts(),
    }


def key_by_key(record: Callable[[Connection], RecordedEvents], summarize: Summarize) -> ReadMany:
    """Read a record once, and summarize it for each key."""

    def read(connection: Connection, group: Sequence[Evidence]) -> Mapping[KeyArn, Piece]:
        recorded = record(connection)
        of_key = summarize(recorded.events, recorded.since)
        return {evidence.key_arn: of_key(evidence) for evidence in group}

    return read


def history_of(evidence: Evidence, events: Sequence[TrailEvent], since: datetime) -> KeyHistory:
    """A key's last change of state and its cancelled deletions. Failed calls changed nothing."""
    changes = sorted(
        (event.change() for event in events if event.error is None and event.about(evidence)),
        key=lambda change: change.time,
    )
    return KeyHistory(
        since=since,
        last_change=changes[-1] if changes else None,
        cancellations=tuple(change for change in changes if change.event == CANCELLATION),
    )
