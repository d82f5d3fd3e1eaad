"""Evaluates IAM and key policy documents as far as KMS tests need it.

After "Policy evaluation logic" and "IAM JSON policy elements" (AWS IAM user guide): an explicit
Deny wins, conditions are a conjunction, a missing context key fails unless the operator ends in
IfExists (or is a negated one). An operator that is not known here never allows and always denies.
"""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

Document = Mapping[str, Any]
ANY_RESOURCE = ""
"""Used instead of a resource's ARN if it is unknown: statements on any resource count."""


class Effect(Enum):
    """What a document says about one request."""

    ALLOW = "allow"
    DELEGATED = "delegated"
    """Allowed to the account as a whole: the caller's own IAM policies decide."""
    DENY = "deny"
    SILENT = "silent"


@dataclass(frozen=True)
class Subject:
    """Who asks: account, every ARN that names the caller, and the account's root ARN."""

    account: str
    arns: tuple[str, ...]


@dataclass(frozen=True)
class Ask:
    """One request: IAM action, resource ARN and context keys (lower case)."""

    action: str
    resource: str
    context: Mapping[str, str] = field(default_factory=dict)


def evaluate(document: str | Document, ask: Ask, subject: Subject | None = None) -> Effect:
    """Return what a policy says; with a subject it is read as a resource policy."""
    parsed: Document = json.loads(document) if isinstance(document, str) else document
    found = Effect.SILENT
    for statement in _list(parsed.get("Statement", [])):
        denies = statement.get("Effect") == "Deny"
        if not _matches(statement, ask, denies):
            continue
        reach = Effect.ALLOW if subject is None else _reach(statement, subject, denies)
        if reach is Effect.SILENT:
            continue
        if denies:
            return Effect.DENY
        if found is not Effect.ALLOW:
            found = reach
    return found


def _matches(statement: Document, ask: Ask, denies: bool) -> bool:
    if "NotAction" in statement:
        if _any(statement["NotAction"], ask.action):
            return False
    elif not _any(statement.get("Action", []), ask.action):
        return False
    resources = statement.get("Resource", "*")
    if "NotResource" in statement:
        if _any(statement["NotResource"], ask.resource):
            return False
    elif ask.resource != ANY_RESOURCE and not _any(resources, ask.resource):
        return False
    return all(
        _condition(operator, key, _list(values), ask.context, denies)
        for operator, pairs in statement.get("Condition", {}).items()
        for key, values in pairs.items()
    )


def _reach(statement: Document, subject: Subject, denies: bool) -> Effect:
    """Return how a statement's principals reach the subject."""
    principal = statement.get("Principal", statement.get("NotPrincipal"))
    if principal == "*":
        named = ["*"]
    elif isinstance(principal, Mapping):
        named = [str(name) for name in _list(principal.get("AWS", []))]
    else:
        named = []
    reach = Effect.SILENT
    for name in named:
        if name == "*" or name in subject.arns:
            reach = Effect.ALLOW
            break
        if name == subject.account or re.fullmatch(rf"arn:[^:]+:iam::{subject.account}:root", name):
            reach = Effect.DELEGATED
    if "NotPrincipal" in statement:
        return Effect.SILENT if reach is not Effect.SILENT else Effect.ALLOW
    return reach


def _condition(
    operator: str, key: str, values: list[Any], context: Mapping[str, str], denies: bool
) -> bool:
    name, _, quantifier_rest = operator.partition(":")
    quantified = bool(quantifier_rest)
    name = quantifier_rest or name
    lenient = name.endswith("IfExists")
    name = name.removesuffix("IfExists")
    value = context.get(key.lower())
    if name == "Null":
        return (value is None) == (str(values[0]).lower() == "true")
    negated = "Not" in name
    if value is None:
        return lenient or negated or (quantified and operator.startswith("ForAllValues"))
    base = name.replace("Not", "")
    if base.startswith("Numeric"):
        try:
            return any(_numeric(name, float(value), float(item)) for item in values)
        except ValueError:
            return denies
    texts = [str(item).lower() if base == "Bool" else str(item) for item in values]
    if base in ("StringEquals", "Bool"):
        hit = value in texts
    elif base == "StringEqualsIgnoreCase":
        hit = value.lower() in [text.lower() for text in texts]
    elif base in ("StringLike", "ArnLike", "ArnEquals"):
        hit = any(fnmatch.fnmatchcase(value, text) for text in texts)
    else:
        return denies
    return hit != negated


def _numeric(operator: str, value: float, limit: float) -> bool:
    return {
        "NumericEquals": value == limit,
        "NumericNotEquals": value != limit,
        "NumericLessThan": value < limit,
        "NumericLessThanEquals": value <= limit,
        "NumericGreaterThan": value > limit,
        "NumericGreaterThanEquals": value >= limit,
    }[operator]


def _any(patterns: object, value: str) -> bool:
    return any(
        fnmatch.fnmatchcase(value.lower(), str(pattern).lower()) for pattern in _list(patterns)
    )


def _list(value: object) -> list[Any]:
    if isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping):
        return list(value)
    return [value]
