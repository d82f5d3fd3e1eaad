"""Keys that a resource names, and services that could not be asked."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from ..models import AppliedException, CoverageGap, Evidence, Hold, known
from ..policy import Policy
from . import Rule
from ._words import named

ID = "in-use"


def _check(
    evidence: Evidence, policy: Policy, _now: datetime
) -> Iterator[str | Hold | AppliedException]:
    references = known(evidence.references)
    for reference in references.found:
        yield (
            f"{reference.service} {reference.resource} in {reference.region} names it "
            f"({reference.field})"
        )
    open_gaps: list[CoverageGap] = []
    lifted: dict[str, str] = {}
    for gap in references.gaps:
        accepted = policy.coverage_exception_for(gap.service, gap.region)
        if accepted is None:
            open_gaps.append(gap)
        else:
            lifted[gap.service] = accepted.reason
    for service, reason in lifted.items():
        yield AppliedException(rule=ID, reason=f"{service} not read: {reason}")
    if open_gaps:
        services = named(sorted({gap.service for gap in open_gaps}), 5)
        yield Hold(
            rule=ID,
            message=f"not all services could be asked whether they use it: {services}",
            gaps=tuple(open_gaps),
        )


RULE = Rule(
    id=ID,
    sentence=(
        "A resource that names the key needs it: a stopped database, a snapshot, a bucket that "
        "nobody reads. A service that could not be asked may have one."
    ),
    clears=(
        "Delete the resource or give it another key. For a service that cannot be asked: allow "
        "the permission, or add it to `coverage_exceptions`."
    ),
    needs=("references",),
    check=_check,
)
