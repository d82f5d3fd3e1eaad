"""Events of KMS as CloudTrail's event history shows them: 90 days, one attribute a question."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from ..aws import Connection
from ..models import Evidence, KeyDescription, StateChange, UseAttempt

KEPT: Final = timedelta(days=90)
"""How far the event history reaches back ("Working with CloudTrail event history", CloudTrail User
Guide)."""

STATE_CHANGES: Final = (
    "CreateKey",
    "EnableKey",
    "DisableKey",
    "CancelKeyDeletion",
    "ReplicateKey",
    "ImportKeyMaterial",
)
"""Operations that set the state of a key; the latest one dates today's state."""

RESCUE: Final = "CancelKeyDeletion"

ALIAS_CHANGES: Final = ("CreateAlias", "UpdateAlias", "DeleteAlias")
"""Operations that put an alias on a key, or take it away."""

USES: Final = (
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
)
"""Cryptographic operations ("Cryptographic operations", AWS KMS Developer Guide), CreateGrant, and
GetPublicKey: whoever fetches the public key encrypts or verifies with it outside of AWS. Other
reads, tags and EnableKey are no use."""

SYMMETRIC: Final = ("SYMMETRIC_DEFAULT", "HMAC_")
"""How the specs of keys begin that have no public key, so that GetPublicKey always fails
("GetPublicKey", AWS KMS API Reference) and says nothing of a need."""


def is_use(event: TrailEvent, evidence: Evidence) -> bool:
    """Whether an event is use of the key; of a key whose spec is not known, GetPublicKey is."""
    if event.name == "GetPublicKey" and isinstance(evidence.description, KeyDescription):
        return not evidence.description.key_spec.startswith(SYMMETRIC)
    return event.name in USES


KEY_IN_TEXT: Final = re.compile(r"arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:(?:key|alias)/[\w/:-]+")


@dataclass(frozen=True)
class TrailEvent:
    """One event of KMS, with every name of a key that it mentions."""

    name: str
    time: datetime
    who: str | None
    error: str | None
    mentions: frozenset[str]
    alias: str | None = None
    """Name of the alias that it changes."""
    target: str | None = None
    """Id of the key that the alias is on afterwards, or was on before DeleteAlias."""

    def about(self, evidence: Evidence) -> bool:
        """Whether it mentions the key: by ARN, by id, or by an alias that it has today."""
        return not self.mentions.isdisjoint(names_of(evidence))

    def change(self) -> StateChange:
        """The event as a change of state."""
        return StateChange(event=self.name, time=self.time, who=self.who)

    def attempt(self) -> UseAttempt:
        """The event as an attempt to use the key."""
        return UseAttempt(event=self.name, time=self.time, who=self.who, error=self.error)


def names_of(evidence: Evidence) -> frozenset[str]:
    """Every name that a request in the key's own account and Region may call it by."""
    key = evidence.key_arn
    aliases = evidence.aliases if isinstance(evidence.aliases, tuple) else ()
    home = f"arn:{key.partition}:kms:{key.region}:{key.account_id}:"
    return frozenset({str(key), key.key_id, *aliases, *(home + alias for alias in aliases)})


class Page(NamedTuple):
    """One answer of LookupEvents."""

    events: list[TrailEvent]
    is_last: bool
    """Whether no older events follow."""


def lookup(
    connection: Connection, attribute: str, value: str, start: datetime | None = None
) -> Iterator[Page]:
    """Pages of KMS's events with this attribute, newest first, of one account and Region.

    With `start` only what happened since then. A record that cannot be read is a ValueError: what
    it says is unknown, not nothing.
    """
    pages = connection.client("cloudtrail").get_paginator("lookup_events")
    wish = [{"AttributeKey": attribute, "AttributeValue": value}]
    window = {} if start is None else {"StartTime": start}
    for page in pages.paginate(LookupAttributes=wish, **window):
        events = [
            parse(record)
            for record in page["Events"]
            if record.get("EventSource", "kms.amazonaws.com") == "kms.amazonaws.com"
        ]
        yield Page(events, is_last=not page.get("NextToken"))


def parse(record: dict[str, Any]) -> TrailEvent:
    """One record of LookupEvents. Raises ValueError when its event is no JSON object."""
    detail = json.loads(record["CloudTrailEvent"])
    if not isinstance(detail, dict):
        raise ValueError(  # noqa: TRY004 - AWS's data, not our types
            f"CloudTrail's event {record.get('EventId')} is not a JSON object"
        )
    identity = detail.get("userIdentity") or {}
    request = detail.get("requestParameters") or {}
    mentioned = tuple(_mentioned(detail))
    return TrailEvent(
        name=record["EventName"],
        time=record["EventTime"],
        who=identity.get("arn") or identity.get("invokedBy") or record.get("Username"),
        error=detail.get("errorCode"),
        mentions=frozenset(
            {resource["ResourceName"] for resource in record.get("Resources", ())} | set(mentioned)
        ),
        alias=request.get("aliasName"),
        target=target_of(request.get("targetKeyId"), mentioned),
    )


def target_of(named: str | None, mentioned: Iterable[str]) -> str | None:
    """The id of the key that an alias is put on or taken from.

    CreateAlias and UpdateAlias take an id or an ARN. A DeleteAlias event has the key in its
    resources and its response alone ("DeleteAlias", Logging AWS KMS API calls, AWS KMS Developer
    Guide); without it, or with several, None.
    """
    if named:
        return named.rsplit("/", 1)[-1]
    ids = {name.rsplit("/", 1)[-1] for name in mentioned if ":key/" in name}
    return ids.pop() if len(ids) == 1 else None


def _mentioned(detail: dict[str, Any]) -> Iterator[str]:
    for resource in detail.get("resources") or ():
        if arn := resource.get("ARN"):
            yield arn
    request = detail.get("requestParameters") or {}
    answer = detail.get("responseElements") or {}
    new_key = answer.get("keyMetadata") or {}
    for name in (
        request.get("keyId"),
        request.get("sourceKeyId"),
        request.get("destinationKeyId"),
        answer.get("keyId"),
        new_key.get("arn"),
    ):
        if isinstance(name, str):
            yield name
    yield from KEY_IN_TEXT.findall(detail.get("errorMessage") or "")
