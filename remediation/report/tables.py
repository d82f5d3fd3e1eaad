"""Plans, results, states and policies as tables and lines, for terminal and Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ..errors import RUN_AGAIN
from ..models import (
    NEXT_WAVE,
    KeyResult,
    Outcome,
    Rebuild,
    RebuildDecision,
    RebuildRow,
    VerdictKind,
)
from ..plan import Plan
from ..wording import counted
from . import page
from .evidence_words import moment
from .gap_rows import GapRow, services_text
from .key_rows import (
    IDENTITY,
    KeyRow,
    Table,
    audit_table,
    exception_text,
    guard_row,
    joined_exceptions,
    key_table,
    money,
    status_row,
)
from .view import (
    FIRST_REASONS,
    READABLE_ROWS,
    PlanView,
    ResultsView,
    Section,
    Sum,
    code_tables,
    plan_view,
    results_view,
)

if TYPE_CHECKING:  # they import AWS's libraries
    from ..guard import GuardRow
    from ..journal import History
    from ..plan_index import AccountPlan
    from ..policy_view import PolicyView
    from ..status import Status, StatusRow

MANY_ALIKE = 3
"""Print a reason shared by this many keys once."""


@dataclass(frozen=True)
class Report:
    """Tables in the order to read them, then lines of plain text."""

    tables: tuple[Table, ...]
    lines: tuple[str, ...]
    head: tuple[str, ...] = ()
    """Lines before the tables: what left the run incomplete."""
    commands: tuple[str, ...] = ()
    """Last lines, which end with a command to copy: a terminal does not break them."""


def of_index(plans: Sequence[AccountPlan]) -> Report:
    """The plans of many accounts."""
    shown = page.of_index(plans, "")
    return Report(shown.tables, ())


def of_plan(plan: Plan, *, part: str = "") -> Report:
    """A plan: the keys to schedule, the keys on hold and why, the keys to skip.

    `part` says which part of a plan it is.
    """
    view = plan_view(plan, most=READABLE_ROWS, most_changes=READABLE_ROWS)
    notes = _Notes(view.messages)
    tables = []
    chosen, held, skipped = (view.sums[kind] for kind in VerdictKind)
    saved = chosen.monthly_cost_usd
    later = view.rules[NEXT_WAVE].keys if NEXT_WAVE in view.rules else 0
    waiting = f" ({later} for the next wave)" if later else ""
    for section, its in view.section_sums.items():
        if its.keys:
            tables.append(_keys(_heading(section, its), view, section, notes))
    if chosen.keys:
        tables.append(_savings(view))
    tables += code_tables(plan, READABLE_ROWS)
    if view.differences is not None:
        tables.append(view.differences)
    lines = [
        *notes.lines(),
        *_gaps(view),
        *_absent(view),
        *((FIRST_REASONS,) if held.keys and not plan.all_reasons else ()),
        f"{chosen.keys} to schedule, {held.keys} on hold{waiting}, {skipped.keys} skipped; "
        f"deleting saves {money(saved)} a month ({money(12 * saved)} a year, list price).",
        *(
            f"Policy exception: {exception_text(one)}, for {counted(keys, 'key')} until "
            f"{one.until} ({one.reason}; {one.approved_by})."
            for one, keys in sorted(view.exceptions.items(), key=lambda one: exception_text(one[0]))
        ),
    ]
    if len(plan.unmapped) > READABLE_ROWS:
        lines.append("More findings in code have no live key: --format csv lists all.")
    lines += [
        *view.notices,
        *plan.limits,
        f"Made {moment(plan.created_at)}, expires {moment(plan.expires_at)}.",
        f"Digest: {plan.digest}",
    ]
    return Report(
        tuple(tables), tuple(lines), head=(*((part,) if part else ()), *plan.unread_accounts)
    )


_HEADINGS: Final = {
    Section.SCHEDULE: "To schedule",
    Section.ON_EXCEPTIONS: "To schedule on exceptions",
    Section.HOLD: "On hold",
    Section.SKIP: "Skipped",
}


def _heading(section: Section, its: Sum) -> str:
    cost = ""
    if section in {Section.SCHEDULE, Section.ON_EXCEPTIONS}:
        cost = f", monthly cost {money(its.monthly_cost_usd)}"
    return f"{_HEADINGS[section]}: {counted(its.keys, 'key')}{cost}"


def _gaps(view: PlanView) -> Iterator[str]:
    """Services that could not be read: where, why, the number of keys they hold, and the fix."""
    for services, keys in view.keys_by_gap_services.items():
        rows = [row for row in view.gaps if row.services == services]
        regions = ", ".join(sorted({row.region for row in rows}))
        causes = "; ".join(dict.fromkeys(f"{row.answer_class}: {row.why}" for row in rows))
        yield (
            f"Could not be read: {services_text(services)} in {regions} ({causes}); "
            f"holds {counted(keys, 'key')}.{_fix(services, rows)}"
        )


def _fix(services: tuple[str, ...], rows: Iterable[GapRow]) -> str:
    if len(services) > 1:
        return ""
    allow = sorted({row.permission for row in rows if row.permission})
    fix = f"allow {', '.join(allow)}, or " if allow else ""
    return f" Fix: {fix}see keysweep doctor."


def _absent(view: PlanView) -> Iterator[str]:
    for region, services in sorted(view.absent.items()):
        yield (
            f"Absent from {region}, by DNS, AWS's public list or AWS's answers (evidence in the "
            f"plan): {counted(len(services), 'service')}: {', '.join(sorted(services))}."
        )


def _savings(view: PlanView) -> Table:
    """Savings by account and owner."""
    groups = [
        (account, owner, its)
        for (account, owner), sums in sorted(view.owners.items())
        if (its := sums[VerdictKind.SCHEDULE]).keys
    ]
    return Table(
        "Savings by account and owner (list price)",
        ("account", "owner", "keys", "monthly cost", "yearly cost"),
        tuple(
            (
                account,
                owner,
                str(its.keys),
                money(its.monthly_cost_usd),
                money(12 * its.monthly_cost_usd),
            )
            for account, owner, its in groups
        ),
    )


class _Notes:
    """Reasons shared by many keys, printed once below the tables and numbered in the rows."""

    def __init__(self, keys: Counter[str]) -> None:
        self._keys = keys
        self._numbers: dict[str, int] = {}

    def why(self, row: KeyRow) -> str:
        """The reasons of one key, each message once, after the rules that give it."""
        rules: dict[str, list[str]] = {}
        for rule, message in row.why:
            rules.setdefault(message, []).append(rule)
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


def _keys(heading: str, view: PlanView, section: Section, notes: _Notes) -> Table:
    rows = view.rows[section]
    if len(rows) == view.section_sums[section].keys:
        columns = ("key", "alias", "account", "Region", "monthly cost", "owner", "lead", "why")
        why = joined_exceptions if section is Section.ON_EXCEPTIONS else notes.why
        return key_table(heading, rows, columns, why=why)
    grouped = tuple(
        (account, owner, rule, str(its.keys), money(its.monthly_cost_usd))
        for (account, owner, rule), its in sorted(view.groups[section].items())
    )
    return Table(heading, ("account", "owner", "rule", "keys", "monthly cost"), grouped)


def of_results(results: Iterable[KeyResult]) -> Report:
    """The outcomes of `apply` or `cancel`: one row per key, the counts last."""
    view = results_view(results)
    rows = _by_arn(view, Outcome)
    lines = []
    if view.keys > READABLE_ROWS:
        left = _by_arn(view, set(Outcome) - {Outcome.SCHEDULED, Outcome.CANCELLED})
        rows = left[:READABLE_ROWS]
        cut = len(left) - len(rows)
        which = f"{cut} of them not done" if cut else "those that were done"
        lines.append(
            f"{counted(view.keys - len(rows), 'more key')}, {which}: --format json lists all."
        )
    table = key_table(
        "Results",
        rows,
        (*IDENTITY, "outcome", "deletion date", "message"),
        message=_sentences,
        **{"deletion date": lambda row: moment(row.deletion_date) if row.deletion_date else ""},
    )
    counts = (f"{its.keys} {outcome.value}" for outcome, its in view.sums.items() if its.keys)
    lines.append(", ".join(counts) or "no keys")
    return Report((table,) if rows else (), tuple(lines))


def _by_arn(view: ResultsView, outcomes: Iterable[Outcome]) -> list[KeyRow]:
    rows = (row for outcome in outcomes for row in view.rows[outcome])
    return sorted(rows, key=lambda row: row.key_arn)


def _sentences(row: KeyRow) -> str:
    """Why a key has its state, without the rule or source."""
    return "; ".join(sentence for _, sentence in row.why)


def of_status(status: Status, listing: str) -> Report:
    """The current state of the keys in the journal. `listing` is the command that lists all."""
    rows = sorted(status.rows, key=_urgency)[:READABLE_ROWS]
    table = key_table(
        "Scheduled by this journal",
        map(status_row, rows),
        (*IDENTITY, "state", "deletion date", "days left", "monthly cost", "drift"),
        drift=_sentences,
    )
    unread = f", {status.unreadable} could not be read" if status.unreadable else ""
    lines = [
        f"{status.pending} pending, {status.deleted} deleted, {status.drifted} drifted{unread}; "
        f"{money(status.monthly_cost_usd)} a month no longer charged (list price)."
    ]
    if len(rows) < len(status.rows):
        lines.append(
            f"{counted(len(status.rows) - len(rows), 'more key')}: --format json lists all."
        )
    cancelled = f"Cancelled: {counted(status.cancelled, 'key')}. List them with: {listing}"
    tables = [table] if rows else []
    if status.audit:
        tables.append(audit_table(status.audit[:READABLE_ROWS]))
    if len(status.audit) > READABLE_ROWS:
        lines.append("More deletions: --format csv lists all.")
    return Report(
        tuple(tables),
        (*lines, *status.problems, *status.warnings, *status.notes),
        commands=(cancelled,) if status.cancelled and not status.audit else (),
    )


def of_guard(rows: Iterable[GuardRow], history: History, restore: str) -> Report:
    """Keys with something to report, and the number of checked keys.

    `restore` is the command that restores the keys in use.
    """
    rows = tuple(rows)
    shown = [row for row in rows if row.in_use or row.unreadable or row.notes]
    table = key_table(
        "Keys that need attention",
        map(guard_row, sorted(shown, key=lambda row: (not row.in_use, row.key_arn))),
        (*IDENTITY, "state", "deletion date", "use", "why"),
        why=lambda row: "; ".join(_because(*one) for one in row.why),
    )
    left = any(row.in_use and row.cancellation is None for row in shown)
    return Report(
        (table,) if shown else (),
        (guard_summary(rows), *history.problems, *history.notes),
        commands=(f"Restore the keys in use with: {restore}",) if left else (),
    )


def guard_summary(rows: Iterable[GuardRow]) -> str:
    """The number of checked keys, and the time of CloudTrail's newest events."""
    rows = tuple(rows)
    until = [row.checked_until for row in rows if row.checked_until is not None]
    blind = sum(row.is_unchecked for row in rows)
    tried = sum(row.was_tried for row in rows)
    found = f"attempts to use {tried} of them" if tried else "no attempt"
    parts = [f"{counted(blind, 'key')} could not be checked."] if blind else []
    if until:
        found = f"{found} found in CloudTrail up to {moment(min(until))}."
        parts.insert(0, f"{counted(len(until), 'key')} checked: {found}")
    return " ".join(parts) or ("No key is pending deletion." if rows else "No key was checked.")


