"""State of the keys that the journal scheduled: deletion date, savings, drift."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import TypeAdapter
from pydantic.dataclasses import dataclass

from . import attention
from .access import Access
from .audit import AuditRow, audit
from .aws import Accounts, select
from .aws.failures import explain
from .errors import AccountUnavailable, TruncatedResponse
from .evidence.description import describe
from .files import json_with_list
from .journal import Deletion, History, KeyRecord
from .lifecycle import (
    CANCELLED_ELSEWHERE,
    GONE,
    GONE_EARLY,
    NOT_VISIBLE_YET,
    PENDING,
    RESCHEDULED_ELSEWHERE,
    WATCHED,
    Situation,
    State,
    checked_at,
    is_near,
    is_unwatched,
    state_of,
    undetermined_origin,
)
from .models import SLIM, KeyArn, KeyDescription, Model, NotFound, Time
from .runner import each_key
from .workers import Report, Workers

_ACCOUNTS_EACH: Final = 8
"""Accounts that a worker reads at a time."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SLIM)
class StatusRow:
    """One key of the journal."""

    key_arn: KeyArn
    """ARN of the key."""
    alias: str = ""
    """First alias of the key in the journal; empty: none, or unknown."""
    owner: str | None = None
    """Owner of the key in the journal; None: unknown."""
    state: str
    """Key state; `deleted` if the key was not found, `unknown` if it could not be read."""
    situation: Situation | None = None
    """How AWS and the journal fit together; absent if the key could not be read."""
    scheduled_at: Time | None = None
    """Time of the request in the journal."""
    deletion_date: Time | None = None
    """Deletion date in AWS; of a key that was not found, the one in the journal."""
    days_left: int | None = None
    """Whole days until the deletion date."""
    monthly_cost_usd: float = 0.0
    """Monthly cost in US dollars (list price) that is no longer charged; 0 if the key is not
    pending deletion."""
    drift: str = ""
    """How the key differs from the journal; empty if it does not, or could not be read."""
    unreadable: str = ""
    """Why the key could not be read; empty if it was read."""
    checked_at: Time | None = None
    """When `guard`, or `apply` before it scheduled the key, last read the attempts to use it."""
    unwatched: bool = False
    """Whether the journal's deletion is pending, and nothing has checked the key for 3 days."""
    near: bool = False
    """Whether the journal's deletion is pending, and its date is at most 3 days away."""
    rebuilt: bool = False
    """Whether the journal was rebuilt: that it began the deletion is known from CloudTrail."""


class Status(Model):
    """All rows, totals, and the state of the journals."""

    rows: tuple[StatusRow, ...]
    """Keys that the journal scheduled or has open intents for, in order of their ARNs."""
    pending: int
    """Number of keys pending deletion that have a deletion date."""
    deleted: int
    """Number of keys that were not found."""
    drifted: int
    """Number of keys that differ from the journal."""
    unreadable: int = 0
    """Number of keys that could not be read."""
    cancelled: int = 0
    """Number of keys whose deletion was cancelled through the journals; only `--all` lists them."""
    monthly_cost_usd: float
    """Monthly cost in US dollars (list price) saved by keys pending deletion or deleted."""
    warnings: tuple[str, ...] = ()
    """Keys that nothing checks, or that are deleted soon; empty if there are none."""
    audit: tuple[AuditRow, ...] = ()
    """Every deletion in the journals, in order of the keys' ARNs; only with `--all`."""
    notes: tuple[str, ...] = ()
    """Keys that the options left out, and incomplete last lines of interrupted runs."""
    problems: tuple[str, ...] = ()
    """Damage to the journals; empty if there is none."""

    @property
    def unreadable_rows(self) -> tuple[StatusRow, ...]:
        """The keys that could not be read."""
        return tuple(row for row in self.rows if row.situation is None)


def json_parts(status: Status) -> Iterator[str]:
    """The status as a JSON document, in parts."""
    head = status.model_dump_json(indent=2, exclude={"rows"})
    rows = (_ROW.dump_json(row, indent=2).decode() for row in status.rows)
    return json_with_list(head, "rows", rows)


_ROW: Final = TypeAdapter(StatusRow)


def status(
    history: History,
    accounts: Accounts,
    every: Iterable[Deletion] | None = None,
    *,
    jobs: int = 1,
    check: str = "keysweep guard",
    notice: Callable[[str], None] = lambda _message: None,
) -> Status:
    """Read each key of the journal again and compare.

    With `every` deletion of the journals, also keys whose deletion was cancelled or failed. `jobs`
    is the number of processes that read, `check` the command that checks the keys. `notice` is
    called with a message about each process that becomes silent.
    """
    watched = [
        arn
        for arn, record in sorted(history.keys.items())
        if every is not None or record.scheduled_outcome is not None or record.undecided is not None
    ]
    selected = select(accounts, watched)
    records = [history.keys[arn] for arn in selected.keys]
    found = _by_account(records, accounts, jobs, notice)
    rows = tuple(
        replace(row, alias=record.alias, owner=record.owner, rebuilt=record.rebuilt)
        for row, record in zip(found, records, strict=True)
    )
    return Status(
        rows=rows,
        pending=sum(row.situation in PENDING and row.deletion_date is not None for row in rows),
        deleted=sum(row.situation in GONE for row in rows),
        drifted=sum(bool(row.drift) for row in rows),
        cancelled=sum(_is_cancelled(record) for record in history.keys.values()),
        unreadable=sum(row.situation is None for row in rows),
        monthly_cost_usd=sum(row.monthly_cost_usd for row in rows),
        warnings=attention.sentences(
            (
                attention.Waiting(
                    row.key_arn, row.checked_at, row.deletion_date, row.unwatched, row.near
                )
                for row in rows
            ),
            check,
        ),
        audit=audit(every or (), {row.key_arn: row.state for row in rows}),
        notes=(*selected.notes, *history.notes),
        problems=history.problems,
    )


