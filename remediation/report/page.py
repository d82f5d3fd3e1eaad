"""The content of the HTML page of a plan, results or states, without its layout."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from ..models import (
    PENDING_DELETION,
    AccountRegion,
    AppliedException,
    KeyResult,
    Outcome,
    VerdictKind,
)
from ..plan import LIMITS, Plan
from ..wording import counted
from .evidence_words import moment
from .view import (
    FIRST_REASONS,
    KeyRow,
    Link,
    Owners,
    PlanView,
    ResultsView,
    Section,
    Sum,
    Table,
    applied_view,
    audit_row,
    code_tables,
    exception_text,
    money,
    plan_view,
    status_row,
)

if TYPE_CHECKING:  # it imports AWS's libraries
    from ..audit import AuditRow
    from ..plan_index import AccountPlan
    from ..status import Status, StatusRow

MOST_KEYS: Final = 1000
"""Keys in one group of a page, so that a browser can scroll it; the other formats have all."""


@dataclass(frozen=True)
class Figure:
    """One figure that the page begins with."""

    value: str
    label: str
    detail: str
    tone: str
    """`good`, `warn`, `bad` or `plain`: a color, never the only sign."""


@dataclass(frozen=True)
class Bar:
    """A share of a whole, in words and as a percentage."""

    label: str
    text: str
    percent: float
    tone: str


@dataclass(frozen=True)
class Bars:
    """Bars of one kind, with what each column means."""

    heading: str
    caption: str
    columns: tuple[str, str]
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class Group:
    """Keys of one kind: a line to scan for each, and below it everything that it rests on."""

    heading: str
    about: str
    tone: str
    rows: Sequence[KeyRow]
    left_out: int = 0
    costs: bool = True
    """Whether the rows have monthly costs."""


@dataclass(frozen=True)
class Span:
    """A waiting period on the page's common scale, in per cent."""

    label: str
    text: str
    start: float
    length: float
    passed: float
    """How much of the length is over, in per cent."""


@dataclass(frozen=True)
class Timeline:
    """Waiting periods on one scale."""

    caption: str
    begins: str
    ends: str
    spans: tuple[Span, ...]


@dataclass(frozen=True)
class Page:
    """Everything on the page, in the order to read it."""

    title: str
    about: str
    facts: tuple[tuple[str, str], ...]
    figures: tuple[Figure, ...]
    bars: tuple[Bars, ...]
    timeline: Timeline | None
    groups: tuple[Group, ...]
    tables: tuple[Table, ...]
    notes: tuple[str, ...]
    limits: tuple[str, ...]


# --- a plan ------------------------------------------------------------------------------------


_SECTIONS: Final = {
    Section.SCHEDULE: ("To schedule", "No rule holds them.", "good"),
    Section.ON_EXCEPTIONS: (
        "To schedule on exceptions",
        "Without the exceptions in the policy, they would be on hold.",
        "warn",
    ),
    Section.HOLD: ("On hold", "All reasons are listed.", "warn"),
    Section.SKIP: ("Skipped", "There is nothing to do.", "plain"),
}


def of_plan(plan: Plan, part: str = "") -> Page:
    """The page of a plan, or of a part of one: to be reviewed before `apply`."""
    view = plan_view(plan, most=MOST_KEYS, most_changes=None, evidence=True)
    chosen, held = view.sums[VerdictKind.SCHEDULE], view.sums[VerdictKind.HOLD]
    saved = chosen.monthly_cost_usd
    costs = sum(its.monthly_cost_usd for its in view.sums.values())
    return Page(
        title=f"Plan of {plan.created_at:%d %B %Y}",
        about="Nothing has been changed. These are the verdicts on the candidates from the "
        "scanners, with their evidence.",
        facts=(
            ("Made", moment(plan.created_at)),
            ("Expires", moment(plan.expires_at)),
            ("Digest", plan.digest),
            *((("Shown", part),) if part else ()),
            ("Results", ", ".join(source.path for source in plan.sources) or "none"),
        ),
        figures=(
            Figure(money(costs), "monthly cost now", counted(len(plan.items), "key"), "plain"),
            Figure(
                money(saved),
                "monthly cost saved",
                f"{counted(chosen.keys, 'key')} to schedule; {money(12 * saved)} a year",
                "good",
            ),
            Figure(
                money(held.monthly_cost_usd),
                "monthly cost on hold",
                counted(held.keys, "key"),
                "warn",
            ),
        ),
        bars=_reasons(view),
        timeline=_planned(plan.created_at, view.windows),
        groups=tuple(
            _group(
                heading,
                FIRST_REASONS if section is Section.HOLD and not plan.all_reasons else about,
                tone,
                view.rows[section],
                view.section_sums[section],
            )
            for section, (heading, about, tone) in _SECTIONS.items()
            if section is not Section.ON_EXCEPTIONS or view.section_sums[section].keys
        ),
        tables=(
            *_owners(view.owners),
            *_exceptions(view.exceptions),
            *_gaps(view),
            *_absent(view),
            *code_tables(plan, None),
            *((view.differences,) if view.differences is not None else ()),
        ),
        notes=(*plan.unread_accounts, *view.notices),
        limits=plan.limits,
    )


