"""Keys that were created recently."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from ..models import Evidence, known
from ..policy import Policy
from . import Rule, WhilePending
from ._dates import too_recent


def _check(evidence: Evidence, policy: Policy, now: datetime) -> Iterator[str]:
    created = known(evidence.description).creation_date
    if short := too_recent(created, policy.min_age_days, now):
        yield f"created {short}"


RULE = Rule(
    id="too-new",
    sentence="A new key may be disabled because the workload that needs it is not deployed yet.",
    clears="Wait until the key is `min_age_days` old.",
    needs=("description",),
    while_pending=WhilePending.IGNORE,
    check=_check,
)
