"""Accounts and Regions that the policy leaves out."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from ..models import Evidence
from ..policy import Policy
from . import Rule


def _check(evidence: Evidence, policy: Policy, _now: datetime) -> Iterator[str]:
    key = evidence.key_arn
    if not policy.accounts.admits(key.account_id):
        yield f"account {key.account_id} is outside the policy's accounts"
    if not policy.regions.admits(key.region):
        yield f"Region {key.region} is outside the policy's regions"


RULE = Rule(
    id="not-in-scope",
    sentence="The policy names the accounts and Regions whose keys may be scheduled at all.",
    clears="Add the account or Region to `allow`, or take it out of `deny`, in the policy.",
    needs=(),
    check=_check,
)
