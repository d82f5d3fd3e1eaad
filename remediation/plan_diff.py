"""The difference between a plan and an earlier one: keys that are new, gone, or changed."""

from __future__ import annotations

from collections.abc import Iterable

from .models import AppliedException, KeyArn, Model, PlanItem, Time, VerdictKind


class KeyDiff(Model):
    """One key whose verdict, or the reasons for it, changed."""

    key_arn: KeyArn
    """ARN of the key."""
    was: VerdictKind | None = None
    """Verdict in the earlier plan; None: the key was no candidate."""
    now: VerdictKind | None = None
    """Verdict now; None: the key is no candidate any more."""
    why: str = ""
    """The reasons for the verdict now, as text."""


class PlanDiff(Model):
    """The differences from an earlier plan. Keys are ordered by ARN."""

    digest: str
    """Digest of the earlier plan."""
    created_at: Time
    """When the earlier plan was made."""
    new: tuple[KeyDiff, ...] = ()
    """Keys that were no candidates then."""
    gone: tuple[KeyDiff, ...] = ()
    """Keys that are no candidates any more."""
    changed: tuple[KeyDiff, ...] = ()
    """Keys with another verdict, or with other rules or exceptions behind it."""


def compare(
    digest: str, created_at: Time, before: Iterable[PlanItem], now: Iterable[PlanItem]
) -> PlanDiff:
    """Compare the items of the plan with this digest with those of now."""
    old = {item.key_arn: _evaluated(item) for item in before}
    new, changed = [], []
    for item in now:
        was = old.pop(item.key_arn, None)
        if was is None:
            new.append(KeyDiff(key_arn=item.key_arn, now=item.verdict, why=_why(item)))
        elif was != _evaluated(item):
            changed.append(
                KeyDiff(key_arn=item.key_arn, was=was[0], now=item.verdict, why=_why(item))
            )
    gone = [
        KeyDiff(key_arn=arn, was=was[0], why="no finding names it any more")
        for arn, was in old.items()
    ]
    return PlanDiff(
        digest=digest,
        created_at=created_at,
        new=_sorted(new),
        gone=_sorted(gone),
        changed=_sorted(changed),
    )


def _sorted(differences: Iterable[KeyDiff]) -> tuple[KeyDiff, ...]:
    return tuple(sorted(differences, key=lambda one: one.key_arn))


_Evaluated = tuple[VerdictKind, frozenset[str], frozenset[AppliedException]]


def _evaluated(item: PlanItem) -> _Evaluated:
    """The verdict, and the rules or exceptions behind it.

    Without the messages, which change from day to day.
    """
    return item.verdict, frozenset(reason.rule for reason in item.reasons), _exceptions(item)


def _exceptions(item: PlanItem) -> frozenset[AppliedException]:
    return frozenset(item.exceptions if item.rests_on_exceptions else ())


def _why(item: PlanItem) -> str:
    reasons = [f"{reason.rule}: {reason.message}" for reason in item.reasons]
    exceptions = sorted(
        f"{one.rule}: exception approved by {one.approved_by} until {one.until}"
        for one in _exceptions(item)
    )
    return "; ".join(reasons + list(dict.fromkeys(exceptions)))
