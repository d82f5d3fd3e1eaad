"""AWS's time: a wrong local clock must not make a key look older."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime


def _elapsed() -> float:
    """Seconds since a fixed moment, suspended time included: a prompt may be answered the next day.

    (Linux's CLOCK_MONOTONIC excludes it, "clock_gettime(2)".)
    """
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Clock:
    """The local clock, corrected by the `Date` header of a response from AWS."""

    def __init__(self) -> None:
        self._seen = datetime.now(UTC), _elapsed()
        self.is_of_aws = False
        """Whether AWS has answered; else the time is this machine's."""

    def observe(self, date_header: str | None) -> None:
        """Set the time from a `Date` header (RFC 9110, in UTC, whole seconds)."""
        if date_header:
            try:
                self._seen = parsedate_to_datetime(date_header).astimezone(UTC), _elapsed()
            except (ValueError, TypeError):
                return
            self.is_of_aws = True

    def follow(self, other: Clock) -> None:
        """Take over the time of another clock of this machine, also of another process."""
        self._seen = other._seen
        self.is_of_aws = other.is_of_aws

    def elapsed(self) -> float:
        """Seconds since a fixed moment. Setting the clock in between has no effect."""
        return _elapsed()

    def now(self) -> datetime:
        """The current time in UTC."""
        moment, then = self._seen
        # Counted from AWS's time, so that setting the machine's clock has no effect.
        return moment + timedelta(seconds=_elapsed() - then)
