"""Prowler check: somebody tries to use a KMS key that is pending deletion, and needs it.

One file that imports nothing but Prowler, botocore and the standard library, since `prowler -x`
copies it into Prowler; what it shares with `kms_cmk_not_disabled` (the listing of keys, and whole
answers) stands in both for that reason alone.

| a customer managed key that is PendingDeletion or PendingReplicaDeletion | status |
|---|---|
| CloudTrail shows an attempt to use it while it was pending deletion | FAIL, the attempt named |
| CloudTrail shows none | PASS with the dates: "no attempt seen", which is weak, never "unused" |
| its history could not be read, or does not tell whether an attempt came before | MANUAL |
| unknown: DescribeKey failed or its answer is incomplete | MANUAL, the error's code named |

An attempt is a cryptographic operation or CreateGrant on the key, allowed or refused, in the event
history of the key's own account and Region. It keeps 90 days of management events, shows them after
about five minutes, newest first ("Working with CloudTrail event history", CloudTrail User Guide),
and answers 2 requests a second, so that only keys that are pending deletion cost a lookup. Keys in
other states, AWS managed keys and keys that are gone have no finding.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from botocore.config import Config
from botocore.exceptions import ClientError
from prowler.lib.check.models import Check, Check_Report_AWS
from prowler.lib.logger import logger
from prowler.lib.scan_filters.scan_filters import is_resource_filtered
from prowler.providers.aws.lib.service.service import AWSService
from prowler.providers.common.provider import Provider

PENDING = frozenset({"PendingDeletion", "PendingReplicaDeletion"})

USES = frozenset(
    {
        "CreateGrant",
        "Decapsulate",
        "Decrypt",
        "DeriveSharedSecret",
        "Encapsulate",
        "Encrypt",
        "GenerateDataKey",
        "GenerateDataKeyPair",
        "GenerateDataKeyPairWithoutPlaintext",
        "GenerateDataKeyWithoutPlaintext",
        "GenerateMac",
        "ReEncrypt",
        "Sign",
        "Verify",
        "VerifyMac",
    }
)
"""Events that are use of a key: "Cryptographic operations", AWS KMS Developer Guide, and grants."""

KEPT = timedelta(days=90)
WINDOWS = timedelta(days=7), timedelta(days=30)
"""Shortest and longest waiting period: ScheduleKeyDeletion, AWS KMS API Reference."""

MARGIN = timedelta(hours=1)
"""So that the event of the scheduling itself is in what is read."""

PAUSE = 0.5
"""Seconds between two lookups in a Region: its quota is 2 a second for the whole account."""

ATTEMPTS = 10
"""Tries of a lookup: other callers share the quota, and a lookup that is given up is a MANUAL."""


class kms_cmk_pending_deletion_not_used(Check):  # noqa: N801  Prowler wants the check's name
    """Reports use of keys pending deletion in the audited Regions; never raises."""

    def execute(self) -> list[Check_Report_AWS]:
        """Return one finding a key and one a Region that could not be listed, in stable order."""
        metadata = self.metadata()
        reading = _Reading(Provider.get_global_provider())
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
                f"({region.error_code}): keys pending deletion may be missing from this report."
            )
            findings.append(report)
        return findings


@dataclass
class _Attempt:
    """An attempt to use a key; `time` is ISO 8601 in UTC, `error` empty when it was allowed."""

    event: str
    time: str
    who: str = ""
    error: str = ""
    certain: bool = True  # it came while the key was pending deletion


@dataclass
class _Key:
    """What was read about a key; its fields are the finding's resource metadata.

    Dates are ISO 8601 in UTC. `seen_since` is where a history that was read to its end begins: when
    the deletion was scheduled, or else the earliest time that was asked for.
    """

    id: str
    arn: str
    region: str
    state: str = ""
    manager: str = ""
    multi_region_type: str = ""
    deletion_date: str = ""
    seen_since: str = ""
    attempt: dict[str, Any] = field(default_factory=dict)
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
    """Return status and sentence for a key."""
    name = f"KMS CMK {key.id}"
    if not key.state:
        return "MANUAL", (
            f"KMS key {key.id} could not be described ({key.error_code}): whether it is pending "
            "deletion is unknown."
        )
    if key.attempt:
        attempt = _Attempt(**key.attempt)
        used = f"{attempt.event} at {attempt.time}" + (f" by {attempt.who}" if attempt.who else "")
        used += f" ({attempt.error})" if attempt.error else ""
        if attempt.certain:
            return "FAIL", (
                f"{name} is {key.state}, and somebody tried to use it since: {used}. "
                f"{_end(key)} Cancel its deletion until this is explained."
            )
        return "MANUAL", (
            f"{name} is {key.state}, and CloudTrail shows {used}, but not when its deletion was "
            f"scheduled: whether the attempt came before or after is unknown. {_end(key)}"
        )
    if not key.seen_since:
        return "MANUAL", (
            f"{name} is {key.state}, but its history in CloudTrail could not be read "
            f"({key.error_code}): whether somebody tries to use it is unknown. {_end(key)}"
        )
    return "PASS", (
        f"{name} is {key.state}: no attempt to use it was seen in CloudTrail since "
        f"{key.seen_since[:10]}, which is weak evidence. {_end(key)}"
    )


def _end(key: _Key) -> str:
    if key.state == "PendingReplicaDeletion":
        return "Its waiting period begins when its last replica key is deleted."
    return f"AWS deletes it after {key.deletion_date[:10] or 'a date that AWS did not give'}."


class IncompleteAnswer(Exception):
    """AWS's answer lacks fields that it always has; botocore reads one cut off as an empty one."""