def _reasons(view: PlanView) -> tuple[Bars, ...]:
    if not view.rules:
        return ()
    held = view.sums[VerdictKind.HOLD].keys
    return (
        Bars(
            "Why keys are held",
            "Share of the keys on hold that each rule holds. A key that several rules hold counts "
            "for each.",
            ("Rule", "Keys on hold"),
            tuple(
                Bar(rule, _sum(its), 100 * its.keys / held, "warn")
                for rule, its in sorted(view.rules.items(), key=lambda one: (-one[1].keys, one[0]))
            ),
        ),
    )


def _sum(its: Sum) -> str:
    return f"{counted(its.keys, 'key')}, monthly cost {money(its.monthly_cost_usd)}"


def _group(heading: str, about: str, tone: str, rows: Sequence[KeyRow], its: Sum) -> Group:
    return Group(heading, about, tone, rows, its.keys - len(rows))


def _planned(start: datetime, windows: Mapping[int, int]) -> Timeline | None:
    if not windows:
        return None
    longest = max(windows)
    return Timeline(
        "Waiting periods, if the plan were applied when it was made. Until the end, every "
        "deletion can be cancelled.",
        f"{start:%d %b %Y}",
        f"{start + timedelta(days=longest):%d %b %Y}",
        tuple(
            Span(
                counted(count, "key"),
                f"{days} days, until {start + timedelta(days=days):%d %b %Y}",
                0,
                100 * days / longest,
                0,
            )
            for days, count in sorted(windows.items())
        ),
    )


def _owners(owners: Owners) -> Iterable[Table]:
    rows = tuple(
        (
            account,
            owner,
            *(str(sums[kind].keys) for kind in VerdictKind),
            money(sum(its.monthly_cost_usd for its in sums.values())),
            money(sums[VerdictKind.SCHEDULE].monthly_cost_usd),
        )
        for (account, owner), sums in sorted(owners.items())
    )
    columns = ("account", "owner", "to schedule", "on hold", "skipped", "monthly cost", "saved")
    return (Table("Owners and accounts", columns, rows),) if rows else ()


def _exceptions(uses: Mapping[AppliedException, int]) -> Iterable[Table]:
    rows = tuple(
        sorted(
            (exception_text(one), one.reason, one.approved_by, one.until, str(keys))
            for one, keys in uses.items()
        )
    )
    columns = ("rule", "reason", "approved by", "until", "keys")
    return (Table("Exceptions in the policy", columns, rows),) if rows else ()


def _gaps(view: PlanView) -> Iterable[Table]:
    rows = tuple(
        (
            ", ".join(row.services),
            row.region,
            row.answer_class,
            row.why,
            row.permission or "",
            str(count),
        )
        for row, count in view.gaps.items()
    )
    columns = ("service", "Region", "class", "why", "permission", "keys")
    return (Table("Services that could not be read", columns, rows),) if rows else ()


def _absent(view: PlanView) -> Iterable[Table]:
    rows = tuple(
        (region, str(len(services)), ", ".join(sorted(services)))
        for region, services in sorted(view.absent.items())
    )
    columns = ("Region", "services", "names")
    return (Table("Services that are absent from the Region", columns, rows),) if rows else ()


# --- many plans --------------------------------------------------------------------------------


_NUMBERS: Final = ("to schedule", "on hold", "skipped", "saved")
INDEX_COLUMNS: Final = ("account", *_NUMBERS, "digest", "warnings")


def of_index(plans: Sequence[AccountPlan], folder: str) -> Page:
    """The page that links the plans of many accounts. `folder`: where, as a URL; may be empty."""
    left = [plan for plan in plans if plan.problem]
    sums = [plan.summary for plan in plans if plan.summary is not None]
    chosen = sum(one.schedule for one in sums)
    saved = sum(one.monthly_cost_usd for one in sums)
    problems = tuple((_account(plan, folder), plan.problem) for plan in left)
    return Page(
        title=f"Plans of {counted(len(plans), 'account')}",
        about="Nothing has been changed. Each account has a plan of its own to review and apply.",
        facts=(),
        figures=(
            Figure(
                str(len(left)),
                "without a complete plan",
                f"of {counted(len(plans), 'account')}",
                "bad" if left else "good",
            ),
            Figure(
                counted(chosen, "key"), "to schedule", f"of {counted(len(sums), 'plan')}", "good"
            ),
            Figure(money(saved), "monthly cost saved", f"{money(12 * saved)} a year", "good"),
        ),
        bars=(),
        timeline=None,
        groups=(),
        tables=(
            *((Table("Without a complete plan", ("account", "why"), problems),) if left else ()),
            Table("Plans", INDEX_COLUMNS, tuple(_index_row(plan, folder) for plan in plans)),
        ),
        notes=(),
        limits=LIMITS,
    )


