"""List the keys to confirm before a change to AWS; keys that rest on exceptions come first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from ..journal import KeyRecord
from ..models import UNKNOWN, KeyArn, PlanItem
from ..wording import counted
from .key_rows import (
    KeyRow,
    Table,
    exceptions_text,
    joined_exceptions,
    key_table,
    money,
    plan_row,
)
from .tables import Report
from .view import Sum

MOST_LISTED: Final = 20
"""More keys are summed by account."""

_COLUMNS: Final = (
    "key",
    "alias",
    "account",
    "Region",
    "owner",
    "monthly cost",
    "waiting period",
    "deletion date",
)


def rows_to_schedule(
    items: Iterable[PlanItem], admits: Callable[[KeyArn], bool], now: datetime
) -> list[KeyRow]:
    """The selected items of a plan, with their deletion dates if it is applied now."""
    return [
        plan_row(
            item,
            item.verdict.value,
            deletion_date=now + timedelta(days=item.pending_window_days),
        )
        for item in items
        if admits(item.key_arn)
    ]


def rows_to_cancel(
    keys: Iterable[KeyArn],
    records: Mapping[KeyArn, KeyRecord],
    planned: Mapping[KeyArn, PlanItem],
    dates: Mapping[KeyArn, datetime | None],
    aliases: Mapping[KeyArn, str] = MappingProxyType({}),
) -> list[KeyRow]:
    """Keys as the journal and the plan know them, with AWS's deletion dates."""
    rows = (_row_to_cancel(arn, records.get(arn), planned.get(arn), dates.get(arn)) for arn in keys)
    return [replace(row, alias=aliases.get(row.key_arn) or row.alias) for row in rows]


def _row_to_cancel(
    arn: KeyArn, record: KeyRecord | None, item: PlanItem | None, date: datetime | None
) -> KeyRow:
    if record is None:
        if item is not None:
            return plan_row(item, "", deletion_date=date)
        return KeyRow(key_arn=arn, state="", monthly_cost_usd=None, deletion_date=date)
    begun = record.scheduled or record.undecided
    return KeyRow(
        key_arn=arn,
        state="",
        alias=record.alias,
        owner=record.owner or UNKNOWN,
        monthly_cost_usd=None if begun is None else begun.monthly_cost_usd,
        pending_window_days=None if begun is None else begun.pending_window_days,
        deletion_date=date,
        exceptions=exceptions_text(record.exceptions),
    )


def of_confirmation(rows: Sequence[KeyRow], listing: str = "") -> Report:
    """The keys, or more than MOST_LISTED of them by account, the costliest account first.

    `listing` is the command that lists them all.
    """
    resting = [row for row in rows if row.exceptions]
    others = [row for row in rows if not row.exceptions]
    tables = []
    if resting:
        tables.append(_keys("Exceptions of the policy", resting, with_exceptions=True))
    if others:
        tables.append(_keys("No exceptions" if resting else "", others, with_exceptions=False))
    summed = max(len(resting), len(others)) > MOST_LISTED
    commands = (f"List every key with: {listing}",) if summed and listing else ()
    return Report(tuple(tables), (), commands=commands)


def _keys(heading: str, rows: Sequence[KeyRow], *, with_exceptions: bool) -> Table:
    total = _sum(rows)
    text = f"{counted(total.keys, 'key')}, monthly cost {money(total.monthly_cost_usd)}"
    heading = f"{heading}: {text}" if heading else text
    if len(rows) > MOST_LISTED:
        return _accounts(heading, rows)
    if not with_exceptions:
        return key_table(heading, rows, _COLUMNS)
    return key_table(heading, rows, (*_COLUMNS, "why"), why=joined_exceptions)


def _accounts(heading: str, rows: Iterable[KeyRow]) -> Table:
    accounts: dict[str, list[KeyRow]] = defaultdict(list)
    for row in rows:
        accounts[row.key_arn.account_id].append(row)
    sums = {account: _sum(group) for account, group in accounts.items()}
    return Table(
        heading,
        ("account", "keys", "monthly cost", "waiting period", "first deletion date"),
        tuple(
            (
                account,
                str(sums[account].keys),
                money(sums[account].monthly_cost_usd),
                _periods(accounts[account]),
                _first_date(accounts[account]),
            )
            for account in sorted(sums, key=lambda one: (-sums[one].monthly_cost_usd, one))
        ),
    )


def _sum(rows: Iterable[KeyRow]) -> Sum:
    total = Sum()
    for row in rows:
        total.add(row.monthly_cost_usd or 0.0)
    return total


def _periods(rows: Iterable[KeyRow]) -> str:
    days = {row.pending_window_days for row in rows if row.pending_window_days is not None}
    if not days:
        return ""
    least, most = min(days), max(days)
    return f"{most} days" if least == most else f"{least} to {most} days"


def _first_date(rows: Iterable[KeyRow]) -> str:
    dates = [row.deletion_date for row in rows if row.deletion_date is not None]
    return f"{min(dates):%Y-%m-%d}" if dates else ""
