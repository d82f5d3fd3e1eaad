"""Evaluate evidence against the policy. Pure: plan, apply and guard all call it.

A rule is a module of this package with a `RULE`: its id, why it holds, the evidence that it needs,
and a check. The registry finds the modules; a name with an underscore is not a rule.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from functools import cache
from typing import Final

from ..errors import demand
from ..models import PIECES, AppliedException, Evidence, Hold, NotFound, Unreadable
from ..policy import Policy


class WhilePending(StrEnum):
    """What `guard` does with a rule while a key waits for its deletion."""

    IGNORE = "ignore"
    """Nothing: the rule is about age, kind or ownership, which `apply` evaluated."""
    EVALUATE = "evaluate"
    """The rule holds keys that are in use, so `guard` evaluates it."""
    EVENTS = "events"
    """The same, but only events since the last check for use count. No exception lifts the rule
    then, since it was granted for earlier events."""


@dataclass(frozen=True)
class Rule:
    """A reason to hold a key, as a pure function of evidence and policy."""

    id: str
    sentence: str
    """Why the rule exists, for docs/rules.md."""
    clears: str
    """What to do about a key on hold that is really unused, for docs/rules.md."""
    needs: tuple[str, ...]
    """Pieces of evidence. A key is on hold while one of them is `Unreadable`."""
    while_pending: WhilePending
    check: Callable[[Evidence, Policy, datetime], Iterable[str | Hold | AppliedException]]
    """Yields a message for each reason, or an exception that lifts it. Called only if every need
    was read, with the policy for this key's account and Region, and the time of evaluation."""
    needs_if: Callable[[Policy], Collection[str]] | None = None
    """The needs under a policy, if it can make some of `needs` unnecessary."""

    def needed(self, policy: Policy) -> frozenset[str]:
        """Pieces that this rule needs under a policy."""
        return frozenset(self.needs if self.needs_if is None else self.needs_if(policy))

    def hold(self, reason: str | Hold) -> Hold:
        """A hold of this rule, from what its check yielded."""
        return reason if isinstance(reason, Hold) else Hold(rule=self.id, message=reason)


@dataclass(frozen=True)
class Evaluation:
    """Result of all rules for one key."""

    holds: tuple[Hold, ...]
    exceptions: tuple[AppliedException, ...]
    """Without these, the key would be on hold, as far as its evidence was read."""
    unasked: frozenset[str]
    """Pieces that rules need and that have not been read yet."""


def _discover() -> tuple[Rule, ...]:
    found: list[Rule] = []
    for module in pkgutil.iter_modules(__path__):
        if module.name.startswith("_"):
            continue
        rule: Rule = importlib.import_module(f"{__name__}.{module.name}").RULE
        name = module.name.replace("_", "-")
        demand(rule.id == name, f"{rule.id}: the rule's id and its module's name differ")
        demand(set(rule.needs) <= PIECES, f"{rule.id} needs evidence that does not exist")
        found.append(rule)
    return tuple(sorted(found, key=lambda rule: rule.id))


RULES: Final = _discover()
"""All rules, ordered by id."""

UNREADABLE: Final = "unreadable-key"
"""Id of the hold on a key that DescribeKey does not return. No exception lifts it."""


def evaluate(
    evidence: Evidence,
    policy: Policy,
    now: datetime,
    *,
    rules: Iterable[Rule] = RULES,
    ask_all: bool = False,
) -> Evaluation:
    """All reasons to hold the key, at the moment `now`.

    Fails closed (rule 1 of docs/safety.md): a rule whose evidence could not be read holds.
    `unasked` names pieces that were not read at all. The verdict is final only if a rule holds or
    `unasked` is empty. With `ask_all`, `unasked` also names pieces that only rules with an
    exception need, and is kept when a rule already holds.
    """
    if isinstance(evidence.description, Unreadable):
        hold = Hold(rule=UNREADABLE, message=_unreadable_message("key", evidence.description))
        return Evaluation((hold,), (), frozenset())
    if isinstance(evidence.description, NotFound):
        hold = Hold(rule=UNREADABLE, message="key not found")
        return Evaluation((hold,), (), frozenset())
    in_force = policy.for_key(evidence.key_arn)
    holds: list[Hold] = []
    exceptions: list[AppliedException] = []
    unasked: set[str] = set()
    for rule in rules:
        needed = rule.needed(in_force)
        missing = {piece for piece in needed if getattr(evidence, piece) is None}
        held, applied = ([], []) if missing else _apply_rule(rule, needed, evidence, in_force, now)
        exception = in_force.exception_for(rule.id, evidence, now)
        if exception is None:
            unasked |= missing
            holds += held
            exceptions += applied
        elif missing or held:
            unasked |= missing if ask_all else set()
            exceptions.append(
                _applied(rule.id, exception.reason, exception.approved_by, exception.until)
            )
        else:
            exceptions += applied
    if holds and not ask_all:
        unasked.clear()
    return Evaluation(tuple(holds), tuple(exceptions), frozenset(unasked))


def _apply_rule(
    rule: Rule, needed: Collection[str], evidence: Evidence, policy: Policy, now: datetime
) -> tuple[list[Hold], list[AppliedException]]:
    """The holds of one rule whose needs were asked for, and the exceptions that its check made."""
    if unreadable := _unreadable(rule, needed, evidence):
        return unreadable, []
    holds: list[Hold] = []
    exceptions: list[AppliedException] = []
    for reason in rule.check(evidence, policy, now):
        if isinstance(reason, AppliedException):
            exceptions.append(reason)
        else:
            holds.append(rule.hold(reason))
    return holds, exceptions


@cache
def _applied(rule: str, reason: str, approved_by: str, until: date) -> AppliedException:
    """Cached, since one exception can cover a hundred thousand keys."""
    return AppliedException(
        rule=rule, reason=reason, approved_by=approved_by, until=until.isoformat()
    )


def pieces_used(evidence: Evidence, policy: Policy, now: datetime) -> frozenset[str]:
    """Pieces that rules without an exception use for this key."""
    in_force = policy.for_key(evidence.key_arn)
    return frozenset[str]().union(
        *(
            rule.needed(in_force)
            for rule in RULES
            if not in_force.exception_for(rule.id, evidence, now)
        )
    )


def _unreadable(rule: Rule, needed: Collection[str], evidence: Evidence) -> list[Hold]:
    """A hold for each needed piece that could not be read."""
    return [
        Hold(
            rule=rule.id,
            message=_unreadable_message(
                piece.replace("_", " "), value, "add an exception for this rule"
            ),
        )
        for piece in sorted(needed)
        if isinstance(value := getattr(evidence, piece), Unreadable)
    ]


def _unreadable_message(what: str, value: Unreadable, *fixes: str) -> str:
    allow = [f"allow {value.permission}"] if value.permission else []
    fix = ", or ".join([*allow, *fixes])
    return f"{what} could not be read: {value.unreadable}" + (f". Fix: {fix}" if fix else "")
