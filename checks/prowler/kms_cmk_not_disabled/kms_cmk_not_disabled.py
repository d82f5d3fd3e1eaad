"""Prowler check: disabled customer managed KMS keys, which AWS still bills.

| customer managed key | status |
|---|---|
| Disabled | FAIL |
| Enabled, PendingDeletion, PendingReplicaDeletion or any other state | PASS, naming the state |
| DescribeKey failed, or its answer is incomplete | MANUAL, naming the error |

A Region whose keys could not all be listed adds a MANUAL finding to those of the keys that were
listed.
"""

from __future__ import annotations

from prowler.lib.check.models import Check, Check_Report_AWS
from prowler.providers.common.provider import Provider

from .lib.kms_reading import Key, KmsReading, report

DISABLED = "Disabled"


class kms_cmk_not_disabled(Check):  # noqa: N801  Prowler requires the check's name
    """Fail every customer managed key that is disabled; never raises."""

    def execute(self) -> list[Check_Report_AWS]:
        """Return one finding per key and one per Region that could not be listed."""
        reading = KmsReading(Provider.get_global_provider(), tagged_states=frozenset({DISABLED}))
        return report(self.metadata(), reading.keys, evaluate, reading.unlisted, "disabled keys")


def evaluate(key: Key) -> tuple[str, str]:
    """Return the status and the sentence for a key.

    The price is known for the partition `aws` only: AWS Key Management Service pricing, "Key
    storage".
    """
    name = f"KMS CMK {key.id}"
    if not key.state:
        return "MANUAL", (
            f"KMS key {key.id} could not be described ({key.error_code}), so its state and its "
            "manager are unknown."
        )
    if key.state == DISABLED:
        price = ", from $1 a month" if key.arn.startswith("arn:aws:") else ""
        return "FAIL", f"{name} is Disabled and still billed{price}."
    if key.state == "PendingDeletion":
        date = key.deletion_date[:10] or "an unknown date"
        return (
            "PASS",
            f"{name} is PendingDeletion: it is not billed, and AWS deletes it after {date}.",
        )
    if key.state == "PendingReplicaDeletion":
        return "PASS", (
            f"{name} is PendingReplicaDeletion: its waiting period starts when its last replica "
            "key is deleted."
        )
    return "PASS", f"{name} is {key.state}, not Disabled."
