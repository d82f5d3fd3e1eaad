"""Keys that the policy protects by ARN or alias."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime

from ..models import Evidence, known
from ..policy import Policy
from . import Rule, WhilePending


def _needs(policy: Policy) -> Collection[str]:
    return ("aliases",) if policy.protects_aliases else ()


def _check(evidence: Evidence, policy: Policy, _now: datetime) -> Iterator[str]:
    aliases = known(evidence.aliases) if policy.protects_aliases else ()
    for glob in policy.protecting(evidence.key_arn, aliases):
        yield f"the policy protects it (protected_keys: {glob})"


RULE = Rule(
    id="protected-key",
    sentence="The policy lists keys that must stay, by ARN or alias.",
    clears="Remove the entry from `protected_keys` in the policy.",
    needs=("aliases",),
    while_pending=WhilePending.IGNORE,
    check=_check,
    needs_if=_needs,
)
