"""The row of a key in any report, and tables of such rows.

A new column is a field of `KeyRow` and an entry in `_CELLS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final, Self

from ..models import UNKNOWN, AppliedException, KeyArn, Outcome, PlanItem
from .evidence_words import Lines, in_words

if TYPE_CHECKING:  # they import AWS's libraries
    from ..audit import AuditRow
    from ..guard import GuardRow
    from ..status import StatusRow


class Link(str):
    """A cell that links another file, on a page."""

    __slots__ = ("href",)
    href: str

    def __new__(cls, text: str, href: str) -> Self:
        """`href` is a relative URL."""
        made = super().__new__(cls, text)
        made.href = href
        return made


@dataclass(frozen=True)
class Table:
    """A heading, the names of the columns and rows of text."""

    heading: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRow:
    """One key in any report."""

    key_arn: KeyArn
    state: str
    """Verdict, outcome or key state."""
    alias: str = ""
    owner: str = UNKNOWN
    lead: str = ""
    """Whom to ask about the key."""
    monthly_cost_usd: float | None = 0.0
    """None: unknown."""
    pending_window_days: int | None = None
    deletion_date: datetime | None = None
    days_left: int | None = None
    use: str = ""
    """Attempts to use the key, for `guard`."""
    why: tuple[tuple[str, str], ...] = ()
    """What decided the state: a rule or other source, and its sentence."""
    exceptions: tuple[tuple[str, str], ...] = ()
    """The same, for exceptions of the policy."""
    evidence: tuple[Lines, ...] = ()
    """Only for pages, which fold it below the row."""


Cell = Callable[[KeyRow], str]

IDENTITY: Final = ("key", "alias", "account", "Region", "owner")
"""The columns that every table of keys begins with."""

_CELLS: Final[Mapping[str, Cell]] = {
    "key": lambda row: row.key_arn.key_id,
    "alias": lambda row: row.alias,
    "account": lambda row: row.key_arn.account_id,
    "Region": lambda row: row.key_arn.region,
    "owner": lambda row: row.owner,
    "lead": lambda row: "" if row.lead == row.alias else row.lead,
    "monthly cost": lambda row: money(row.monthly_cost_usd),
    "waiting period": lambda row: (
        f"{row.pending_window_days} days" if row.pending_window_days else ""
    ),
    "state": lambda row: row.state,
    "outcome": lambda row: row.state,
    "deletion date": lambda row: f"{row.deletion_date:%Y-%m-%d}" if row.deletion_date else "",
    "days left": lambda row: "" if row.days_left is None else str(row.days_left),
    "use": lambda row: row.use,
}


def key_table(heading: str, rows: Iterable[KeyRow], columns: Sequence[str], **own: Cell) -> Table:
    """A table of keys. `own` replaces cells, or adds columns that only this report has."""
    cells = [{**_CELLS, **own}[column] for column in columns]
    return Table(heading, tuple(columns), tuple(tuple(cell(row) for cell in cells) for row in rows))


def plan_row(
    item: PlanItem, state: str, *, evidence: bool = False, deletion_date: datetime | None = None
) -> KeyRow:
    """A key of a plan, for pages with its evidence."""
    evidence_lines: tuple[Lines, ...] = ()
    if evidence:
        candidates = tuple(one.named_by for one in item.findings)
        evidence_lines = (
            *in_words(item.evidence),
            *((("Named by", candidates),) if candidates else ()),
        )
    return KeyRow(
        key_arn=item.key_arn,
        state=state,
        alias=item.evidence.alias,
        owner=item.owner_name,
        lead=item.lead or "",
        monthly_cost_usd=item.monthly_cost_usd,
        pending_window_days=item.pending_window_days,
        deletion_date=deletion_date,
        why=tuple((reason.rule, reason.message) for reason in item.reasons),
        exceptions=exceptions_text(item.exceptions),
        evidence=evidence_lines,
    )


def status_row(row: StatusRow) -> KeyRow:
    """A key of the journal."""
    unread = (("unreadable", f"could not be read: {row.unreadable}"),) if row.unreadable else ()
    return KeyRow(
        key_arn=row.key_arn,
        alias=row.alias,
        owner=row.owner or UNKNOWN,
        state=row.state,
        monthly_cost_usd=row.monthly_cost_usd,
        deletion_date=row.deletion_date,
        days_left=row.days_left,
        why=(("drift", row.drift),) if row.drift else unread,
    )


AUDIT: Final = (
    *IDENTITY,
    *("state", "plan", "exceptions", "ticket", "approved by", "caller", "requested"),
    *("deletion date", "request", "cancelled", "cancelled by"),
)


def audit_table(rows: Iterable[AuditRow]) -> Table:
    """Every deletion in the journals."""
    return Table("Deletions in the journals", AUDIT, tuple(map(_audit_cells, rows)))


def audit_row(row: AuditRow) -> KeyRow:
    """A deletion in the journals, with a sentence for each fact about it."""
    facts = zip(AUDIT, _audit_cells(row), strict=True)
    shown = {*IDENTITY, "state"}
    return KeyRow(
        key_arn=row.key_arn,
        alias=row.alias,
        owner=row.owner or UNKNOWN,
        state=row.final_state,
        why=tuple((name, fact) for name, fact in facts if fact and name not in shown),
    )


def _audit_cells(row: AuditRow) -> tuple[str, ...]:
    def day(time: datetime | None) -> str:
        return "" if time is None else f"{time:%Y-%m-%d}"

    arn = row.key_arn
    exceptions = (
        f"{exception_text(one)}: {one.reason} ({one.approved_by}, until {one.until})"
        for one in row.exceptions
    )
    return (
        *(arn.key_id, row.alias, arn.account_id, arn.region, row.owner or UNKNOWN),
        *(row.final_state, row.plan_digest or "", "; ".join(exceptions)),
        *(row.ticket or "", row.approved_by or "", row.caller or "", day(row.requested_at)),
        *(day(row.deletion_date), row.outcome, day(row.cancelled_at), row.cancelled_by or ""),
    )


def guard_row(row: GuardRow) -> KeyRow:
    """A watched key."""
    done = row.cancellation
    cancelled = done is not None and done.outcome is Outcome.CANCELLED
    return KeyRow(
        key_arn=row.key_arn,
        alias=row.alias,
        owner=row.owner or UNKNOWN,
        state=Outcome.CANCELLED.value if cancelled else row.state,
        deletion_date=None if cancelled else row.deletion_date,
        days_left=None if cancelled else row.days_left,
        use=row.use,
        why=(
            *(((done.outcome.value, done.message),) if done is not None else ()),
            *((sign.rule, sign.message) for sign in row.signs),
            *((f"could not be read, {one.rule}", one.message) for one in row.unreadable),
            *(("", note) for note in row.notes),
        ),
    )


def exception_text(exception: AppliedException) -> str:
    """The rule that an exception lifts, and the call or Region that could not be read."""
    read = (exception.service, exception.operation, exception.region and f"in {exception.region}")
    return " ".join((exception.rule, *(part for part in read if part)))


def exceptions_text(exceptions: Iterable[AppliedException]) -> tuple[tuple[str, str], ...]:
    """The rule that each exception lifts, with reason, approver and end."""
    return tuple(
        (
            f"exception: {exception_text(one)}",
            f"{one.reason} ({one.approved_by}, until {one.until})",
        )
        for one in exceptions
    )


def joined_exceptions(row: KeyRow) -> str:
    """The exceptions of a key in one cell."""
    return "; ".join(f"{what}: {reason}" for what, reason in row.exceptions)


def money(dollars: float | None) -> str:
    """A price in US dollars: `$3`, or `$1,234`."""
    return UNKNOWN if dollars is None else f"${dollars:,.0f}"