def _index_row(plan: AccountPlan, folder: str) -> tuple[str, ...]:
    if (its := plan.summary) is None:
        return (_account(plan, folder), *[""] * (len(INDEX_COLUMNS) - 1))
    numbers = str(its.schedule), str(its.hold), str(its.skip), money(its.monthly_cost_usd)
    return (_account(plan, folder), *numbers, plan.digest, str(plan.warnings))


def _account(plan: AccountPlan, folder: str) -> str:
    return plan.account_id if plan.page is None else Link(plan.account_id, folder + plan.page)


# --- results -----------------------------------------------------------------------------------


_OUTCOMES: Final = {
    Outcome.FAILED: ("Failed", "Not done, not done completely, or unconfirmed.", "bad"),
    Outcome.CHANGED: ("Changed", "No longer as planned: left alone, or cancelled.", "warn"),
    Outcome.SCHEDULED: (
        "Scheduled",
        "Pending deletion, which can be cancelled until its date.",
        "good",
    ),
    Outcome.ALREADY_PENDING: ("Already pending", "Not scheduled by this plan.", "plain"),
    Outcome.CANCELLED: ("Cancelled", "The deletion was cancelled.", "plain"),
    Outcome.UNCHANGED: (
        "Unchanged",
        "Nothing to cancel, or a deletion that is not the journal's.",
        "plain",
    ),
}
"""In order of urgency."""


def of_results(results: Iterable[KeyResult], plan: Plan, now: datetime) -> Page:
    """The page of what `apply` did with a plan."""
    view = applied_view(results, plan, MOST_KEYS)
    done, failed = view.sums[Outcome.SCHEDULED], view.sums[Outcome.FAILED].keys
    alone = view.keys - done.keys - failed
    saved = done.monthly_cost_usd
    return Page(
        title=f"Applied on {now:%d %B %Y}",
        about="The outcome for each key in the plan. Every deletion can be cancelled until "
        "its waiting period ends.",
        facts=(
            ("Applied", moment(now)),
            ("Plan made", moment(plan.created_at)),
            ("Digest", plan.digest),
        ),
        figures=(
            Figure(
                money(saved),
                "monthly cost saved",
                f"{counted(done.keys, 'key')} scheduled; {money(12 * saved)} a year",
                "good",
            ),
            Figure(
                str(alone),
                "left alone",
                "no longer as planned, or already pending",
                "warn" if alone else "plain",
            ),
            Figure(
                str(failed),
                "failed",
                "apply the plan again to finish" if failed else "nothing left to do",
                "bad" if failed else "plain",
            ),
        ),
        bars=_outcomes(view),
        timeline=_waiting(view.periods, now),
        groups=tuple(
            _group(heading, about, tone, view.rows[outcome], view.sums[outcome])
            for outcome, (heading, about, tone) in _OUTCOMES.items()
        ),
        tables=(*_owners(view.owners), *_exceptions(view.exceptions)),
        notes=tuple(plan.warnings),
        limits=plan.limits,
    )


def _outcomes(view: ResultsView) -> tuple[Bars, ...]:
    bars = tuple(
        Bar(outcome.value, _sum(its), 100 * its.keys / view.keys, tone)
        for outcome, (_, _, tone) in _OUTCOMES.items()
        if (its := view.sums[outcome]).keys
    )
    caption = "Outcomes of the keys that the plan schedules."
    return (Bars("Outcomes", caption, ("Outcome", "Keys"), bars),) if bars else ()


def _waiting(spans: Sequence[tuple[datetime, datetime]], now: datetime) -> Timeline | None:
    """Waiting periods by the day on which they begin and end; the nearest end first."""
    if not spans:
        return None
    days: dict[tuple[datetime, datetime], list[datetime]] = defaultdict(list)
    for start, end in spans:
        days[_day(start), _day(end)].append(end)
    first = min(start for start, _ in days)
    last = max(end for _, end in days)
    whole = max((last - first).total_seconds(), 1.0)

    def share(begin: datetime, end: datetime) -> float:
        return min(100.0, max(0.0, 100 * (end - begin).total_seconds() / whole))

    return Timeline(
        "Waiting periods. Until the end, the deletion can be cancelled. The elapsed part is "
        "filled.",
        f"{first:%d %b %Y}",
        f"{last:%d %b %Y}",
        tuple(
            Span(
                counted(len(ends), "key"),
                f"{start:%d %b} to {end:%d %b %Y}, {_left(min(ends), now)}",
                share(first, start),
                share(start, end),
                0 if now <= start else min(100.0, 100 * (now - start) / max(end - start, _SECOND)),
            )
            for (start, end), ends in sorted(days.items(), key=lambda one: (one[0][1], one[0][0]))
        ),
    )


