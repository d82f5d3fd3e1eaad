"""What reports show of plans and results: terminal, Markdown and HTML present the same sums.

A view is made in one pass, because the items of a large plan are on disk.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

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
from .gap_rows import GapRow, gap_rows
from .key_rows import KeyRow, Table, key_table, plan_row

if TYPE_CHECKING:  # it imports AWS's libraries
    from ..journal import KeyRecord

READABLE_ROWS = 60
"""Larger tables are grouped or cut for people; JSON, CSV and the plan have every key."""

FIRST_REASONS: Final = (
    "Keys on hold list the first reasons found. keysweep plan --explain lists all of them."
)
NO_CODE = (
    "No Terraform state or stack with resources was given (--tfstate, --cfn-stack). If code "
    "declares a deleted key, its next deployment creates the key again."
)


@dataclass
class Sum:
    """A number of keys and their monthly cost in US dollars, at list price."""

    keys: int = 0
    monthly_cost_usd: float = 0.0

    def add(self, monthly_cost_usd: float) -> None:
        """Count one more key."""
        self.keys += 1
        self.monthly_cost_usd += monthly_cost_usd


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

    def one(result: KeyResult) -> KeyResult:
        if (item := planned.get(result.key_arn)) is not None:
            return replace(result, alias=item.evidence.alias, owner=item.owner)
        if (record := records.get(result.key_arn)) is not None:
            return replace(result, alias=record.alias, owner=record.owner)
        return result

    return tuple(map(one, results))


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


# --- tables ------------------------------------------------------------------------------------


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
