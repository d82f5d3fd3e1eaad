"""The content of the HTML page of a plan, results or states, without its layout."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ..models import AccountRegion, KeyResult, Outcome, PlanItem, VerdictKind
from ..plan import LIMITS, Plan
from ..status import Status, StatusRow
from .evidence_words import Said, in_words, moment
from .view import (
    PlanView,
    Sum,
    Table,
    by_owner,
    count_keys,
    money,
    name_of,
    other_tables,
    plan_view,
    used_exceptions,
)

MOST_KEYS: Final = 1000
"""Keys in one group of a page, so that a browser can scroll it; the other formats have all."""


@dataclass(frozen=True)
class Figure:
    """One figure that the page begins with."""

    value: str
    label: str
    detail: str
    tone: str
    """`good`, `warn`, `bad` or `plain`: a colour, never the only sign."""


@dataclass(frozen=True)
class Bar:
    """A share of a whole, in words and as a percentage."""

    label: str
    said: str
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
class Entry:
    """One key: a line to scan, and below it everything that the line rests on."""

    key_id: str
    name: str
    arn: str
    account: str
    region: str
    owner: str
    money: str
    word: str
    """The verdict, the outcome or the state."""
    tone: str
    why: tuple[tuple[str, str], ...]
    """What decided it: a rule or other source, and its sentence."""
    evidence: tuple[Said, ...]


@dataclass(frozen=True)
class Group:
    """Keys of one kind."""

    heading: str
    about: str
    entries: tuple[Entry, ...]
    left_out: int = 0


@dataclass(frozen=True)
class Span:
    """A waiting period on the page's common scale, in per cent."""

    label: str
    said: str
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


def of_plan(plan: Plan) -> Page:
    """The page of a plan: to be reviewed before `apply`."""
    view = plan_view(plan)
    chosen, held, skipped, saved = view.chosen, view.held, view.skipped, view.saved
    costs = sum(item.monthly_cost_usd for item in plan.items)
    stays = sum(item.monthly_cost_usd for item in held)
    return Page(
        title=f"Plan of {plan.created_at:%d %B %Y}",
        about="Nothing has been changed. These are the verdicts on the candidates from the "
        "scanners, with their evidence.",
        facts=(
            ("Made", moment(plan.created_at)),
            ("Expires", moment(plan.expires_at)),
            ("Digest", plan.digest),
            ("Results", ", ".join(source.path for source in plan.sources) or "none"),
        ),
        figures=(
            Figure(money(costs), "a month now", f"{count_keys(len(plan.items))}", "plain"),
            Figure(
                money(saved),
                "a month saved",
                f"{count_keys(len(chosen))} to schedule; {money(12 * saved)} a year",
                "good",
            ),
            Figure(money(stays), "a month held", f"{count_keys(len(held))} held", "warn"),
        ),
        bars=_reasons(held),
        timeline=_planned(plan, chosen),
        groups=(
            _group("To schedule", "No rule holds them.", "good", chosen),
            _group("Held", "Each is held by a rule; all reasons are listed.", "warn", held),
            _group("Skipped", "There is nothing to do.", "plain", skipped),
        ),
        tables=(
            *_owners(plan.items),
            *_exceptions(view.exceptions),
            *_gaps(view),
            *_absent(view),
            *other_tables(plan, every_key=True),
        ),
        notes=view.notices,
        limits=plan.limits,
    )


def _reasons(held: Sequence[PlanItem]) -> tuple[Bars, ...]:
    rules: dict[str, Sum] = defaultdict(Sum)
    for item in held:
        for rule in {reason.rule for reason in item.reasons}:
            rules[rule].add(item)
    if not rules:
        return ()
    return (
        Bars(
            "Why keys are held",
            "Share of the held keys that each rule holds. A key that several rules hold counts for "
            "each.",
            ("Rule", "Keys held"),
            tuple(
                Bar(
                    rule,
                    f"{count_keys(its.keys)}, {money(its.costs)} a month",
                    100 * its.keys / len(held),
                    "warn",
                )
                for rule, its in sorted(rules.items(), key=lambda one: (-one[1].keys, one[0]))
            ),
        ),
    )


def _group(heading: str, about: str, tone: str, items: Sequence[PlanItem]) -> Group:
    entries = tuple(_entry(item, tone, item.verdict.value) for item in items[:MOST_KEYS])
    return Group(heading, about, entries, len(items) - len(entries))


