"""Findings of a Terraform plan: the record itself carries the ARN, and what the plan would do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from ..models import Finding, KeyArn
from .leads import BY_PROWLER, Nowhere

KEEPING: Final = frozenset({"no-op", "update", "read"})
"""Actions after which the key is the one that it was ("actions", JSON Output Format, Terraform)."""

Resource = tuple[str, str, str]
"""Results file, plan file and address."""


def resource_of(finding: Finding) -> Resource | None:
    """The resource of a plan that a finding is about; None: it is not about a plan."""
    code = finding.code
    if code is None or code.framework != "terraform_plan":
        return None
    return finding.source, code.file, code.address


def in_plans(findings: Iterable[Finding]) -> Mapping[Resource, KeyArn | Nowhere]:
    """The key of each resource that a plan keeps; one that it creates or replaces has none yet.

    Checkov's own check says neither ARN nor actions: then Keysweep's record of the same resource
    does.
    """
    same: dict[Resource, list[Finding]] = {}
    for finding in findings:
        resource = resource_of(finding)
        if resource is not None:
            same.setdefault(resource, []).append(finding)
    return {resource: _key(records) for resource, records in same.items()}


def _key(records: Sequence[Finding]) -> KeyArn | Nowhere:
    actions = {action for one in records if one.code is not None for action in one.code.actions}
    arns = {one.key_arn for one in records if one.key_arn is not None}
    if {"create", "delete"} <= actions:
        return Nowhere("the plan replaces it by another key", "apply that plan, then scan again")
    if "create" in actions:
        return Nowhere("the plan creates it: there is no key yet", "apply that plan, or drop it")
    if not actions <= KEEPING:
        return Nowhere("the plan does not keep it", "apply that plan, then scan again")
    if len(arns) != 1:
        return Nowhere(
            "its record does not name the key",
            f'scan the plan with --external-checks-dir "$(keysweep path checkov)", or {BY_PROWLER}',
        )
    return arns.pop()
