"""Findings that are too old to act on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from ..models import Evidence
from ..policy import Policy
from . import Rule
from ._words import day, days

CLOCKS_DIFFER = timedelta(days=1)
"""A scanner's clock may be ahead of AWS's by this much."""


def _check(evidence: Evidence, policy: Policy, now: datetime) -> Iterator[str]:
    found = evidence.finding_time
    if found is None:
        return
    if found > now + CLOCKS_DIFFER:
        yield f"the newest finding is dated {day(found)}, which is in the future; scan again"
    age = now - found
    if age > timedelta(days=policy.max_finding_age_days):
        yield (
            f"the newest finding is {days(age.days)} old ({day(found)}); the policy allows "
            f"{days(policy.max_finding_age_days)}; scan again"
        )


RULE = Rule(
    id="stale-finding",
    sentence="An old scan says little about today. Checkov's records carry no time: not applied.",
    clears="Run the scanner again and plan from its new results.",
    needs=(),
    check=_check,
)
