"""Policies of tests, with rules lifted for every key so that the others can be seen alone."""

from __future__ import annotations

from collections.abc import Iterable

import yaml

from keysweep.remediation.rules import RULES


def lift(rule: str, until: object = "2099-01-01") -> dict[str, object]:
    """An exception of a policy: this rule holds no key."""
    return {"key": "all", "rule": rule, "reason": "test", "approved_by": "security", "until": until}


def rules_besides(*pieces: str) -> set[str]:
    """The rules that need other evidence than these pieces."""
    return {rule.id for rule in RULES if set(rule.needs) - {*pieces}}


def file_lifting(rules: Iterable[str], **values: object) -> str:
    """A policy file that lifts these rules, with other values."""
    return yaml.safe_dump({"version": 1, **values, "exceptions": [*map(lift, sorted(rules))]})
