"""Keys that were disabled recently."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from ..models import ENDS_DISABLED, Evidence, known
from ..policy import Policy
from . import Rule, WhilePending
from ._dates import day, too_recent


def _check(evidence: Evidence, policy: Policy, now: datetime) -> Iterator[str]:
    history = known(evidence.history)
    change = history.last_change
    if change is None:
        if short := too_recent(history.since, policy.min_days_disabled, now):
            yield f"it was disabled before the history begins, {short}"
        return
    if short := too_recent(change.time, policy.min_days_disabled, now):
        by = f" by {change.who}" if change.who else ""
        yield f"its last change was {change.event}{by}, {short}"
    elif change.event not in ENDS_DISABLED:
        yield (
            f"its last recorded change is {change.event} on {day(change.time)}, which does not "
            "disable a key: events are missing from the history"
        )


RULE = Rule(
    id="disabled-too-recently",
    sentence="Disabling a key tests whether anything needs it. The test needs time.",
    clears=(
        "Wait until the key has been disabled for `min_days_disabled`. CloudTrail shows events "
        "about five minutes late, sometimes more. `apply` reads the history again, so do not apply "
        "within 20 minutes of a change to the key."
    ),
    needs=("history",),
    while_pending=WhilePending.IGNORE,
    check=_check,
)
