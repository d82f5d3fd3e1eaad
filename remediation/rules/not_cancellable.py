"""Keys whose scheduled deletion might not be cancellable."""

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
    elif not key_policy.account_root:
        yield (
            "its key policy does not give the account root access, so its deletion might not be "
            "cancellable"
        )
    for statement in key_policy.undo_denied:
        yield (
            "its key policy may deny kms:CancelKeyDeletion but allow kms:ScheduleKeyDeletion: "
            f"{statement}"
        )


RULE = Rule(
    id="not-cancellable",
    sentence=(
        "Without a statement for the account root, IAM policies have no effect, and callers who "
        "can schedule the deletion might not be able to cancel it."
    ),
    clears="Add a statement to the key policy that allows `kms:*` to the account's root principal.",
    needs=("key_policy",),
    while_pending=WhilePending.IGNORE,
    check=_check,
)
