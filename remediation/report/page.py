"""What the page that people look at says of plans, results and states; free of any layout."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ..models import KeyResult, Outcome, PlanItem, VerdictKind
from ..plan import LIMITS, Plan
from ..status import Status, StatusRow
from . import tables
from .evidence_words import Said, in_words, moment
from .tables import Sum, Table, absent_services, money, name_of

MOST_KEYS: Final = 1000
"""More keys than this in one group would make a page that no browser scrolls; the plan and the
other formats have every key."""


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
    chosen, held, skipped = (plan.by_verdict[kind] for kind in VerdictKind)
    saved = plan.summary.monthly_cost_usd
    costs = sum(item.monthly_cost_usd for item in plan.items)
    stays = sum(item.monthly_cost_usd for item in held)
    return Page(
        title=f"Plan of {plan.created_at:%d %B %Y}",
        about="Nothing has been changed. These are the verdicts on the keys that the scanners "
        "named, and what each rests on.",
        facts=(
            ("Made", moment(plan.created_at)),
            ("Expires", moment(plan.expires_at)),
            ("Digest", plan.digest),
            ("Results", ", ".join(source.path for source in plan.sources) or "none"),
        ),
        figures=(
            Figure(money(costs), "a month now", f"{_keys(len(plan.items))} nominated", "plain"),
            Figure(
                money(saved),
                "a month saved",
                f"{_keys(len(chosen))} to schedule; {money(12 * saved)} a year",
                "good",
            ),
            Figure(money(stays), "a month held", f"{_keys(len(held))} held", "warn"),
        ),
        bars=_reasons(held),
        timeline=_planned(plan, chosen),
        groups=(
            _group("To schedule", "Nothing was found that needs them.", "good", chosen),
            _group("Held", "A rule stopped each of them; every reason is listed.", "warn", held),
            _group("Skipped", "There is nothing to do about them.", "plain", skipped),
        ),
        tables=(
            *_places(plan.items),
            *_waivers(plan),
            *_gaps(held),
            *_not_offered(plan.items),
            *tables.beside_the_keys(plan, every_key=True),
        ),
        notes=(*_code(plan), *plan.warnings, *_unusable(plan)),
        limits=plan.limits,
    )


def _keys(count: int) -> str:
    return "1 key" if count == 1 else f"{count:,} keys"


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
                    f"{_keys(its.keys)}, {money(its.costs)} a month",
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
        why.append((f"{exceptions.rule}, waived", f"{exceptions.reason}{until}"))
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
        "Waiting periods, if the plan were applied when it was made. Until the end of each, "
        "every deletion can be cancelled.",
        f"{start:%d %b %Y}",
        f"{start + timedelta(days=longest):%d %b %Y}",
        tuple(
            Span(
                _keys(count),
                f"{days} days, until {start + timedelta(days=days):%d %b %Y}",
                0,
                100 * days / longest,
                0,
            )
            for days, count in sorted(windows.items())
        ),
    )


def _places(items: Iterable[PlanItem]) -> Iterable[Table]:
    groups: dict[tuple[str, str], dict[VerdictKind, Sum]] = {}
    for item in items:
        place = item.account_id, item.owner or "no owner known"
        groups.setdefault(place, {kind: Sum() for kind in VerdictKind})[item.verdict].add(item)
    rows = tuple(
        (
            account,
            owner,
            *(str(by_verdict[kind].keys) for kind in VerdictKind),
            money(sum(its.costs for its in by_verdict.values())),
            money(by_verdict[VerdictKind.SCHEDULE].costs),
        )
        for (account, owner), by_verdict in sorted(groups.items())
    )
    columns = ("account", "owner", "to schedule", "held", "skipped", "a month now", "saved")
    return (Table("Owners and accounts", columns, rows),) if rows else ()


def _waivers(plan: Plan) -> Iterable[Table]:
    uses = Counter(
        (w.rule, w.reason, w.until or "") for item in plan.items for w in item.exceptions
    )
    rows = tuple(
        (rule, reason, until, str(count)) for (rule, reason, until), count in sorted(uses.items())
    )
    columns = ("rule", "reason", "until", "keys")
    return (Table("Waived by the policy", columns, rows),) if rows else ()


def _gaps(held: Iterable[PlanItem]) -> Iterable[Table]:
    keys = Counter(
        (gap.service, gap.region, gap.why, gap.permission or "")
        for item in held
        for gap in {gap for reason in item.reasons for gap in reason.gaps}
    )
    rows = tuple((*gap, str(count)) for gap, count in sorted(keys.items()))
    columns = ("service", "Region", "why", "permission", "keys")
    return (Table("Services that could not be asked", columns, rows),) if rows else ()


def _not_offered(items: Iterable[PlanItem]) -> Iterable[Table]:
    rows = tuple(
        (region, str(len(services)), ", ".join(services))
        for region, services in absent_services(items).items()
    )
    columns = ("Region", "services", "names")
    return (Table("Services that the Region does not offer", columns, rows),) if rows else ()


def _code(plan: Plan) -> Iterable[str]:
    if not plan.code_looked_at:
        yield (
            "No infrastructure code that owns anything was given (--tfstate, --cfn-stack): "
            "Terraform would create its own keys again."
        )


def _unusable(plan: Plan) -> Iterable[str]:
    return (f"{bad.source}, {bad.position}: {bad.problem}" for bad in plan.unusable)


# --- results -----------------------------------------------------------------------------------


_OUTCOMES: Final = {
    Outcome.FAILED: ("Failed", "Nothing is known to have been done, or not all of it.", "bad"),
    Outcome.CHANGED: ("Changed", "No longer as planned, so they were left alone.", "warn"),
    Outcome.SCHEDULED: ("Scheduled", "To be deleted; until then it can be cancelled.", "good"),
    Outcome.ALREADY_PENDING: ("Already pending", "Scheduled by somebody else.", "plain"),
    Outcome.CANCELLED: ("Cancelled", "The deletion was called off.", "plain"),
    Outcome.NOT_PENDING: ("Not pending", "There was nothing to cancel.", "plain"),
}
"""What is shown first needs somebody's eyes."""


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
        about="What became of each key of the plan. Every deletion here can be cancelled until "
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
                f"{_keys(len(done))} scheduled; {money(12 * saved)} a year",
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
                "apply the plan again to finish" if failed else "nothing is left to do",
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
        tables=(*_places(items[one.key_arn] for one in done), *_waivers(plan)),
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
                "What became of the keys that the plan schedules.",
                ("Outcome", "Keys"),
                tuple(
                    Bar(
                        outcome.value,
                        f"{_keys(len(rows))}, {money(cost[outcome])} a month",
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
        "Waiting periods. Until the end of each, the deletion can be cancelled; what is over is "
        "filled.",
        f"{first:%d %b %Y}",
        f"{last:%d %b %Y}",
        tuple(
            Span(
                _keys(len(ends)),
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
            "Not as the journal says.",
            "bad",
            [row for row in status.rows if row.drift],
        ),
        (
            "Pending",
            "To be deleted; until then it can be cancelled.",
            "good",
            [row for row in status.rows if not row.drift and row.state != "deleted"],
        ),
        (
            "Deleted",
            "Gone, with everything that was encrypted under them alone.",
            "plain",
            [row for row in status.rows if not row.drift and row.state == "deleted"],
        ),
    )
    return Page(
        title=f"Status on {now:%d %B %Y}",
        about="The keys that the journal says were scheduled, as AWS shows them now.",
        facts=(("Read", moment(now)), ("Keys", str(len(status.rows)))),
        figures=(
            Figure(
                money(saved), "a month saved", f"{money(12 * saved)} a year, list price", "good"
            ),
            Figure(str(status.pending), "pending", f"and {status.deleted} deleted", "plain"),
            Figure(
                str(status.drifted),
                "drifted",
                "not as the journal says" if status.drifted else "all as the journal says",
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
    groups: dict[tuple[str, str], list[StatusRow]] = defaultdict(list)
    for row in rows:
        groups[row.key_arn.account_region].append(row)
    if groups:
        yield Table(
            "Accounts",
            ("account", "Region", "keys", "drifted", "saved"),
            tuple(
                (
                    *place,
                    str(len(group)),
                    str(sum(bool(row.drift) for row in group)),
                    money(sum(row.monthly_cost_usd for row in group)),
                )
                for place, group in sorted(groups.items())
            ),
        )
