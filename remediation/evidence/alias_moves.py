"""Aliases that were moved to another key: CloudTrail by event name, once per account-Region.

Manual rotation moves an alias to a new key; resources name the alias, and what was encrypted
before stays under the old key. The events name the alias and its new key only ("CreateAlias" and
"UpdateAlias", Logging AWS KMS API calls, AWS KMS Developer Guide), so the former key is the one
that the newest earlier event of the same alias names; a DeleteAlias event names the key that it was
on. An alias that was only deleted has not moved: AWS refuses whatever names it, and deleting the
alias of an unused key is ordinary tidying.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from ..aws import Connection
from ..models import AliasMove, AliasMoves, Cost, Evidence, KeyArn, KeyDescription
from . import Source
from ._cloudtrail import ALIAS_CHANGES, KEPT, TrailEvent, lookup

AFTER: Final = ("aliases", "description")
"""A key may be the former target of a move only if it is older and had no other alias then."""

SHOWN: Final = 20
"""Moves from a key that CloudTrail does not show: the newest are kept; one is enough to hold."""

_AWS: Final = "alias/aws/"
"""AWS names its managed keys so; nobody else can create or move these aliases."""


@dataclass(frozen=True)
class Moves:
    """What happened to the aliases of one account-Region."""

    away: Mapping[str, list[AliasMove]]
    """By the id of the former key: the last move of each alias away from it."""
    unexplained: tuple[AliasMove, ...]
    """Moves from a key that no event shows, newest first."""
    gained: Mapping[str, Mapping[str, datetime]] = field(default_factory=dict)
    """By key id: when the history first shows each alias on it."""

    @classmethod
    def of(cls, events: Iterable[TrailEvent]) -> Moves:
        """Replay the events of one account-Region, in whatever order they come.

        CloudTrail's times are whole seconds: of two events of the same second each may be the
        earlier one. Raises ValueError for an event that does not say what it changed.
        """
        by_alias: defaultdict[str, list[TrailEvent]] = defaultdict(list)
        for event in events:
            if event.error is None and not (alias := _alias(event)).startswith(_AWS):
                by_alias[alias].append(event)
        away: defaultdict[str, list[AliasMove]] = defaultdict(list)
        gained: defaultdict[str, dict[str, datetime]] = defaultdict(dict)
        unexplained: list[AliasMove] = []
        for alias, group in sorted(by_alias.items()):
            group.sort(key=lambda event: event.time)
            placed = [event for event in group if event.name != "DeleteAlias"]
            for former, last in {e.target: e.time for e in group if e.target is not None}.items():
                later = (e for e in placed if e.time >= last and e.target != former)
                if (moved := next(later, None)) is not None:
                    away[former].append(_move(alias, moved))
            for event in placed:
                gained[str(event.target)].setdefault(alias, event.time)
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
        """Whether the key existed before the move, without an alias that it has kept since."""
        seen, key_id = evidence.description, evidence.key_arn.key_id
        if isinstance(seen, KeyDescription) and _second(seen.creation_date) > move.time:
            return False
        gained = self.gained.get(key_id, {})
        aliases = evidence.aliases if isinstance(evidence.aliases, tuple) else ()
        kept = any(alias not in gained or gained[alias] < move.time for alias in aliases)
        return move.key_id != key_id and not kept


def _second(time: datetime) -> datetime:
    return time.replace(microsecond=0)


def _without_former(group: Sequence[TrailEvent], placed: Sequence[TrailEvent]) -> list[TrailEvent]:
    """The events of an alias, in order, that put it on a key without showing from which one.

    An alias had a key before its first UpdateAlias, and before a DeleteAlias that names none.
    """
    first = min((event.time for event in group if event.target is not None), default=None)
    blind = any(e.target is None and first is not None and e.time <= first for e in group)
    return [e for e in placed if e.time == first and (e.name == "UpdateAlias" or blind)]


def _alias(event: TrailEvent) -> str:
    if event.alias is None or (event.target is None and event.name != "DeleteAlias"):
        raise ValueError(f"CloudTrail's {event.name} of {event.time} names no alias or no key")
    return event.alias


def _move(alias: str, event: TrailEvent) -> AliasMove:
    return AliasMove(alias=alias, key_id=str(event.target), time=event.time, who=event.who)


def _read(connection: Connection, group: Sequence[Evidence]) -> Mapping[KeyArn, AliasMoves]:
    since = connection.clock.now() - KEPT
    moves = Moves.of(
        event
        for name in ALIAS_CHANGES
        for page in lookup(connection, "EventName", name)
        for event in page.events
    )
    return {evidence.key_arn: moves.of_key(evidence, since) for evidence in group}


SOURCE = Source(
    "alias_moves",
    Cost.EVENT_NAME,
    ("cloudtrail:LookupEvents",),
    read_account_region=_read,
    after=AFTER,
)
