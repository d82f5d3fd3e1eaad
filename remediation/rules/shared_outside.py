"""Keys that another account, or everybody, may use."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from ..models import Evidence, known
from ..policy import Policy
from . import Rule


def _check(evidence: Evidence, _policy: Policy, _now: datetime) -> Iterator[str]:
    key_policy = known(evidence.key_policy)
    if key_policy.problem is not None:
        yield f"its key policy cannot be judged: {key_policy.problem}"
    for principal in key_policy.outside:
        yield f"its key policy lets in {principal}"
    for grant in known(evidence.grants):
        for role, outsider in grant.outsiders(evidence.key_arn.account_id):
            yield f"grant {grant.grant_id} has {outsider} of outside the account as {role}"


RULE = Rule(
    id="shared-outside",
    sentence=(
        "What another account encrypted with this key, a copied snapshot or a shared bucket, is "
        "not visible from here."
    ),
    clears="Ask the other account, then take its principal out of the key policy or grant.",
    needs=("grants", "key_policy"),
    check=_check,
)
