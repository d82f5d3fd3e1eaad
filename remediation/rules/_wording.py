"""Dates, ages and lists in the messages of rules."""

from __future__ import annotations

from datetime import datetime, timedelta


def day(moment: datetime) -> str:
    """The UTC date, such as 2026-01-31."""
    return moment.date().isoformat()


def days(count: int) -> str:
    """A number of days, such as "1 day" or "30 days"."""
    return "1 day" if count == 1 else f"{count} days"


def too_recent(since: datetime, required_days: int, now: datetime) -> str | None:
    """How long ago `since` is, and when it is old enough. None: it is."""
    age = now - since
    required = timedelta(days=required_days)
    if age >= required:
        return None
    return (
        f"{days(max(age.days, 0))} ago ({day(since)}); the policy requires {days(required_days)} "
        f"(eligible on {day(since + required)})"
    )


def first_few(names: list[str], most: int = 3) -> str:
    """The first names, and how many more there are."""
    shown = ", ".join(names[:most])
    more = len(names) - most
    return f"{shown} and {more} more" if more > 0 else shown