def _is_cancelled(record: KeyRecord) -> bool:
    return record.cancelled is not None and record.scheduled_outcome is None


def _by_account(
    records: Sequence[KeyRecord],
    accounts: Accounts,
    jobs: int,
    notice: Callable[[str], None],
) -> tuple[StatusRow, ...]:
    """The row of each record, from this process or from workers."""
    of_accounts: dict[str, list[KeyRecord]] = {}
    for record in records:
        of_accounts.setdefault(record.key_arn.account_id, []).append(record)
    number = min(jobs, len(of_accounts))
    if number <= 1:
        return _rows(accounts, records)
    with (
        Workers(accounts, _Reading(), number, lambda _piece, _keys: None, notice) as workers,
        ThreadPoolExecutor(_ACCOUNTS_EACH * number) as threads,
    ):
        found = threads.map(partial(_rows_of_account, workers), of_accounts.values())
        by_key = {row.key_arn: row for rows in found for row in rows}
    return tuple(by_key[record.key_arn] for record in records)


def _rows_of_account(workers: Workers, records: Sequence[KeyRecord]) -> Sequence[StatusRow]:
    try:
        account = records[0].key_arn.account_id
        what = f"account {account}"
        rows: Sequence[StatusRow] = workers.run(account, records, what, len(records))
    except AccountUnavailable as error:
        return [_unreadable(record.key_arn, str(error)) for record in records]
    return rows


class _Reading:
    """The job of workers: the rows of an account's keys."""

    def start(self, accounts: Accounts, _report: Report) -> Callable[..., tuple[StatusRow, ...]]:
        """A function that makes the rows."""
        return partial(_rows, accounts)


def _rows(accounts: Accounts, records: Sequence[KeyRecord]) -> tuple[StatusRow, ...]:
    return each_key(records, lambda record: _row(record, accounts), _unreadable)


def _unreadable(arn: KeyArn, why: str) -> StatusRow:
    return StatusRow(key_arn=arn, state="unknown", unreadable=why)


def _row(record: KeyRecord, accounts: Accounts) -> StatusRow:
    arn = record.key_arn
    try:
        connection = accounts.connect(arn.account_region)
        seen = describe(connection, arn)
    except AccountUnavailable as error:
        return _unreadable(arn, str(error))
    except (ClientError, BotoCoreError, TruncatedResponse) as error:
        return _unreadable(arn, explain(error, connection).unreadable)
    now = connection.clock.now()
    cost = record.scheduled.monthly_cost_usd if record.scheduled is not None else None
    scheduled_at = record.scheduled.time if record.scheduled is not None else None
    state = state_of(record, seen, now)
    if isinstance(seen, NotFound):
        return StatusRow(
            key_arn=arn,
            state="deleted",
            situation=state.situation,
            scheduled_at=scheduled_at,
            deletion_date=state.promised,
            monthly_cost_usd=cost or 0.0,
            drift=GONE_EARLY if state.situation is Situation.GONE_EARLY else "",
        )
    watched = state.situation in WATCHED
    return StatusRow(
        key_arn=arn,
        state=seen.key_state,
        situation=state.situation,
        scheduled_at=scheduled_at,
        deletion_date=seen.deletion_date,
        days_left=None if seen.deletion_date is None else max(0, (seen.deletion_date - now).days),
        monthly_cost_usd=(cost or 0.0) if seen.key_state == "PendingDeletion" else 0.0,
        drift=_drift(record, seen, state, accounts.access),
        checked_at=checked_at(record),
        unwatched=watched and is_unwatched(record, now),
        near=watched and is_near(seen.deletion_date, now),
    )


def _drift(record: KeyRecord, seen: KeyDescription, state: State, access: Access) -> str:
    if state.situation is Situation.UNDETERMINED:
        return undetermined_origin(record.key_arn, access)
    if interrupted := record.interrupted(access):
        return interrupted
    if state.situation is Situation.NOT_VISIBLE_YET:
        return NOT_VISIBLE_YET
    if state.situation is Situation.CANCELLED_ELSEWHERE:
        return f"{CANCELLED_ELSEWHERE}: the key is {seen.key_state}"
    if state.situation is Situation.DRIFTED:
        was = f"; the date was {state.promised:%Y-%m-%d}" if state.promised else ""
        return f"{RESCHEDULED_ELSEWHERE}{was}"
    return ""
