"""How far back the record of events must reach before its silence counts."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from ..models import Evidence, KeyDescription
from ._words import day, days

LEAST_DAYS: Final = 90
"""What CloudTrail's event history always has ("Working with CloudTrail event history", CloudTrail
User Guide); no other source may show less."""

ROUNDING: Final = timedelta(hours=1)
"""A history that was read in the same run reaches back 90 days from then, not from the judgement;
and clocks differ."""


def too_short(since: datetime, evidence: Evidence, now: datetime, what: str) -> str | None:
    """None when the readable events cover 90 days, or the key's whole life; else a sentence.

    An event data store of CloudTrail Lake may be younger, and silent about what was before it.
    """
    first = now - timedelta(days=LEAST_DAYS)
    description = evidence.description
    if isinstance(description, KeyDescription):
        first = max(first, description.creation_date)
    if since <= first + ROUNDING:
        return None
    return (
        f"{what} is known only since {day(since)}, and wanted since {day(first)}: the event data "
        f"store holds less than {days(LEAST_DAYS)}, or was changed since; plan without it"
    )
