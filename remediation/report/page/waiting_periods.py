"""Timeline of the waiting periods of pending keys."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from ...wording import counted
from .parts import Span, Timeline


def timeline(spans: Sequence[tuple[datetime, datetime]], now: datetime) -> Timeline | None:
    """Waiting periods by the day on which they begin and end; the nearest end first."""
    if not spans:
        return None
    days: dict[tuple[datetime, datetime], list[datetime]] = defaultdict(list)
    for start, end in spans:
        days[_day(start), _day(end)].append(end)
    first = min(start for start, _ in days)
    last = max(end for _, end in days)
    whole = max((last - first).total_seconds(), 1.0)

    def share(begin: datetime, end: datetime) -> float:
        return min(100.0, max(0.0, 100 * (end - begin).total_seconds() / whole))

    return Timeline(
        "Waiting periods. Until the end, the deletion can be cancelled. The elapsed part is "
        "filled.",
        f"{first:%d %b %Y}",
        f"{last:%d %b %Y}",
        tuple(
            Span(
                counted(len(ends), "key"),
                f"{start:%d %b} to {end:%d %b %Y}, {_left(min(ends), now)}",
                share(first, start),
                share(start, end),
                0 if now <= start else min(100.0, 100 * (now - start) / max(end - start, _SECOND)),
            )
            for (start, end), ends in sorted(days.items(), key=lambda one: (one[0][1], one[0][0]))
        ),
    )


_SECOND: Final = timedelta(seconds=1)


def _day(moment_: datetime) -> datetime:
    return moment_.replace(hour=0, minute=0, second=0, microsecond=0)


def _left(end: datetime, now: datetime) -> str:
    left = (end - now).days
    if end <= now:
        return "over"
    return "less than a day left" if left < 1 else f"{counted(left, 'day')} left"
