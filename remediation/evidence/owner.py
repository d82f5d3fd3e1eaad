"""Whom to ask about a key, from evidence that was already read."""

from __future__ import annotations

from ..models import Declarations, Evidence, KeyHistory
from ..policy import Policy


def owner_of(evidence: Evidence, policy: Policy) -> str | None:
    """The key's owner, or the best hint; None without any.

    In this order: the policy's owner tags, the code that declares it, an alias, and the caller
    that last changed its state.
    """
    if isinstance(evidence.tags, dict):
        by_name = {name.strip().casefold(): value.strip() for name, value in evidence.tags.items()}
        for tag in policy.owner_tags:
            if value := by_name.get(tag.strip().casefold()):
                return value
    if isinstance(evidence.declarations, Declarations) and evidence.declarations.found:
        declaration = evidence.declarations.found[0]
        return f"{declaration.tool} {declaration.owner}"
    if isinstance(evidence.aliases, tuple) and evidence.aliases:
        return evidence.aliases[0]
    if isinstance(evidence.history, KeyHistory) and (change := evidence.history.last_change):
        return f"{change.who} ({change.event})" if change.who else None
    return None
