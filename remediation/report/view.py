"""What reports show: terminal, Markdown, CSV and HTML present the same rows and sums.

A view is made in one pass, because the items of a large plan are on disk.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Self

from ..models import (
    UNKNOWN,
    AppliedException,
    CoverageGap,
    KeyArn,
    KeyResult,
    Outcome,
    PlanItem,
    References,
    Unmapped,
    VerdictKind,
)
from ..plan import Plan
from ..plan_diff import KeyDiff, PlanDiff
from .evidence_words import Lines, in_words
from .gap_rows import GapRow, gap_rows

if TYPE_CHECKING:  # they import AWS's libraries
    from ..audit import AuditRow
    from ..guard import GuardRow
    from ..journal import KeyRecord
    from ..status import StatusRow

READABLE_ROWS = 60
"""Larger tables are grouped or cut for people; JSON, CSV and the plan have every key."""

FIRST_REASONS: Final = (
    "Keys on hold list the first reasons found. keysweep plan --explain lists all of them."
)
NO_CODE = (
    "No Terraform state or stack with resources was given (--tfstate, --cfn-stack). If code "
    "declares a deleted key, its next deployment creates the key again."
)


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


@dataclass
class Sum:
    """A number of keys and their monthly cost in US dollars, at list price."""

    keys: int = 0
    monthly_cost_usd: float = 0.0

    def add(self, monthly_cost_usd: float) -> None:
        """Count one more key."""
        self.keys += 1
        self.monthly_cost_usd += monthly_cost_usd


# --- keys --------------------------------------------------------------------------------------


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


# --- plans -------------------------------------------------------------------------------------


Owners = dict[tuple[str, str], dict[VerdictKind, Sum]]
"""By account and owner."""


class Section(StrEnum):
    """A part of a plan's keys, in the order of reports."""

    SCHEDULE = "schedule"
    """To schedule: no rule holds them."""
    ON_EXCEPTIONS = "schedule on exceptions"
    """To schedule: they would be on hold but for exceptions."""
    HOLD = "hold"
    SKIP = "skip"

    @classmethod
    def of(cls, item: PlanItem) -> Section:
        """The section of an item."""
        return cls.ON_EXCEPTIONS if item.rests_on_exceptions else cls(item.verdict.value)


@dataclass
class PlanView:
    """What reports show of a plan."""

    sums: dict[VerdictKind, Sum] = field(default_factory=lambda: {k: Sum() for k in VerdictKind})
    section_sums: dict[Section, Sum] = field(default_factory=lambda: {s: Sum() for s in Section})
    rows: dict[Section, list[KeyRow]] = field(default_factory=lambda: {s: [] for s in Section})
    """The first keys of each section."""
    groups: dict[Section, dict[tuple[str, str, str], Sum]] = field(
        default_factory=lambda: {section: defaultdict(Sum) for section in Section}
    )
    """By account, owner and first rule."""
    owners: Owners = field(default_factory=dict)
    rules: dict[str, Sum] = field(default_factory=lambda: defaultdict(Sum))
    """Keys on hold by rule. A key that several rules hold counts for each."""
    messages: Counter[str] = field(default_factory=Counter)
    """Keys by reason, as text."""
    windows: Counter[int] = field(default_factory=Counter)
    """Keys to schedule by waiting period in days."""
    exceptions: Counter[AppliedException] = field(default_factory=Counter)
    """Keys by exception."""
    gaps: Mapping[GapRow, int] = field(default_factory=dict)
    """Keys by row of coverage gaps."""
    keys_by_gap_services: Mapping[tuple[str, ...], int] = field(default_factory=dict)
    """Keys by the services of these rows."""
    absent: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """By Region, the services that are absent."""
    differences: Table | None = None
    """Differences from an earlier plan."""
    notices: tuple[str, ...] = ()

    def add(self, item: PlanItem) -> None:
        """Count one more item."""
        cost = item.monthly_cost_usd
        section = Section.of(item)
        self.sums[item.verdict].add(cost)
        self.section_sums[section].add(cost)
        rule = item.reasons[0].rule if item.reasons else ""
        self.groups[section][item.account_id, item.owner_name, rule].add(cost)
        _by_owner(self.owners, item)
        self.messages.update({reason.message for reason in item.reasons})
        self.exceptions.update(item.exceptions)
        if item.verdict is VerdictKind.SCHEDULE:
            self.windows[item.pending_window_days] += 1
        if item.verdict is VerdictKind.HOLD:
            for held_by in {reason.rule for reason in item.reasons}:
                self.rules[held_by].add(cost)
        seen = item.evidence.references
        if isinstance(seen, References):
            for absences in seen.absent or ():
                self.absent[absences.region] |= {one.service for one in absences.services}


