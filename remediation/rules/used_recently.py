"""Keys that were used successfully not long ago."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from ..models import Evidence, known
from ..policy import Policy
from . import Rule
from ._words import waits


def _check(evidence: Evidence, policy: Policy, now: datetime) -> Iterator[str]:
    last_use = known(evidence.last_use)
    if last_use.used is not None:
        if short := waits(last_use.used, policy.min_days_unused, now):
            yield f"last used ({last_use.operation or 'operation not named'}) {short}"
    elif not last_use.never and (
        short := waits(last_use.tracking_start, policy.min_days_unused, now)
    ):
        yield f"AWS tracks the use of keys only since {short}"


RULE = Rule(
    id="used-recently",
    sentence=(
        "AWS remembers the last successful cryptographic call on a key, since 23 April 2026 or "
        "since its creation."
    ),
    clears="Wait until the last use, or the start of the tracking, is `min_days_unused` ago.",
    needs=("last_use",),
    check=_check,
)
