"""A long record of events, and the newest events from the event history, as one record."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TypeVar

from ...models import AliasMove, AliasMoves, Evidence, KeyHistory, StateChange, UseAttempts

T = TypeVar("T", AliasMove, StateChange)


def join_records(before: Evidence, again: Evidence, start: datetime) -> Evidence:
    """The evidence read again, with the earlier events that its record may not reach.

    `start` is when the earlier record ends. A record that was read again and begins later leaves a
    gap between them: then only its own part counts.
    """
    joined = join_changes(before, again, start)
    if isinstance(before.use_attempts, UseAttempts) and isinstance(again.use_attempts, UseAttempts):
        attempts = _attempts(before.use_attempts, again.use_attempts, start)
        return joined.model_copy(update={"use_attempts": attempts})
    return joined


def join_changes(before: Evidence, again: Evidence, start: datetime) -> Evidence:
    """The same for changes of state and of aliases alone."""
    old, new = before.history, again.history
    changes: dict[str, object] = {}
    if isinstance(old, KeyHistory) and isinstance(new, KeyHistory):
        changes["history"] = _histories(old, new, start)
    if isinstance(before.alias_moves, AliasMoves) and isinstance(again.alias_moves, AliasMoves):
        changes["alias_moves"] = _moves(before.alias_moves, again.alias_moves, start)
    return again.model_copy(update=changes)


def _attempts(old: UseAttempts, new: UseAttempts, start: datetime) -> UseAttempts:
    both = {(a.event, a.time.replace(microsecond=0), a.error): a for a in new.attempts}
    both |= {(a.event, a.time.replace(microsecond=0), a.error): a for a in old.attempts}
    return old.model_copy(
        update={
            "attempts": tuple(sorted(both.values(), key=lambda a: a.time, reverse=True)),
            "since": _since(old.since, new.since, start),
            "all_read": old.all_read and new.all_read,
        }
    )


def _histories(old: KeyHistory, new: KeyHistory, start: datetime) -> KeyHistory:
    last = [change for change in (new.last_change, old.last_change) if change is not None]
    return KeyHistory(
        since=_since(old.since, new.since, start),
        last_change=max(_same_once(last), key=lambda change: change.time, default=None),
        cancellations=tuple(_same_once((*new.cancellations, *old.cancellations))),
    )


def _moves(old: AliasMoves, new: AliasMoves, start: datetime) -> AliasMoves:
    """The moves of both. The longer record names the former key of moves before `start`."""
    moved = {move.alias: move for move in old.moved}
    for move in _same_once((*new.moved, *old.moved)):
        if move.alias not in moved or moved[move.alias].time < move.time:
            moved[move.alias] = move
    possible = (*(move for move in new.possible if move.time >= start), *old.possible)
    return AliasMoves(
        since=_since(old.since, new.since, start),
        moved=tuple(moved[alias] for alias in sorted(moved)),
        possible=tuple(_same_once(possible)),
    )


def _since(old: datetime, new: datetime, start: datetime) -> datetime:
    return min(old, new) if new <= start else new


def _same_once(events: Iterable[T]) -> list[T]:
    """Each event once, oldest first. The last of its copies counts; they may differ in `who`."""
    copies = {
        (event.model_copy(update={"who": None, "time": event.time.replace(microsecond=0)})): event
        for event in events
    }
    return sorted(copies.values(), key=lambda event: event.time)
