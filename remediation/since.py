"""What differs between a plan and an earlier one: keys that are new, gone, or judged otherwise."""

from __future__ import annotations

from collections.abc import Iterable

from .models import KeyArn, Model, PlanItem, Time, VerdictKind


class Difference(Model):
    """One key whose verdict, or whose reasons, are not as before."""

    key_arn: KeyArn
    """ARN of the key."""
    was: VerdictKind | None = None
    """None: no finding nominated it before."""
    now: VerdictKind | None = None
    """None: no finding nominates it any more."""
    why: str = ""
    """The reasons of the verdict now, for people."""


class Since(Model):
    """The differences from an earlier plan, keys in the order of their ARNs."""

    digest: str
    """Of the earlier plan."""
    created_at: Time
    """When the earlier plan was made."""
    new: tuple[Difference, ...] = ()
    """Keys that no finding nominated then."""
    gone: tuple[Difference, ...] = ()
    """Keys that no finding nominates any more."""
    changed: tuple[Difference, ...] = ()
    """Keys with another verdict, or with other rules behind it."""


def compare(
    digest: str, created_at: Time, before: Iterable[PlanItem], now: Iterable[PlanItem]
) -> Since:
    """What became of the keys of the plan with this digest."""
    old = {item.key_arn: _evaluated(item) for item in before}
    new, changed = [], []
    for item in now:
        was = old.pop(item.key_arn, None)
        if was is None:
            new.append(Difference(key_arn=item.key_arn, now=item.verdict, why=_why(item)))
        elif was != _evaluated(item):
            changed.append(
                Difference(key_arn=item.key_arn, was=was[0], now=item.verdict, why=_why(item))
            )
    gone = [
        Difference(key_arn=arn, was=verdict, why="no finding nominates it any more")
        for arn, (verdict, _) in old.items()
    ]
    return Since(
        digest=digest,
        created_at=created_at,
        new=_sorted(new),
        gone=_sorted(gone),
        changed=_sorted(changed),
    )


def _sorted(differences: Iterable[Difference]) -> tuple[Difference, ...]:
    return tuple(sorted(differences, key=lambda one: one.key_arn))


def _evaluated(item: PlanItem) -> tuple[VerdictKind, frozenset[str]]:
    """The verdict and the rules behind it; their sentences age from day to day."""
    return item.verdict, frozenset(reason.rule for reason in item.reasons)


def _why(item: PlanItem) -> str:
    return "; ".join(f"{reason.rule}: {reason.message}" for reason in item.reasons)