def _entry(item: PlanItem, tone: str, word: str) -> Entry:
    why = [(reason.rule, reason.message) for reason in item.reasons]
    for exceptions in item.exceptions:
        until = f" (until {exceptions.until})" if exceptions.until else ""
        why.append((f"{exceptions.rule}, exception", f"{exceptions.reason}{until}"))
    candidates = tuple(
        f"{one.scanner} {one.check_id}: {one.source}, {one.position}" for one in item.findings
    )
    return Entry(
        key_id=item.key_arn.key_id,
        name=name_of(item.evidence),
        arn=str(item.key_arn),
        account=item.account_id,
        region=item.region,
        owner=item.owner or "",
        money=money(item.monthly_cost_usd),
        word=word,
        tone=tone,
        why=tuple(why),
        evidence=(*in_words(item.evidence), *((("Named by", candidates),) if candidates else ())),
    )


def _planned(plan: Plan, chosen: Sequence[PlanItem]) -> Timeline | None:
    windows = Counter(item.pending_window_days for item in chosen)
    if not windows:
        return None
    start, longest = plan.created_at, max(windows)
    return Timeline(
        "Waiting periods, if the plan were applied when it was made. Until the end, every "
        "deletion can be cancelled.",
        f"{start:%d %b %Y}",
        f"{start + timedelta(days=longest):%d %b %Y}",
        tuple(
            Span(
                count_keys(count),
                f"{days} days, until {start + timedelta(days=days):%d %b %Y}",
                0,
                100 * days / longest,
                0,
            )
            for days, count in sorted(windows.items())
        ),
    )


def _owners(items: Iterable[PlanItem]) -> Iterable[Table]:
    rows = tuple(
        (
            account,
            owner,
            *(str(sums[kind].keys) for kind in VerdictKind),
            money(sum(its.costs for its in sums.values())),
            money(sums[VerdictKind.SCHEDULE].costs),
        )
        for (account, owner), sums in by_owner(items).items()
    )
    columns = ("account", "owner", "to schedule", "held", "skipped", "a month now", "saved")
    return (Table("Owners and accounts", columns, rows),) if rows else ()


def _exceptions(uses: Mapping[tuple[str, str, str], int]) -> Iterable[Table]:
    rows = tuple((*one, str(count)) for one, count in sorted(uses.items()))
    columns = ("rule", "reason", "until", "keys")
    return (Table("Exceptions in the policy", columns, rows),) if rows else ()


def _gaps(view: PlanView) -> Iterable[Table]:
    rows = tuple((*gap, str(count)) for gap, count in view.gaps.items())
    columns = ("service", "Region", "why", "permission", "keys")
    return (Table("Services that could not be read", columns, rows),) if rows else ()


def _absent(view: PlanView) -> Iterable[Table]:
    rows = tuple(
        (region, str(len(services)), ", ".join(services))
        for region, services in view.absent.items()
    )
    columns = ("Region", "services", "names")
    return (Table("Services that the Region does not offer", columns, rows),) if rows else ()


# --- results -----------------------------------------------------------------------------------


_OUTCOMES: Final = {
    Outcome.FAILED: ("Failed", "Not done, not done completely, or unconfirmed.", "bad"),
    Outcome.CHANGED: ("Changed", "No longer as planned. Nothing was done.", "warn"),
    Outcome.SCHEDULED: (
        "Scheduled",
        "Pending deletion, which can be cancelled until its date.",
        "good",
    ),
    Outcome.ALREADY_PENDING: ("Already pending", "Not scheduled by this plan.", "plain"),
    Outcome.CANCELLED: ("Cancelled", "The deletion was cancelled.", "plain"),
    Outcome.NOT_PENDING: ("Not pending", "There was nothing to cancel.", "plain"),
}
"""In order of urgency."""