def plan_view(
    plan: Plan, *, most: int, most_changes: int | None, evidence: bool = False
) -> PlanView:
    """View a plan, with the first `most` keys of each section and the first `most_changes`
    differences from an earlier plan. None: all."""
    view = PlanView()
    gaps = Counter[frozenset[CoverageGap]]()
    changes = _shown_changes(plan.since, most_changes)
    aliases = dict.fromkeys((one.key_arn for one in changes), "")
    for item in plan.items:
        view.add(item)
        gaps[frozenset(gap for reason in item.reasons for gap in reason.gaps)] += 1
        rows = view.rows[Section.of(item)]
        if len(rows) < most:
            rows.append(plan_row(item, item.verdict.value, evidence=evidence))
        if item.key_arn in aliases:
            aliases[item.key_arn] = item.evidence.alias
    view.gaps, view.keys_by_gap_services = _gaps(gaps)
    if plan.since is not None:
        view.differences = _differences(plan.since, changes, aliases)
    view.notices = (
        *(() if plan.code_looked_at else (NO_CODE,)),
        *plan.warnings,
        *(f"{bad.source}, {bad.position}: {bad.problem}" for bad in plan.unusable),
    )
    return view


def _gaps(
    found: Mapping[frozenset[CoverageGap], int],
) -> tuple[dict[GapRow, int], dict[tuple[str, ...], int]]:
    rows = gap_rows({gap for of_key in found for gap in of_key})
    gaps, services = Counter[GapRow](), Counter[tuple[str, ...]]()
    for of_key, keys in found.items():
        of_rows = {rows[gap] for gap in of_key}
        for row in of_rows:
            gaps[row] += keys
        for names in {row.services for row in of_rows}:
            services[names] += keys
    ordered = {row: gaps[row] for row in sorted(gaps, key=lambda row: row.position)}
    return ordered, dict(sorted(services.items()))


def _by_owner(owners: Owners, item: PlanItem) -> None:
    sums = owners.setdefault(
        (item.account_id, item.owner_name), {kind: Sum() for kind in VerdictKind}
    )
    sums[item.verdict].add(item.monthly_cost_usd)


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


# --- results -----------------------------------------------------------------------------------


@dataclass
class ResultsView:
    """What reports show of the results of `apply` and `cancel`."""

    sums: dict[Outcome, Sum] = field(default_factory=lambda: {one: Sum() for one in Outcome})
    rows: dict[Outcome, list[KeyRow]] = field(
        default_factory=lambda: {outcome: [] for outcome in Outcome}
    )
    """The first keys of each outcome."""
    periods: list[tuple[datetime, datetime]] = field(default_factory=list)
    """Waiting periods of the scheduled keys."""
    owners: Owners = field(default_factory=dict)
    """Only scheduled keys."""
    exceptions: Counter[AppliedException] = field(default_factory=Counter)
    """Keys of the plan by exception."""

    @property
    def keys(self) -> int:
        """Number of results."""
        return sum(its.keys for its in self.sums.values())

    def add(self, row: KeyRow, outcome: Outcome, most: int | None) -> None:
        """Count one more result."""
        if most is None or self.sums[outcome].keys < most:
            self.rows[outcome].append(row)
        self.sums[outcome].add(row.monthly_cost_usd or 0.0)


