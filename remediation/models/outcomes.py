"""Results of `apply` and `cancel`."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field
from pydantic.dataclasses import dataclass

from .base import SLIM, Model, Time
from .keys import KeyArn


class Outcome(StrEnum):
    """Outcome for a key, in `--format json` and the journal."""

    SCHEDULED = "scheduled"
    """Its deletion is pending, scheduled by this run or an earlier run of the plan."""
    ALREADY_PENDING = "already_pending"
    """Its deletion was already pending by another request. Nothing was changed."""
    CHANGED = "changed"
    """Changed since the review: not scheduled, or its deletion was cancelled at once."""
    CANCELLED = "cancelled"
    """Its deletion was cancelled, and any further requested step is done. In the journal: the
    operation of this line is done."""
    UNCHANGED = "unchanged"
    """Nothing to cancel, or the pending deletion is not the journal's. A key that is not found is
    `failed`."""
    FAILED = "failed"
    """Failed, or unconfirmed; see the message."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SLIM)
class KeyResult:
    """Result of `apply` or `cancel` for a key."""

    key_arn: KeyArn
    """ARN of the key."""
    outcome: Outcome
    """Outcome for the key."""
    alias: str = ""
    """First alias of the key, from the journal or plan; empty: none, or unknown."""
    owner: str | None = None
    """Owner of the key, from the journal or plan; None: unknown."""
    deletion_date: Time | None = None
    """When AWS deletes the key; None: not pending, or unknown (a primary that waits for its
    replicas)."""
    message: str = Field(default="")
    """Explanation; can be empty."""


class Outcomes(Model):
    """Report of `apply` or `cancel`."""

    summary: dict[Outcome, int]
    """Number of keys by outcome, without zeros."""
    results: tuple[KeyResult, ...]
    """Results, sorted by key ARN."""
