"""Dates and ages in the messages of rules."""

from __future__ import annotations

from datetime import datetime, timedelta

from ..wording import counted


def day(moment: datetime) -> str:
    """The UTC date, such as 2026-01-31."""
    return moment.date().isoformat()


def too_recent(since: datetime, required_days: int, now: datetime) -> str | None:
    """How long ago `since` is, and when it is old enough. None: it is."""
    age = now - since
    required = timedelta(days=required_days)
    if age >= required:
        return None
    return (
        f"{counted(max(age.days, 0), 'day')} ago ({day(since)}); the policy requires "
        f"{counted(required_days, 'day')} (eligible on {day(since + required)})"
    )
