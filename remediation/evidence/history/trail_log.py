"""Changes of a trail, which the log files of its home Region show.

`GetEventSelectors` says what a trail logs now, and nothing says what it logged before. But each
change is an event of its home Region ("PutEventSelectors", AWS CloudTrail API Reference). It is in
the log of the caller's account: the trail's own, or that of a delegated administrator, which
manages organization trails ("Organization delegated administrator", AWS CloudTrail User Guide) and
may have been any account. The trail itself logs these events, if it logs writes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Final, NamedTuple

from .athena_table import Trail, spelled
from .events import time_of

TRAIL_CHANGES: Final = (
    "CreateTrail",
    "DeleteTrail",
    "PutEventSelectors",
    "StartLogging",
    "StopLogging",
    "UpdateTrail",
)
"""Operations that change which events a trail logs, or where it writes them."""

IN_TRAIL: Final = ("trailName", "name")
"""Where the request of a change names the trail, by name or ARN (AWS CloudTrail API Reference)."""


class _Change(NamedTuple):
    time: datetime
    event: str
    who: str


@dataclass
class TrailLog:
    """Collects the rows about a trail from the query of its home Region."""

    trail: Trail
    start: date
    """The first day that the query reads. Rows count days from it."""
    until: date
    """The day after the last one that must have events."""
    _last: _Change | None = None
    _missing: set[int] = field(init=False)
    """Days without an event of the trail's account."""

    def __post_init__(self) -> None:
        self._missing = {*range((self.until - self.start).days)}

    @property
    def is_whole(self) -> bool:
        """Whether it shows no change and lacks no day."""
        return self._last is None and not self._missing

    def add(self, row: Mapping[str, str]) -> None:
        """Add one row, of any kind. Raises ValueError if it cannot be understood."""
        if row["account"] == self.trail.account_id:
            self._missing.difference_update(map(int, row["days"].split()))
        if row["kind"] == "trail" and not row["error"] and self._is_named(row):
            change = _Change(
                time_of(row["latest"]), row["event"], row["who"] or "an unknown caller"
            )
            self._last = change if self._last is None else max(self._last, change)

    def _is_named(self, row: Mapping[str, str]) -> bool:
        """Whether a change is one of this trail.

        The row has the trail's ARN from the response, or else what the request names: an ARN, or
        the name of a trail of the caller's account.
        """
        own = row["account"] == self.trail.account_id
        return row["alias"] == self.trail.arn or (own and row["alias"] == self.trail.name)

    def gap(self, start: datetime) -> str | None:
        """Why the trail may have logged less from then on. None: it logged what it logs now."""
        arn, needed = self.trail.arn, f"its log files are needed since {spelled(start)}"
        if self._last is not None and self._last.time > start:
            time, event, who = self._last
            return (
                f"Trail {arn} was changed on {spelled(time)} ({event} by {who}). Nothing shows "
                f"what it logged before, and {needed}. Fix: lower history_days"
            )
        first = (start.astimezone(UTC).date() - self.start).days
        if absent := [day for day in self._missing if day >= first]:
            days = (self.until - self.start).days - first
            return (
                f"Account {self.trail.account_id} has no event in {self.trail.region} on "
                f"{len(absent)} of {days} days, first on "
                f"{self.start + timedelta(days=min(absent))}. So log files may be missing that "
                f"show a change of trail {arn}, and {needed}"
            )
        return None
