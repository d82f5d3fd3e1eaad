"""Crossplane managed resources, which Checkov scans as Kubernetes manifests.

Checkov selects by `kind` only, and other clouds also have a `Key`, so the API group decides.
"""

from __future__ import annotations

from collections.abc import Mapping

from keysweep_verdicts import CATEGORIES, SEVERITY, STATE, WINDOW, Check

from checkov.common.models.enums import CheckResult
from checkov.kubernetes.checks.resource.base_spec_check import BaseK8Check

UPBOUND = ("kms.aws.upbound.io", "kms.aws.m.upbound.io")
COMMUNITY = "kms.aws.crossplane.io"

UPBOUND_OTHER = {STATE.id: "enabled", WINDOW.id: "deletionWindowInDays"}
UPBOUND_SETTINGS = {
    "Key": {STATE.id: "isEnabled", WINDOW.id: "deletionWindowInDays"},
    "ExternalKey": UPBOUND_OTHER,
    "ReplicaKey": UPBOUND_OTHER,
    "ReplicaExternalKey": UPBOUND_OTHER,
}
# (API group, kind) -> check id -> field of spec.forProvider
SETTINGS = {
    **{(group, kind): fields for group in UPBOUND for kind, fields in UPBOUND_SETTINGS.items()},
    (COMMUNITY, "Key"): {STATE.id: "enabled", WINDOW.id: "pendingWindowInDays"},
}

# Management policies that write spec.forProvider to AWS; without one, Crossplane only observes.
WRITING_POLICIES = frozenset({"*", "Create", "Update"})


class CrossplaneCheck(BaseK8Check):
    """Evaluate one field of a KMS key."""

    def __init__(self, check: Check) -> None:
        super().__init__(
            name=check.name,
            id=check.id,
            categories=CATEGORIES,
            supported_entities=sorted({kind for _, kind in SETTINGS}),
            guideline=check.guideline,
        )
        self.severity = SEVERITY
        self._check = check

    def scan_spec_conf(self, conf: Mapping[str, object]) -> CheckResult:
        """Evaluate the field, if the manifest is a KMS key that Crossplane writes to AWS."""
        version, kind, spec = (conf.get(name) for name in ("apiVersion", "kind", "spec"))
        if not isinstance(version, str) or not isinstance(kind, str):
            return CheckResult.UNKNOWN
        fields = SETTINGS.get((version.partition("/")[0], kind))
        if fields is None or not isinstance(spec, Mapping) or not _is_applied(spec):
            return CheckResult.UNKNOWN
        setting = fields[self.id]
        self.evaluated_keys = [f"spec/forProvider/{setting}"]
        provider = spec.get("forProvider")
        if not isinstance(provider, Mapping):
            return CheckResult.UNKNOWN
        initial = spec.get("initProvider")
        if provider.get(setting) is None and isinstance(initial, Mapping) and setting in initial:
            # initProvider counts at creation only, so the code does not show the current value.
            return CheckResult.UNKNOWN
        return self._check.evaluate(provider.get(setting))


def _is_applied(spec: Mapping[str, object]) -> bool:
    policies = spec.get("managementPolicies")
    if not isinstance(policies, list):
        return True
    return any(policy in WRITING_POLICIES for policy in policies if isinstance(policy, str))


CrossplaneCheck(STATE)
CrossplaneCheck(WINDOW)