def identified(
    results: Iterable[KeyResult],
    planned: Mapping[KeyArn, PlanItem],
    records: Mapping[KeyArn, KeyRecord],
) -> tuple[KeyResult, ...]:
    """The results with alias and owner, from the plan or else the journal."""
    return tuple(
        replace(result, **_identity(planned.get(result.key_arn), records.get(result.key_arn)))
        for result in results
    )


def _identity(item: PlanItem | None, record: KeyRecord | None) -> dict[str, Any]:
    if item is not None:
        return {"alias": item.evidence.alias, "owner": item.owner}
    return {} if record is None else {"alias": record.alias, "owner": record.owner}


def results_view(results: Iterable[KeyResult]) -> ResultsView:
    """View results alone."""
    view = ResultsView()
    for result in results:
        row = KeyRow(
            key_arn=result.key_arn,
            alias=result.alias,
            owner=result.owner or UNKNOWN,
            state=result.outcome.value,
            deletion_date=result.deletion_date,
            why=((result.outcome.value, result.message),) if result.message else (),
        )
        view.add(row, result.outcome, None)
    return view


def applied_view(results: Iterable[KeyResult], plan: Plan, most: int) -> ResultsView:
    """View the results of `apply` with the plan, and the first `most` keys of each outcome."""
    view = ResultsView()
    by_key = {result.key_arn: result for result in results}
    for item in plan.items:
        view.exceptions.update(item.exceptions)
        result = by_key.get(item.key_arn)
        if result is None:
            continue
        end = result.deletion_date
        if result.outcome is Outcome.SCHEDULED:
            _by_owner(view.owners, item)
            if end is not None:
                view.periods.append((end - timedelta(days=item.pending_window_days), end))
        row = plan_row(item, result.outcome.value, evidence=view.sums[result.outcome].keys < most)
        why = ((result.outcome.value, result.message),) if result.message else ()
        view.add(replace(row, deletion_date=end, why=(*why, *row.why)), result.outcome, most)
    return view


# --- parts -------------------------------------------------------------------------------------


def money(dollars: float | None) -> str:
    """A price in US dollars: `$3`, or `$1,234`."""
    return UNKNOWN if dollars is None else f"${dollars:,.0f}"


def code_tables(plan: Plan, most: int | None) -> list[Table]:
    """Findings without a key."""
    return [_unmapped(plan.unmapped[:most])] if plan.unmapped else []


def _shown_changes(since: PlanDiff | None, most: int | None) -> Sequence[KeyDiff]:
    """What differs from an earlier plan; a key that is now to be scheduled comes first."""
    if since is None:
        return ()
    differences = sorted(
        (*since.new, *since.changed, *since.gone),
        key=lambda one: (one.now is not VerdictKind.SCHEDULE, one.now is None, one.key_arn),
    )
    return differences[:most]


def _differences(
    since: PlanDiff, changes: Iterable[KeyDiff], aliases: Mapping[KeyArn, str]
) -> Table:
    heading = (
        f"Since the plan of {since.created_at:%Y-%m-%d %H:%M} UTC: {len(since.new)} new, "
        f"{len(since.gone)} gone, {len(since.changed)} changed"
    )
    rows = (
        KeyRow(
            key_arn=one.key_arn,
            alias=aliases[one.key_arn],
            state=f"{one.was or 'new'} -> {one.now or 'gone'}",
            why=(("", one.why),),
        )
        for one in changes
    )
    return key_table(
        heading,
        rows,
        ("key", "alias", "account", "Region", "verdict", "why"),
        verdict=lambda row: row.state,
        why=lambda row: row.why[0][1],
    )


def _unmapped(findings: Sequence[Unmapped]) -> Table:
    """Findings in code without a key; several checks of one resource share a row."""
    rows = dict.fromkeys(
        (
            code.position,
            code.address,
            one.reason + (f": {', '.join(one.candidates)}" if one.candidates else ""),
            one.step,
        )
        for one in findings
        if (code := one.finding.code) is not None
    )
    heading = f"Findings in code without a live key: {len(rows)}"
    return Table(heading, ("file", "address", "reason", "to resolve it"), tuple(rows))
