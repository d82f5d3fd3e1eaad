"""Keys that were used recently."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from ..models import Evidence, known
from ..policy import Policy
from . import Rule, WhilePending
from ._dates import too_recent


def _check(evidence: Evidence, policy: Policy, now: datetime) -> Iterator[str]:
    last_use = known(evidence.last_use)
    if last_use.used is not None:
        if short := too_recent(last_use.used, policy.min_days_unused, now):
            yield f"last used ({last_use.operation or 'unknown operation'}) {short}"
    elif not last_use.never and (
        short := too_recent(last_use.tracking_start, policy.min_days_unused, now)
    ):
        yield f"AWS started to track the last use of keys {short}"


RULE = Rule(
    id="used-recently",
    sentence=(
        "AWS tracks the last successful cryptographic call on each key, since 23 April 2026 or "
        "the key's creation."
    ),
    clears="Wait until the last use, or the start of tracking, is `min_days_unused` ago.",
    needs=("last_use",),
    while_pending=WhilePending.EVENTS,
    check=_check,
)
