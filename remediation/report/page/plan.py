"""The page of a plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

from ...models import VerdictKind
from ...plan import Plan
from ...wording import counted
from ..evidence_words import moment
from ..key_rows import Table, money
from ..view import FIRST_REASONS, PlanView, Section, code_tables, plan_view
from .parts import (
    MOST_KEYS,
    Bar,
    Bars,
    Figure,
    Page,
    Span,
    Timeline,
    exceptions_table,
    group,
    owners_table,
    sum_text,
)

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
        about="Nothing has been changed in AWS. These are the verdicts on the candidates, with "
        "their evidence.",
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
            group(
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
            *owners_table(view.owners),
            *exceptions_table(view.exceptions),
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
                Bar(rule, sum_text(its), 100 * its.keys / held, "warn")
                for rule, its in sorted(view.rules.items(), key=lambda one: (-one[1].keys, one[0]))
            ),
        ),
    )


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
