"""CloudTrail's memory: KMS events recorded from the very calls made, and seeded past ones."""

from __future__ import annotations

import bisect
import uuid
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .clock import DAY

KEPT = 90 * DAY
"""Event history reaches back 90 days."""


@dataclass(slots=True)
class Event:
    """One management event; time in seconds on the embedded clock."""

    time: float
    name: str
    account: str
    region: str
    principal: str
    """ARN of the caller, or a service principal."""
    access_key: str | None
    keys: tuple[str, ...] = ()
    """ARNs of the keys in the event's `resources`."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None
    message: str | None = None
    event_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))


class Trail:
    """Events of all accounts and Regions, each kept in order of time."""

    def __init__(self) -> None:
        self._events: dict[tuple[str, str], list[Event]] = defaultdict(list)

    def record(self, event: Event) -> None:
        """Keep an event; past ones are sorted in."""
        events = self._events[event.account, event.region]
        if events and events[-1].time > event.time:
            bisect.insort(events, event, key=lambda one: one.time)
        else:
            events.append(event)

    def events(self, account: str, region: str) -> list[Event]:
        """Return an account's events of one Region, oldest first."""
        return self._events[account, region]
