"""How far back recorded events must reach before their absence counts."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from ..models import Evidence, KeyDescription
from ._dates import day

LEAST_DAYS: Final = 90
"""What CloudTrail's event history always has ("Working with CloudTrail event history", CloudTrail
User Guide). Other sources must have as much."""

ROUNDING: Final = timedelta(hours=1)
"""Clocks differ, and a history that was read earlier in the run begins that much earlier."""


def shortfall(since: datetime, evidence: Evidence, now: datetime, what: str) -> str | None:
    """A message, if events are missing for part of the last 90 days of the key's life.

    Events that `apply` read again long after the plan can begin later than that.
    """
    first = now - timedelta(days=LEAST_DAYS)
    description = evidence.description
    if isinstance(description, KeyDescription):
        first = max(first, description.creation_date)
    if since <= first + ROUNDING:
        return None
    return (
        f"{what} could not be read before {day(since)}, but are needed since {day(first)}, for "
        f"{LEAST_DAYS} days of the key's life. Fix: plan again"
    )
