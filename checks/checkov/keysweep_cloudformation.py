"""CloudFormation and SAM templates, `cdk synth` output, and resources of Serverless services.

Checkov's Serverless runner scans `resources.Resources` with the same checks.
"""

from __future__ import annotations

from collections.abc import Mapping

from keysweep_verdicts import CATEGORIES, SEVERITY, STATE, WINDOW, Check

from checkov.cloudformation.checks.resource.base_resource_check import BaseResourceCheck
from checkov.common.models.enums import CheckResult

RESOURCES = ("AWS::KMS::Key", "AWS::KMS::ReplicaKey")


class CloudFormationCheck(BaseResourceCheck):
    """Evaluate one property of a KMS key."""

    def __init__(self, check: Check, setting: str) -> None:
        super().__init__(
            name=check.name,
            id=check.id,
            categories=CATEGORIES,
            supported_resources=RESOURCES,
            guideline=check.guideline,
        )
        self.severity = SEVERITY
        self._check = check
        self._setting = setting

    def scan_resource_conf(self, conf: Mapping[str, object]) -> CheckResult:
        """Evaluate the property; if it is absent, an intrinsic function may still set it."""
        self.evaluated_keys = [f"Properties/{self._setting}"]
        properties = conf.get("Properties")
        if properties is None:
            properties = {}
        if not isinstance(properties, Mapping):
            return CheckResult.UNKNOWN
        declared = properties.get(self._setting)
        if isinstance(declared, Mapping) and declared.get("Ref") == "AWS::NoValue":
            declared = None
        names = [name for name in properties if isinstance(name, str)]
        if declared is None and any(name.startswith("Fn::") for name in names):
            return CheckResult.UNKNOWN
        return self._check.evaluate(declared)


CloudFormationCheck(STATE, "Enabled")
CloudFormationCheck(WINDOW, "PendingWindowInDays")
