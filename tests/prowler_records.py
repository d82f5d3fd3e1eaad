"""Records as Prowler writes them, for results files that a test makes."""

from __future__ import annotations

from typing import Any


def prowler_record(arn: str, time: float, **changes: Any) -> dict[str, Any]:
    """A record of our check as Prowler 5.46.0 writes it, with the fields that are read."""
    _, _, _, region, account, _ = arn.split(":")
    return {
        "metadata": {
            "event_code": "kms_cmk_not_disabled",
            "product": {"name": "Prowler", "version": "5.46.0", "vendor_name": "Prowler"},
            "version": "1.4.0",
        },
        "class_uid": 2004,
        "class_name": "Detection Finding",
        "status": "New",
        "status_code": "FAIL",
        "time": int(time),
        "cloud": {"account": {"uid": account}, "provider": "aws", "region": region},
        "resources": [{"uid": arn, "region": region, "data": {"details": "", "metadata": {}}}],
        "finding_info": {"uid": f"prowler-aws-kms_cmk_not_disabled-{account}-{region}-x"},
        **changes,
    }
