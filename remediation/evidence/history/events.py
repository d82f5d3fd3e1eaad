"""KMS events as CloudTrail records them: which keys an event names, and who acted."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
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

TWO_KEYS: Final = "ReEncrypt"
"""The operation that uses two keys, each of which its request may name by an alias."""

SYMMETRIC: Final = ("SYMMETRIC_DEFAULT", "HMAC_")
"""Prefixes of the specs of keys without a public key. GetPublicKey always fails for them
("GetPublicKey", AWS KMS API Reference), so it is no sign of use."""


def is_use(event: TrailEvent, evidence: Evidence) -> bool:
    """Whether an event is use of the key. GetPublicKey is not, if the key's spec rules it out."""
    if event.name == "GetPublicKey" and isinstance(evidence.description, KeyDescription):
        return not evidence.description.key_spec.startswith(SYMMETRIC)
    return event.name in USES


IN_REQUEST: Final = ("keyId", "sourceKeyId", "destinationKeyId")
IN_RESPONSE: Final = ("keyId", "keyMetadata.arn")
"""Where the request and the response of an event name keys, besides its resources and the message
of its error."""

KEY_ID: Final = "mrk-[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
KEY: Final = rf"(?:arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{{12}}:key/)?({KEY_ID})"
"""A key's ARN or id. An alias may contain either."""
_KEY: Final = re.compile(KEY, re.ASCII)

KEY_IN_TEXT: Final = re.compile(r"arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:(?:key|alias)/[\w/:-]+")


@dataclass(frozen=True, slots=True)
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
    account_id: str | None = None
    """Account that recorded the event. None: the key's."""
    shared: str | None = None
    """Id of a call that several accounts recorded."""

    def about(self, evidence: Evidence) -> bool:
        """Whether the event names the key.

        By ARN or, in its own account, by id or a current alias. An alias counts only if the event
        does not name the key that the alias was on then.
        """
        by_key, by_alias = names_of(evidence)
        if self.account_id not in {None, evidence.key_arn.account_id}:
            by_key, by_alias = _arns(by_key), _arns(by_alias)
        keys = {match[1] for match in map(_KEY.fullmatch, self.mentions) if match}
        named = 2 if self.name == TWO_KEYS else 1
        names = by_key if len(keys) >= named else by_key | by_alias
        return not self.mentions.isdisjoint(names)

    def change(self) -> StateChange:
        """The event as a change of state."""
        return StateChange(event=self.name, time=self.time, who=self.who)

    def attempt(self) -> UseAttempt:
        """The event as an attempt to use the key."""
        return UseAttempt(event=self.name, time=self.time, who=self.who, error=self.error)


def names_of(evidence: Evidence) -> tuple[frozenset[str], frozenset[str]]:
    """The names of the key, and those of its aliases, in requests of its account and Region."""
    key = evidence.key_arn
    aliases = evidence.aliases if isinstance(evidence.aliases, tuple) else ()
    home = f"arn:{key.partition}:kms:{key.region}:{key.account_id}:"
    return (
        frozenset({str(key), key.key_id}),
        frozenset({*aliases, *(home + alias for alias in aliases)}),
    )


def _arns(names: frozenset[str]) -> frozenset[str]:
    return frozenset(name for name in names if name.startswith("arn:"))


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


def time_of(text: str) -> datetime:
    """A time as log files show it, in UTC. Raises ValueError if it has no time zone."""
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError(f"a time without a time zone: {text}")
    return time.astimezone(UTC)


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
    for part, paths in (("requestParameters", IN_REQUEST), ("responseElements", IN_RESPONSE)):
        for path in paths:
            if isinstance(name := _at(detail.get(part), path), str):
                yield name
    yield from KEY_IN_TEXT.findall(detail.get("errorMessage") or "")


def _at(part: Any, path: str) -> Any:
    """The value at a dotted path. None: there is none."""
    for name in path.split("."):
        part = part.get(name) if isinstance(part, dict) else None
    return part
