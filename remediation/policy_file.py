"""Read a decision policy from YAML, strictly.

An unknown name, a wrong type, or a value out of range is refused with the file, the line and the
fix. So is an exception for a rule or a service that does not exist.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from .evidence.references.entries import reference_list
from .policy import Policy, PolicyFile, policies_folder
from .policy_values import FileContext
from .rules import RULES
from .strict_yaml import read


def load(path: Path | None = None) -> Policy:
    """Read a policy file, or the default one. Raises BadInput with file, line and fix."""
    context = FileContext(tuple(rule.id for rule in RULES), _operations, datetime.now(UTC).date())
    read_in = read(path or policies_folder() / "retirement.yaml", PolicyFile, context)
    return Policy.model_construct(**dict(read_in))


def _operations() -> Mapping[str, set[str]]:
    """Operations of the reference list by service."""
    by_service: dict[str, set[str]] = defaultdict(set)
    for entry, call in reference_list().calls():
        by_service[entry.service_of(call)].add(call.operation)
    return by_service
