"""The one judgement: evidence and policy in, holds out. Pure, and the same for plan, apply, guard.

A rule is one module of this package with a `RULE`: its id, a sentence, the evidence it needs and a
check. Nothing is wired up elsewhere: the registry finds the modules.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ..models import PIECES, Evidence, Hold, Unknown, Waived
from ..policy import Policy


@dataclass(frozen=True)
class Rule:
    """A pure function of evidence and policy that may hold a key."""

    id: str
    sentence: str
    """Why this holds a key, for people who read the docs."""
    clears: str
    """What lets the key through, when it really is dead."""
    needs: tuple[str, ...]
    """Pieces of evidence; a key is held while one of them is Unknown."""
    check: Callable[[Evidence, Policy, datetime], Iterable[str | Hold]]
    """Yields a sentence for each reason; called only when every need is known. The moment is the
    one to judge at."""
    needs_if: Callable[[Policy], Collection[str]] | None = None
    """The needs under a policy, where the policy may make one of `needs` superfluous."""

    def needed(self, policy: Policy) -> frozenset[str]:
        """The pieces that this rule needs under this policy."""
        return frozenset(self.needs if self.needs_if is None else self.needs_if(policy))


@dataclass(frozen=True)
class Judgement:
    """What the rules say about one key."""

    holds: tuple[Hold, ...]
    waived: tuple[Waived, ...]
    unasked: frozenset[str]
    """Pieces that rules still need and that nobody has read yet."""


def _discover() -> tuple[Rule, ...]:
    found = []
    for module in pkgutil.iter_modules(__path__):
        found.append(importlib.import_module(f"{__name__}.{module.name}").RULE)
    ids = [rule.id for rule in found]
    assert len(set(ids)) == len(ids), f"two rules share an id: {sorted(ids)}"
    for rule in found:
        assert set(rule.needs) <= PIECES, f"{rule.id} needs evidence that does not exist"
    return tuple(sorted(found, key=lambda rule: rule.id))


RULES: Final = _discover()
"""Every rule, by id."""

UNREADABLE: Final = "unreadable-key"
"""Id of the hold on a key that DescribeKey did not show: no rule, no waiver lifts it."""


def judge(
    evidence: Evidence,
    policy: Policy,
    now: datetime,
    *,
    rules: Iterable[Rule] = RULES,
    ask_all: bool = False,
) -> Judgement:
    """Everything that speaks against scheduling the key, at the moment `now`.

    Fails closed: a rule whose evidence is Unknown holds (safety rule 1). A piece that was not asked
    at all is named in `unasked`; the key is decided only when a rule holds or nothing is unasked.
    With `ask_all`, pieces are named even when a rule already holds, and those of waived rules too.
    """
    if isinstance(evidence.description, Unknown):
        hold = Hold(rule=UNREADABLE, message=f"not readable: {evidence.description.unknown}")
        return Judgement((hold,), (), frozenset())
    holds: list[Hold] = []
    waived: list[Waived] = []
    unasked: set[str] = set()
    for rule in rules:
        needed = rule.needed(policy)
        missing = {piece for piece in needed if getattr(evidence, piece) is None}
        waiver = policy.waiver(rule.id, evidence, now)
        if waiver is not None:
            waived.append(
                Waived(rule=rule.id, reason=waiver.reason, until=waiver.until.isoformat())
            )
            if ask_all:
                unasked |= missing
            continue
        if missing:
            unasked |= missing
            continue
        unknown = [
            (piece, value)
            for piece in sorted(needed)
            if isinstance(value := getattr(evidence, piece), Unknown)
        ]
        if unknown:
            holds.extend(
                Hold(rule=rule.id, message=_unknown_sentence(piece, value))
                for piece, value in unknown
            )
            continue
        for reason in rule.check(evidence, policy, now):
            holds.append(
                reason if isinstance(reason, Hold) else Hold(rule=rule.id, message=reason)
            )
    if holds and not ask_all:
        unasked.clear()
    return Judgement(tuple(holds), tuple(waived), frozenset(unasked))


def _unknown_sentence(piece: str, value: Unknown) -> str:
    cure = f"; allow {value.permission}" if value.permission else ""
    return f"{piece.replace('_', ' ')} not known: {value.unknown}{cure}, or accept the rule"
