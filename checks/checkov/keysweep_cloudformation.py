"""CloudFormation and SAM templates, `cdk synth` output, and resources of Serverless services.

Checkov's Serverless runner scans `resources.Resources` with the same checks. If `resources` is a
list, it scans nothing of it, and only a check of the complete service sees it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from keysweep_verdicts import CATEGORIES, SEVERITY, STATE, WINDOW, Check

from checkov.cloudformation.checks.resource.base_resource_check import BaseResourceCheck
from checkov.common.models.enums import CheckResult
from checkov.common.typing import _CheckResult, _SkippedCheck
from checkov.serverless.checks.complete.base_complete_check import BaseCompleteCheck

# A macro may set anything beside it ("Fn::Transform", AWS CloudFormation User Guide).
TRANSFORM = "Fn::Transform"

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
        return _evaluate(self._check, conf, self._setting)


class ServerlessListCheck(BaseCompleteCheck):
    """Evaluate one property of the KMS keys in a list of `resources`: one record for all of them.

    The evaluated keys of the record name the KMS keys.
    """

    def __init__(self, check: Check, setting: str) -> None:
        super().__init__(
            name=check.name,
            id=check.id,
            categories=CATEGORIES,
            supported_entities=["serverless_aws"],
            guideline=check.guideline,
        )
        self.severity = SEVERITY
        self._check = check
        self._setting = setting

    def run(
        self,
        scanned_file: str,
        entity_configuration: dict[str, Any],
        entity_name: str,
        entity_type: str,
        skip_info: _SkippedCheck,
    ) -> _CheckResult:
        """Run the check; a skip comment counts only if there is a list."""
        skip = skip_info if list(_listed_keys(entity_configuration)) else _SkippedCheck()
        return super().run(scanned_file, entity_configuration, entity_name, entity_type, skip)

    def scan_complete_conf(self, conf: dict[str, Any]) -> CheckResult:
        """Return FAILED if a key fails, or PASSED if one passes."""
        verdicts: dict[CheckResult, list[str]] = {}
        for name, key in _listed_keys(conf):
            verdict = _evaluate(self._check, key, self._setting)
            path = f"resources/Resources/{name}/Properties/{self._setting}"
            verdicts.setdefault(verdict, []).append(path)
        for verdict in (CheckResult.FAILED, CheckResult.PASSED):
            if verdict in verdicts:
                self.evaluated_keys = verdicts[verdict]
                return verdict
        return CheckResult.UNKNOWN


def _listed_keys(service: object) -> Iterator[tuple[str, Mapping[str, object]]]:
    """Yield the KMS keys in a list of `resources`, with their logical ids.

    Checkov 3.3.30 makes a mapping with made-up names of the list.
    """
    resources = service.get("resources") if isinstance(service, Mapping) else None
    parts: Iterable[object] = ()
    if isinstance(resources, list):
        parts = resources
    elif isinstance(resources, Mapping):
        parts = [part for name, part in resources.items() if name != "Resources"]
    for part in parts:
        listed = part.get("Resources") if isinstance(part, Mapping) else None
        for name, key in listed.items() if isinstance(listed, Mapping) else ():
            if isinstance(key, Mapping) and key.get("Type") in RESOURCES:
                yield str(name), key


def _evaluate(check: Check, conf: Mapping[str, object], setting: str) -> CheckResult:
    properties = conf.get("Properties")
    if properties is None:
        properties = {}
    if not isinstance(properties, Mapping) or _is_transformed(properties):
        return CheckResult.UNKNOWN
    declared = properties.get(setting)
    if isinstance(declared, Mapping) and declared.get("Ref") == "AWS::NoValue":
        declared = None
    names = [name for name in properties if isinstance(name, str)]
    if declared is None and any(name.startswith("Fn::") for name in names):
        return CheckResult.UNKNOWN
    return check.evaluate(declared)


def _is_transformed(properties: Mapping[str, object]) -> bool:
    """Return whether a macro may set properties of the resource.

    Checkov 3.3.30 leaves out what stands beside `Properties`, but notes the resource's lines.
    """
    if TRANSFORM in properties:
        return True
    first, last = properties.get("__startline__"), properties.get("__endline__")
    if not isinstance(first, int) or not isinstance(last, int) or first < 1:
        return False
    text = "".join(_lines(str(properties.get("__file__")))[first - 1 : last])
    return TRANSFORM in text or "!Transform" in text


@lru_cache(maxsize=1)
def _lines(file: str) -> list[str]:
    try:
        text = Path(file).read_text(encoding="utf-8", errors="replace")
    except (OSError, ValueError):
        return []
    return text.splitlines(keepends=True)


CloudFormationCheck(STATE, "Enabled")
CloudFormationCheck(WINDOW, "PendingWindowInDays")
ServerlessListCheck(STATE, "Enabled")
ServerlessListCheck(WINDOW, "PendingWindowInDays")
