"""Plans, results, states and policies as tables and lines, for terminal, Markdown and CSV."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ..guard import GuardRow
from ..journal import History
from ..models import KeyResult, Outcome, PlanItem, VerdictKind
from ..plan import Plan
from ..policy_view import PolicyView
from ..status import Status, StatusRow
from .view import (
    READABLE_ROWS,
    PlanView,
    Sum,
    Table,
    by_owner,
    count_keys,
    money,
    name_of,
    other_tables,
    plan_view,
)

MANY_ALIKE = 3
"""Print a reason shared by this many keys once."""


@dataclass(frozen=True)
class Report:
    """Tables in the order to read them, then lines of plain text."""

    tables: tuple[Table, ...]
    lines: tuple[str, ...]


def of_plan(plan: Plan, *, every_key: bool = False) -> Report:
    """A plan: the keys to schedule, the keys on hold and why, the keys to skip."""
    view = plan_view(plan)
    notes = _Notes(plan.items)
    tables = []
    if view.chosen:
        heading = f"To schedule: {count_keys(len(view.chosen))}, {money(view.saved)} a month"
        tables += [_keys(heading, view.chosen, notes, every_key=every_key), _savings(view.chosen)]
    for kind, items in (("Held", view.held), ("Skipped", view.skipped)):
        if items:
            heading = f"{kind}: {count_keys(len(items))}"
            tables.append(_keys(heading, items, notes, every_key=every_key))
    tables += other_tables(plan, every_key=every_key)
    lines = [
        *notes.lines(),
        *_gaps(view),
        *_absent(view),
        f"{len(view.chosen)} to schedule, {len(view.held)} held, {len(view.skipped)} skipped; "
        f"deleting saves {money(view.saved)} a month "
        f"({money(12 * view.saved)} a year, list price).",
        *(
            f"Policy exception: {rule} for {count_keys(count)}"
            f"{f' until {until}' if until else ''} ({reason})."
            for (rule, reason, until), count in view.exceptions.items()
        ),
    ]
    if len(plan.unmapped) > READABLE_ROWS and not every_key:
        lines.append("More findings of code lead to no live key: --format csv lists all.")
    return Report(tuple(tables), (*lines, *view.notices, *plan.limits))


def _gaps(view: PlanView) -> Iterator[str]:
    """Services that could not be read: where, why, how many keys that holds, what to do."""
    for service, keys in view.keys_by_gap_service.items():
        gaps = [gap for gap in view.gaps if gap[0] == service]
        regions = ", ".join(sorted({region for _, region, _, _ in gaps}))
        causes = "; ".join(sorted({why for _, _, why, _ in gaps}))
        allow = sorted({permission for _, _, _, permission in gaps if permission})
        fix = f"allow {', '.join(allow)}, or " if allow else ""
        yield (
            f"Could not be read: {service} in {regions} ({causes}); holds {count_keys(keys)}. "
            f"Fix: {fix}add to the policy: coverage_exceptions: "
            f"[{{service: {service}, regions: [{regions}], reason: ...}}]"
        )


def _absent(view: PlanView) -> Iterator[str]:
    for region, services in view.absent.items():
        yield (
            f"Not offered in {region}, so not read: {len(services)} services (no host in DNS, "
            f"not in AWS's public list): {', '.join(services)}."
        )


def _savings(chosen: Sequence[PlanItem]) -> Table:
    """Savings by account and owner."""
    groups = {who: sums[VerdictKind.SCHEDULE] for who, sums in by_owner(chosen).items()}
    return Table(
        "Savings by account and owner (list price)",
        ("account", "owner", "keys", "a month", "a year"),
        tuple(
            (account, owner, str(its.keys), money(its.costs), money(12 * its.costs))
            for (account, owner), its in groups.items()
        ),
    )


class _Notes:
    """Reasons shared by many keys, printed once below the tables and numbered in the rows."""

    def __init__(self, items: Iterable[PlanItem]) -> None:
        self._keys = Counter(
            message for item in items for message in {reason.message for reason in item.reasons}
        )
        self._numbers: dict[str, int] = {}

    def why(self, item: PlanItem) -> str:
        """The reasons of one key, each message once, after the rules that give it."""
        rules: dict[str, list[str]] = {}
        for reason in item.reasons:
            rules.setdefault(reason.message, []).append(reason.rule)
        return "; ".join(
            f"{', '.join(ids)}{self._reference(message)}" for message, ids in rules.items()
        )

    def _reference(self, message: str) -> str:
        if self._keys[message] < MANY_ALIKE:
            return f": {message}"
        return f" [{self._numbers.setdefault(message, len(self._numbers) + 1)}]"

    def lines(self) -> list[str]:
        """The numbered reasons, with the number of keys each holds."""
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
    """The outcomes of `apply` or `cancel`: one row per key, the counts last."""
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
    """The current state of the keys in the journal."""
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
                "; ".join(_row_notes(row)),
            )
            for row in sorted(shown, key=lambda row: (not row.in_use, row.key_arn))
        ),
    )
    lines = []
    if any(row.in_use and row.cancellation is None for row in shown):
        lines.append("Restore the keys in use with: keysweep guard --cancel")
    return Report((table,) if shown else (), (*lines, *history.problems, *history.notes))


def _row_notes(row: GuardRow) -> Iterator[str]:
    if (done := row.cancellation) is not None:
        yield f"{done.outcome.value} ({done.message})" if done.message else done.outcome.value
    yield from (f"{sign.rule}: {sign.message}" for sign in row.signs)
    yield from (f"could not be read, {one.rule}: {one.message}" for one in row.unreadable)
    yield from row.notes


def of_policy(view: PolicyView) -> Report:
    """The values and rules of a decision policy."""
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
        "Exceptions",
        ("rule", "key", "until", "state", "reason"),
        tuple(
            (
                rule.id,
                exception.key,
                exception.until,
                exception.state,
                exception.reason,
            )
            for rule in view.rules
            for exception in rule.exceptions
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
        *(
            f"Coverage exception: {gap.service} ({gap.reason})."
            for gap in asked.coverage_exceptions
        ),
    ]
    shown = (values, rules, exceptions, overrides)
    return Report(tuple(table for table in shown if table.rows), tuple(lines))


def _said(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _urgency(row: StatusRow) -> tuple[bool, float]:
    return not row.drift, float("inf") if row.days_left is None else float(row.days_left)
