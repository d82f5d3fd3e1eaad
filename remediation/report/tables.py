"""What is shown of plans, results and states, as tables of plain values; free of any layout."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ..guard import GuardRow
from ..journal import History
from ..models import (
    CoverageGap,
    Evidence,
    KeyResult,
    Outcome,
    PlanItem,
    References,
    Unmapped,
    VerdictKind,
)
from ..plan import Plan
from ..plan_diff import PlanDiff
from ..policy_view import PolicyView
from ..status import Status, StatusRow

READABLE_ROWS = 60
"""More keys than this are shown to people in groups; JSON, CSV and the plan keep every one."""


MANY_ALIKE = 3
"""A reason that holds so many keys, word for word, is told once."""


@dataclass(frozen=True)
class Table:
    """A heading, the names of the columns and rows of text."""

    heading: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Report:
    """Tables in the order to read them, then lines of plain text."""

    tables: tuple[Table, ...]
    lines: tuple[str, ...]


@dataclass
class Sum:
    """Keys that are told of together, and their list prices a month in US dollars."""

    keys: int = 0
    costs: float = 0.0

    def add(self, item: PlanItem) -> None:
        """Count one more key."""
        self.keys += 1
        self.costs += item.monthly_cost_usd


def money(dollars: float) -> str:
    """A list price a month: `$3`, or `$1,234`."""
    return f"${dollars:,.0f}"


def name_of(evidence: Evidence) -> str:
    """How people know a key: its first alias, else nothing."""
    return evidence.aliases[0] if isinstance(evidence.aliases, tuple) and evidence.aliases else ""


def of_plan(plan: Plan, *, every_key: bool = False) -> Report:
    """The plan: what would be scheduled, what is held and why, what is skipped."""
    chosen, held, skipped = (plan.by_verdict[kind] for kind in VerdictKind)
    notes = _Notes(plan.items)
    tables = []
    if chosen:
        heading = f"To schedule: {len(chosen)} keys, {money(plan.summary.monthly_cost_usd)} a month"
        tables.append(_keys(heading, chosen, notes, every_key=every_key))
        tables.append(_savings(chosen))
    if held:
        tables.append(_keys(f"Held: {len(held)} keys", held, notes, every_key=every_key))
    if skipped:
        tables.append(_keys(f"Skipped: {len(skipped)} keys", skipped, notes, every_key=every_key))
    tables += beside_the_keys(plan, every_key=every_key)
    lines = notes.lines() + _gaps(plan.items) + _not_offered(plan.items)
    lines += [
        f"{len(chosen)} to schedule, {len(held)} held, {len(skipped)} skipped; "
        f"deleting saves {money(plan.summary.monthly_cost_usd)} a month "
        f"({money(12 * plan.summary.monthly_cost_usd)} a year, list price)."
    ]
    exceptions = Counter((w.rule, w.reason) for item in plan.items for w in item.exceptions)
    lines += [
        f"Waived by the policy: {rule} for {count} keys ({reason})."
        for (rule, reason), count in sorted(exceptions.items())
    ]
    if len(plan.unmapped) > READABLE_ROWS and not every_key:
        lines.append("More findings of code lead to no live key: --format csv lists all.")
    if not plan.code_looked_at:
        lines.append(
            "No infrastructure code that owns anything was given (--tfstate, --cfn-stack): "
            "Terraform would create its own keys again."
        )
    lines += plan.warnings
    lines += [f"{bad.source}, {bad.position}: {bad.problem}" for bad in plan.unusable]
    lines += plan.limits
    return Report(tuple(tables), tuple(lines))


def beside_the_keys(plan: Plan, *, every_key: bool) -> list[Table]:
    """Findings that lead to no key, and what differs from an earlier plan."""
    tables = []
    if plan.unmapped:
        tables.append(_unmapped(plan.unmapped if every_key else plan.unmapped[:READABLE_ROWS]))
    if plan.since is not None:
        tables.append(_since(plan, plan.since, every_key=every_key))
    return tables


def _since(plan: Plan, since: PlanDiff, *, every_key: bool) -> Table:
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
    """Findings of code without a key: several checks of one place are told once."""
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
    heading = f"In code, and no live key known: {len(rows)}"
    return Table(heading, ("file", "address", "reason", "to resolve it"), tuple(rows))


def _savings(chosen: Sequence[PlanItem]) -> Table:
    """What deleting saves whom."""
    groups: dict[tuple[str, str], Sum] = defaultdict(Sum)
    for item in chosen:
        groups[item.account_id, item.owner or "nobody known"].add(item)
    return Table(
        "Saved, by account and owner (list price)",
        ("account", "owner", "keys", "a month", "a year"),
        tuple(
            (account, owner, str(its.keys), money(its.costs), money(12 * its.costs))
            for (account, owner), its in sorted(groups.items())
        ),
    )


def _gaps(items: Iterable[PlanItem]) -> list[str]:
    """Services that could not be asked: where, why, how many keys that holds, how to go on."""
    held = Counter[str]()
    gaps: dict[str, set[CoverageGap]] = defaultdict(set)
    for item in items:
        of_item = {gap for reason in item.reasons for gap in reason.gaps}
        held.update({gap.service for gap in of_item})
        for gap in of_item:
            gaps[gap.service].add(gap)
    lines = []
    for service, found in sorted(gaps.items()):
        regions = ", ".join(sorted({gap.region for gap in found}))
        whys = "; ".join(sorted({gap.why for gap in found}))
        allow = sorted({gap.permission for gap in found if gap.permission})
        cure = f"allow {', '.join(allow)}, or " if allow else ""
        lines.append(
            f"Not asked: {service} in {regions} ({whys}); holds {held[service]} keys. To go "
            f"on, {cure}add to the policy: coverage_exceptions: "
            f"[{{service: {service}, regions: [{regions}], reason: ...}}]"
        )
    return lines


def absent_services(items: Iterable[PlanItem]) -> dict[str, list[str]]:
    """By Region, the services that it does not offer and that were not asked for that reason."""
    found: dict[str, set[str]] = defaultdict(set)
    for item in items:
        seen = item.evidence.references
        if isinstance(seen, References):
            for absences in seen.absent or ():
                found[absences.region] |= {one.service for one in absences.services}
    return {region: sorted(services) for region, services in sorted(found.items())}


def _not_offered(items: Iterable[PlanItem]) -> list[str]:
    return [
        f"Not offered in {region}, so not asked: {len(services)} services (no host in DNS, "
        f"not in AWS's public list): {', '.join(services)}."
        for region, services in absent_services(items).items()
    ]


class _Notes:
    """Reasons that hold many keys alike, told once below the tables and numbered in the rows."""

    def __init__(self, items: Iterable[PlanItem]) -> None:
        self._keys = Counter(
            message for item in items for message in {reason.message for reason in item.reasons}
        )
        self._numbers: dict[str, int] = {}

    def why(self, item: PlanItem) -> str:
        """The reasons of one key, each cause once, with the rules that it sets off."""
        rules: dict[str, list[str]] = {}
        for reason in item.reasons:
            rules.setdefault(reason.message, []).append(reason.rule)
        return "; ".join(f"{', '.join(ids)}{self._told(message)}" for message, ids in rules.items())

    def _told(self, message: str) -> str:
        if self._keys[message] < MANY_ALIKE:
            return f": {message}"
        return f" [{self._numbers.setdefault(message, len(self._numbers) + 1)}]"

    def lines(self) -> list[str]:
        """The numbered reasons, with how many keys each holds."""
        return [
            f"[{number}] {message} ({self._keys[message]} keys)"
            for message, number in self._numbers.items()
        ]


def _keys(heading: str, items: Sequence[PlanItem], notes: _Notes, *, every_key: bool) -> Table:
    if every_key or len(items) <= READABLE_ROWS:
        rows = tuple(
            (
                item.key_arn.key_id,
                name_of(item.evidence),
                item.account_id,
                item.region,
                money(item.monthly_cost_usd),
                item.owner or "",
                notes.why(item),
            )
            for item in items
        )
        return Table(
            heading, ("key", "alias", "account", "Region", "a month", "owner", "why"), rows
        )
    groups: dict[tuple[str, str, str], Sum] = defaultdict(Sum)
    for item in items:
        rule = item.reasons[0].rule if item.reasons else ""
        groups[item.account_id, item.owner or "", rule].add(item)
    grouped = tuple(
        (account, owner, rule, str(its.keys), money(its.costs))
        for (account, owner, rule), its in sorted(groups.items())
    )
    return Table(heading, ("account", "owner", "rule", "keys", "a month"), grouped)


def of_results(results: Iterable[KeyResult], *, every_key: bool = False) -> Report:
    """What `apply` or `cancel` did: a row a key, the counts last."""
    results = tuple(results)
    counts = Counter(result.outcome for result in results)
    shown = results
    lines = []
    if not every_key and len(results) > READABLE_ROWS:
        left = tuple(r for r in results if r.outcome not in {Outcome.SCHEDULED, Outcome.CANCELLED})
        shown = left[:READABLE_ROWS]
        cut = len(left) - len(shown)
        which = f"{cut} of them not done" if cut else "those that were done"
        lines.append(f"{len(results) - len(shown)} more keys, {which}: --format json lists all.")
    rows = tuple(
        (
            result.key_arn.key_id,
            result.key_arn.account_id,
            result.key_arn.region,
            result.outcome.value,
            f"{result.deletion_date:%Y-%m-%d %H:%M} UTC" if result.deletion_date else "",
            result.message,
        )
        for result in shown
    )
    table = Table(
        "Results", ("key", "account", "Region", "outcome", "deletion date", "message"), rows
    )
    lines.append(", ".join(f"{counts[o]} {o.value}" for o in Outcome if counts[o]) or "no keys")
    return Report((table,) if rows else (), tuple(lines))


def of_status(status: Status, *, every_key: bool = False) -> Report:
    """The keys of the journal as they are now."""
    rows = status.rows if every_key else tuple(sorted(status.rows, key=_urgency))[:READABLE_ROWS]
    table = Table(
        "Scheduled by this journal",
        ("key", "account", "Region", "state", "deletion date", "days left", "saves", "drift"),
        tuple(
            (
                row.key_arn.key_id,
                row.key_arn.account_id,
                row.key_arn.region,
                row.state,
                f"{row.deletion_date:%Y-%m-%d}" if row.deletion_date else "",
                "" if row.days_left is None else str(row.days_left),
                money(row.monthly_cost_usd),
                row.drift,
            )
            for row in rows
        ),
    )
    lines = [
        f"{status.pending} pending, {status.deleted} deleted, {status.drifted} drifted; "
        f"{money(status.monthly_cost_usd)} a month no longer charged (list price)."
    ]
    if len(rows) < len(status.rows):
        lines.append(f"{len(status.rows) - len(rows)} more keys: --format json lists all.")
    return Report((table,) if rows else (), (*lines, *status.problems, *status.notes))


def of_guard(rows: Iterable[GuardRow], history: History) -> Report:
    """Keys with something to report; empty if there are none."""
    shown = [row for row in rows if row.in_use or row.unreadable or row.notes]
    table = Table(
        "Keys that need attention",
        ("key", "account", "Region", "state", "deletion date", "use", "why"),
        tuple(
            (
                row.key_arn.key_id,
                row.key_arn.account_id,
                row.key_arn.region,
                row.state,
                f"{row.deletion_date:%Y-%m-%d}" if row.deletion_date else "",
                row.use,
                "; ".join(_told(row)),
            )
            for row in sorted(shown, key=lambda row: (not row.in_use, row.key_arn))
        ),
    )
    lines = []
    if any(row.in_use and row.cancellation is None for row in shown):
        lines.append("Restore the keys in use with: keysweep guard --cancel")
    return Report((table,) if shown else (), (*lines, *history.problems, *history.notes))


def _told(row: GuardRow) -> Iterator[str]:
    if (done := row.cancellation) is not None:
        yield f"{done.outcome.value} ({done.message})" if done.message else done.outcome.value
    yield from (f"{sign.rule}: {sign.message}" for sign in row.signs)
    yield from (f"could not be read, {one.rule}: {one.message}" for one in row.unreadable)
    yield from row.notes


def of_policy(view: PolicyView) -> Report:
    """What a decision policy amounts to."""
    values = Table(
        "Values",
        ("name", "value", "default", "meaning"),
        tuple(
            (
                one.name,
                _said(one.value),
                "" if one.value == one.default else _said(one.default),
                one.meaning,
            )
            for one in view.values
        ),
    )
    rules = Table(
        "Rules",
        ("rule", "needs", "why it holds", "what clears it"),
        tuple(
            (rule.id, "\n".join(need.piece for need in rule.needs), rule.sentence, rule.clears)
            for rule in view.rules
        ),
    )
    exceptions = Table(
        "Waivers",
        ("rule", "key", "until", "state", "reason"),
        tuple(
            (
                rule.id,
                exception_for.key,
                exception_for.until,
                exception_for.state,
                exception_for.reason,
            )
            for rule in view.rules
            for exception_for in rule.exceptions
        ),
    )
    overrides = Table(
        "Overrides",
        ("accounts", "Regions", "values"),
        tuple(
            (
                _said(one.accounts) or "all",
                _said(one.regions) or "all",
                ", ".join(f"{name}: {value}" for name, value in one.values.items()),
            )
            for one in view.overrides
        ),
    )
    asked = view.references
    lines = [
        f"{asked.entries} entries about {asked.services} services say which resources name a key: "
        f"{asked.calls} API calls (policies/key_references.yaml).",
        *(f"May stay unread: {gap.service} ({gap.reason})." for gap in asked.accepted_gaps),
    ]
    shown = (values, rules, exceptions, overrides)
    return Report(tuple(table for table in shown if table.rows), tuple(lines))


def _said(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _urgency(row: StatusRow) -> tuple[bool, float]:
    return not row.drift, float("inf") if row.days_left is None else float(row.days_left)
