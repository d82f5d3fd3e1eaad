"""Keys that a resource names, and services that could not be read."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from ..models import AppliedException, CoverageGap, Evidence, Hold, known
from ..policy import Policy
from . import Rule, WhilePending
from ._wording import first_few

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
        exception = policy.coverage_exception_for(gap.service, gap.region)
        if exception is None:
            open_gaps.append(gap)
        else:
            lifted[gap.service] = exception.reason
    for service, reason in lifted.items():
        yield AppliedException(rule=ID, reason=f"{service} not read: {reason}")
    if open_gaps:
        services = first_few(sorted({f"{gap.service} ({gap.code})" for gap in open_gaps}), 5)
        yield Hold(
            rule=ID,
            message=f"services that may use it could not be read: {services}",
            gaps=tuple(open_gaps),
        )


RULE = Rule(
    id=ID,
    sentence=(
        "A resource that names the key needs it, even a stopped database, a snapshot or an unused "
        "bucket. A service that could not be read may have such a resource."
    ),
    clears=(
        "Delete the resource, or give it another key. For a service that could not be read, do "
        "what AWS's answer asks for, or add it to `coverage_exceptions`."
    ),
    needs=("references",),
    while_pending=WhilePending.EVALUATE,
    check=_check,
)
