"""CloudTrail's memory: KMS events recorded from the very calls made, and seeded past ones."""

from __future__ import annotations

import bisect
import hashlib
import itertools
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .clock import DAY

KEPT = 90 * DAY
"""Event history reaches back 90 days."""

_NUMBERS = itertools.count(1)


@dataclass(slots=True)
class Event:
    """One management event; time in seconds on the embedded clock."""

    time: float
    name: str
    account: str
    """Account in whose trail it is."""
    region: str
    principal: str
    """ARN of the caller, or a service principal."""
    access_key: str | None = None
    keys: tuple[str, ...] = ()
    """ARNs of the keys in the event's `resources`."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None
    message: str | None = None
    request_id: str = ""
    number: int = field(default_factory=lambda: next(_NUMBERS))
    own_id: str | None = None
    shared: str | None = None
    """`sharedEventID` of a call that several accounts record."""
    agent: str = "Boto3"
    answer: Mapping[str, Any] | None = None
    """The recorded part of the answer, with AWS's names."""

    @property
    def event_id(self) -> str:
        """The event's id; seeded events get theirs when it is first read, since they are many."""
        if self.own_id is None:
            digest = hashlib.sha256(f"event {self.number}".encode()).digest()
            self.own_id = str(uuid.UUID(bytes=digest[:16]))
        return self.own_id


class Trail:
    """Events of all accounts and Regions, each kept in order of time."""

    def __init__(self) -> None:
        self.delay = 0.0
        """Seconds after which the event history shows an event."""
        self.recorded = 0
        """Number of events so far."""
        self._all: dict[tuple[str, str], list[Event]] = defaultdict(list)
        self._by: dict[tuple[str, str, str, str], list[Event]] = defaultdict(list)

    def record(self, event: Event) -> None:
        """Keep an event; past ones are sorted in."""
        self.recorded += 1
        where = (event.account, event.region)
        _keep(self._all[where], event)
        _keep(self._by[*where, "EventName", event.name], event)
        for key in event.keys:
            _keep(self._by[*where, "ResourceName", key], event)

    def newest(
        self, account: str, region: str, attribute: str | None, value: str
    ) -> Iterator[Event]:
        """Return an account's events of one Region, newest first, narrowed where an index helps."""
        if attribute in ("EventName", "ResourceName"):
            return reversed(self._by.get((account, region, attribute, value), []))
        return reversed(self._all.get((account, region), []))

    def everything(self, accounts: Iterable[str], regions: Iterable[str] | None) -> list[Event]:
        """Return all events of accounts, of all Regions or some, oldest first."""
        requested, in_regions = set(accounts), None if regions is None else set(regions)
        found = [
            event
            for (account, region), events in list(self._all.items())
            if account in requested and (in_regions is None or region in in_regions)
            for event in events
        ]
        return sorted(found, key=lambda one: one.time)


def _keep(events: list[Event], event: Event) -> None:
    if events and events[-1].time > event.time:
        bisect.insort(events, event, key=lambda one: one.time)
    else:
        events.append(event)
