"""Prowler check: a customer managed KMS key that is disabled is still charged.

One file that imports nothing but Prowler, botocore and the standard library, since `prowler -x`
copies it into Prowler. The same file runs from Prowler 5.10.2 to 5.46.0.

| state of a customer managed key | status |
|---|---|
| Disabled | FAIL |
| Enabled, PendingDeletion, PendingReplicaDeletion and every other state | PASS, the state named |
| unknown: DescribeKey failed or its answer is incomplete | MANUAL, the error's code named |

A Region whose keys could not all be listed is one more MANUAL finding, beside those for the keys
that were listed. AWS managed keys are left out, and so is a key that is gone by the time it is
described (NotFoundException): it costs nothing and cannot be acted on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from botocore.config import Config
from botocore.exceptions import ClientError
from prowler.lib.check.models import Check, Check_Report_AWS
from prowler.lib.logger import logger
from prowler.lib.scan_filters.scan_filters import is_resource_filtered
from prowler.providers.aws.lib.service.service import AWSService
from prowler.providers.common.provider import Provider


class kms_cmk_not_disabled(Check):  # noqa: N801  Prowler wants the class named like the check
    """Reports the state of every customer managed key in the audited Regions; never raises."""

    def execute(self) -> list[Check_Report_AWS]:
        """Return one finding a key and one a Region that could not be listed, in stable order."""
        metadata = self.metadata()
        reading = _KmsReading(Provider.get_global_provider())
        findings = []
        for key in sorted(reading.keys, key=lambda key: (key.region, key.id)):
            report = Check_Report_AWS(metadata=metadata, resource=key)
            report.status, report.status_extended = _judge(key)
            findings.append(report)
        for region in sorted(reading.unlisted, key=lambda region: region.region):
            report = Check_Report_AWS(metadata=metadata, resource=region)
            report.status = "MANUAL"
            report.status_extended = (
                f"KMS keys of {region.region or 'this account'} could not all be listed "
                f"({region.error_code}): disabled keys may be missing from this report."
            )
            findings.append(report)
        return findings


@dataclass
class _Key:
    """What was read about a key; its fields are the finding's resource metadata.

    Dates are ISO 8601 in UTC, `tags` are in Prowler's own shape, so that its mutelist matches
    them; tags are read for disabled keys only. What is unknown or absent is empty.
    """

    id: str
    arn: str
    region: str
    state: str = ""
    manager: str = ""
    origin: str = ""
    spec: str = ""
    usage: str = ""
    multi_region_type: str = ""
    creation_date: str = ""
    deletion_date: str = ""
    tags: list[dict[str, str]] = field(default_factory=list)
    error: str = ""
    error_code: str = ""

    def failed(self, error: Exception) -> None:
        """Keep what went wrong: the code that AWS gave, or else the exception's name."""
        response = getattr(error, "response", None) or {}
        self.error_code = response.get("Error", {}).get("Code") or type(error).__name__
        self.error = str(error)
        logger.error(f"{self.region} -- {self.arn} -- {self.error_code}: {self.error}")


def _judge(key: _Key) -> tuple[str, str]:
    """Return status and sentence for a key.

    What is charged, and the price in the partition `aws`, the only one that it is known for: AWS
    Key Management Service pricing, "Key storage".
    """
    name = f"KMS CMK {key.id}"
    if not key.state:
        return "MANUAL", (
            f"KMS key {key.id} could not be described ({key.error_code}): its state is unknown, "
            "and so is whether it is customer managed or AWS managed."
        )
    if key.state == "Disabled":
        price = ", from $1 a month" if key.arn.startswith("arn:aws:") else ""
        return "FAIL", f"{name} is Disabled and still charged{price}."
    if key.state == "PendingDeletion":
        date = key.deletion_date[:10] or "a date that AWS did not give"
        return (
            "PASS",
            f"{name} is PendingDeletion: AWS deletes it after {date} and does not charge for it.",
        )
    if key.state == "PendingReplicaDeletion":
        return "PASS", (
            f"{name} is PendingReplicaDeletion: its waiting period begins when its last replica "
            "key is deleted."
        )
    return "PASS", f"{name} is {key.state}, not Disabled."


class IncompleteAnswer(Exception):
    """AWS's answer lacks fields that it always has; botocore reads one cut off as an empty one."""


class NoRegion(Exception):
    """Nothing was read, since the options or the account leave no Region: not a clean result."""