_SECOND: Final = timedelta(seconds=1)


def _day(moment_: datetime) -> datetime:
    return moment_.replace(hour=0, minute=0, second=0, microsecond=0)


def _left(end: datetime, now: datetime) -> str:
    left = (end - now).days
    if end <= now:
        return "over"
    return "less than a day left" if left < 1 else f"{counted(left, 'day')} left"


# --- states ------------------------------------------------------------------------------------


def of_status(status: Status, now: datetime) -> Page:
    """The page of what a journal's keys are now."""
    saved = status.monthly_cost_usd
    waiting = [row for row in status.rows if row.state == "PendingDeletion"]
    kinds = (
        (
            "Drifted",
            "AWS differs from the journal.",
            "bad",
            [row for row in status.rows if row.drift],
        ),
        (
            "Unreadable",
            "These keys could not be read.",
            "bad",
            [row for row in status.rows if row.unreadable],
        ),
        (
            "Pending",
            "Pending deletion, which can be cancelled until its date.",
            "good",
            [
                row
                for row in status.rows
                if not (row.drift or row.unreadable) and row.state in PENDING_DELETION
            ],
        ),
        (
            "Restored",
            "No longer pending deletion: cancelled, or never scheduled.",
            "plain",
            [
                row
                for row in status.rows
                if not (row.drift or row.unreadable)
                and row.state not in {*PENDING_DELETION, "deleted"}
            ],
        ),
        (
            "Deleted",
            "Deleted, with everything encrypted only under them.",
            "plain",
            [row for row in status.rows if not row.drift and row.state == "deleted"],
        ),
    )
    return Page(
        title=f"Status on {now:%d %B %Y}",
        about="The keys that the journal scheduled, as AWS describes them now.",
        facts=(("Read", moment(now)), ("Keys", str(len(status.rows)))),
        figures=(
            Figure(
                money(saved),
                "monthly cost saved",
                f"{money(12 * saved)} a year, list price",
                "good",
            ),
            Figure(str(status.pending), "pending", f"and {status.deleted} deleted", "plain"),
            Figure(
                str(status.drifted),
                "drifted",
                _agreement(status),
                "bad" if status.drifted or status.unreadable else "plain",
            ),
        ),
        bars=(),
        timeline=_waiting(
            [
                (row.scheduled_at, row.deletion_date)
                for row in waiting
                if row.scheduled_at is not None and row.deletion_date is not None
            ],
            now,
        ),
        groups=(
            *(
                Group(
                    heading,
                    about,
                    tone,
                    tuple(map(status_row, rows[:MOST_KEYS])),
                    max(0, len(rows) - MOST_KEYS),
                )
                for heading, about, tone, rows in kinds
            ),
            _audited(status.audit),
        ),
        tables=tuple(_accounts(status.rows)),
        notes=(*status.problems, *status.warnings, *status.notes),
        limits=LIMITS,
    )


def _audited(rows: Sequence[AuditRow]) -> Group:
    return Group(
        "Deletions in the journals",
        "Each request to delete a key, with its approval and what became of the key.",
        "plain",
        tuple(map(audit_row, rows[:MOST_KEYS])),
        max(0, len(rows) - MOST_KEYS),
        costs=False,
    )


def _agreement(status: Status) -> str:
    """Whether AWS agrees with the journal, as far as it was read."""
    if status.unreadable:
        return f"{counted(status.unreadable, 'key')} could not be read"
    return "AWS differs from the journal" if status.drifted else "AWS agrees with the journal"


def _accounts(rows: Iterable[StatusRow]) -> Iterable[Table]:
    groups: dict[AccountRegion, list[StatusRow]] = defaultdict(list)
    for row in rows:
        groups[row.key_arn.account_region].append(row)
    if groups:
        yield Table(
            "Accounts",
            ("account", "Region", "keys", "drifted", "unreadable", "saved"),
            tuple(
                (
                    account_region.account_id,
                    account_region.region,
                    str(len(group)),
                    str(sum(bool(row.drift) for row in group)),
                    str(sum(bool(row.unreadable) for row in group)),
                    money(sum(row.monthly_cost_usd for row in group)),
                )
                for account_region, group in sorted(groups.items())
            ),
        )
