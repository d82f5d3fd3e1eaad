"""Read from CloudTrail whether a key was used since its deletion was scheduled.

The event history of an account and Region holds 90 days of management events, newest first, and
shows an event after about five minutes ("Working with CloudTrail event history", CloudTrail User
Guide). Lies in a folder without `__init__.py` for the reason that `kms_reading` gives.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from botocore.config import Config

from ...kms_cmk_not_disabled.lib.kms_reading import IncompleteAnswer, Key, iso

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
        "GetPublicKey",
        "ReEncrypt",
        "Sign",
        "Verify",
        "VerifyMac",
    }
)
"""Events that count as use: grants, "Cryptographic operations" (AWS KMS Developer Guide), and
GetPublicKey, since its caller can then encrypt or verify outside AWS."""

SYMMETRIC = ("SYMMETRIC_DEFAULT", "HMAC_")
"""Prefixes of the specs of keys without a public key, for which GetPublicKey is not use."""

RETENTION = timedelta(days=90)
SHORTEST_WAIT, LONGEST_WAIT = timedelta(days=7), timedelta(days=30)
"""Limits of the waiting period: ScheduleKeyDeletion, AWS KMS API Reference."""

MARGIN = timedelta(hours=1)
"""Read from before the scheduling, so that its own event is included."""

PAUSE = 0.5
"""Seconds between two lookups: an account and Region may make two a second."""

ATTEMPTS = 10
"""Tries per lookup, since other callers share the quota and a failed lookup ends in MANUAL."""

REGIONS_AT_ONCE = 10


@dataclass
class Attempt:
    """An attempt to use a key; `time` is ISO 8601 in UTC, `error` is empty if it was allowed."""

    event: str
    time: str
    who: str = ""
    error: str = ""
    certain: bool = True
    """The key was pending deletion at the time, as far as CloudTrail shows."""


@dataclass
class PendingKey(Key):
    """A key with its newest attempt, or with the start of a history that shows none.

    `seen_since` is when the deletion was scheduled, or else the start of what was read.
    """

    seen_since: str = ""
    attempt: dict[str, Any] = field(default_factory=dict)


def read_histories(session: Any, keys: list[PendingKey]) -> None:
    """Read the history of each key, Region by Region; an error is recorded in the key."""
    try:
        readings = [
            _reading(session, region, [key for key in keys if key.region == region])
            for region in sorted({key.region for key in keys})
        ]
        with ThreadPoolExecutor(REGIONS_AT_ONCE) as pool:
            list(pool.map(_read_region, readings))
    except Exception as error:  # noqa: BLE001
        for key in keys:
            key.failed(error)


def _reading(session: Any, region: str, keys: list[PendingKey]) -> tuple[Any, list[PendingKey]]:
    """Return a Region's client and keys. Not called in threads: boto3 sessions are not safe."""
    retries = {"mode": "standard", "total_max_attempts": ATTEMPTS}
    config = Config(retries=retries)  # type: ignore[no-untyped-call]
    try:
        return session.client("cloudtrail", region_name=region, config=config), keys
    except Exception as error:  # noqa: BLE001
        for key in keys:
            key.failed(error)
        return None, []


def _read_region(reading: tuple[Any, list[PendingKey]]) -> None:
    client, keys = reading
    for key in keys:
        try:
            _read_history(client, key)
        except Exception as error:  # noqa: BLE001
            key.failed(error)


def _read_history(client: Any, key: PendingKey) -> None:
    """Record the newest attempt since the deletion was scheduled, or that there is none.

    KMS does not return when a deletion was scheduled. Its event shows that; without the event, it
    lies between the deletion date less the longest and less the shortest waiting period. Reading
    ends at the first certain attempt.
    """
    start, surely = _scheduled_between(key)
    scheduled: datetime | None = None
    doubtful: Attempt | None = None
    for event in _events(client, key.arn, start):
        moment = event["EventTime"]
        if scheduled and moment < scheduled:
            break
        if _is_use(event["EventName"], key):
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
    key.seen_since = iso(scheduled or start)


def _is_use(name: str, key: PendingKey) -> bool:
    """Return whether an event is use of the key; without a known spec, GetPublicKey is."""
    return name in USES and not (name == "GetPublicKey" and key.spec.startswith(SYMMETRIC))


def _scheduled_between(key: PendingKey) -> tuple[datetime, datetime | None]:
    """Return the earliest and the latest time at which the deletion may have been scheduled.

    The waiting period of a multi-Region primary key starts when its last replica key is deleted,
    which may be long after its deletion was scheduled.
    """
    earliest = datetime.now(timezone.utc) - RETENTION  # noqa: UP017  see `iso`
    if not key.deletion_date:
        return earliest, None
    deletion = datetime.fromisoformat(key.deletion_date)
    if key.multi_region_type != "PRIMARY":
        earliest = max(earliest, deletion - LONGEST_WAIT - MARGIN)
    return earliest, deletion - SHORTEST_WAIT


def _events(client: Any, arn: str, start: datetime) -> Iterator[dict[str, Any]]:
    """Yield the KMS events of a key, newest first; raise IncompleteAnswer on a truncated page."""
    about = {"AttributeKey": "ResourceName", "AttributeValue": arn}
    lookup = client.get_paginator("lookup_events")
    for page in lookup.paginate(LookupAttributes=[about], StartTime=start):
        if "Events" not in page:
            raise IncompleteAnswer("lookup_events: the answer is truncated")
        for event in page["Events"]:
            if not event.get("EventName") or not event.get("EventTime"):
                raise IncompleteAnswer("lookup_events: an event has no name or no time")
            if event.get("EventSource", "kms.amazonaws.com") == "kms.amazonaws.com":
                yield event
        time.sleep(PAUSE)


def _attempt(event: dict[str, Any]) -> Attempt:
    """Return an attempt, certain if KMS refused it because the key is pending deletion."""
    detail = _detail(event)
    identity = detail.get("userIdentity") or {}
    message = str(detail.get("errorMessage") or "").lower()
    return Attempt(
        event=event["EventName"],
        time=iso(event["EventTime"]),
        who=identity.get("arn") or identity.get("invokedBy") or event.get("Username") or "",
        error=detail.get("errorCode") or "",
        certain="pending" in message and "deletion" in message,
    )


def _succeeded(event: dict[str, Any]) -> bool:
    """Return whether a call certainly took effect; if not, reading goes on past it."""
    detail = _detail(event)
    return bool(detail) and not detail.get("errorCode")


def _detail(event: dict[str, Any]) -> dict[str, Any]:
    """Return CloudTrail's record of an event, or nothing if it is unreadable."""
    try:
        detail = json.loads(event.get("CloudTrailEvent") or "")
    except ValueError:
        return {}
    return detail if isinstance(detail, dict) else {}