class _KmsReading(AWSService):
    """Reads one page of ListKeys after the other in every Region, then each key.

    Costs one call a page (1000 keys), one a key and one more a disabled key: Prowler's own KMS
    service makes four a key, one after the other, and logs its errors only. Regions and the session
    with its retries are Prowler's, so that its options apply; keys are read by more threads, and
    over more connections, than its pool of ten has.
    """

    THREADS = 32
    MOST_A_SECOND = 480
    """Keys of one Region: less than a quarter of DescribeKey's quota ("Request quotas", AWS KMS
    Developer Guide), however unevenly threads wake. Whatever else runs there takes from it too."""

    def __init__(self, provider: Any) -> None:
        self.keys: list[_Key] = []
        self.unlisted: list[_Key] = []
        self._listed: list[_Key] = []
        try:
            super().__init__("kms", provider)
            if not self.regional_clients:
                self._unlisted("").failed(NoRegion("Prowler has no Region in which to read KMS"))
                return
            # Prowler's pool swallows what a worker raises: each worker keeps its own errors.
            self.__threading_call__(self._list_keys)  # type: ignore[no-untyped-call]
            self._describe_keys()
        except Exception as error:  # noqa: BLE001  a check that raises is silence in the report
            self._unlisted("").failed(error)

    def _list_keys(self, client: Any) -> None:
        try:
            for listed in _items(client, "list_keys", "Keys", PaginationConfig={"PageSize": 1000}):
                key = _Key(id=listed["KeyId"], arn=listed["KeyArn"], region=client.region)
                if not self.audit_resources or is_resource_filtered(key.arn, self.audit_resources):
                    self._listed.append(key)
        except Exception as error:  # noqa: BLE001  whatever it is, it is reported
            self._unlisted(client.region).failed(error)

    def _describe_keys(self) -> None:
        regions = {key.region for key in self._listed}
        many = Config(max_pool_connections=self.THREADS)  # type: ignore[no-untyped-call]
        self._clients = {
            region: self.session.client("kms", region_name=region, config=many)
            for region in regions
        }
        self._paces = {region: _Pace(self.MOST_A_SECOND) for region in regions}
        with ThreadPoolExecutor(self.THREADS) as pool:
            list(pool.map(self._describe_key, self._listed))

    def _describe_key(self, key: _Key) -> None:
        client = self._clients[key.region]
        self._paces[key.region].wait()
        try:
            _fill(key, client.describe_key(KeyId=key.id).get("KeyMetadata") or {})
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") == "NotFoundException":
                return
            key.failed(error)
        except Exception as error:  # noqa: BLE001  whatever it is, it is reported
            key.failed(error)
        if key.manager == "AWS":
            return
        self.keys.append(key)
        if key.state == "Disabled":
            self._list_resource_tags(client, key)

    def _list_resource_tags(self, client: Any, key: _Key) -> None:
        try:
            for tag in _items(client, "list_resource_tags", "Tags", KeyId=key.id):
                key.tags.append({"Key": tag["TagKey"], "Value": tag["TagValue"]})
        except Exception as error:  # noqa: BLE001  the key is disabled with or without its tags
            key.failed(error)

    def _unlisted(self, region: str) -> _Key:
        # Prowler's own get_unknown_arn raises if its constructor failed before it had an account.
        partition = getattr(self, "audited_partition", "") or "aws"
        account = getattr(self, "audited_account", "") or ""
        arn = f"arn:{partition}:kms:{region}:{account}:key/unknown"
        self.unlisted.append(_Key(id="unknown", arn=arn, region=region))
        return self.unlisted[-1]


class _Pace:
    """Lets threads go on one by one, so many a second at most."""

    def __init__(self, most_a_second: float) -> None:
        self._pause = 1 / most_a_second
        self._next = 0.0
        self._lock = threading.Lock()

    def wait(self) -> None:
        with self._lock:
            now = time.monotonic()
            mine = max(self._next, now)
            self._next = mine + self._pause
        time.sleep(mine - now)


def _items(client: Any, operation: str, name: str, **arguments: Any) -> Iterator[dict[str, str]]:
    """Yield the items of every page, and raise where an answer does not show that it is whole."""
    for page in client.get_paginator(operation).paginate(**arguments):
        yield from page.get(name) or []
        if name not in page or "Truncated" not in page:
            raise IncompleteAnswer(f"{operation}: the answer is cut off")
        if page["Truncated"] and not page.get("NextMarker"):
            raise IncompleteAnswer(f"{operation}: more is left, but no way to ask for it")


def _fill(key: _Key, metadata: dict[str, Any]) -> None:
    """Copy KeyMetadata into the key, or raise when it is not whole or not about this key."""
    manager, state = metadata.get("KeyManager"), metadata.get("KeyState")
    if metadata.get("KeyId") != key.id or manager not in {"AWS", "CUSTOMER"} or not state:
        raise IncompleteAnswer("describe_key: the answer lacks the key's id, manager or state")
    key.manager = manager
    key.origin = metadata.get("Origin", "")
    key.spec = metadata.get("KeySpec", "")
    key.usage = metadata.get("KeyUsage", "")
    key.multi_region_type = metadata.get("MultiRegionConfiguration", {}).get(
        "MultiRegionKeyType", ""
    )
    key.creation_date = _iso(metadata.get("CreationDate"))
    key.deletion_date = _iso(metadata.get("DeletionDate"))
    key.state = state


def _iso(moment: datetime | None) -> str:
    # datetime.UTC would end the use with Prowler on Python 3.10
    return moment.astimezone(timezone.utc).isoformat(timespec="seconds") if moment else ""  # noqa: UP017
