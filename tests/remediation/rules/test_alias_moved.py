"""The rule alias-moved."""

from __future__ import annotations

from dead_key import NOW, changed, days_ago, held_by, policy
from lifted_rules import lift

from keysweep.remediation.models import AliasMove, Unreadable

MOVE = AliasMove(alias="alias/shop", key_id="new", time=days_ago(40), who="alice")


def test_a_key_that_an_alias_was_moved_away_from_is_held() -> None:
    assert held_by(changed(alias_moves={"moved": (MOVE,)})) == {"alias-moved"}
    assert held_by(changed(alias_moves={"moved": (MOVE,)}, aliases=("alias/shop",))) == set()


def test_a_key_that_may_be_the_former_one_is_held() -> None:
    assert held_by(changed(alias_moves={"possible": (MOVE,)})) == {"alias-moved"}


def test_a_history_that_cannot_be_read_or_is_short_holds() -> None:
    assert held_by(changed(alias_moves=Unreadable(unreadable="denied"))) == {"alias-moved"}
    assert held_by(changed(alias_moves={"since": days_ago(35)})) == {"alias-moved"}


def test_an_exception_lifts_it() -> None:
    key = changed(alias_moves={"moved": (MOVE,), "possible": (MOVE,)})
    assert held_by(key, policy(exceptions=[lift("alias-moved", NOW.date())])) == set()
