"""Terraform and OpenTofu: HCL, plans as JSON, and JSON configuration such as CDK for Terraform's.

What the code does not settle gives no record: see `terraform_settled`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from keysweep_verdicts import CATEGORIES, SEVERITY, STATE, WINDOW, Check
from terraform_expressions import UNSETTLED
from terraform_settled import Source, declared_in_plan, is_override, single

from checkov.common.models.enums import CheckResult
from checkov.terraform.checks.resource.base_resource_check import BaseResourceCheck

AWS_KEY = {STATE.id: "is_enabled", WINDOW.id: "deletion_window_in_days"}
AWS_OTHER = {STATE.id: "enabled", WINDOW.id: "deletion_window_in_days"}
AWSCC = {STATE.id: "enabled", WINDOW.id: "pending_window_in_days"}
# resource type -> check id -> argument
SETTINGS = {
    "aws_kms_key": AWS_KEY,
    "aws_kms_replica_key": AWS_OTHER,
    "aws_kms_external_key": AWS_OTHER,
    "aws_kms_replica_external_key": AWS_OTHER,
    "awscc_kms_key": AWSCC,
    "awscc_kms_replica_key": AWSCC,
}

KEY_ARN = re.compile(r"arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+")


class TerraformCheck(BaseResourceCheck):
    """Evaluate one argument of a KMS key."""

    _source: ClassVar[Source | None] = None
    """Of the latest graph, for both checks."""

    def __init__(self, check: Check) -> None:
        super().__init__(
            name=check.name,
            id=check.id,
            categories=CATEGORIES,
            supported_resources=tuple(SETTINGS),
            guideline=check.guideline,
        )
        self.severity = SEVERITY
        self._check = check

    def scan_entity_conf(self, conf: dict[str, list[Any]], entity_type: str) -> CheckResult:
        """Evaluate the argument without unfolding dynamic blocks, which a key does not have."""
        self.entity_type = entity_type
        return self.scan_resource_conf(conf)

    def scan_resource_conf(self, conf: dict[str, list[Any]]) -> CheckResult:
        """Evaluate the argument; the details of a failure lead to the live key."""
        setting = SETTINGS[self.entity_type][self.id]
        self.evaluated_keys = [setting]
        verdicts = {self._check.evaluate(value) for value in self._declared(conf, setting)}
        if verdicts == {CheckResult.FAILED}:
            self.details = list(_details(conf, self.entity_type))
        return verdicts.pop() if len(verdicts) == 1 else CheckResult.UNKNOWN

    def _declared(self, conf: Mapping[str, object], setting: str) -> list[object]:
        graph: Any = getattr(self, "graph", None)  # Checkov 3.2 and later
        file = self.entity_path.partition(f":{self.entity_type}:")[0]
        if is_override(file):
            # The record is that of the block that it overrides.
            return [UNSETTLED]
        if "__start_line__" not in conf or graph is None:
            return [declared_in_plan(conf, setting)]
        source = TerraformCheck._source
        if source is None or source.graph is not graph:
            source = TerraformCheck._source = Source(graph, SETTINGS)
        return source.declared(conf, setting, file)


def _details(conf: Mapping[str, object], resource_type: str) -> Iterator[str]:
    """Yield lines; the ARN only of a key that the plan neither creates nor deletes."""
    yield f"Resource type: {resource_type}"
    actions = conf.get("__change_actions__")
    planned = [a for a in actions if isinstance(a, str)] if isinstance(actions, list) else []
    if planned:
        yield f"Plan actions: {','.join(planned)}"
    arn = single(conf.get("arn"))
    if isinstance(arn, str) and KEY_ARN.fullmatch(arn) and not {"create", "delete"} & {*planned}:
        yield f"Key ARN: {arn}"


TerraformCheck(STATE)
TerraformCheck(WINDOW)
