"""Request quotas per account, Region and operation: token buckets on real time.

Source: "Request quotas" (AWS KMS developer guide) and "Quotas in AWS CloudTrail".
"""

from __future__ import annotations

import threading
import time

PER_SECOND: dict[str, float] = {
    "kms:DescribeKey": 2000,
    "kms:ListKeys": 500,
    "kms:ListAliases": 500,
    "kms:ListGrants": 100,
    "kms:GetKeyPolicy": 1000,
    "kms:ListResourceTags": 2000,
    "kms:ListKeyRotations": 100,
    "kms:GetKeyLastUsage": 5,
    "kms:ScheduleKeyDeletion": 15,
    "kms:CancelKeyDeletion": 5,
    "kms:EnableKey": 5,
    "kms:DisableKey": 5,
    "kms:TagResource": 10,
    "kms:UntagResource": 10,
    "cloudtrail:LookupEvents": 2,
}


class Quotas:
    """Buckets that hold one second's worth of calls; off unless switched on."""

    def __init__(self) -> None:
        self.on = False
        self.limits = dict(PER_SECOND)
        self._buckets: dict[tuple[str, str, str], tuple[float, float]] = {}
        self._lock = threading.Lock()

    def configure(self, on: bool, limits: dict[str, float]) -> None:
        """Switch throttling on or off and change limits (calls a second, by service:Operation)."""
        with self._lock:
            self.on = on
            self.limits.update(limits)
            self._buckets.clear()

    def allows(self, service: str, operation: str, account: str, region: str) -> bool:
        """Take one call out of its bucket; False when it is empty."""
        name = f"{service}:{operation}"
        limit = self.limits.get(name)
        if not self.on or limit is None:
            return True
        now = time.monotonic()
        with self._lock:
            level, then = self._buckets.get((name, account, region), (limit, now))
            level = min(limit, level + (now - then) * limit)
            allowed = level >= 1
            self._buckets[name, account, region] = (level - 1 if allowed else level, now)
        return allowed
