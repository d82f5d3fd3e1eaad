"""Primary keys with replicas."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from ..models import Evidence, known
from ..policy import Policy
from . import Rule
from ._words import named


def _check(evidence: Evidence, _policy: Policy, _now: datetime) -> Iterator[str]:
    description = known(evidence.description)
    if description.replicas and description.multi_region_type != "REPLICA":
        regions = named(sorted(replica.region for replica in description.replicas), 5)
        yield f"it is a primary key, and replicas remain in {regions}; retire those first"


RULE = Rule(
    id="replicas-remain",
    sentence=(
        "Scheduling a primary key with replicas starts no waiting period: it waits, possibly for "
        "ever, in PendingReplicaDeletion."
    ),
    clears="Retire the replicas first; plan again when AWS has deleted them.",
    needs=("description",),
    check=_check,
)
