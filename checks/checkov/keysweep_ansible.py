"""Ansible tasks that use the KMS key module, under any of its four names.

Checkov scans tasks and blocks, but not handlers, pre_tasks or rescue sections.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keysweep_verdicts import CATEGORIES, SEVERITY, STATE, WINDOW, Check

from checkov.ansible.checks.base_ansible_task_check import BaseAnsibleTaskCheck
from checkov.common.models.enums import CheckResult
from checkov.yaml_doc.enums import BlockType

MODULES = ("amazon.aws.kms_key", "community.aws.aws_kms", "kms_key", "aws_kms")

# Strings that Ansible accepts as a boolean.
WORDS = {
    **dict.fromkeys(("y", "yes", "on", "1", "true", "t", "1.0"), True),
    **dict.fromkeys(("n", "no", "off", "0", "false", "f", "0.0"), False),
}


class AnsibleCheck(BaseAnsibleTaskCheck):
    """Evaluate one parameter of a KMS key task, by the first of its names that is set."""

    def __init__(self, check: Check, *parameters: str) -> None:
        super().__init__(
            name=check.name,
            id=check.id,
            categories=CATEGORIES,
            supported_modules=MODULES,
            block_type=BlockType.ARRAY,
            guideline=check.guideline,
        )
        self.severity = SEVERITY
        self._check = check
        self._parameters = parameters

    def scan_entity_conf(self, conf: Any, entity_type: str) -> tuple[CheckResult, dict[str, Any]]:
        """Evaluate the parameter in the module's own arguments or in the task's `args`."""
        self.entity_type = entity_type
        self.entity_conf = conf
        if not isinstance(conf, dict) or conf.get("when") is False:
            return CheckResult.UNKNOWN, conf
        module = next((conf[name] for name in MODULES if conf.get(name) is not None), None)
        if not isinstance(module, dict):
            # The key=value form: `alias=a enabled=no`.
            return CheckResult.UNKNOWN, conf
        more = conf.get("args")
        parameters = {**more, **module} if isinstance(more, dict) else module
        return self._evaluate(parameters), module

    def scan_conf(self, conf: dict[str, Any]) -> tuple[CheckResult, dict[str, Any]]:
        """Evaluate the parameter in the module's own arguments."""
        return self._evaluate(conf), conf

    def _evaluate(self, parameters: Mapping[str, object]) -> CheckResult:
        name = next((p for p in self._parameters if p in parameters), self._parameters[0])
        self.evaluated_keys = [name]
        declared = parameters.get(name)
        if self._check is STATE:
            if parameters.get("state") not in (None, "present"):
                return CheckResult.UNKNOWN
            declared = _boolean(declared)
        return self._check.evaluate(declared)


def _boolean(declared: object) -> object:
    if isinstance(declared, str):
        return WORDS.get(declared.strip().lower(), declared)
    if isinstance(declared, int | float) and declared in {0, 1}:
        return bool(declared)
    return declared


AnsibleCheck(STATE, "enabled")
AnsibleCheck(WINDOW, "pending_window", "deletion_delay")