def of_rebuild(made: Rebuild, *, asking: bool = False) -> Report:
    """The keys that are pending deletion, and who scheduled them; `asking`: before the prompt."""
    request_columns = ("requested", "caller", "address", "user agent")
    tables = []
    for decision, heading in _DECISIONS.items():
        if rows := made.of(decision):
            last = request_columns if decision is RebuildDecision.REBUILT else ("caller", "message")
            columns = ("key", "account", "Region", "deletion date", *last)
            cells = tuple(tuple(_cells(row)[column] for column in columns) for row in rows)
            tables.append(Table(f"{heading}: {counted(len(rows), 'key')}", columns, cells))
    counts = ", ".join(f"{len(made.of(one))} {one.value.replace('_', ' ')}" for one in _DECISIONS)
    lines = [f"Could not be read: {one.message}" for one in made.unread]
    if made.plan_digest is not None:
        lines.append(f"Keys of the plan that are not pending deletion: {made.not_pending}.")
    ending = (f"{counts}.",) if asking else (f"{counts}. {_ending(made)}", *_next_rebuild(made))
    return Report(tuple(tables), (*lines, *made.notes, *ending))


def _ending(made: Rebuild) -> str:
    return f"{'The journal was' if made.written else 'No journal was'} written: {made.journal}"


