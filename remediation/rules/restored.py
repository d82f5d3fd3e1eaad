"""Keys whose deletion was cancelled before."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from ..models import Evidence, known
from ..policy import Policy
from . import Rule, WhilePending
from ._dates import day
from ._event_coverage import shortfall


def _check(evidence: Evidence, _policy: Policy, now: datetime) -> Iterator[str]:
    history = known(evidence.history)
    if short := shortfall(history.since, evidence, now, "cancelled deletions"):
        yield short
    for cancellation in history.cancellations:
        who = cancellation.who or "an unknown caller"
        yield f"{who} cancelled its deletion on {day(cancellation.time)}"


RULE = Rule(
    id="restored",
    sentence="Someone cancelled the deletion for a reason that may still apply.",
    clears="Ask the person who cancelled it, then add an exception for this rule.",
    needs=("history",),
    while_pending=WhilePending.EVENTS,
    check=_check,
)
