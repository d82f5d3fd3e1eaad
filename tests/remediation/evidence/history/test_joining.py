"""A long record and the newest events as one: nothing is lost, doubled or borrowed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from dead_key import changed

from keysweep.remediation.evidence.history.joining import join_changes, join_records
from keysweep.remediation.models import (
    AliasMove,
    AliasMoves,
    KeyHistory,
    StateChange,
    Unreadable,
    UseAttempt,
    UseAttempts,
)

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
START = NOW - timedelta(days=2)
LONG, SHORT = NOW - timedelta(days=400), NOW - timedelta(days=90)


def ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


def change(name: str, days: float, who: str | None = "a", micro: int = 0) -> StateChange:
    return StateChange(event=name, time=ago(days) + timedelta(microseconds=micro), who=who)


def move(alias: str, days: float, key: str = "k", who: str | None = "a") -> AliasMove:
    return AliasMove(alias=alias, key_id=key, time=ago(days), who=who)


def test_an_event_of_both_records_counts_once_as_the_longer_one_has_it() -> None:
    old = KeyHistory(
        since=LONG,
        last_change=change("CancelKeyDeletion", 50),
        cancellations=(change("CancelKeyDeletion", 300), change("CancelKeyDeletion", 50)),
    )
    again = change("CancelKeyDeletion", 50, who="b", micro=7)
    new = KeyHistory(since=SHORT, last_change=again, cancellations=(again,))
    joined = join_changes(changed(history=old), changed(history=new), START).history
    assert joined == old


def test_a_later_change_is_the_last_one() -> None:
    old = KeyHistory(since=LONG, last_change=change("DisableKey", 300))
    for last in (None, change("EnableKey", 1)):
        new = KeyHistory(since=SHORT, last_change=last)
        joined = join_changes(changed(history=old), changed(history=new), START).history
        assert (joined.since, joined.last_change) == (LONG, last or old.last_change)


def test_a_gap_between_the_records_is_not_covered() -> None:
    late = ago(1)
    joined = join_records(
        changed(
            history=KeyHistory(since=LONG),
            alias_moves=AliasMoves(since=LONG),
            use_attempts=UseAttempts(since=LONG),
        ),
        changed(
            history=KeyHistory(since=late),
            alias_moves=AliasMoves(since=late),
            use_attempts=UseAttempts(since=late),
        ),
        START,
    )
    for piece in (joined.history, joined.alias_moves, joined.use_attempts):
        assert piece.since == late


def test_the_longer_record_explains_earlier_moves() -> None:
    old = AliasMoves(since=LONG, moved=(move("alias/a", 30),), possible=(move("alias/o", 200),))
    new = AliasMoves(
        since=SHORT,
        moved=(move("alias/a", 30, who="b"), move("alias/b", 1)),
        possible=(move("alias/x", 30), move("alias/y", 1)),
    )
    joined = join_changes(changed(alias_moves=old), changed(alias_moves=new), START).alias_moves
    assert joined.moved == (old.moved[0], new.moved[1])
    assert {one.alias for one in joined.possible} == {"alias/o", "alias/y"}


def test_a_move_that_only_the_newer_record_has_is_kept() -> None:
    new = AliasMoves(since=SHORT, moved=(move("alias/a", 30),))
    old = AliasMoves(since=LONG)
    joined = join_changes(changed(alias_moves=old), changed(alias_moves=new), START).alias_moves
    assert joined.moved == new.moved


def test_attempts_of_both_records_are_newest_first() -> None:
    def attempt(days: float, who: str) -> UseAttempt:
        return UseAttempt(event="Decrypt", time=ago(days), who=who)

    old = UseAttempts(since=LONG, attempts=(attempt(1.5, "a"), attempt(200, "a")), all_read=False)
    new = UseAttempts(since=START, attempts=(attempt(0.5, "b"), attempt(1.5, "b")))
    joined = join_records(changed(use_attempts=old), changed(use_attempts=new), START).use_attempts
    assert [(one.time, one.who) for one in joined.attempts] == [
        (ago(0.5), "b"),
        (ago(1.5), "a"),
        (ago(200), "a"),
    ]
    assert (joined.since, joined.all_read) == (LONG, False)


def test_what_could_not_be_read_again_stays_unreadable() -> None:
    lost = changed(history=Unreadable(unreadable="no"))
    assert isinstance(join_records(changed(), lost, START).history, Unreadable)