def _next_rebuild(made: Rebuild) -> Iterator[str]:
    """How a second rebuild can complete the first."""
    if not made.is_incomplete:
        return
    if made.written:
        yield (
            f"Keys that are undetermined, or could not be read, are not in {made.journal}, and "
            "guard does not watch them. Fix: do what their messages say, rebuild under another "
            f"name, and use that journal in place of {made.journal}."
        )
    else:
        yield f"Fix: do what the messages say, then {RUN_AGAIN}."


_DECISIONS: Final = {
    RebuildDecision.REBUILT: "Scheduled by Keysweep, by the user agent of the request",
    RebuildDecision.LEFT_OUT: "Left out",
    RebuildDecision.UNDETERMINED: "Undetermined",
}


def _cells(row: RebuildRow) -> Mapping[str, str]:
    return {
        "key": row.key_arn.key_id,
        "account": row.key_arn.account_id,
        "Region": row.key_arn.region,
        "deletion date": "" if row.deletion_date is None else f"{row.deletion_date:%Y-%m-%d}",
        "requested": "" if row.scheduled_at is None else moment(row.scheduled_at),
        "caller": row.caller or "",
        "address": row.source or "",
        "user agent": row.user_agent or "",
        "message": row.message,
    }


def _because(source: str, sentence: str) -> str:
    return f"{source}: {sentence}" if source and sentence else source or sentence


