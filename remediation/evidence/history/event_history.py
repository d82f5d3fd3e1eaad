"""CloudTrail's event history: 90 days of one account-Region, searched by one attribute a call.

It is searched for use attempts by the key's ARN. AWS does not document whether every refused call
is filed under its key, so an attempt is proof, and no attempts are weak evidence.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, ClassVar, Final, NamedTuple

from ...aws import Connection
from ...models import Cost, Evidence, UseAttempts
from ..source import Source
from .events import TrailEvent, is_use, parse
from .sources import RecordedEvents

KEPT: Final = timedelta(days=90)
"""How long events are kept ("Working with CloudTrail event history", CloudTrail User Guide)."""


@dataclass(frozen=True)
class EventHistory:
    """The event history of each key's own account-Region."""

    permissions: ClassVar[tuple[str, ...]] = ("cloudtrail:LookupEvents",)

    def changes(self, connection: Connection, names: Sequence[str]) -> RecordedEvents:
        """All events with these names, with one lookup for each name."""
        since = connection.clock.now() - KEPT
        events = [
            event
            for name in names
            for page in lookup(connection, "EventName", name)
            for event in page.events
        ]
        return RecordedEvents(since, events)

    def use_attempts(self, start: datetime | None = None) -> Source:
        """The source of use attempts, with one lookup for each key."""
        return Source(
            "use_attempts",
            Cost.EVENT_KEY,
            self.permissions,
            read_key=partial(_use_attempts, start=start),
            since=self.use_attempts,
        )


def _use_attempts(
    connection: Connection, evidence: Evidence, start: datetime | None = None
) -> UseAttempts:
    since = connection.clock.now() - KEPT if start is None else start
    for page in lookup(connection, "ResourceName", str(evidence.key_arn), start):
        attempts = tuple(event.attempt() for event in page.events if is_use(event, evidence))
        if attempts:
            # The newest decide. A busy key has millions of older ones, read at 100 a second.
            return UseAttempts(since=since, attempts=attempts, all_read=page.is_last)
    return UseAttempts(since=since)


class Page(NamedTuple):
    """One answer of LookupEvents."""

    events: list[TrailEvent]
    is_last: bool
    """Whether no older events follow."""


def lookup(
    connection: Connection, attribute: str, value: str, start: datetime | None = None
) -> Iterator[Page]:
    """Pages of KMS events with this attribute, newest first, optionally since `start`.

    Raises ValueError for an event that cannot be parsed.
    """
    for listed, is_last in _pages(connection, attribute, value, start):
        yield Page([parse(record) for record in listed], is_last)


def records(connection: Connection, attribute: str, value: str) -> Iterator[dict[str, Any]]:
    """Records of KMS events with this attribute as LookupEvents returns them, newest first."""
    for listed, _ in _pages(connection, attribute, value):
        yield from listed


def _pages(
    connection: Connection, attribute: str, value: str, start: datetime | None = None
) -> Iterator[tuple[list[dict[str, Any]], bool]]:
    """The records of each page, and whether it is the last."""
    pages = connection.client("cloudtrail").get_paginator("lookup_events")
    attributes = [{"AttributeKey": attribute, "AttributeValue": value}]
    window = {} if start is None else {"StartTime": start}
    for page in pages.paginate(LookupAttributes=attributes, **window):
        listed = [
            record
            for record in page["Events"]
            if record.get("EventSource", "kms.amazonaws.com") == "kms.amazonaws.com"
        ]
        yield listed, not page.get("NextToken")
