"""The page that links the plans of many accounts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from ...plan import LIMITS
from ...wording import counted
from ..key_rows import Link, Table, money
from .parts import Figure, Page

if TYPE_CHECKING:  # it imports AWS's libraries
    from ...plan_index import AccountPlan

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
