"""Read the KMS keys of the audited Regions: shared by both Prowler checks.

Lies in a folder without `__init__.py`, because Prowler counts every module beside a check as a
check: while a copy that `prowler -x` left behind exists, the missing metadata of such a module
ends every run. Runs in Prowler 5.10.2 and later, and imports Prowler, botocore and the standard
library only.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from botocore.config import Config
from botocore.exceptions import ClientError
from prowler.lib.check.models import Check_Report_AWS
from prowler.lib.logger import logger
from prowler.lib.scan_filters.scan_filters import is_resource_filtered
from prowler.providers.aws.lib.service.service import AWSService

THREADS = 32
KEYS_PER_SECOND = 480
"""Limit in one Region: a quarter of DescribeKey's quota, which every other caller shares ("Request
quotas", AWS KMS Developer Guide), less a margin for threads that wake late."""


class IncompleteAnswer(Exception):
    """An answer lacks a field that AWS always sends; botocore reads a truncated body as empty."""


class NoRegion(Exception):
    """Prowler's options or the account leave no Region to read, which is not a clean result."""


@dataclass
class Key:
    """A KMS key, or a Region whose keys could not be listed; becomes the finding's resource.

    Dates are ISO 8601 in UTC. Tags have Prowler's shape, so that its mutelist matches them. Fields
    without a value are empty.
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
        """Log and record an error, by AWS's error code or else by the exception's name."""
        response = getattr(error, "response", None) or {}
        self.error_code = response.get("Error", {}).get("Code") or type(error).__name__
        self.error = str(error)
        logger.error(f"{self.region} -- {self.arn} -- {self.error_code}: {self.error}")


class KmsReading(AWSService):
    """Customer managed keys in `keys`, Regions that could not be listed in `unlisted`.

    A key whose manager is unknown, because DescribeKey failed, is in `keys` without a state. AWS
    managed keys are left out, and so are keys deleted between ListKeys and DescribeKey. Never
    raises: Prowler drops the whole report of a check that does.

    Makes one call per 1,000 keys, one per key, and one more per key in one of `tagged_states`. The
    Regions and the session, with its retries, are Prowler's, so its options apply.
    """

    def __init__(self, provider: Any, tagged_states: frozenset[str]) -> None:
        self.keys: list[Key] = []
        self.unlisted: list[Key] = []
        self._tagged_states = tagged_states
        self._listed: list[Key] = []
        try:
            super().__init__("kms", provider)
            if not self.regional_clients:
                self._unlisted("").failed(NoRegion("Prowler has no Region in which to read KMS"))
                return
            # Prowler's pool swallows exceptions: each worker records its own.
            self.__threading_call__(self._list_keys)  # type: ignore[no-untyped-call]
            self._describe_keys()
        except Exception as error:  # noqa: BLE001
            self._unlisted("").failed(error)

    def _list_keys(self, client: Any) -> None:
        try:
            for listed in _items(client, "list_keys", "Keys", PaginationConfig={"PageSize": 1000}):
                key = Key(id=listed["KeyId"], arn=listed["KeyArn"], region=client.region)
                if not self.audit_resources or is_resource_filtered(key.arn, self.audit_resources):
                    self._listed.append(key)
        except Exception as error:  # noqa: BLE001
            self._unlisted(client.region).failed(error)

    def _describe_keys(self) -> None:
        regions = {key.region for key in self._listed}
        # Prowler's own clients keep ten connections.
        config = Config(max_pool_connections=THREADS)  # type: ignore[no-untyped-call]
        self._clients = {
            region: self.session.client("kms", region_name=region, config=config)
            for region in regions
        }
        self._paces = {region: _Pace(KEYS_PER_SECOND) for region in regions}
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(self._describe_key, self._listed))

    def _describe_key(self, key: Key) -> None:
        client = self._clients[key.region]
        self._paces[key.region].wait()
        try:
            _fill(key, client.describe_key(KeyId=key.id).get("KeyMetadata") or {})
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") == "NotFoundException":
                return
            key.failed(error)
        except Exception as error:  # noqa: BLE001
            key.failed(error)
        if key.manager == "AWS":
            return
        self.keys.append(key)
        if key.state in self._tagged_states:
            self._list_resource_tags(client, key)

    def _list_resource_tags(self, client: Any, key: Key) -> None:
        try:
            for tag in _items(client, "list_resource_tags", "Tags", KeyId=key.id):
                key.tags.append({"Key": tag["TagKey"], "Value": tag["TagValue"]})
        except Exception as error:  # noqa: BLE001  the key is evaluated without its tags
            key.failed(error)

    def _unlisted(self, region: str) -> Key:
        # Prowler's get_unknown_arn raises if AWSService.__init__ failed before it had an account.
        partition = getattr(self, "audited_partition", "") or "aws"
        account = getattr(self, "audited_account", "") or ""
        arn = f"arn:{partition}:kms:{region}:{account}:key/unknown"
        self.unlisted.append(Key(id="unknown", arn=arn, region=region))
        return self.unlisted[-1]


def report(
    metadata: dict[str, Any],
    keys: Iterable[Key],
    evaluate: Callable[[Any], tuple[str, str]],
    unlisted: Iterable[Key],
    subject: str,
) -> list[Check_Report_AWS]:
    """Return one finding per key and one per unlisted Region, in stable order.

    `evaluate` returns the status and the sentence of a key; `subject` names the keys that an
    unlisted Region may hide.
    """
    outcomes = [(key, *evaluate(key)) for key in sorted(keys, key=lambda key: (key.region, key.id))]
    for region in sorted(unlisted, key=lambda region: region.region):
        sentence = (
            f"KMS keys in {region.region or 'this account'} could not all be listed "
            f"({region.error_code}), so {subject} may be missing from this report."
        )
        outcomes.append((region, "MANUAL", sentence))
    findings = []
    for resource, status, sentence in outcomes:
        finding = Check_Report_AWS(metadata=metadata, resource=resource)
        finding.status, finding.status_extended = status, sentence
        findings.append(finding)
    return findings


def iso(moment: datetime | None) -> str:
    """Return a time as ISO 8601 in UTC, or an empty string."""
    # Prowler also runs on Python 3.10, which has no datetime.UTC.
    return moment.astimezone(timezone.utc).isoformat(timespec="seconds") if moment else ""  # noqa: UP017


class _Pace:
    """Limit how many threads go on per second."""

    def __init__(self, per_second: float) -> None:
        self._pause = 1 / per_second
        self._next = 0.0
        self._lock = threading.Lock()

    def wait(self) -> None:
        with self._lock:
            now = time.monotonic()
            start = max(self._next, now)
            self._next = start + self._pause
        time.sleep(start - now)


def _items(client: Any, operation: str, name: str, **arguments: Any) -> Iterator[dict[str, str]]:
    """Yield the items of every page; raise IncompleteAnswer unless each page shows how it ends."""
    for page in client.get_paginator(operation).paginate(**arguments):
        yield from page.get(name) or []
        if name not in page or "Truncated" not in page:
            raise IncompleteAnswer(f"{operation}: the answer is truncated")
        if page["Truncated"] and not page.get("NextMarker"):
            raise IncompleteAnswer(f"{operation}: more pages follow, but the marker is missing")


def _fill(key: Key, metadata: dict[str, Any]) -> None:
    """Copy KeyMetadata into the key; raise IncompleteAnswer unless it describes this key.

    Only the id, manager and state decide. Every other field may be missing or null, and is then
    empty.
    """
    manager, state = metadata.get("KeyManager"), metadata.get("KeyState")
    described = metadata.get("KeyId") == key.id and manager in ("AWS", "CUSTOMER")
    if not (described and state and isinstance(state, str)):
        raise IncompleteAnswer("describe_key: the key's id, manager or state is missing")
    key.manager = str(manager)
    key.origin = metadata.get("Origin") or ""
    key.spec = metadata.get("KeySpec") or ""
    key.usage = metadata.get("KeyUsage") or ""
    multi_region = metadata.get("MultiRegionConfiguration") or {}
    key.multi_region_type = multi_region.get("MultiRegionKeyType") or ""
    key.creation_date = iso(metadata.get("CreationDate"))
    key.deletion_date = iso(metadata.get("DeletionDate"))
    key.state = state
