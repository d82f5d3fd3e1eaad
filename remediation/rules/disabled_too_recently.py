"""Keys that were disabled a short while ago."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from ..models import Evidence, known
from ..policy import Policy
from . import Rule
from ._words import day, waits

ENDS_DISABLED = frozenset({"DisableKey", "CancelKeyDeletion"})
"""The events after which a key is Disabled ("Key states of AWS KMS keys", Developer Guide)."""


def _check(evidence: Evidence, policy: Policy, now: datetime) -> Iterator[str]:
    history = known(evidence.history)
    change = history.last_change
    if change is None:
        if short := waits(history.since, policy.min_days_disabled, now):
            yield f"it has been disabled since before the history begins, which is {short}"
        return
    if short := waits(change.time, policy.min_days_disabled, now):
        by = f" by {change.who}" if change.who else ""
        yield f"its last change was {change.event}{by}, {short}"
    elif change.event not in ENDS_DISABLED:
        yield (
            f"its last recorded change is {change.event} on {day(change.time)}, which does not "
            "explain that it is disabled now: the history has a hole"
        )


RULE = Rule(
    id="disabled-too-recently",
    sentence="Disabling a key is the test that shows who needs it. The test needs time.",
    clears=(
        "Wait until the key has been disabled for `min_days_disabled`. CloudTrail shows an event "
        "about five minutes late, at times more, and `apply` reads the history again: do not apply "
        "within 20 minutes of a change to the key."
    ),
    needs=("history",),
    check=_check,
)
