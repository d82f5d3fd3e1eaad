"""The facts that every report of a plan shows; terminal, Markdown, CSV and HTML present them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..models import Evidence, PlanItem, References, Unmapped, VerdictKind
from ..plan import Plan
from ..plan_diff import PlanDiff

READABLE_ROWS = 60
"""Larger tables are grouped or cut for people; JSON, CSV and the plan have every key."""

NO_OWNER = "no owner known"
NO_CODE = (
    "No infrastructure code that owns anything was given (--tfstate, --cfn-stack): "
    "Terraform would create its own keys again."
)


@dataclass(frozen=True)
class Table:
    """A heading, the names of the columns and rows of text."""

    heading: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass
class Sum:
    """A number of keys and their monthly list price in US dollars."""

    keys: int = 0
    costs: float = 0.0

    def add(self, item: PlanItem) -> None:
        """Count one more key."""
        self.keys += 1
        self.costs += item.monthly_cost_usd


@dataclass(frozen=True)
class PlanView:
    """What reports show of a plan besides the keys themselves."""

    chosen: Sequence[PlanItem]
    held: Sequence[PlanItem]
    skipped: Sequence[PlanItem]
    saved: float
    """Monthly list price of the keys to schedule, in US dollars."""
    exceptions: Mapping[tuple[str, str, str], int]
    """Keys by rule, reason and end date of the exception."""
    gaps: Mapping[tuple[str, str, str, str], int]
    """Keys by service, Region, cause and missing permission of the coverage gap."""
    keys_by_gap_service: Mapping[str, int]
    absent: Mapping[str, Sequence[str]]
    """By Region, the services that it does not offer."""
    notices: tuple[str, ...]


def plan_view(plan: Plan) -> PlanView:
    """Gather the facts about a plan."""
    chosen, held, skipped = (plan.by_verdict[kind] for kind in VerdictKind)
    gaps = Counter[tuple[str, str, str, str]]()
    services = Counter[str]()
    for item in plan.items:
        of_item = {gap for reason in item.reasons for gap in reason.gaps}
        gaps.update((gap.service, gap.region, gap.why, gap.permission or "") for gap in of_item)
        services.update({gap.service for gap in of_item})
    notices = [] if plan.code_looked_at else [NO_CODE]
    notices += plan.warnings
    notices += (f"{bad.source}, {bad.position}: {bad.problem}" for bad in plan.unusable)
    return PlanView(
        chosen=chosen,
        held=held,
        skipped=skipped,
        saved=plan.summary.monthly_cost_usd,
        exceptions=dict(sorted(used_exceptions(plan.items).items())),
        gaps=dict(sorted(gaps.items())),
        keys_by_gap_service=dict(sorted(services.items())),
        absent=_absent_services(plan.items),
        notices=tuple(notices),
    )


def used_exceptions(items: Iterable[PlanItem]) -> Counter[tuple[str, str, str]]:
    """Keys by rule, reason and end date of the exceptions applied to them."""
    return Counter((one.rule, one.reason, one.until or "") for i in items for one in i.exceptions)


def by_owner(items: Iterable[PlanItem]) -> dict[tuple[str, str], dict[VerdictKind, Sum]]:
    """Keys and costs by account and owner, for each verdict."""
    groups: dict[tuple[str, str], dict[VerdictKind, Sum]] = {}
    for item in items:
        key = item.account_id, item.owner or NO_OWNER
        groups.setdefault(key, {kind: Sum() for kind in VerdictKind})[item.verdict].add(item)
    return dict(sorted(groups.items()))


def _absent_services(items: Iterable[PlanItem]) -> dict[str, list[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for item in items:
        seen = item.evidence.references
        if isinstance(seen, References):
            for absences in seen.absent or ():
                found[absences.region] |= {one.service for one in absences.services}
    return {region: sorted(services) for region, services in sorted(found.items())}


def money(dollars: float) -> str:
    """A price in US dollars: `$3`, or `$1,234`."""
    return f"${dollars:,.0f}"


def count_keys(number: int) -> str:
    """`1 key`, or `1,234 keys`."""
    return "1 key" if number == 1 else f"{number:,} keys"


def name_of(evidence: Evidence) -> str:
    """The first alias of a key, or nothing."""
    return evidence.aliases[0] if isinstance(evidence.aliases, tuple) and evidence.aliases else ""


def other_tables(plan: Plan, *, every_key: bool) -> list[Table]:
    """Findings without a key, and the differences from an earlier plan."""
    tables = []
    if plan.unmapped:
        tables.append(_unmapped(plan.unmapped if every_key else plan.unmapped[:READABLE_ROWS]))
    if plan.since is not None:
        tables.append(_differences(plan, plan.since, every_key=every_key))
    return tables


def _differences(plan: Plan, since: PlanDiff, *, every_key: bool) -> Table:
    """What differs from an earlier plan; a key that is now to be scheduled comes first."""
    differences = sorted(
        (*since.new, *since.changed, *since.gone),
        key=lambda one: (one.now is not VerdictKind.SCHEDULE, one.now is None, one.key_arn),
    )
    heading = (
        f"Since the plan of {since.created_at:%Y-%m-%d %H:%M} UTC: {len(since.new)} new, "
        f"{len(since.gone)} gone, {len(since.changed)} changed"
    )
    shown = differences if every_key else differences[:READABLE_ROWS]
    names = {one.key_arn: "" for one in shown}
    for item in plan.items:
        if item.key_arn in names:
            names[item.key_arn] = name_of(item.evidence)
    return Table(
        heading,
        ("key", "alias", "account", "Region", "verdict", "why"),
        tuple(
            (
                one.key_arn.key_id,
                names[one.key_arn],
                one.key_arn.account_id,
                one.key_arn.region,
                f"{one.was.value if one.was else 'new'} -> {one.now.value if one.now else 'gone'}",
                one.why,
            )
            for one in shown
        ),
    )


def _unmapped(findings: Sequence[Unmapped]) -> Table:
    """Findings in code without a key; several checks of one resource share a row."""
    rows = dict.fromkeys(
        (
            f"{code.file}:{code.first_line}",
            code.address,
            one.reason + (f": {', '.join(one.candidates)}" if one.candidates else ""),
            one.step,
        )
        for one in findings
        if (code := one.finding.code) is not None
    )
    heading = f"Findings in code without a live key: {len(rows)}"
    return Table(heading, ("file", "address", "reason", "to resolve it"), tuple(rows))
