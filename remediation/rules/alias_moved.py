"""Keys that an alias was moved away from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from ..models import AliasMove, Evidence, known
from ..policy import Policy
from . import Rule
from ._reach import too_short
from ._words import day, named


def _moves(moves: Iterable[AliasMove]) -> str:
    return named(
        [
            f"{move.alias} to {move.key_id} on {day(move.time)}"
            + (f" by {move.who}" if move.who else "")
            for move in moves
        ]
    )


def _check(evidence: Evidence, _policy: Policy, now: datetime) -> Iterator[str]:
    seen = known(evidence.alias_moves)
    if short := too_short(seen.since, evidence, now, "whether an alias was moved away from it"):
        yield short
    aliases = known(evidence.aliases)
    if moved := [move for move in seen.moved if move.alias not in aliases]:
        yield (
            f"aliases were moved from it to another key ({_moves(moved)}); what was encrypted "
            "through them before needs this key"
        )
    if seen.possible:
        yield (
            f"aliases were moved to another key ({_moves(seen.possible)}), and CloudTrail does not "
            "show from which one: it may be this key, which is older and had no other alias then"
        )


RULE = Rule(
    id="alias-moved",
    sentence=(
        "Manual rotation moves an alias to a new key. Resources name the alias, and what they "
        "encrypted before the move stays under the old key, which nothing names any more. Where "
        "the former key of a move is not in the history, every key that may be it is held."
    ),
    clears=(
        "Find what uses the alias, re-encrypt its data under the new key, then accept the rule for "
        "this key; or wait until the move leaves the history after 90 days."
    ),
    needs=("alias_moves", "aliases", "description"),
    check=_check,
)
