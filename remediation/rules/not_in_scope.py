"""Keys in accounts or Regions outside the policy."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from ..models import Evidence
from ..policy import Policy
from . import Rule, WhilePending


def _check(evidence: Evidence, policy: Policy, _now: datetime) -> Iterator[str]:
    key = evidence.key_arn
    if not policy.accounts.admits(key.account_id):
        yield f"account {key.account_id} is outside the policy's accounts"
    if not policy.regions.admits(key.region):
        yield f"Region {key.region} is outside the policy's regions"


RULE = Rule(
    id="not-in-scope",
    sentence="The policy limits which accounts and Regions Keysweep may schedule keys in.",
    clears="Add the account or Region to `allow` in the policy, or remove it from `deny`.",
    needs=(),
    while_pending=WhilePending.IGNORE,
    check=_check,
)
