"""Metadata of the checks, and the evaluation of one declared value, for every dialect.

A helper that registers no check and reads nothing. An evaluation takes any value that a parser may
return, never raises, and returns one of Checkov's verdicts: UNKNOWN, which leaves no record, if the
value is not a literal.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from checkov.common.bridgecrew.severities import BcSeverities, Severities
from checkov.common.models.enums import CheckCategories, CheckResult

# In days, both included: ScheduleKeyDeletion, PendingWindowInDays, AWS KMS API Reference.
SHORTEST_WINDOW = 7
LONGEST_WINDOW = 30

# Checkov has a fixed list of categories, without one for cost.
CATEGORIES = (CheckCategories.CONVENTION,)
# A Severity, although Checkov declares the attribute of a check as None.
SEVERITY: Any = Severities[BcSeverities.LOW]

_NUMBER = re.compile(r"\s*[+-]?[0-9]+(\.[0-9]+)?\s*")


@dataclass(frozen=True)
class Check:
    """The metadata and the evaluation of one check id, in every dialect."""

    id: str
    name: str
    guideline: str
    evaluate: Callable[[object], CheckResult]


def state(declared: object) -> CheckResult:
    """Evaluate a declared state: FAILED if false, PASSED if true or not declared (None)."""
    if isinstance(declared, str):
        word = declared.strip().lower()
        declared = {"true": True, "false": False}.get(word, declared)
    if declared is None or declared is True:
        return CheckResult.PASSED
    return CheckResult.FAILED if declared is False else CheckResult.UNKNOWN


def window(declared: object) -> CheckResult:
    """Evaluate a waiting period in days; if it is not declared (None), AWS's default is 30."""
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
    # A fraction of a day within the limits is not a valid waiting period either.
    return CheckResult.PASSED if declared == int(declared) else CheckResult.UNKNOWN


STATE = Check(
    id="CKV_KEYSWEEP_001",
    name="Ensure the KMS key is not left disabled",
    guideline="https://docs.aws.amazon.com/kms/latest/developerguide/enabling-keys.html",
    evaluate=state,
)
WINDOW = Check(
    id="CKV_KEYSWEEP_002",
    name="Ensure the deletion waiting period of the KMS key is between 7 and 30 days",
    guideline="https://docs.aws.amazon.com/kms/latest/developerguide/deleting-keys.html",
    evaluate=window,
)
