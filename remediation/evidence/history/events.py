"""KMS events as CloudTrail records them: which keys an event names, and who acted."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from ...models import Evidence, KeyDescription, StateChange, UseAttempt

STATE_CHANGES: Final = (
    "CreateKey",
    "EnableKey",
    "DisableKey",
    "CancelKeyDeletion",
    "ReplicateKey",
    "ImportKeyMaterial",
)
"""Operations that set a key's state. The latest one dates the current state."""

ALIAS_CHANGES: Final = ("CreateAlias", "UpdateAlias", "DeleteAlias")
"""Operations that associate an alias with a key, or delete the alias."""

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
GetPublicKey: a caller that fetches the public key encrypts or verifies with it outside of AWS.
Other reads, tags and EnableKey are no use."""

SYMMETRIC: Final = ("SYMMETRIC_DEFAULT", "HMAC_")
"""Prefixes of the specs of keys without a public key. GetPublicKey always fails for them
("GetPublicKey", AWS KMS API Reference), so it is no sign of use."""


def is_use(event: TrailEvent, evidence: Evidence) -> bool:
    """Whether an event is use of the key. GetPublicKey is not, if the key's spec rules it out."""
    if event.name == "GetPublicKey" and isinstance(evidence.description, KeyDescription):
        return not evidence.description.key_spec.startswith(SYMMETRIC)
    return event.name in USES


KEY_IN_TEXT: Final = re.compile(r"arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:(?:key|alias)/[\w/:-]+")


@dataclass(frozen=True)
class TrailEvent:
    """One KMS event, with every key name in it."""

    name: str
    time: datetime
    who: str | None
    error: str | None
    mentions: frozenset[str]
    alias: str | None = None
    """Name of the changed alias."""
    target: str | None = None
    """Id of the alias's key after the event, or before a DeleteAlias."""

    def about(self, evidence: Evidence) -> bool:
        """Whether the event names the key: by ARN, id or a current alias."""
        return not self.mentions.isdisjoint(names_of(evidence))

    def change(self) -> StateChange:
        """The event as a change of state."""
        return StateChange(event=self.name, time=self.time, who=self.who)

    def attempt(self) -> UseAttempt:
        """The event as an attempt to use the key."""
        return UseAttempt(event=self.name, time=self.time, who=self.who, error=self.error)


def names_of(evidence: Evidence) -> frozenset[str]:
    """Every name of the key that a request in its own account and Region can use."""
    key = evidence.key_arn
    aliases = evidence.aliases if isinstance(evidence.aliases, tuple) else ()
    home = f"arn:{key.partition}:kms:{key.region}:{key.account_id}:"
    return frozenset({str(key), key.key_id, *aliases, *(home + alias for alias in aliases)})


def parse(record: dict[str, Any]) -> TrailEvent:
    """Parse a record of LookupEvents. Raises ValueError if its event is not a JSON object."""
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
    """Id of the key that an alias event is about. None: the event names no key, or several.

    CreateAlias and UpdateAlias take an id or an ARN. A DeleteAlias event names the key only in its
    resources and its response ("DeleteAlias", Logging AWS KMS API calls, AWS KMS Developer Guide).
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