class NoRegion(Exception):
    """Nothing was read, since the options or the account leave no Region: not a clean result."""


class _Reading(AWSService):
    """Lists and describes every key, then reads the history of those pending deletion.

    Costs one call a page of 1000 keys and one a key; for a key pending deletion one more for its
    tags, so that it can be muted by them, and one for each 50 events of it since its deletion was
    scheduled, one after the other in a Region.
    """

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
            self.__threading_call__(self._describe_key, self._listed)  # type: ignore[no-untyped-call]
            self.__threading_call__(self._read_histories, self._histories())  # type: ignore[no-untyped-call]
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

    def _describe_key(self, key: _Key) -> None:
        client = self.regional_clients[key.region]
        try:
            _fill(key, client.describe_key(KeyId=key.id).get("KeyMetadata") or {})
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") == "NotFoundException":
                return
            key.failed(error)
        except Exception as error:  # noqa: BLE001  whatever it is, it is reported
            key.failed(error)
        if key.manager == "AWS" or (key.state and key.state not in PENDING):
            return
        self.keys.append(key)
        if key.state:
            self._list_resource_tags(client, key)

    def _list_resource_tags(self, client: Any, key: _Key) -> None:
        try:
            for tag in _items(client, "list_resource_tags", "Tags", KeyId=key.id):
                key.tags.append({"Key": tag["TagKey"], "Value": tag["TagValue"]})
        except Exception as error:  # noqa: BLE001  the key is judged with or without its tags
            key.failed(error)

    def _histories(self) -> list[tuple[Any, list[_Key]]]:
        """Pair a Region's client with its keys pending deletion; sessions are not for threads."""
        retries = {"mode": "standard", "total_max_attempts": ATTEMPTS}
        config = Config(retries=retries)  # type: ignore[no-untyped-call]
        histories = []
        for region in {key.region for key in self.keys}:
            keys = [key for key in self.keys if key.region == region and key.state]
            try:
                client = self.session.client("cloudtrail", region_name=region, config=config)
            except Exception as error:  # noqa: BLE001  whatever it is, it is reported
                for key in keys:
                    key.failed(error)
            else:
                histories.append((client, keys))
        return histories

    def _read_histories(self, history: tuple[Any, list[_Key]]) -> None:
        client, keys = history
        for key in keys:
            try:
                _read_history(client, key)
            except Exception as error:  # noqa: BLE001  whatever it is, it is reported
                key.failed(error)

    def _unlisted(self, region: str) -> _Key:
        # Prowler's own get_unknown_arn raises if its constructor failed before it had an account.
        partition = getattr(self, "audited_partition", "") or "aws"
        account = getattr(self, "audited_account", "") or ""
        arn = f"arn:{partition}:kms:{region}:{account}:key/unknown"
        self.unlisted.append(_Key(id="unknown", arn=arn, region=region))
        return self.unlisted[-1]


