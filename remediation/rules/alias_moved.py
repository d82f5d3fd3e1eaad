"""Keys that an alias was moved away from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from ..models import AliasMove, Evidence, known
from ..policy import Policy
from ..wording import first_few
from . import Rule, WhilePending
from ._dates import day
from ._event_coverage import shortfall


def _moves(moves: Iterable[AliasMove]) -> str:
    return first_few(
        [
            f"{move.alias} to {move.key_id} on {day(move.time)}"
            + (f" by {move.who}" if move.who else "")
            for move in moves
        ]
    )


def _check(evidence: Evidence, _policy: Policy, now: datetime) -> Iterator[str]:
    seen = known(evidence.alias_moves)
    if short := shortfall(seen.since, evidence, now, "alias moves"):
        yield short
    aliases = known(evidence.aliases)
    if moved := [move for move in seen.moved if move.alias not in aliases]:
        yield (
            f"aliases were moved from it to another key ({_moves(moved)}); data encrypted through "
            "them before the move needs this key"
        )
    if seen.possible:
        yield (
            f"aliases were moved to another key ({_moves(seen.possible)}), and CloudTrail does not "
            "show from which one; this key is older and had no other alias then"
        )


RULE = Rule(
    id="alias-moved",
    sentence=(
        "Manual rotation moves an alias to a new key. Resources name the alias, so nothing names "
        "the old key, but data encrypted before the move still needs it. If the history does not "
        "show the former key of a move, this rule holds every key that is older than the move and "
        "has no alias from before the history."
    ),
    clears=(
        "Find what uses the alias, re-encrypt its data under the new key, then add an exception "
        "for this rule. Otherwise, wait until the move leaves the history: 90 days, or with Athena "
        "`history_days`."
    ),
    needs=("alias_moves", "aliases", "description"),
    while_pending=WhilePending.EVENTS,
    check=_check,
)
