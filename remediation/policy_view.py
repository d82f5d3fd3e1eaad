"""View of the effective policy for `keysweep policy`: values, rules, evidence, references."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

from .evidence import SOURCES
from .evidence.references.entries import ReferenceList, reference_list
from .models import Model
from .policy import ClosedRegions, CoverageException, Policy
from .rules import RULES, Rule

Value = int | float | str | tuple[str, ...] | None


class ValueView(Model):
    """One setting of the policy."""

    name: str
    """Name in the file, such as `max_keys` or `accounts.allow`."""
    value: Value
    default: Value
    meaning: str


ExceptionState = Literal["in force", "expired"]


class ExceptionView(Model):
    """An exception to a rule."""

    key: str
    reason: str
    approved_by: str
    until: str
    """Last day (UTC) of the exception, YYYY-MM-DD."""
    state: ExceptionState


class NeedView(Model):
    """A piece of evidence that a rule needs, with the cost and permissions to read it."""

    piece: str
    cost: str
    """Cost class, as in `Cost`; `not read` if no source reads it."""
    permissions: tuple[str, ...]


class RuleView(Model):
    """A rule under this policy."""

    id: str
    sentence: str
    clears: str
    needs: tuple[NeedView, ...]
    exceptions: tuple[ExceptionView, ...]


class OverrideView(Model):
    """Other values for some accounts and Regions; an empty list means all."""

    accounts: tuple[str, ...]
    regions: tuple[str, ...]
    values: dict[str, int]


class CoverageExceptionView(Model):
    """A call that may fail with one answer, or Regions that the organization closes."""

    accounts: tuple[str, ...]
    regions: tuple[str, ...]
    service: str | None
    """Service; None: an entry of `closed_regions`."""
    operation: str | None
    answer: str | None
    """AWS's error code and message."""
    reason: str
    approved_by: str
    until: str
    """Last day (UTC) of the exception, YYYY-MM-DD."""
    state: ExceptionState


class ReferencesView(Model):
    """Size of the reference list, and its coverage exceptions."""

    services: int
    entries: int
    calls: int
    coverage_exceptions: tuple[CoverageExceptionView, ...]


class PolicyView(Model):
    """The effective policy."""

    values: tuple[ValueView, ...]
    overrides: tuple[OverrideView, ...]
    rules: tuple[RuleView, ...]
    references: ReferencesView


def describe_policy(policy: Policy, now: datetime) -> PolicyView:
    """View the policy in force at a time, with the rules and references that it affects."""
    return PolicyView(
        values=tuple(_values(policy)),
        overrides=tuple(
            OverrideView(
                accounts=override.accounts or (),
                regions=override.regions or (),
                values=override.changes(),
            )
            for override in policy.overrides
        ),
        rules=tuple(_rule(rule, policy, now) for rule in RULES),
        references=_references(reference_list(), policy, now),
    )


def _values(policy: Policy) -> list[ValueView]:
    default = Policy()
    views = []
    for name, field in Policy.model_fields.items():
        value = getattr(policy, name)
        if name in {"overrides", "exceptions", "coverage_exceptions", "closed_regions"}:
            continue
        if isinstance(value, Model):
            views += [
                ValueView(
                    name=f"{name}.{part}",
                    value=getattr(value, part),
                    default=getattr(getattr(default, name), part),
                    meaning=f"{field.description} {inner.description}",
                )
                for part, inner in type(value).model_fields.items()
            ]
        else:
            views.append(
                ValueView(
                    name=name,
                    value=_value(value),
                    default=_value(getattr(default, name)),
                    meaning=field.description or "",
                )
            )
    return views


def _value(value: Value | dict[str, str]) -> Value:
    if isinstance(value, dict):
        return tuple(f"{key}: {text}" for key, text in value.items())
    return value


def _rule(rule: Rule, policy: Policy, now: datetime) -> RuleView:
    needed = rule.needed(policy)
    return RuleView(
        id=rule.id,
        sentence=rule.sentence,
        clears=rule.clears,
        needs=tuple(need(piece) for piece in rule.needs if piece in needed),
        exceptions=tuple(
            ExceptionView(
                key=one.key,
                reason=one.reason,
                approved_by=one.approved_by,
                until=one.until.isoformat(),
                state=_state(one.until, now),
            )
            for one in policy.exceptions
            if one.rule == rule.id
        ),
    )


def need(piece: str) -> NeedView:
    """Cost and permissions to read a piece of evidence."""
    source = SOURCES.get(piece)
    if source is None:
        return NeedView(piece=piece, cost="not read", permissions=())
    return NeedView(
        piece=piece,
        cost=source.cost.name.lower().replace("_", " "),
        permissions=source.permissions,
    )


def _references(listed: ReferenceList, policy: Policy, now: datetime) -> ReferencesView:
    return ReferencesView(
        services=len({entry.service for entry in listed.entries}),
        entries=len(listed.entries),
        calls=sum(1 for _ in listed.calls()),
        coverage_exceptions=tuple(
            _coverage_exception(one, now) for one in policy.coverage_decisions
        ),
    )


def _coverage_exception(
    one: CoverageException | ClosedRegions, now: datetime
) -> CoverageExceptionView:
    call = one if isinstance(one, CoverageException) else None
    return CoverageExceptionView(
        accounts=one.accounts,
        regions=one.regions,
        service=call.service if call else None,
        operation=call.operation if call else None,
        answer=str(call.answer) if call else None,
        reason=one.reason,
        approved_by=one.approved_by,
        until=one.until.isoformat(),
        state=_state(one.until, now),
    )


def _state(until: date, now: datetime) -> ExceptionState:
    return "in force" if now.date() <= until else "expired"
