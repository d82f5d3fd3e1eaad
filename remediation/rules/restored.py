"""Keys whose deletion somebody cancelled before."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from ..models import Evidence, known
from ..policy import Policy
from . import Rule
from ._reach import too_short
from ._words import day


def _check(evidence: Evidence, _policy: Policy, now: datetime) -> Iterator[str]:
    history = known(evidence.history)
    if short := too_short(history.since, evidence, now, "whether somebody rescued it"):
        yield short
    for rescue in history.cancellations:
        yield f"{rescue.who or 'somebody'} cancelled its deletion on {day(rescue.time)}"


RULE = Rule(
    id="restored",
    sentence="Somebody who cancels a deletion has a reason, and may not have told you.",
    clears="Ask who cancelled it; then accept the rule for this key.",
    needs=("history",),
    check=_check,
)
