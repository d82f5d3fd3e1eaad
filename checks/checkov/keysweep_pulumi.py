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

# Only in a mapping does Checkov name a resource. It adds two line numbers to each, and a value of
# another kind than a mapping, such as a list of numbers, ends its scan (3.3.30). So does an item of
# a document that is a list, unless there is a result: hence the fallback.
RESOURCES = (
    "([@.resources][?type(@)=='object' && length(values(@)[?type(@)!='object'])==`2`] | [0])"
    " || `[]`"
)


class PulumiCheck(BaseYamlCheck):
    """Evaluate one property of a KMS key."""

    def __init__(self, check: Check) -> None:
        super().__init__(
            name=check.name,
            id=check.id,
            categories=CATEGORIES,
            supported_entities=[RESOURCES],
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
        """Run the check, with the skip comment of this resource only.

        Checkov passes the first one of the document. For it a resource starts at its first
        property; comments directly below the resource's name count, too.
        """
        skip = _skip(scanned_file, entity_configuration, self.id) if skip_info else skip_info
        return super().run(scanned_file, entity_configuration, entity_name, entity_type, skip)

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


def _skip(scanned_file: str, conf: object, check_id: str) -> _SkippedCheck:
    if not isinstance(conf, Mapping) or str(conf.get("type")) not in SETTINGS:
        return {}
    first, last = conf.get("__startline__"), conf.get("__endline__")
    if not isinstance(first, int) or not isinstance(last, int):
        return {}
    try:
        text = Path(scanned_file).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    while 0 < first - 1 <= len(text) and text[first - 2].lstrip().startswith("#"):
        first -= 1
    comments = list(enumerate(text, start=1))[max(first - 1, 0) : last]
    skips = collect_suppressions_for_context(comments)
    return next((skip for skip in skips if skip["id"] == check_id), _SkippedCheck())


PulumiCheck(STATE)
PulumiCheck(WINDOW)
