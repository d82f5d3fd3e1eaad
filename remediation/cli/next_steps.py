"""What to do after `plan` and `apply`: lines for a terminal that end with a command to copy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from ..access import Access
from ..findings import newest_by_key
from ..journal import Location
from ..models import NEXT_WAVE, Finding, KeyResult, Outcome, VerdictKind
from ..plan import Plan
from ..rules import RULES
from ..wording import counted
from .setup import journal_arguments

_CHECK_THE_SCAN: Final = (
    "Check that the scan covers every account and Region, runs kms_cmk_not_disabled, and has no "
    "filter such as --status, --resource-arn or --resource-tag."
)

_CLEARS: Final = {rule.id: rule.clears for rule in RULES}


def after_plan(
    plan: Plan, findings: Iterable[Finding], results: Sequence[str], out: Path, access: Access
) -> Iterator[str]:
    """The command that applies the plan; or why it schedules no key, and what to check."""
    if plan.chosen:
        apply = access.command_line("apply", out)
        yield f"Plan written to {out}. Review it, then run: {apply}"
        return
    yield f"Plan written to {out}. It schedules no key."
    if plan.items:
        yield from _held(plan, results, access)
    else:
        yield from _without_candidates(plan, findings)


def _held(plan: Plan, results: Sequence[str], access: Access) -> Iterator[str]:
    reasons: dict[VerdictKind, Counter[str]] = {kind: Counter() for kind in VerdictKind}
    unread = False
    for item in plan.items:
        reasons[item.verdict].update({reason.rule for reason in item.reasons})
        unread = unread or any(reason.gaps for reason in item.reasons)
    for rule, keys in reasons[VerdictKind.HOLD].most_common():
        fix = _CLEARS.get(rule, "See its reason above.")
        yield f"On hold, {rule} ({counted(keys, 'key')}): {fix}"
    if skipped := reasons[VerdictKind.SKIP].most_common():
        counts = ", ".join(f"{rule} ({counted(keys, 'key')})" for rule, keys in skipped)
        yield f"Skipped: {counts}."
    if reasons[VerdictKind.HOLD][NEXT_WAVE]:
        yield f"The policy allows {counted(plan.policy.max_keys, 'key')} (max_keys)."
    if unread and results:
        yield f"See what could not be read with: {access.command_line('doctor', *results)}"


def _without_candidates(plan: Plan, findings: Iterable[Finding]) -> Iterator[str]:
    newest = (one for of_key in newest_by_key(findings).values() for one in of_key)
    counts = Counter((one.check_id, one.status.value) for one in newest)
    if counts:
        found = ", ".join(
            f"{check} {status} ({counted(keys, 'key')})"
            for (check, status), keys in sorted(counts.items())
        )
        yield f"Newest findings: {found}. A key needs a failed one that is not muted."
    if plan.unmapped:
        yield "No finding in code leads to a live key: the table shows the step for each."
    else:
        yield _CHECK_THE_SCAN


def after_apply(
    plan: Plan, results: Iterable[KeyResult], path: Path, journal: Location, access: Access
) -> Iterator[str]:
    """How to watch and undo the deletions that `apply` scheduled, and when to plan the next wave.

    `path` is the plan's.
    """
    ends = [
        result.deletion_date
        for result in results
        if result.outcome is Outcome.SCHEDULED and result.deletion_date is not None
    ]
    if not ends:
        return
    written = journal_arguments([journal])
    first, last = (f"{day:%Y-%m-%d}" for day in (min(ends), max(ends)))
    guard = access.command_line("guard", *written, "--plan", path)
    undo = access.command_line("cancel", "--journal", str(journal))
    yield f"See the deletions with: {access.command_line('status', *written)}"
    yield f"Every day until {last}, check whether a key is in use: {guard}"
    yield f"Until {first}, undo all with: {undo}"
    later = sum(reason.rule == NEXT_WAVE for item in plan.items for reason in item.reasons)
    if later:
        yield f"For the next wave ({counted(later, 'key')}), run keysweep plan again."