def _read_history(client: Any, key: _Key) -> None:
    """Note the newest attempt to use the key since its deletion was scheduled, if there is one.

    KMS does not say when a deletion was scheduled: its event does, once CloudTrail shows it, and
    until then the deletion date less the shortest and the longest waiting period. The first attempt
    that is certain ends the reading, since one is enough.
    """
    start, surely = _scheduled_between(key)
    scheduled: datetime | None = None
    doubtful: _Attempt | None = None
    for event in _events(client, key.arn, start):
        moment = event["EventTime"]
        if scheduled and moment < scheduled:
            break
        if event["EventName"] in USES:
            attempt = _attempt(event)
            if scheduled or (surely and moment >= surely) or attempt.certain:
                attempt.certain = True
                key.attempt = asdict(attempt)
                return
            doubtful = doubtful or attempt
        elif event["EventName"] == "ScheduleKeyDeletion" and _succeeded(event):
            scheduled = moment
            if doubtful:
                doubtful.certain = True
                break
        elif event["EventName"] == "CancelKeyDeletion" and _succeeded(event):
            start = moment
            break
    if doubtful:
        key.attempt = asdict(doubtful)
    key.seen_since = _iso(scheduled or start)


def _scheduled_between(key: _Key) -> tuple[datetime, datetime | None]:
    """Return since when, at the earliest and at the latest, the key is pending deletion.

    The waiting period of a multi-Region primary key begins when its last replica key is deleted,
    which may be long after its deletion was scheduled.
    """
    earliest = datetime.now(timezone.utc) - KEPT  # noqa: UP017  Prowler on Python 3.10 lacks UTC
    if not key.deletion_date:
        return earliest, None
    deletion = datetime.fromisoformat(key.deletion_date)
    shortest, longest = WINDOWS
    if key.multi_region_type != "PRIMARY":
        earliest = max(earliest, deletion - longest - MARGIN)
    return earliest, deletion - shortest


def _events(client: Any, arn: str, start: datetime) -> Iterator[dict[str, Any]]:
    """Yield KMS's events of a key, newest first, and raise where a page is not whole."""
    wish = {"AttributeKey": "ResourceName", "AttributeValue": arn}
    pages = client.get_paginator("lookup_events").paginate(LookupAttributes=[wish], StartTime=start)
    for page in pages:
        if "Events" not in page:
            raise IncompleteAnswer("lookup_events: the answer is cut off")
        for event in page["Events"]:
            if not event.get("EventName") or not event.get("EventTime"):
                raise IncompleteAnswer("lookup_events: an event lacks its name or time")
            if event.get("EventSource", "kms.amazonaws.com") == "kms.amazonaws.com":
                yield event
        time.sleep(PAUSE)


def _attempt(event: dict[str, Any]) -> _Attempt:
    """Describe an attempt; it is certain when KMS refused it since the key is pending deletion."""
    detail = _detail(event)
    identity = detail.get("userIdentity") or {}
    message = str(detail.get("errorMessage") or "").lower()
    return _Attempt(
        event=event["EventName"],
        time=_iso(event["EventTime"]),
        who=identity.get("arn") or identity.get("invokedBy") or event.get("Username") or "",
        error=detail.get("errorCode") or "",
        certain="pending" in message and "deletion" in message,
    )


def _succeeded(event: dict[str, Any]) -> bool:
    """Tell whether a call surely took effect; otherwise the reading goes further back."""
    detail = _detail(event)
    return bool(detail) and not detail.get("errorCode")


def _detail(event: dict[str, Any]) -> dict[str, Any]:
    """Return CloudTrail's own record of an event; empty when it cannot be read."""
    try:
        detail = json.loads(event.get("CloudTrailEvent") or "")
    except ValueError:
        return {}
    return detail if isinstance(detail, dict) else {}


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
    key.multi_region_type = metadata.get("MultiRegionConfiguration", {}).get(
        "MultiRegionKeyType", ""
    )
    key.deletion_date = _iso(metadata.get("DeletionDate"))
    key.state = state


def _iso(moment: datetime | None) -> str:
    return moment.astimezone(timezone.utc).isoformat(timespec="seconds") if moment else ""  # noqa: UP017
