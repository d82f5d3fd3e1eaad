"""What differs between a plan and an earlier one: keys that are new, gone, or judged otherwise."""

from __future__ import annotations

from collections.abc import Iterable

from .models import KeyArn, Model, PlanItem, Time, VerdictKind


class Difference(Model):
    """One key whose verdict, or whose reasons, are not as before."""

    key_arn: KeyArn
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
    new: tuple[Difference, ...] = ()
    gone: tuple[Difference, ...] = ()
    changed: tuple[Difference, ...] = ()


def compare(
    digest: str, created_at: Time, before: Iterable[PlanItem], now: Iterable[PlanItem]
) -> Since:
    """What became of the keys of the plan with this digest."""
    old = {item.key_arn: item for item in before}
    items = {item.key_arn: item for item in now}
    return Since(
        digest=digest,
        created_at=created_at,
        new=tuple(
            Difference(key_arn=arn, now=items[arn].verdict, why=_why(items[arn]))
            for arn in sorted(items.keys() - old.keys())
        ),
        gone=tuple(
            Difference(key_arn=arn, was=old[arn].verdict, why="no finding nominates it any more")
            for arn in sorted(old.keys() - items.keys())
        ),
        changed=tuple(
            Difference(
                key_arn=arn, was=old[arn].verdict, now=items[arn].verdict, why=_why(items[arn])
            )
            for arn in sorted(items.keys() & old.keys())
            if _judged(old[arn]) != _judged(items[arn])
        ),
    )


def _judged(item: PlanItem) -> tuple[VerdictKind, frozenset[str]]:
    """The verdict and the rules behind it; their sentences age from day to day."""
    return item.verdict, frozenset(reason.rule for reason in item.reasons)


def _why(item: PlanItem) -> str:
    return "; ".join(f"{reason.rule}: {reason.message}" for reason in item.reasons)
