"""What became of the keys that the journal scheduled: pending until when, saved, or drifted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import TypeAdapter
from pydantic.dataclasses import dataclass

from .aws import Accounts
from .aws.failures import explain
from .errors import AccountUnavailable, TruncatedResponse
from .evidence.description import describe
from .files import json_with_list
from .journal import History, KeyRecord
from .lifecycle import Situation, State, state_of
from .models import SLIM, KeyArn, KeyDescription, Model, NotFound, Time
from .work import each_key
from .write import GONE_EARLY, NOT_SHOWN_YET, who_began_it


@dataclass(frozen=True, slots=True, kw_only=True, config=SLIM)
class StatusRow:
    """One key of the journal, as it is now."""

    key_arn: KeyArn
    """ARN of the key."""
    state: str
    """AWS's key state; `deleted` when the key is gone, `unknown` when it cannot be read."""
    scheduled_at: Time | None = None
    """When the journal says that its deletion was asked for."""
    deletion_date: Time | None = None
    """AWS's; of a key that is gone the journal's."""
    days_left: int | None = None
    """Whole days until the deletion date."""
    monthly_cost_usd: float = 0.0
    """List price in US dollars a month that is no longer charged: 0 when the deletion does not
    stand."""
    drift: str = ""
    """How the key differs from what the journal says, or why it cannot be read; empty: neither."""


class Status(Model):
    """All rows, the sums and what is to be said about the journal itself."""

    rows: tuple[StatusRow, ...]
    """One for each key that the journal scheduled or left undecided, in the order of ARNs."""
    pending: int
    """Keys that are pending deletion, with a date for it."""
    deleted: int
    """Keys that AWS knows no more."""
    drifted: int
    """Keys that are not as the journal says, or cannot be read."""
    monthly_cost_usd: float
    """List price in US dollars a month saved by the keys that are pending or deleted."""
    notes: tuple[str, ...] = ()
    """What to know about the journal's files: lines that a kill tore."""
    problems: tuple[str, ...] = ()
    """What is wrong with the journal's own lines; empty when it is whole."""


def json_parts(status: Status) -> Iterator[str]:
    """The status as a JSON document, in parts."""
    head = status.model_dump_json(indent=2, exclude={"rows"})
    rows = (_ROW.dump_json(row, indent=2).decode() for row in status.rows)
    return json_with_list(head, "rows", rows)


_ROW: Final = TypeAdapter(StatusRow)


def status(history: History, accounts: Accounts) -> Status:
    """Read each key of the journal again, and compare."""
    records = [
        record
        for _, record in sorted(history.keys.items())
        if record.scheduled_outcome is not None or record.undecided is not None
    ]
    rows = each_key(records, lambda record: _row(record, accounts), _unknown)
    return Status(
        rows=rows,
        pending=sum(row.deletion_date is not None and row.state != "deleted" for row in rows),
        deleted=sum(row.state == "deleted" for row in rows),
        drifted=sum(bool(row.drift) for row in rows),
        monthly_cost_usd=sum(row.monthly_cost_usd for row in rows),
        notes=history.notes,
        problems=history.problems,
    )


def _unknown(arn: KeyArn, why: str) -> StatusRow:
    return StatusRow(key_arn=arn, state="unknown", drift=why)


def _row(record: KeyRecord, accounts: Accounts) -> StatusRow:
    arn = record.key_arn
    try:
        connection = accounts.connect(arn)
        seen = describe(connection, arn)
    except AccountUnavailable as error:
        return _unknown(arn, str(error))
    except (ClientError, BotoCoreError, TruncatedResponse) as error:
        return _unknown(arn, explain(error, connection).unreadable)
    now = connection.clock.now()
    cost = record.scheduled.monthly_cost_usd if record.scheduled is not None else None
    asked = record.scheduled.time if record.scheduled is not None else None
    state = state_of(record, seen, now)
    if isinstance(seen, NotFound):
        return StatusRow(
            key_arn=arn,
            state="deleted",
            scheduled_at=asked,
            deletion_date=state.promised,
            monthly_cost_usd=cost or 0.0,
            drift=GONE_EARLY if state.situation is Situation.GONE_EARLY else "",
        )
    return StatusRow(
        key_arn=arn,
        state=seen.key_state,
        scheduled_at=asked,
        deletion_date=seen.deletion_date,
        days_left=None if seen.deletion_date is None else max(0, (seen.deletion_date - now).days),
        monthly_cost_usd=(cost or 0.0) if seen.key_state == "PendingDeletion" else 0.0,
        drift=_drift(record, seen, state),
    )


def _drift(record: KeyRecord, seen: KeyDescription, state: State) -> str:
    if state.situation is Situation.UNDETERMINED:
        return who_began_it(record.key_arn)
    if record.interrupted:
        return record.interrupted
    if state.situation is Situation.LATE:
        return NOT_SHOWN_YET
    if state.situation is Situation.CANCELLED_BY_OTHERS:
        if seen.key_state in {"Disabled", "Enabled"}:
            return "somebody else cancelled its deletion"
        return f"its deletion does not stand: the key is {seen.key_state}"
    if state.situation is Situation.DRIFTED:
        if state.promised and seen.deletion_date:
            return f"its date moved from {state.promised:%Y-%m-%d}"
        return "its deletion is another one: somebody cancelled ours, and scheduled it anew"
    return ""
