"""The time, as AWS has it: a workstation's wrong clock must not make a key look older."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime


def _elapsed() -> float:
    """Seconds since some moment, those too in which the machine slept: a question may be answered
    on the next day. (Linux's CLOCK_MONOTONIC leaves them out, "clock_gettime(2)".)"""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Clock:
    """The local clock, corrected by the `Date` header of an answer from AWS."""

    def __init__(self) -> None:
        self._seen = datetime.now(UTC), _elapsed()

    def observe(self, date_header: str | None) -> None:
        """Take the time from a `Date` header (RFC 9110, in UTC, whole seconds)."""
        if date_header:
            try:
                self._seen = parsedate_to_datetime(date_header).astimezone(UTC), _elapsed()
            except (ValueError, TypeError):
                return

    def elapsed(self) -> float:
        """Seconds since some moment: two differ rightly, whatever the clock was set to between."""
        return _elapsed()

    def now(self) -> datetime:
        """The present moment in UTC."""
        moment, then = self._seen
        # Counted from AWS's moment: a machine whose clock is set right meanwhile changes nothing.
        return moment + timedelta(seconds=_elapsed() - then)
