"""How rules tell ages and dates to people."""

from __future__ import annotations

from datetime import datetime, timedelta


def day(moment: datetime) -> str:
    """The UTC day of a moment, as 2026-01-31."""
    return moment.date().isoformat()


def days(count: int) -> str:
    """A number of days in words."""
    return "1 day" if count == 1 else f"{count} days"


def waits(since: datetime, wanted_days: int, now: datetime) -> str | None:
    """None when `since` is at least the wanted days ago; else the age, and the day that clears."""
    age = now - since
    wanted = timedelta(days=wanted_days)
    if age >= wanted:
        return None
    whole = max(age.days, 0)
    return (
        f"{days(whole)} ago ({day(since)}); the policy wants {days(wanted_days)}, "
        f"which is from {day(since + wanted)}"
    )


def named(things: list[str], most: int = 3) -> str:
    """The first few things by name, and how many more there are."""
    shown = ", ".join(things[:most])
    more = len(things) - most
    return f"{shown} and {more} more" if more > 0 else shown