def of_policy(view: PolicyView) -> Report:
    """The values and rules of a decision policy."""
    references = view.references
    size = (
        f"Resources that name a key: {references.entries} entries in policies/key_references.yaml, "
        f"{references.calls} API calls of {references.services} services."
    )
    tables = (*_values_and_rules(view), *_decisions(view))
    return Report(tuple(table for table in tables if table.rows), (size,))


def _values_and_rules(view: PolicyView) -> Iterator[Table]:
    yield Table(
        "Values",
        ("name", "value", "default", "meaning"),
        tuple(
            (
                one.name,
                _listed(one.value),
                "" if one.value == one.default else _listed(one.default),
                one.meaning,
            )
            for one in view.values
        ),
    )
    yield Table(
        "Rules",
        ("rule", "needs", "why it holds", "what clears it"),
        tuple(
            (rule.id, "\n".join(need.piece for need in rule.needs), rule.sentence, rule.clears)
            for rule in view.rules
        ),
    )


def _decisions(view: PolicyView) -> Iterator[Table]:
    """Exceptions of rules and of coverage, and values of certain accounts and Regions."""
    decision = ("until", "state", "reason", "approved by")
    yield Table(
        "Exceptions",
        ("rule", "key", *decision),
        tuple(
            (rule.id, one.key, one.until, one.state, one.reason, one.approved_by)
            for rule in view.rules
            for one in rule.exceptions
        ),
    )
    yield Table(
        "Coverage exceptions",
        ("service", "operation", "answer", "accounts", "Regions", *decision),
        tuple(
            (
                one.service or "read in every Region",
                one.operation or "",
                one.answer or "denied by the organization",
                *(_listed(one.accounts), _listed(one.regions)),
                *(one.until, one.state, one.reason, one.approved_by),
            )
            for one in view.references.coverage_exceptions
        ),
    )
    yield Table(
        "Overrides",
        ("accounts", "Regions", "values"),
        tuple(
            (
                _listed(one.accounts) or "all",
                _listed(one.regions) or "all",
                ", ".join(f"{name}: {value}" for name, value in one.values.items()),
            )
            for one in view.overrides
        ),
    )


def _listed(value: object) -> str:
    if value is None:
        return "none"
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _urgency(row: StatusRow) -> tuple[bool, float]:
    return not (row.drift or row.unreadable), float("inf") if row.days_left is None else float(
        row.days_left
    )
