"""The deletions in journals as rows for an audit: what was approved, by whom, what became of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from .journal import Deletion
from .models import AppliedException, KeyArn, Model, Time

INTERRUPTED: Final = "interrupted"
"""Outcome of a request without one in the journals."""

CANCELLED: Final = "cancelled"
"""Final state of a cancelled deletion that was not the last one of its key."""


class AuditRow(Model):
    """One request to delete a key."""

    key_arn: KeyArn
    """ARN of the key."""
    alias: str = ""
    """First alias of the key when the plan was made; empty: none, or unknown."""
    owner: str | None = None
    """Owner of the key when the plan was made; absent: unknown."""
    plan_digest: str | None = None
    """Digest of the reviewed plan."""
    exceptions: tuple[AppliedException, ...] = ()
    """Exceptions on which the key rested, with reason and approver."""
    ticket: str | None = None
    """Change ticket, from `--ticket`."""
    approved_by: str | None = None
    """Approver, from `--approved-by`."""
    caller: str | None = None
    """ARN of the identity that ran `apply`."""
    requested_at: Time
    """When the deletion was requested."""
    pending_window_days: int | None = None
    """Waiting period in days."""
    outcome: str
    """Outcome of the request in the journal; `interrupted`: none."""
    deletion_date: Time | None = None
    """Date on which AWS was to delete the key."""
    cancelled_at: Time | None = None
    """When the deletion was cancelled through the journal."""
    cancelled_by: str | None = None
    """ARN of the identity that cancelled it."""
    final_state: str
    """Key state now, as in StatusRow; of a request before the last one about the key, what became
    of it."""
    rebuilt: bool = False
    """Whether the journal was rebuilt: then these are the facts of CloudTrail's event and the plan,
    and what else the lost journal knew is unknown."""


def audit(found: Iterable[Deletion], states: Mapping[KeyArn, str]) -> tuple[AuditRow, ...]:
    """Rows of these deletions, of the keys with a state; each key's oldest first."""
    found = [one for one in found if one.intent.key_arn in states]
    last = {one.intent.key_arn: one for one in found}
    rows = (_row(one, states if last[one.intent.key_arn] is one else {}) for one in found)
    return tuple(sorted(rows, key=lambda row: row.key_arn))


def _row(one: Deletion, states: Mapping[KeyArn, str]) -> AuditRow:
    intent, run, outcome, ended = one.intent, one.run, one.outcome, one.cancelled_in
    became = INTERRUPTED if outcome is None else outcome.outcome.value
    return AuditRow(
        key_arn=intent.key_arn,
        alias=intent.alias or "",
        owner=intent.owner,
        plan_digest=None if run is None else run.plan_digest,
        exceptions=one.exceptions,
        ticket=None if run is None else run.ticket,
        approved_by=None if run is None else run.approved_by,
        caller=None if run is None else run.caller,
        requested_at=intent.time,
        pending_window_days=intent.pending_window_days,
        outcome=became,
        deletion_date=None if outcome is None else outcome.deletion_date,
        cancelled_at=None if one.cancelled is None else one.cancelled.time,
        cancelled_by=None if ended is None else ended.caller,
        final_state=states.get(intent.key_arn) or (CANCELLED if one.cancelled else became),
        rebuilt=one.rebuilt,
    )
