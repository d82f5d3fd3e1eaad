"""The page of the results of `apply`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from ...models import KeyResult, Outcome
from ...plan import Plan
from ...wording import counted
from ..evidence_words import moment
from ..key_rows import money
from ..view import ResultsView, applied_view
from .parts import (
    MOST_KEYS,
    Bar,
    Bars,
    Figure,
    Page,
    exceptions_table,
    group,
    owners_table,
    sum_text,
)
from .waiting_periods import timeline

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
    """The page of the results of `apply`."""
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
        timeline=timeline(view.periods, now),
        groups=tuple(
            group(heading, about, tone, view.rows[outcome], view.sums[outcome])
            for outcome, (heading, about, tone) in _OUTCOMES.items()
        ),
        tables=(*owners_table(view.owners), *exceptions_table(view.exceptions)),
        notes=tuple(plan.warnings),
        limits=plan.limits,
    )


def _outcomes(view: ResultsView) -> tuple[Bars, ...]:
    bars = tuple(
        Bar(outcome.value, sum_text(its), 100 * its.keys / view.keys, tone)
        for outcome, (_, _, tone) in _OUTCOMES.items()
        if (its := view.sums[outcome]).keys
    )
    caption = "Outcomes of the keys that the plan schedules."
    return (Bars("Outcomes", caption, ("Outcome", "Keys"), bars),) if bars else ()
