"""Reports as CSV (RFC 4180): a flat table with a row for each key. Costs are plain numbers."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from ..escape import csv_cell
from ..models import UNKNOWN, KeyArn, KeyResult, PlanItem, Unmapped
from ..plan import Plan
from ..plan_diff import KeyDiff
from .key_rows import exceptions_text

if TYPE_CHECKING:  # it imports AWS's libraries
    from ..audit import AuditRow
    from ..status import StatusRow

Value = str | int | float | datetime | None

Row = Mapping[str, Value]

_KEY: Final = ("key_arn", "alias", "account_id", "region", "owner")

PLAN_COLUMNS: Final = (
    "verdict",
    *_KEY,
    "lead",
    "rule",
    "reason",
    "exceptions",
    "monthly_cost_usd",
    "pending_window_days",
    "since",
)
RESULT_COLUMNS: Final = ("outcome", *_KEY, "deletion_date", "message")
STATUS_COLUMNS: Final = (
    "state",
    *_KEY,
    "situation",
    "scheduled_at",
    "deletion_date",
    "days_left",
    "monthly_cost_usd",
    "drift",
    "unreadable",
    "checked_at",
)

AUDIT_COLUMNS: Final = (
    "final_state",
    *_KEY,
    "plan_digest",
    "exceptions",
    "ticket",
    "approved_by",
    "caller",
    "requested_at",
    "pending_window_days",
    "outcome",
    "deletion_date",
    "cancelled_at",
    "cancelled_by",
)

GONE: Final = "gone"
"""Verdict of a key of the plan given with `--since` that is no candidate any more."""

UNMAPPED: Final = "unmapped"
"""Verdict of a finding in code that leads to no live key."""


def lines(columns: Sequence[str], rows: Iterable[Row]) -> Iterator[str]:
    """The lines of the document, the names of the columns first."""
    yield _line(columns)
    for row in rows:
        yield _line([row.get(column) for column in columns])


def _line(cells: Iterable[Value]) -> str:
    text = io.StringIO()
    csv.writer(text).writerow([_cell(cell) for cell in cells])
    return text.getvalue()


def _cell(value: Value) -> str | int | float:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%SZ}"
    if isinstance(value, str):
        return csv_cell(value)
    return "" if value is None else value


def of_plan(plan: Plan) -> Iterator[str]:
    """The items, then the keys that are gone since the earlier plan and findings without a key."""
    return lines(PLAN_COLUMNS, _plan_rows(plan))


def _plan_rows(plan: Plan) -> Iterator[Row]:
    since = plan.since
    changes = {} if since is None else {one.key_arn: one for one in (*since.new, *since.changed)}
    for item in plan.items:
        yield _plan_row(item, changes.get(item.key_arn))
    if since is not None:
        yield from map(_gone, since.gone)
    yield from map(_unmapped, plan.unmapped)


def _plan_row(item: PlanItem, change: KeyDiff | None) -> Row:
    since = ""
    if change is not None:
        since = "new" if change.was is None else f"was {change.was}"
    return {
        "verdict": item.verdict.value,
        **_identity(item.key_arn, item.evidence.alias, item.owner),
        "lead": item.lead,
        "rule": "; ".join(dict.fromkeys(reason.rule for reason in item.reasons)),
        "reason": "; ".join(dict.fromkeys(reason.message for reason in item.reasons)),
        "exceptions": "; ".join(f"{what}: {why}" for what, why in exceptions_text(item.exceptions)),
        "monthly_cost_usd": item.monthly_cost_usd,
        "pending_window_days": item.pending_window_days,
        "since": since,
    }


def _gone(change: KeyDiff) -> Row:
    return {
        "verdict": GONE,
        **_identity(change.key_arn, "", None),
        "reason": change.why,
        "since": f"was {change.was}",
    }


def _unmapped(found: Unmapped) -> Row:
    code = found.finding.code
    candidates = f": {', '.join(found.candidates)}" if found.candidates else ""
    return {
        "verdict": UNMAPPED,
        "lead": "" if code is None else f"{code.position} {code.address}",
        "reason": f"{found.reason}{candidates}; {found.step}",
    }


def of_results(results: Iterable[KeyResult]) -> Iterator[str]:
    """The results of `apply`."""
    return lines(
        RESULT_COLUMNS,
        (
            {
                "outcome": one.outcome.value,
                **_identity(one.key_arn, one.alias, one.owner),
                "deletion_date": one.deletion_date,
                "message": one.message,
            }
            for one in results
        ),
    )


def of_status(rows: Iterable[StatusRow]) -> Iterator[str]:
    """The keys of the journal."""
    return lines(
        STATUS_COLUMNS,
        (
            {
                "state": one.state,
                **_identity(one.key_arn, one.alias, one.owner),
                "situation": None if one.situation is None else one.situation.value,
                "scheduled_at": one.scheduled_at,
                "deletion_date": one.deletion_date,
                "days_left": one.days_left,
                "monthly_cost_usd": one.monthly_cost_usd,
                "drift": one.drift,
                "unreadable": one.unreadable,
                "checked_at": one.checked_at,
            }
            for one in rows
        ),
    )


def of_audit(rows: Iterable[AuditRow]) -> Iterator[str]:
    """Every deletion in the journals."""
    return lines(
        AUDIT_COLUMNS,
        (
            {
                **{name: getattr(one, name) for name in AUDIT_COLUMNS if hasattr(one, name)},
                **_identity(one.key_arn, one.alias, one.owner),
                "exceptions": "; ".join(
                    f"{what}: {why}" for what, why in exceptions_text(one.exceptions)
                ),
            }
            for one in rows
        ),
    )


def _identity(arn: KeyArn, alias: str, owner: str | None) -> dict[str, Value]:
    return {
        "key_arn": str(arn),
        "alias": alias,
        "account_id": arn.account_id,
        "region": arn.region,
        "owner": owner or UNKNOWN,
    }
