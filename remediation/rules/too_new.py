"""Keys that were created a short while ago."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from ..models import Evidence, known
from ..policy import Policy
from . import Rule
from ._words import waits


def _check(evidence: Evidence, policy: Policy, now: datetime) -> Iterator[str]:
    created = known(evidence.description).creation_date
    if short := waits(created, policy.min_age_days, now):
        yield f"created {short}"


RULE = Rule(
    id="too-new",
    sentence="A young key may be disabled because what will use it is not there yet.",
    clears="Wait until the key is `min_age_days` old.",
    needs=("description",),
    check=_check,
)
