"""Pulumi YAML programs, which Checkov scans as plain YAML."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keysweep_verdicts import CATEGORIES, SEVERITY, STATE, WINDOW, Check

from checkov.common.models.enums import CheckResult
from checkov.common.typing import _CheckResult, _SkippedCheck
from checkov.common.util.suppression import collect_suppressions_for_context
from checkov.yaml_doc.base_yaml_check import BaseYamlCheck
from checkov.yaml_doc.enums import BlockType

AWS_KEY = {STATE.id: "isEnabled", WINDOW.id: "deletionWindowInDays"}
AWS_OTHER = {STATE.id: "enabled", WINDOW.id: "deletionWindowInDays"}
NATIVE = {STATE.id: "enabled", WINDOW.id: "pendingWindowInDays"}
# resource type, in its short and full form -> check id -> property
SETTINGS = {
    "aws:kms:Key": AWS_KEY,
    "aws:kms/key:Key": AWS_KEY,
    "aws:kms:ReplicaKey": AWS_OTHER,
    "aws:kms/replicaKey:ReplicaKey": AWS_OTHER,
    "aws:kms:ExternalKey": AWS_OTHER,
    "aws:kms/externalKey:ExternalKey": AWS_OTHER,
    "aws:kms:ReplicaExternalKey": AWS_OTHER,
    "aws:kms/replicaExternalKey:ReplicaExternalKey": AWS_OTHER,
    "aws-native:kms:Key": NATIVE,
    "aws-native:kms:ReplicaKey": NATIVE,
}


class PulumiCheck(BaseYamlCheck):
    """Evaluate one property of a KMS key."""

    def __init__(self, check: Check) -> None:
        super().__init__(
            name=check.name,
            id=check.id,
            categories=CATEGORIES,
            # The fallback is needed for a document that is a list: without a result, Checkov 3.3.30
            # looks into its items, and an item that is a number ends the scan.
            supported_entities=[f"(resources.* || `[]`)[?type=='{name}']" for name in SETTINGS],
            block_type=BlockType.ARRAY,
        )
        self.guideline = check.guideline
        self.severity = SEVERITY
        self._check = check

    def run(
        self,
        scanned_file: str,
        entity_configuration: dict[str, Any],
        entity_name: str,
        entity_type: str,
        skip_info: _SkippedCheck,
    ) -> _CheckResult:
        """Run the check, but also apply skip comments directly below the resource's name.

        For Checkov a resource starts at its first property, so it ignores a comment above that.
        """
        skip_info = skip_info or _skip_above(scanned_file, entity_configuration, self.id)
        return super().run(scanned_file, entity_configuration, entity_name, entity_type, skip_info)

    def scan_entity_conf(self, conf: Any, entity_type: str) -> CheckResult:
        """Evaluate the property; a resource that is only looked up (`get`) declares nothing."""
        self.entity_type = entity_type
        if not isinstance(conf, Mapping) or "get" in conf:
            return CheckResult.UNKNOWN
        name, properties = conf.get("type"), conf.get("properties")
        fields = SETTINGS.get(name) if isinstance(name, str) else None
        if properties is None:
            properties = {}
        if fields is None or not isinstance(properties, Mapping):
            return CheckResult.UNKNOWN
        setting = fields[self.id]
        self.evaluated_keys = [f"properties/{setting}"]
        return self._check.evaluate(properties.get(setting))


def _skip_above(scanned_file: str, conf: object, check_id: str) -> _SkippedCheck:
    first = conf.get("__startline__") if isinstance(conf, Mapping) else None
    if not isinstance(first, int):
        return {}
    try:
        lines = Path(scanned_file).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    comments: list[tuple[int, str]] = []
    for number in range(min(first - 1, len(lines)), 0, -1):
        line = lines[number - 1]
        if not line.lstrip().startswith("#"):
            break
        comments.append((number, line))
    skips = collect_suppressions_for_context(comments)
    return next((skip for skip in skips if skip["id"] == check_id), _SkippedCheck())


PulumiCheck(STATE)
PulumiCheck(WINDOW)
