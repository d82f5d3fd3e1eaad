"""Keys that a caller tried to use, successfully or not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from ..models import Evidence, known
from ..policy import Policy
from ..wording import counted
from . import Rule, WhilePending
from ._dates import day
from ._event_coverage import LEAST_DAYS, shortfall


def _check(evidence: Evidence, policy: Policy, now: datetime) -> Iterator[str]:
    # A `min_days_unused` below 90 does not exclude older attempts.
    horizon = now - timedelta(days=max(policy.min_days_unused, LEAST_DAYS))
    seen = known(evidence.use_attempts)
    if short := shortfall(seen.since, evidence, now, "use attempts"):
        yield short
    recent = [attempt for attempt in seen.attempts if attempt.time >= horizon]
    if not recent:
        return
    first = min(recent, key=lambda attempt: attempt.time)
    last = max(recent, key=lambda attempt: attempt.time)
    refused = f", refused with {last.error}" if last.error else ""
    attempts = counted(len(recent), "attempt")
    attempts = attempts if seen.all_read else f"at least {attempts}"
    yield (
        f"{attempts} to use it since {day(first.time)}: last by {last.who or 'an unknown caller'} "
        f"with {last.event} on {day(last.time)}{refused}"
    )


RULE = Rule(
    id="use-attempted",
    sentence=(
        "A refused Decrypt is the clearest sign that a disabled key is needed. The absence "
        "of attempts is weak evidence, since an attached volume may not call KMS for months. "
        "Without 90 days of events it is no evidence, and the key is held."
    ),
    clears=(
        "Find the caller in CloudTrail and stop it. An attempt counts for 90 days, or for "
        "`min_days_unused` if that is more and the history reaches back so far."
    ),
    needs=("use_attempts",),
    while_pending=WhilePending.EVENTS,
    check=_check,
)
