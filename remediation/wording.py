"""Numbers and lists in messages and reports."""

from __future__ import annotations

from collections.abc import Iterable


def counted(number: int, noun: str) -> str:
    """A number of things, such as "1 key" or "1,234 keys"; the plural is the noun with an s."""
    return f"1 {noun}" if number == 1 else f"{number:,} {noun}s"


def first_few(names: Iterable[str], most: int = 3) -> str:
    """The first names, and how many more there are."""
    names = list(names)
    shown = ", ".join(names[:most])
    more = len(names) - most
    return f"{shown} and {more} more" if more > 0 else shown
