"""CloudTrail's event history: LookupEvents over what the trail remembers."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from .clock import iso, wire
from .errors import AwsError
from .trail import KEPT, Event, Trail

Json = dict[str, Any]
SOURCE = "kms.amazonaws.com"
_READ_PREFIXES = ("Describe", "Get", "List")
_CRYPTOGRAPHIC_READS = frozenset(
    {"Decrypt", "Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "ReEncrypt"}
    | {"GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext", "GenerateMac", "Sign"}
    | {"Verify", "VerifyMac", "DeriveSharedSecret", "GenerateRandom"}
)


def read_only(name: str) -> bool:
    """Tell whether CloudTrail calls an operation read-only; it does so for use of a key, too."""
    return name.startswith(_READ_PREFIXES) or name in _CRYPTOGRAPHIC_READS


_ATTRIBUTES: Mapping[str, Callable[[Event, str], bool]] = {
    "EventId": lambda event, value: event.event_id == value,
    "EventName": lambda event, value: event.name == value,
    "ReadOnly": lambda event, value: str(read_only(event.name)).lower() == value.lower(),
    "Username": lambda event, value: username(event) == value,
    "ResourceType": lambda event, value: bool(event.keys) and value == "AWS::KMS::Key",
    "ResourceName": lambda event, value: value in event.keys,
    "EventSource": lambda event, value: value == SOURCE,
    "AccessKeyId": lambda event, value: event.access_key == value,
}


def lookup_events(trail: Trail, account: str, region: str, params: Json, now: float) -> Json:
    """Answer LookupEvents: 90 days, newest first, 50 a page, at most one lookup attribute.

    An event shows only when the trail's delay has passed.
    """
    attributes = params.get("LookupAttributes") or []
    if len(attributes) > 1:
        raise AwsError(
            "InvalidLookupAttributesException", "You can only have one lookup attribute at a time"
        )
    key, value = None, ""
    if attributes:
        key, value = attributes[0].get("AttributeKey"), attributes[0].get("AttributeValue", "")
        if key not in _ATTRIBUTES:
            raise AwsError("InvalidLookupAttributesException", f"{key} is not a lookup attribute")
    most = params.get("MaxResults", 50)
    if not isinstance(most, int) or not 1 <= most <= 50:
        raise AwsError("InvalidMaxResultsException", "MaxResults must be from 1 to 50")
    start = float(params.get("StartTime", 0))
    end = float(params.get("EndTime", now))
    if start > end:
        raise AwsError("InvalidTimeRangeException", "StartTime must be before EndTime")
    lookup = hashlib.sha256(
        json.dumps([attributes, params.get("StartTime"), params.get("EndTime")]).encode()
    ).hexdigest()[:16]
    until, skip = _resume(params.get("NextToken"), lookup, now)
    oldest = max(start, now - KEPT)
    matches = _ATTRIBUTES[key] if key else None
    found: list[Event] = []
    position = 0
    for event in trail.newest(account, region, key, value):
        if event.time < oldest:
            break
        if event.time > min(end, until - trail.delay) or (matches and not matches(event, value)):
            continue
        position += 1
        if position <= skip:
            continue
        if len(found) == most:
            return {
                "Events": [_listed(one) for one in found],
                "NextToken": _token(lookup, until, skip + most),
            }
        found.append(event)
    return {"Events": [_listed(one) for one in found]}


def _token(lookup: str, until: float, skip: int) -> str:
    return base64.b64encode(json.dumps([lookup, until, skip]).encode()).decode()


def _resume(token: object, lookup: str, now: float) -> tuple[float, int]:
    """Return up to when and after how many events a page starts; new events do not shift it."""
    if token is None:
        return now, 0
    try:
        before, until, skip = json.loads(base64.b64decode(str(token)))
    except (ValueError, binascii.Error):
        before, until, skip = "", 0.0, 0
    if before != lookup:
        raise AwsError("InvalidNextTokenException", "The token does not belong to this lookup")
    return float(until), int(skip)


def username(event: Event) -> str | None:
    """Return the user or session name of the caller."""
    return event.principal.rsplit("/", 1)[-1] if "/" in event.principal else None


def _listed(event: Event) -> Json:
    shown: Json = {
        "EventId": event.event_id,
        "EventName": event.name,
        "ReadOnly": str(read_only(event.name)).lower(),
        "EventTime": wire(event.time),
        "EventSource": SOURCE,
        "Resources": [{"ResourceType": "AWS::KMS::Key", "ResourceName": one} for one in event.keys],
        "CloudTrailEvent": json.dumps(record(event)),
    }
    if event.access_key:
        shown["AccessKeyId"] = event.access_key
    if username(event):
        shown["Username"] = username(event)
    return shown


def record(event: Event) -> Json:
    """Return the event as CloudTrail's own JSON record."""
    shown: Json = {
        "eventVersion": "1.11",
        "userIdentity": identity(event),
        "eventTime": iso(event.time),
        "eventSource": SOURCE,
        "eventName": event.name,
        "awsRegion": event.region,
        "sourceIPAddress": "127.0.0.1" if "/" in event.principal else event.principal,
        "userAgent": event.agent,
        "requestParameters": dict(event.parameters) or None,
        "responseElements": _answered(event),
        "requestID": event.request_id,
        "eventID": event.event_id,
        "readOnly": read_only(event.name),
        "resources": [
            {"accountId": one.split(":")[4], "type": "AWS::KMS::Key", "ARN": one}
            for one in event.keys
        ],
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": event.account,
        "eventCategory": "Management",
    }
    if event.shared:
        shown["sharedEventID"] = event.shared
    if event.error:
        shown |= {"errorCode": event.error, "errorMessage": event.message}
    return shown


def _answered(event: Event) -> Json | None:
    """Since December 2022 an alias's event has its key's ARN here, and a scheduled deletion's its
    date ("UpdateAlias", "ScheduleKeyDeletion", Logging AWS KMS API calls, AWS KMS Developer Guide).
    """
    if event.error is None and event.answer is not None:
        return {
            name[:1].lower() + name[1:]: _spelled(value) if name == "DeletionDate" else value
            for name, value in event.answer.items()
        }
    if event.error or not event.name.endswith("Alias"):
        return None
    return next(({"keyId": arn} for arn in event.keys if ":key/" in arn), None)


def _spelled(seconds: float) -> str:
    """A date as in the guide's examples: Apr 12, 2021 18:58:30 PM."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%b} {moment.day}, {moment:%Y %H:%M:%S %p}"


def identity(event: Event) -> Json:
    """Return userIdentity: an IAM user, an assumed role or an AWS service."""
    principal = event.principal
    parts = principal.split(":", 5)
    if len(parts) < 6:
        return {"type": "AWSService", "invokedBy": principal}
    account, resource = parts[4], parts[5]
    shown: Json = {
        "arn": principal,
        "accountId": account,
        "principalId": "AIDA" + hashlib.sha256(principal.encode()).hexdigest()[:17].upper(),
    }
    if event.access_key:
        shown["accessKeyId"] = event.access_key
    if resource.startswith("assumed-role/"):
        role = resource.split("/")[1]
        issuer = {
            "type": "Role",
            "arn": f"arn:{parts[1]}:iam::{account}:role/{role}",
            "accountId": account,
            "userName": role,
        }
        return {"type": "AssumedRole", **shown, "sessionContext": {"sessionIssuer": issuer}}
    return {"type": "IAMUser", **shown, "userName": resource.rsplit("/", 1)[-1]}
