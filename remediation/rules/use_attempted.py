"""Keys that somebody tried to use, allowed or refused."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from ..models import Evidence, known
from ..policy import Policy
from . import Rule
from ._reach import LEAST_DAYS, too_short
from ._words import day


def _check(evidence: Evidence, policy: Policy, now: datetime) -> Iterator[str]:
    # Attempts of CloudTrail's whole event history count, however short `min_days_unused` is.
    horizon = now - timedelta(days=max(policy.min_days_unused, LEAST_DAYS))
    seen = known(evidence.use_attempts)
    if short := too_short(seen.since, evidence, now, "who tried to use it"):
        yield short
    recent = [attempt for attempt in seen.attempts if attempt.time >= horizon]
    if not recent:
        return
    last = max(recent, key=lambda attempt: attempt.time)
    refused = f" and was refused ({last.error})" if last.error else ""
    times = "once" if len(recent) == 1 else f"{len(recent)} times"
    times = times if seen.all_read else f"at least {times}"
    yield (
        f"somebody tried to use it {times} since {day(horizon)}: last {last.who or 'somebody'} "
        f"with {last.event} on {day(last.time)}{refused}"
    )


RULE = Rule(
    id="use-attempted",
    sentence=(
        "A refused Decrypt is the loudest sign that a disabled key is needed. That none was seen "
        "is weak evidence, as attached volumes may not call KMS for months, and none at all when "
        "less than 90 days could be looked at."
    ),
    clears="Find the caller in CloudTrail and stop it; the event leaves the history after 90 days.",
    needs=("use_attempts",),
    check=_check,
)
