"""Keys pending deletion that need a person: nothing checks them, or their deletion is near."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from .journal import History
from .lifecycle import (
    NEAR_DAYS,
    UNWATCHED_AFTER,
    checked_at,
    is_near,
    is_unwatched,
    waits_in_journal,
)
from .models import KeyArn
from .wording import first_few

NAMED: Final = 20
"""Largest number of keys in a sentence; the others are counted."""


@dataclass(frozen=True)
class Waiting:
    """A key pending deletion."""

    key_arn: KeyArn
    checked_at: datetime | None
    deletion_date: datetime | None
    unwatched: bool
    """Whether nothing has checked it for three days."""
    near: bool
    """Whether its deletion date is at most three days away."""


def of_journals(
    history: History, now: datetime, *, known_otherwise: Collection[KeyArn] = ()
) -> Iterator[Waiting]:
    """The keys that wait as far as the journals show, but for those that AWS shows otherwise."""
    for arn, record in sorted(history.keys.items()):
        if arn in known_otherwise or not waits_in_journal(record, now):
            continue
        standing = record.scheduled_outcome
        date = None if standing is None else standing.deletion_date
        yield Waiting(arn, checked_at(record), date, is_unwatched(record, now), is_near(date, now))


def sentences(keys: Iterable[Waiting], check: str) -> tuple[str, ...]:
    """One about unwatched keys, and one about those that are deleted soon, if there are any.

    `check` is the command that checks the keys.
    """
    keys = tuple(keys)
    found = []
    if unwatched := [key for key in keys if key.unwatched]:
        named = first_few(
            (f"{one.key_arn} (last on {_day(one.checked_at)})" for one in unwatched), NAMED
        )
        found.append(
            f"Pending deletion, and not checked for {UNWATCHED_AFTER.days} days: {named}. "
            f"Fix: run: {check}"
        )
    if near := [key for key in keys if key.near]:
        named = first_few((f"{one.key_arn} (on {_day(one.deletion_date)})" for one in near), NAMED)
        found.append(f"Deleted within {NEAR_DAYS} days unless cancelled: {named}.")
    return tuple(found)


def _day(moment: datetime | None) -> str:
    return "an unknown date" if moment is None else f"{moment:%Y-%m-%d}"
