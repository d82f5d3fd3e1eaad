"""How a key came to today's state: CloudTrail by event name, once an account and Region."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from ..aws import Connection
from ..models import Cost, Evidence, KeyArn, KeyHistory
from . import Source
from ._cloudtrail import KEPT, RESCUE, STATE_CHANGES, TrailEvent, lookup


def history_of(evidence: Evidence, events: Iterable[TrailEvent], since: datetime) -> KeyHistory:
    """The key's part of what happened since a moment. Calls that failed changed nothing."""
    changes = sorted(
        (event.change() for event in events if event.error is None and event.about(evidence)),
        key=lambda change: change.time,
    )
    return KeyHistory(
        since=since,
        last_change=changes[-1] if changes else None,
        cancellations=tuple(change for change in changes if change.event == RESCUE),
    )


def _read(connection: Connection, group: Sequence[Evidence]) -> Mapping[KeyArn, KeyHistory]:
    since = connection.clock.now() - KEPT
    events = [
        event
        for name in STATE_CHANGES
        for page in lookup(connection, "EventName", name)
        for event in page.events
    ]
    return {evidence.key_arn: history_of(evidence, events, since) for evidence in group}


SOURCE = Source("history", Cost.EVENT_NAME, ("cloudtrail:LookupEvents",), read_account_region=_read)
