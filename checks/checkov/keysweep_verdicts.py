"""What the checks of every dialect share: their metadata, and the judgement of one declared value.

Pure: nothing is registered and nothing is read here. A judgement takes any value that a parser may
hand over, never raises, and answers with Checkov's three verdicts: UNKNOWN, which leaves no record,
wherever the value is not a literal.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from checkov.common.bridgecrew.severities import BcSeverities, Severities
from checkov.common.models.enums import CheckCategories, CheckResult

# AWS KMS API Reference, ScheduleKeyDeletion, PendingWindowInDays: days, both ends included.
SHORTEST_WINDOW = 7
LONGEST_WINDOW = 30

# Checkov's closed list of categories has none for cost.
CATEGORIES = (CheckCategories.CONVENTION,)
# A Severity; Checkov types the attribute of a check as None.
SEVERITY: Any = Severities[BcSeverities.LOW]

_NUMBER = re.compile(r"\s*[+-]?[0-9]+(\.[0-9]+)?\s*")


@dataclass(frozen=True)
class Check:
    """One check id, whatever the dialect: metadata, and the judgement of the declared value."""

    id: str
    name: str
    guideline: str
    judge: Callable[[object], CheckResult]


def state(declared: object) -> CheckResult:
    """Judge a declared state: FAILED if literally false, PASSED if true or not declared (None)."""
    if isinstance(declared, str):
        word = declared.strip().lower()
        declared = {"true": True, "false": False}.get(word, declared)
    if declared is None or declared is True:
        return CheckResult.PASSED
    return CheckResult.FAILED if declared is False else CheckResult.UNKNOWN


def window(declared: object) -> CheckResult:
    """Judge a declared waiting period in days; not declared (None) means AWS's default of 30."""
    if declared is None:
        return CheckResult.PASSED
    if isinstance(declared, str) and _NUMBER.fullmatch(declared):
        declared = float(declared)
    if isinstance(declared, bool) or not isinstance(declared, int | float):
        return CheckResult.UNKNOWN
    if declared < SHORTEST_WINDOW or declared > LONGEST_WINDOW:
        return CheckResult.FAILED
    if isinstance(declared, float) and math.isnan(declared):
        return CheckResult.UNKNOWN
    # Seven and a half days lie between the two and are still no waiting period.
    return CheckResult.PASSED if declared == int(declared) else CheckResult.UNKNOWN


STATE = Check(
    id="CKV_KEYSWEEP_001",
    name="Ensure the KMS key is not left disabled",
    guideline="https://docs.aws.amazon.com/kms/latest/developerguide/enabling-keys.html",
    judge=state,
)
WINDOW = Check(
    id="CKV_KEYSWEEP_002",
    name="Ensure the deletion waiting period of the KMS key is between 7 and 30 days",
    guideline="https://docs.aws.amazon.com/kms/latest/developerguide/deleting-keys.html",
    judge=window,
)
