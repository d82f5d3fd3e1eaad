"""Which of Keysweep's actions AWS managed policies allow: a table of facts, and what it means.

The table `managed_policies.yaml` is dated, because AWS changes its policies. It is computed from
AWS's documents as moto ships them. `python docs/generate/managed_policies.py` writes it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from .formatting import Json

TABLE: Final = Path(__file__).with_name("managed_policies.yaml")

ROLES_PEOPLE_HAVE: Final[Mapping[str, tuple[str, ...]]] = {
    "ReadOnlyAccess": ("ReadOnlyAccess",),
    "SecurityAudit + ViewOnlyAccess": ("SecurityAudit", "ViewOnlyAccess"),
    "AWS_ConfigRole": ("AWS_ConfigRole",),
}
"""Roles that many accounts have, and the managed policies of each. Prowler asks for the second."""

POLICIES: Final = tuple(dict.fromkeys(p for names in ROLES_PEOPLE_HAVE.values() for p in names))

_HEAD: Final = """\
# Which AWS managed policies allow which of Keysweep's actions on every resource, unconditionally.
# Written by python docs/generate/managed_policies.py: do not edit.
"""


@dataclass(frozen=True)
class Facts:
    """The table."""

    source: str
    versions: Mapping[str, tuple[str, date]]
    """Version and date of AWS's document, by the name of the policy."""
    allowed_by: Mapping[str, frozenset[str]]
    """Names of the policies that allow an action, by action."""

    def lacking(self, role: str, actions: Iterable[str]) -> list[str]:
        """The actions that no policy of the role allows. One not in the table counts as missing."""
        policies = frozenset(ROLES_PEOPLE_HAVE[role])
        return sorted(a for a in set(actions) if policies.isdisjoint(self.allowed_by.get(a, ())))


@cache
def facts() -> Facts:
    read = yaml.safe_load(TABLE.read_text(encoding="utf-8"))
    return Facts(
        read["source"],
        {name: (one["version"], one["updated"]) for name, one in read["policies"].items()},
        {action: frozenset(names) for action, names in read["allowed_by"].items()},
    )


def table(source: str, published: Mapping[str, Json], actions: Iterable[str]) -> str:
    """Text of the table. `published` are AWS's policies, with version and date, by name."""
    versions = {
        name: {
            "version": published[name]["DefaultVersionId"],
            "updated": date.fromisoformat(published[name]["UpdateDate"][:10]),
        }
        for name in POLICIES
    }
    allowed_by = {
        action: [name for name in POLICIES if allows(published[name]["Document"], action)]
        for action in sorted(actions)
    }
    read = {"source": source, "policies": versions, "allowed_by": allowed_by}
    return _HEAD + yaml.safe_dump(read, sort_keys=False, width=100, default_flow_style=None)


def allows(document: Json, action: str) -> bool:
    """Whether a policy allows an action on every resource, without conditions.

    Denied if any statement denies the action, whatever its resources and conditions.
    """
    effects = {
        statement["Effect"]
        for statement in _listed(document["Statement"])
        if _names(statement, action)
        and (
            statement["Effect"] == "Deny"
            or ("*" in _listed(statement.get("Resource", ())) and "Condition" not in statement)
        )
    }
    return effects == {"Allow"}


def _names(statement: Json, action: str) -> bool:
    if "NotAction" in statement:
        return not _any_of(*_listed(statement["NotAction"])).fullmatch(action)
    return _any_of(*_listed(statement["Action"])).fullmatch(action) is not None


@cache
def _any_of(*patterns: str) -> re.Pattern[str]:
    """Wildcards are `*` and `?`; case does not matter ("IAM JSON policy elements: Action")."""
    wildcards = {"*": ".*", "?": "."}
    expressions = (
        "".join(wildcards.get(letter, re.escape(letter)) for letter in pattern)
        for pattern in patterns
    )
    return re.compile("|".join(expressions), re.IGNORECASE)


def _listed(given: Any) -> list[Any]:
    """IAM writes a list of one without brackets."""
    return given if isinstance(given, list) else [given]
