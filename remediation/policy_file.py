"""Read a decision policy from YAML, strictly.

An unknown name, a wrong type, or a value out of range is refused with the file, the line and the
fix. So is an exception for a rule or a service that does not exist.
"""

from __future__ import annotations

from pathlib import Path

from .evidence.references.entries import reference_list
from .policy import KnownNames, Policy, PolicyFile, policies_folder
from .rules import RULES
from .strict_yaml import read


def load(path: Path | None = None) -> Policy:
    """Read a policy file, or the default one. Raises BadInput with file, line and fix."""
    names = KnownNames(tuple(rule.id for rule in RULES), _services)
    read_in = read(path or policies_folder() / "retirement.yaml", PolicyFile, names)
    return Policy.model_construct(**dict(read_in))


def _services() -> frozenset[str]:
    return frozenset(entry.service for entry in reference_list().entries)
