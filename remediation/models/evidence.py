"""All evidence about a key. Two `Evidence` values that differ: the key has changed."""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, Final

from pydantic import BeforeValidator

from .access import Grant, KeyPolicy
from .base import Model, Time
from .declarations import Declarations
from .description import KeyDescription
from .history import AliasMoves, KeyHistory, LastUse, LaterAliases, UseAttempts
from .keys import KeyArn
from .readable import NotFound, Unreadable
from .references import References


class Cost(IntEnum):
    """Cost of reading a piece of evidence, cheapest first. Quotas: "Request quotas" (AWS KMS
    Developer Guide) and "Quotas in AWS CloudTrail"."""

    FREE = 0
    """No call."""
    DESCRIBE = 1
    """DescribeKey: 2,000 requests per second."""
    KEY_CALL = 2
    """One call per key, or one listing per account-Region: at least 100 requests per second."""
    ACCOUNT_REGION_SCAN = 3
    """Many listings per account-Region: the reference index."""
    EVENT_NAME = 4
    """CloudTrail by event name: 2 requests per second, a few pages per account-Region."""
    STACK = 5
    """DescribeStackResources, once per key. AWS publishes no quota; Keysweep assumes 20 per
    second. It follows the reads per account-Region, so that later pieces need not wait for it."""
    LAST_USE = 6
    """GetKeyLastUsage: 5 requests per second, one per key."""
    EVENT_KEY = 7
    """CloudTrail by key: 2 requests per second, one or more per key."""


def _tags_or_unreadable(tags: object) -> object:
    """Distinguish tags from `Unreadable`, which look alike in JSON. A key whose only tags are
    `unreadable`, with or without the other fields, counts as unreadable and stays on hold."""
    if isinstance(tags, dict) and {"unreadable"} <= tags.keys() <= Unreadable.model_fields.keys():
        return Unreadable(**tags)
    return tags


class Evidence(Model):
    """Evidence about a key. None: not read, because the key was already on hold."""

    key_arn: KeyArn
    """ARN of the key."""
    finding_time: Time | None = None
    """Newest scan time of the findings that made it a candidate."""
    description: KeyDescription | NotFound | Unreadable | None = None
    """Description of the key (DescribeKey)."""
    tags: Annotated[dict[str, str] | Unreadable | None, BeforeValidator(_tags_or_unreadable)] = None
    """Tag names and values (ListResourceTags)."""
    aliases: tuple[str, ...] | Unreadable | None = None
    """Aliases, as `alias/NAME`, sorted (ListAliases)."""
    grants: tuple[Grant, ...] | Unreadable | None = None
    """All grants, sorted by ID (ListGrants)."""
    key_policy: KeyPolicy | Unreadable | None = None
    """Evaluated key policy (GetKeyPolicy)."""
    rotations: int | Unreadable | None = None
    """Number of rotations (ListKeyRotations); the first two add to the monthly cost."""
    declarations: Declarations | Unreadable | None = None
    """Code and stacks that declare the key: Terraform states, findings, CloudFormation."""
    references: References | Unreadable | None = None
    """Resources of other services that name the key."""
    history: KeyHistory | Unreadable | None = None
    """Changes of the key state (CloudTrail)."""
    alias_moves: AliasMoves | Unreadable | None = None
    """Aliases that were moved away from the key (CloudTrail)."""
    later_aliases: LaterAliases | Unreadable | None = None
    """Aliases of other keys that might have been on this key before (ListAliases)."""
    last_use: LastUse | Unreadable | None = None
    """Last successful use (GetKeyLastUsage)."""
    use_attempts: UseAttempts | Unreadable | None = None
    """Attempts to use the key (CloudTrail)."""

    @property
    def alias(self) -> str:
        """First alias of the key; empty if it has none, or its aliases were not read."""
        return self.aliases[0] if isinstance(self.aliases, tuple) and self.aliases else ""

    def difference(self, before: Evidence) -> tuple[str, ...]:
        """Describe the differences from earlier evidence, among the pieces that both have."""
        found = []
        for piece in sorted(PIECES):
            old, new = getattr(before, piece), getattr(self, piece)
            if (
                old is None
                or new is None
                or (isinstance(old, Unreadable) and isinstance(new, Unreadable))
            ):
                continue
            if not _same(old, new):
                found.append(_difference(piece, old, new))
        return tuple(found)


def _same(old: object, new: object) -> bool:
    """Whether nothing happened between two reads. A history that merely aged is the same."""
    if isinstance(old, KeyHistory) and isinstance(new, KeyHistory):
        aged = old.last_change is not None and old.last_change.time < new.since
        return (new.last_change == old.last_change or (new.last_change is None and aged)) and set(
            new.cancellations
        ) <= set(old.cancellations)
    if isinstance(old, AliasMoves) and isinstance(new, AliasMoves):
        return set(new.moved) <= set(old.moved) and set(new.possible) <= set(old.possible)
    if isinstance(old, UseAttempts) and isinstance(new, UseAttempts):
        return set(new.attempts) <= set(old.attempts)
    if isinstance(old, References) and isinstance(new, References):
        return (
            set(new.found) <= set(old.found)
            and new.unread <= old.unread
            and not _newly_absent(old, new)
        )
    if isinstance(old, KeyDescription) and isinstance(new, KeyDescription):
        # Rule protected-tag evaluates the new description.
        return old.model_copy(update={"description": ""}) == new.model_copy(
            update={"description": ""}
        )
    return old == new


def _newly_absent(old: References, new: References) -> list[str]:
    """List services that are absent now and were read before. They count as changes, like new gaps.

    A former coverage gap that is absent now loses nothing, and a service that is available again
    is read.
    """
    if old.absent is None or new.absent is None:
        return []
    unread = {(gap.service, gap.region) for gap in old.gaps}
    before = {
        (one.service, one.host, one.operation, each.region)
        for each in old.absent
        for one in each.services
    }
    return [
        f"{one.service} in {each.region}"
        for each in new.absent
        for one in each.services
        if (one.service, one.host, one.operation, each.region) not in before
        and (one.service, each.region) not in unread
    ]


def _difference(piece: str, old: object, new: object) -> str:
    if isinstance(old, KeyDescription) and isinstance(new, KeyDescription):
        if old.key_state != new.key_state:
            return f"the key was {old.key_state} and is {new.key_state}"
        names = [n for n in KeyDescription.model_fields if getattr(old, n) != getattr(new, n)]
        return f"description: {', '.join(names)}"
    if isinstance(old, References) and isinstance(new, References):
        absent = _newly_absent(old, new)
        return f"{piece}: no longer offered: {', '.join(absent)}" if absent else piece
    if isinstance(old, dict) and isinstance(new, dict):
        names = sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
        return f"{piece}: {', '.join(names)}"
    return piece.replace("_", " ")


PIECES: Final = frozenset(Evidence.model_fields) - {"key_arn", "finding_time"}
"""Names of the pieces of evidence that sources read."""
