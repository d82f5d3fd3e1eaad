"""The time, as AWS has it: a workstation's wrong clock must not make a key look older."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime


class Clock:
    """The local clock, corrected by the `Date` header of an answer from AWS."""

    def __init__(self) -> None:
        self._seen = datetime.now(UTC), time.monotonic()

    def observe(self, date_header: str | None) -> None:
        """Take the time from a `Date` header (RFC 9110, in UTC, whole seconds)."""
        if date_header:
            try:
                self._seen = parsedate_to_datetime(date_header).astimezone(UTC), time.monotonic()
            except (ValueError, TypeError):
                return

    def now(self) -> datetime:
        """The present moment in UTC."""
        moment, then = self._seen
        # Counted from AWS's moment: a machine whose clock is set right meanwhile changes nothing.
        return moment + timedelta(seconds=time.monotonic() - then)
