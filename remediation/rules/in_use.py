"""Keys that a resource names, and services that could not be read."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from ..models import AppliedException, CoverageGap, Evidence, Hold, known
from ..policy import ClosedRegions, CoverageException, Policy
from ..wording import first_few
from . import Rule, WhilePending

ID = "in-use"


def _check(
    evidence: Evidence, policy: Policy, now: datetime
) -> Iterator[str | Hold | AppliedException]:
    references = known(evidence.references)
    for reference in references.found:
        yield (
            f"{reference.service} {reference.resource} in {reference.region} names it "
            f"({reference.field})"
        )
    open_gaps: list[CoverageGap] = []
    lifted: list[AppliedException] = []
    for gap in references.gaps:
        exception = policy.coverage_exception_for(evidence.key_arn.account_region, gap, now)
        if exception is None:
            open_gaps.append(gap)
        else:
            lifted.append(_applied(gap, exception))
    yield from dict.fromkeys(lifted)
    if open_gaps:
        services = first_few(sorted({f"{gap.service} ({gap.code})" for gap in open_gaps}), 5)
        yield Hold(
            rule=ID,
            message=f"services that may use it could not be read: {services}",
            gaps=tuple(open_gaps),
        )


def _applied(gap: CoverageGap, by: CoverageException | ClosedRegions) -> AppliedException:
    one_call = isinstance(by, CoverageException)
    return AppliedException(
        rule=ID,
        reason=by.reason,
        approved_by=by.approved_by,
        until=by.until.isoformat(),
        region=gap.region,
        service=gap.service if one_call else None,
        operation=gap.operation if one_call else None,
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
