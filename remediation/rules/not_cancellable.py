"""Keys whose key policy does not let the account itself govern them."""

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
    elif not key_policy.account_root:
        yield (
            "no statement of its key policy lets the account's IAM policies govern it: a deletion "
            "might not be cancellable"
        )
    for statement in key_policy.undo_denied:
        yield (f"its key policy may deny kms:CancelKeyDeletion where it lets schedule: {statement}")


RULE = Rule(
    id="not-cancellable",
    sentence=(
        "Without the account-root statement IAM policies count for nothing, and who may schedule "
        "may not be who may cancel. Nothing is scheduled that cannot be undone."
    ),
    clears="Give the key policy a statement that allows `kms:*` to the account's root principal.",
    needs=("key_policy",),
    check=_check,
)
