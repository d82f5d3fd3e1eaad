"""Aliases that were moved to another key.

Manual rotation moves an alias to a new key. Resources name the alias, and data encrypted before the
move still needs the old key. The events name only the alias and its new key ("CreateAlias" and
"UpdateAlias", Logging AWS KMS API calls, AWS KMS Developer Guide), so the former key is the one
that the newest earlier event of the same alias names. A DeleteAlias event names the key that the
alias was on. A deleted alias has not moved: AWS refuses every call that names it, and deleting the
alias of an unused key is ordinary cleanup.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from ...models import AliasMove, AliasMoves, Evidence, KeyDescription
from .events import TrailEvent

AFTER: Final = ("aliases", "description")
"""A key can be the former target of a move only if it is older and had no other alias then."""

SHOWN: Final = 20
"""How many of the newest moves from an unknown key to keep. One is enough to hold."""

_AWS: Final = "alias/aws/"
"""Aliases of AWS managed keys. Customers cannot create or move these."""


@dataclass(frozen=True)
class Moves:
    """What happened to the aliases of one account-Region."""

    away: Mapping[str, list[AliasMove]]
    """The last move of each alias away from a key, by the key's id."""
    unexplained: tuple[AliasMove, ...]
    """Moves from a key that no event names, newest first."""
    gained: Mapping[str, AbstractSet[str]] = field(default_factory=dict)
    """Aliases that each key got within the history, by the key's id."""

    @classmethod
    def of(cls, events: Iterable[TrailEvent]) -> Moves:
        """Replay the events of one account-Region, in any order.

        CloudTrail's times are whole seconds, so either of two events in the same second may be the
        earlier one. Raises ValueError for an event without an alias or key.
        """
        by_alias: defaultdict[str, list[TrailEvent]] = defaultdict(list)
        for event in events:
            if event.error is None and not (alias := _alias(event)).startswith(_AWS):
                by_alias[alias].append(event)
        away: defaultdict[str, list[AliasMove]] = defaultdict(list)
        gained: defaultdict[str, set[str]] = defaultdict(set)
        unexplained: list[AliasMove] = []
        for alias, group in sorted(by_alias.items()):
            group.sort(key=lambda event: event.time)
            placed = [event for event in group if event.name != "DeleteAlias"]
            for former, last in {e.target: e.time for e in group if e.target is not None}.items():
                later = (e for e in placed if e.time >= last and e.target != former)
                if (moved := next(later, None)) is not None:
                    away[former].append(_move(alias, moved))
            for event in placed:
                gained[str(event.target)].add(alias)
            unexplained += [_move(alias, event) for event in _without_former(group, placed)]
        unexplained.sort(key=lambda move: (move.time, move.alias), reverse=True)
        return cls(away, tuple(unexplained), gained)

    def of_key(self, evidence: Evidence, since: datetime) -> AliasMoves:
        """The moves away from this key, and those that may be."""
        key_id = evidence.key_arn.key_id
        return AliasMoves(
            since=since,
            moved=tuple(self.away.get(key_id, ())),
            possible=tuple(m for m in self.unexplained if self._may_leave(evidence, m))[:SHOWN],
        )

    def _may_leave(self, evidence: Evidence, move: AliasMove) -> bool:
        """Whether the key existed before the move, and has no alias from before the history.

        An alias that it gained within the history does not count: at a rotation, the old key often
        gets a new name before its alias moves.
        """
        seen, key_id = evidence.description, evidence.key_arn.key_id
        if isinstance(seen, KeyDescription) and _second(seen.creation_date) > move.time:
            return False
        gained = self.gained.get(key_id, frozenset())
        aliases = evidence.aliases if isinstance(evidence.aliases, tuple) else ()
        kept = any(alias not in gained for alias in aliases)
        return move.key_id != key_id and not kept


def _second(time: datetime) -> datetime:
    return time.replace(microsecond=0)


def _without_former(group: Sequence[TrailEvent], placed: Sequence[TrailEvent]) -> list[TrailEvent]:
    """Events that associate an alias with a key, where no event names its former key.

    An alias had a key before its first UpdateAlias, and before a DeleteAlias that names none.
    """
    first = min((event.time for event in group if event.target is not None), default=None)
    blind = any(e.target is None and first is not None and e.time <= first for e in group)
    return [e for e in placed if e.time == first and (e.name == "UpdateAlias" or blind)]


def _alias(event: TrailEvent) -> str:
    if event.alias is None or (event.target is None and event.name != "DeleteAlias"):
        raise ValueError(f"CloudTrail's {event.name} event of {event.time} lacks an alias or a key")
    return event.alias


def _move(alias: str, event: TrailEvent) -> AliasMove:
    return AliasMove(alias=alias, key_id=str(event.target), time=event.time, who=event.who)
