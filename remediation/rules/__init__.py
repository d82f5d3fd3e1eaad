"""The one judgement: evidence and policy in, holds out. Pure, and the same for plan, apply, guard.

A rule is one module of this package with a `RULE`: its id, a sentence, the evidence it needs and a
check. Nothing is wired up elsewhere: the registry finds the modules.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from typing import Final

from ..errors import demand
from ..models import PIECES, AppliedException, Evidence, Hold, NotFound, Unreadable
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
    check: Callable[[Evidence, Policy, datetime], Iterable[str | Hold | AppliedException]]
    """Yields a sentence for each reason, or what the policy lifted of it; called only when every
    need is known, with the policy in force for this key, and the moment to judge at."""
    needs_if: Callable[[Policy], Collection[str]] | None = None
    """The needs under a policy, where the policy may make one of `needs` superfluous."""

    def needed(self, policy: Policy) -> frozenset[str]:
        """The pieces that this rule needs under this policy."""
        return frozenset(self.needs if self.needs_if is None else self.needs_if(policy))


@dataclass(frozen=True)
class Evaluation:
    """What the rules say about one key."""

    holds: tuple[Hold, ...]
    exceptions: tuple[AppliedException, ...]
    unasked: frozenset[str]
    """Pieces that rules still need and that nobody has read yet."""


def _discover() -> tuple[Rule, ...]:
    found: list[Rule] = []
    for module in pkgutil.iter_modules(__path__):
        if module.name.startswith("_"):
            continue
        rule: Rule = importlib.import_module(f"{__name__}.{module.name}").RULE
        name = module.name.replace("_", "-")
        demand(rule.id == name, f"{rule.id} is not named as its module")
        demand(set(rule.needs) <= PIECES, f"{rule.id} needs evidence that does not exist")
        found.append(rule)
    return tuple(sorted(found, key=lambda rule: rule.id))


RULES: Final = _discover()
"""Every rule, by id."""

UNREADABLE: Final = "unreadable-key"
"""Id of the hold on a key that DescribeKey did not show: no rule, no waiver lifts it."""


def evaluate(
    evidence: Evidence,
    policy: Policy,
    now: datetime,
    *,
    rules: Iterable[Rule] = RULES,
    ask_all: bool = False,
) -> Evaluation:
    """Everything that speaks against scheduling the key, at the moment `now`.

    Fails closed: a rule whose evidence is Unknown holds (promise 1 of README.md). A piece that was
    not asked at all is named in `unasked`; the key is decided only when a rule holds or nothing is
    unasked.
    With `ask_all`, pieces are named even when a rule already holds, and those of waived rules too.
    """
    if isinstance(evidence.description, Unreadable):
        why = f"not readable: {evidence.description.unreadable}{_cure(evidence.description)}"
        hold = Hold(rule=UNREADABLE, message=why)
        return Evaluation((hold,), (), frozenset())
    if isinstance(evidence.description, NotFound):
        hold = Hold(rule=UNREADABLE, message="AWS knows no such key")
        return Evaluation((hold,), (), frozenset())
    in_force = policy.for_key(evidence.key_arn)
    holds: list[Hold] = []
    exceptions: list[AppliedException] = []
    unasked: set[str] = set()
    for rule in rules:
        needed = rule.needed(in_force)
        missing = {piece for piece in needed if getattr(evidence, piece) is None}
        exception_for = in_force.exception_for(rule.id, evidence, now)
        if exception_for is not None:
            exceptions.append(_waived(rule.id, exception_for.reason, exception_for.until))
            if ask_all:
                unasked |= missing
            continue
        if missing:
            unasked |= missing
            continue
        unknown = _unknown(rule, needed, evidence)
        holds.extend(unknown)
        for said in () if unknown else rule.check(evidence, in_force, now):
            if isinstance(said, AppliedException):
                exceptions.append(said)
            else:
                holds.append(said if isinstance(said, Hold) else Hold(rule=rule.id, message=said))
    if holds and not ask_all:
        unasked.clear()
    return Evaluation(tuple(holds), tuple(exceptions), frozenset(unasked))


@cache
def _waived(rule: str, reason: str, until: date) -> AppliedException:
    """One value for all keys that a waiver covers: it may cover a hundred thousand."""
    return AppliedException(rule=rule, reason=reason, until=until.isoformat())


def pieces_used(evidence: Evidence, policy: Policy, now: datetime) -> frozenset[str]:
    """The pieces that the rules in force look at for this key; waived rules look at nothing."""
    in_force = policy.for_key(evidence.key_arn)
    return frozenset[str]().union(
        *(
            rule.needed(in_force)
            for rule in RULES
            if not in_force.exception_for(rule.id, evidence, now)
        )
    )


def _unknown(rule: Rule, needed: Collection[str], evidence: Evidence) -> list[Hold]:
    """A hold for each piece that the rule needs and that could not be read."""
    return [
        Hold(rule=rule.id, message=_unknown_sentence(piece, value))
        for piece in sorted(needed)
        if isinstance(value := getattr(evidence, piece), Unreadable)
    ]


def _unknown_sentence(piece: str, value: Unreadable) -> str:
    return (
        f"{piece.replace('_', ' ')} not known: {value.unreadable}{_cure(value)}, or accept the rule"
    )


def _cure(value: Unreadable) -> str:
    return f"; allow {value.permission}" if value.permission else ""
