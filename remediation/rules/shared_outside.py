"""Keys that another account, or everybody, may use, also through an AWS service."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from ..models import Evidence, known
from ..policy import Policy
from . import Rule


def _check(evidence: Evidence, _policy: Policy, _now: datetime) -> Iterator[str]:
    key_policy = known(evidence.key_policy)
    if key_policy.problem is not None:
        yield f"its key policy could not be evaluated: {key_policy.problem}"
    for principal in key_policy.outside:
        yield f"its key policy grants access to {principal}"
    for service in key_policy.unpinned:
        yield (
            f"its key policy grants access to {service}: add a condition "
            f"aws:SourceAccount {evidence.key_arn.account_id}, or accept the rule"
        )
    for grant in known(evidence.grants):
        for role, outsider in grant.outsiders(evidence.key_arn.account_id):
            yield f"grant {grant.grant_id} has {outsider} of outside the account as {role}"


RULE = Rule(
    id="shared-outside",
    sentence=(
        "What another account encrypted with this key, a copied snapshot or a shared bucket, is "
        "not visible from here. An AWS service uses it for other accounts too, unless a condition "
        "pins the key's account: `aws:SourceAccount`, or an ARN with that account in "
        "`aws:SourceArn` or the encryption context."
    ),
    clears=(
        "Ask the other account, then take its principal out of the key policy or grant. Of a "
        "service: add the condition `aws:SourceAccount`, or remove the statement."
    ),
    needs=("grants", "key_policy"),
    check=_check,
)
