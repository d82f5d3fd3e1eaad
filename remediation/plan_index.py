"""The plans of many accounts, each a file ACCOUNT.json, and which of them are complete."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from . import planfile
from .errors import BadInput
from .escape import short
from .files import is_file
from .models import PlanSummary
from .plan import Plan
from .wording import counted

NO_PLAN: Final = "No plan"

_NAME: Final = re.compile(r"([0-9]{12})\.json", re.ASCII)


@dataclass(frozen=True)
class AccountPlan:
    """What the index shows of one account's plan."""

    account_id: str
    problem: str
    """Why the account's plan is missing or incomplete; empty if it is complete."""
    digest: str = ""
    summary: PlanSummary | None = None
    """None without a plan that can be read."""
    page: str | None = None
    """Name of the HTML report beside the plan, if there is one."""
    warnings: int = 0
    """Number of the plan's warnings, such as Regions whose keys the scan could not list."""


def read(folder: Path, expected: Iterable[str]) -> tuple[AccountPlan, ...]:
    """The plans of a folder, and the expected accounts without one, by account.

    Raises BadInput if there is neither.
    """
    try:
        files = {name[1]: file for file in folder.iterdir() if (name := _NAME.fullmatch(file.name))}
    except OSError as error:
        raise BadInput(f"{short(str(folder))}: {error.strerror}. Fix: name a folder") from error
    accounts = sorted({*files, *expected})
    if not accounts:
        raise BadInput(
            f"{short(str(folder))} holds no plan. Fix: keysweep plan RESULTS --out ACCOUNT.json"
        )
    return tuple(
        _read(account, files[account]) if account in files else AccountPlan(account, NO_PLAN)
        for account in accounts
    )


def incomplete(plans: Iterable[AccountPlan]) -> tuple[AccountPlan, ...]:
    """Those that are missing or incomplete."""
    return tuple(plan for plan in plans if plan.problem)


def _read(account: str, file: Path) -> AccountPlan:
    page = file.with_suffix(".html")
    shown = page.name if is_file(page) else None
    try:
        plan = planfile.load(file)
    except BadInput as error:
        return AccountPlan(account, str(error), page=shown)
    problem = " ".join(_problems(account, plan))
    return AccountPlan(
        account, problem, plan.digest, plan.summary, shown, warnings=len(plan.warnings)
    )


def _problems(account: str, plan: Plan) -> Iterator[str]:
    yield from plan.unread_accounts
    if plan.unusable:
        yield f"{counted(len(plan.unusable), 'record')} of the results could not be used."
    if others := sorted({item.account_id for item in plan.items} - {account}):
        yield f"The plan has keys of other accounts: {', '.join(others)}."
