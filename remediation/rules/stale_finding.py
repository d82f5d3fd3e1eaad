"""Keys whose newest finding is too old."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from ..models import Evidence
from ..policy import Policy
from ..wording import counted
from . import Rule, WhilePending
from ._dates import day

CLOCKS_DIFFER = timedelta(days=1)
"""How far a scanner's clock may be ahead of AWS's."""


def _check(evidence: Evidence, policy: Policy, now: datetime) -> Iterator[str]:
    found = evidence.finding_time
    if found is None:
        return
    if found > now + CLOCKS_DIFFER:
        yield f"the newest finding has a date in the future ({day(found)}). Fix: scan again"
    age = now - found
    if age > timedelta(days=policy.max_finding_age_days):
        yield (
            f"the newest finding is {counted(age.days, 'day')} old ({day(found)}); the policy "
            f"allows {counted(policy.max_finding_age_days, 'day')}. Fix: scan again"
        )


RULE = Rule(
    id="stale-finding",
    sentence=(
        "Old results may no longer be true. Checkov's results and keys named with `--key` have no "
        "time, so this rule does not apply to them."
    ),
    clears="Run the scanner again, and plan from the new results.",
    needs=(),
    while_pending=WhilePending.IGNORE,
    check=_check,
)
