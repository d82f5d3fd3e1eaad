"""Multi-Region primary keys with replicas."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from ..models import Evidence, known
from ..policy import Policy
from ..wording import first_few
from . import Rule, WhilePending


def _check(evidence: Evidence, _policy: Policy, _now: datetime) -> Iterator[str]:
    description = known(evidence.description)
    if description.replicas and description.multi_region_type != "REPLICA":
        regions = first_few(sorted(replica.region for replica in description.replicas), 5)
        yield f"it is a primary key with replicas in {regions}; delete those first"


RULE = Rule(
    id="replicas-remain",
    sentence=(
        "A scheduled primary key with replicas stays in PendingReplicaDeletion, possibly forever. "
        "Its waiting period starts only when the last replica is deleted."
    ),
    clears="Delete the replicas first. Plan again once AWS has deleted them.",
    needs=("description",),
    while_pending=WhilePending.IGNORE,
    check=_check,
)
