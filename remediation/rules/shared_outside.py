"""Keys that other accounts can use, directly or through an AWS service."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from ..models import Evidence, known
from ..policy import Policy
from . import Rule, WhilePending


def _check(evidence: Evidence, _policy: Policy, _now: datetime) -> Iterator[str]:
    key_policy = known(evidence.key_policy)
    if key_policy.problem is not None:
        yield f"its key policy could not be evaluated: {key_policy.problem}"
    for principal in key_policy.outside:
        yield f"its key policy grants access to {principal}"
    for service in key_policy.unpinned:
        yield (
            f"its key policy grants access to {service}. Fix: add the condition aws:SourceAccount "
            f"{evidence.key_arn.account_id}, or an exception for this rule"
        )
    for grant in known(evidence.grants):
        for role, outsider in grant.outsiders(evidence.key_arn.account_id):
            yield f"grant {grant.grant_id} names {outsider}, outside the account, as {role}"


RULE = Rule(
    id="shared-outside",
    sentence=(
        "Data that another account encrypted with this key, such as a copied snapshot or a shared "
        "bucket, cannot be seen from the key's account. An AWS service can use the key for other "
        "accounts too, unless a condition limits it to the key's account: `aws:SourceAccount`, or "
        "an ARN with that account in `aws:SourceArn` or the encryption context."
    ),
    clears=(
        "Ask the other account, then remove its principal from the key policy, or revoke the "
        "grant. For a service, add the condition `aws:SourceAccount`, or remove the statement."
    ),
    needs=("grants", "key_policy"),
    while_pending=WhilePending.EVALUATE,
    check=_check,
)
