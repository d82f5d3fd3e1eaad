"""The embedded AWS's own time: real time plus an offset that a test moves forward."""

from __future__ import annotations

import time
from datetime import UTC, datetime

DAY = 86_400.0


class Clock:
    """Seconds since the epoch, as AWS sees them."""

    def __init__(self) -> None:
        self.offset = 0.0

    def now(self) -> float:
        """Return the embedded time as seconds since the epoch."""
        return time.time() + self.offset

    def advance(self, seconds: float) -> None:
        """Move the clock forward; time never runs backwards, for records are kept in order."""
        if seconds < 0:
            raise ValueError("the clock only moves forward")
        self.offset += seconds


def iso(seconds: float) -> str:
    """Return seconds since the epoch as ISO 8601 in UTC, to the second, with a final Z."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def wire(seconds: float) -> float:
    """Return a timestamp as AWS's JSON protocols carry it: seconds, to the millisecond."""
    return round(seconds, 3)
