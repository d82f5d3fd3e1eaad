"""Whose key it is, and whom to ask, from evidence that was already read."""

from __future__ import annotations

from ..models import Declarations, Evidence, KeyHistory
from ..policy import Policy


def owner_of(evidence: Evidence, policy: Policy) -> str | None:
    """The owner in one of the policy's owner tags, else its owner of the account; None: unknown."""
    if isinstance(evidence.tags, dict):
        by_name = {name.strip().casefold(): value.strip() for name, value in evidence.tags.items()}
        for tag in policy.owner_tags:
            if value := by_name.get(tag.strip().casefold()):
                return value
    return policy.account_owners.get(evidence.key_arn.account_id)


def lead_of(evidence: Evidence) -> str | None:
    """The best lead to someone who knows the key; None without any.

    In this order: the code that declares it, an alias, and the caller that last changed its state.
    """
    if isinstance(evidence.declarations, Declarations) and evidence.declarations.found:
        declaration = evidence.declarations.found[0]
        return f"{declaration.tool} {declaration.owner}"
    if evidence.alias:
        return evidence.alias
    if isinstance(evidence.history, KeyHistory) and (change := evidence.history.last_change):
        return f"{change.who} ({change.event})" if change.who else None
    return None