def of_results(results: Iterable[KeyResult], plan: Plan, now: datetime) -> Page:
    """The page of what `apply` did with a plan."""
    results = tuple(results)
    items = plan.by_key
    by_outcome: dict[Outcome, list[KeyResult]] = defaultdict(list)
    for result in results:
        by_outcome[result.outcome].append(result)
    cost = {
        outcome: sum(items[one.key_arn].monthly_cost_usd for one in rows)
        for outcome, rows in by_outcome.items()
    }
    done = by_outcome[Outcome.SCHEDULED]
    saved = cost.get(Outcome.SCHEDULED, 0.0)
    failed = by_outcome[Outcome.FAILED]
    alone = len(results) - len(done) - len(failed)
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
                "a month saved",
                f"{count_keys(len(done))} scheduled; {money(12 * saved)} a year",
                "good",
            ),
            Figure(
                str(alone),
                "left alone",
                "no longer as planned, or already pending",
                "warn" if alone else "plain",
            ),
            Figure(
                str(len(failed)),
                "failed",
                "apply the plan again to finish" if failed else "nothing left to do",
                "bad" if failed else "plain",
            ),
        ),
        bars=_outcomes(by_outcome, cost),
        timeline=_waiting(
            [
                (one.deletion_date - _window(items[one.key_arn]), one.deletion_date)
                for one in done
                if one.deletion_date is not None
            ],
            now,
        ),
        groups=tuple(
            Group(
                heading,
                about,
                tuple(_result_entry(one, items[one.key_arn], tone) for one in rows[:MOST_KEYS]),
                max(0, len(rows) - MOST_KEYS),
            )
            for outcome, (heading, about, tone) in _OUTCOMES.items()
            if (rows := by_outcome[outcome])
        ),
        tables=(
            *_owners(items[one.key_arn] for one in done),
            *_exceptions(used_exceptions(plan.items)),
        ),
        notes=tuple(plan.warnings),
        limits=plan.limits,
    )


def _outcomes(
    by_outcome: dict[Outcome, list[KeyResult]], cost: dict[Outcome, float]
) -> tuple[Bars, ...]:
    count = sum(map(len, by_outcome.values()))
    return (
        (
            Bars(
                "Outcomes",
                "Outcomes of the keys that the plan schedules.",
                ("Outcome", "Keys"),
                tuple(
                    Bar(
                        outcome.value,
                        f"{count_keys(len(rows))}, {money(cost[outcome])} a month",
                        100 * len(rows) / count,
                        tone,
                    )
                    for outcome, (_, _, tone) in _OUTCOMES.items()
                    if (rows := by_outcome[outcome])
                ),
            ),
        )
        if count
        else ()
    )


def _window(item: PlanItem) -> timedelta:
    return timedelta(days=item.pending_window_days)


def _result_entry(result: KeyResult, item: PlanItem, tone: str) -> Entry:
    entry = _entry(item, tone, result.outcome.value)
    why = []
    if result.deletion_date is not None:
        why.append(("deletion date", moment(result.deletion_date)))
    if result.message:
        why.append((result.outcome.value, result.message))
    return Entry(**{**vars(entry), "why": (*why, *entry.why)})


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
                count_keys(len(ends)),
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
    return "less than a day left" if left < 1 else f"{left} days left"


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
            "Pending",
            "Pending deletion, which can be cancelled until its date.",
            "good",
            [row for row in status.rows if not row.drift and row.state != "deleted"],
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
                money(saved), "a month saved", f"{money(12 * saved)} a year, list price", "good"
            ),
            Figure(str(status.pending), "pending", f"and {status.deleted} deleted", "plain"),
            Figure(
                str(status.drifted),
                "drifted",
                "AWS differs from the journal" if status.drifted else "AWS agrees with the journal",
                "bad" if status.drifted else "plain",
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
        groups=tuple(
            Group(
                heading,
                about,
                tuple(_status_entry(row, tone) for row in rows[:MOST_KEYS]),
                max(0, len(rows) - MOST_KEYS),
            )
            for heading, about, tone, rows in kinds
        ),
        tables=tuple(_accounts(status.rows)),
        notes=(*status.problems, *status.notes),
        limits=LIMITS,
    )


def _status_entry(row: StatusRow, tone: str) -> Entry:
    why = [("drift", row.drift)] if row.drift else []
    if row.deletion_date is not None:
        left = "" if row.days_left is None else f", {row.days_left} days left"
        why.append(("deletion date", f"{moment(row.deletion_date)}{left}"))
    return Entry(
        key_id=row.key_arn.key_id,
        name="",
        arn=str(row.key_arn),
        account=row.key_arn.account_id,
        region=row.key_arn.region,
        owner="",
        money=money(row.monthly_cost_usd),
        word=row.state,
        tone=tone,
        why=tuple(why),
        evidence=(),
    )


def _accounts(rows: Iterable[StatusRow]) -> Iterable[Table]:
    groups: dict[AccountRegion, list[StatusRow]] = defaultdict(list)
    for row in rows:
        groups[row.key_arn.account_region].append(row)
    if groups:
        yield Table(
            "Accounts",
            ("account", "Region", "keys", "drifted", "saved"),
            tuple(
                (
                    account_region.account_id,
                    account_region.region,
                    str(len(group)),
                    str(sum(bool(row.drift) for row in group)),
                    money(sum(row.monthly_cost_usd for row in group)),
                )
                for account_region, group in sorted(groups.items())
            ),
        )
