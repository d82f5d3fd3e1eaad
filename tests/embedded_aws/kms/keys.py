"""The keys themselves: what KMS stores about them, and the end of the waiting period."""

from __future__ import annotations

import bisect
import hashlib
import heapq
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .. import names
from ..clock import DAY

Json = dict[str, Any]

PREDEFINED_ALIASES = ("alias/aws/dynamodb", "alias/aws/ebs", "alias/aws/rds", "alias/aws/s3")
"""AWS lists aliases of its services in every Region, without a target until the first use."""

MANAGED_POLICY_ACTIONS = ("kms:Describe*", "kms:Get*", "kms:List*", "kms:RevokeGrant")
"""What the key policy of an AWS managed key leaves to its account."""


@dataclass(slots=True)
class Grant:
    """A grant; principals are ARNs or service principals, times are seconds."""

    id: str
    token: str
    created: float
    operations: list[str]
    issuing_account: str
    grantee: str | None = None
    grantee_service: str | None = None
    retiring: str | None = None
    retiring_service: str | None = None
    name: str | None = None
    constraints: Json | None = None


@dataclass(slots=True)
class Use:
    """The last successful cryptographic operation."""

    operation: str
    time: float
    event_id: str
    request_id: str


@dataclass(slots=True)
class Alias:
    """An alias of one account and Region."""

    target: str
    created: float
    updated: float


@dataclass(slots=True)
class Key:
    """A KMS key; times are seconds since the epoch on the embedded clock."""

    account: str
    region: str
    id: str
    created: float
    name: str | None = None
    """The scenario's handle of the key; none for keys made through the API."""
    state: str = "Enabled"
    description: str = ""
    manager: str = "CUSTOMER"
    origin: str = "AWS_KMS"
    spec: str = "SYMMETRIC_DEFAULT"
    usage: str = "ENCRYPT_DECRYPT"
    primary_region: str | None = None
    """Region of the primary for members of a multi-Region set, none for single-Region keys."""
    policy: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    grants: dict[str, Grant] = field(default_factory=dict)
    rotations: list[tuple[float, str]] = field(default_factory=list)
    rotation_period: int | None = None
    rotation_since: float = 0.0
    deletion_date: float | None = None
    window: int | None = None
    valid_to: float | None = None
    materials: int = 0
    """How many key materials were imported; deleting one keeps its id."""
    material_waits: bool = False
    """Whether a further imported key material waits for its rotation."""
    custom_key_store: str | None = None
    enable_later: bool | None = None
    """What EnableKey or DisableKey asked of an unavailable key."""
    last_use: Use | None = None
    before: tuple[str, float | None, int | None] | None = None
    """State, deletion date and window before the last change of state."""
    private_key: Any = None
    """Private half of an asymmetric key, made at its first use since making one is slow."""

    @property
    def arn(self) -> str:
        """The key's ARN."""
        return names.key_arn(self.account, self.region, self.id)

    def move(self, state: str, date: float | None = None, window: int | None = None) -> None:
        """Bring the key into another state."""
        self.before = (self.state, self.deletion_date, self.window)
        self.state, self.deletion_date, self.window = state, date, window

    @property
    def policy_document(self) -> str:
        """The key policy, as JSON text; AWS's default one where none was given."""
        if self.policy is not None:
            return self.policy
        actions: object = "kms:*" if self.manager == "CUSTOMER" else list(MANAGED_POLICY_ACTIONS)
        root = f"arn:{names.partition(self.region)}:iam::{self.account}:root"
        statement = {
            "Sid": "Enable IAM User Permissions",
            "Effect": "Allow",
            "Principal": {"AWS": root},
            "Action": actions,
            "Resource": "*",
        }
        return json.dumps(
            {"Version": "2012-10-17", "Id": "key-default-1", "Statement": [statement]}
        )

    @property
    def material(self) -> bytes:
        """Symmetric key material; the members of a multi-Region set share it."""
        region = self.primary_region or self.region
        return hashlib.sha256(f"{self.account}/{region}/{self.id}".encode()).digest()


class Region:
    """KMS of one account in one Region."""

    def __init__(self, account: str, region: str) -> None:
        self.account = account
        self.region = region
        self.keys: dict[str, Key] = {}
        self.aliases: dict[str, Alias] = {}
        self.stores: dict[str, Json] = {}
        self._ordered: list[str] | None = None

    def add(self, key: Key) -> Key:
        """Store a key."""
        self.keys[key.id] = key
        self._ordered = None
        return key

    def remove(self, key: Key) -> None:
        """Delete a key and all its aliases, as the end of the waiting period does."""
        self.keys.pop(key.id, None)
        self._ordered = None
        for name in [name for name, alias in self.aliases.items() if alias.target == key.id]:
            del self.aliases[name]

    def page(self, after: str | None, limit: int) -> tuple[list[str], bool]:
        """Return up to `limit` key ids that follow one, and whether there are more."""
        if self._ordered is None:
            self._ordered = sorted(self.keys)
        start = 0 if after is None else bisect.bisect_right(self._ordered, after)
        return self._ordered[start : start + limit], start + limit < len(self._ordered)


class Keys:
    """All keys of all accounts."""

    def __init__(self) -> None:
        self._accounts: dict[str, dict[str, Region]] = {}
        self._due: list[tuple[float, str, str, str]] = []

    def region(self, account: str, region: str) -> Region:
        """Return one account's KMS in one Region."""
        regions = self._accounts.setdefault(account, {})
        if region not in regions:
            regions[region] = Region(account, region)
        return regions[region]

    def __iter__(self) -> Iterator[Key]:
        for regions in list(self._accounts.values()):
            for region in list(regions.values()):
                yield from list(region.keys.values())

    def members(self, key: Key) -> list[Key]:
        """Return all members of a multi-Region key's set, primary first, then by Region."""
        found = [
            region.keys[key.id]
            for region in list(self._accounts[key.account].values())
            if key.id in region.keys
        ]
        return sorted(found, key=lambda one: (one.region != key.primary_region, one.region))

    def replicas(self, key: Key) -> list[Key]:
        """Return the existing replicas of a primary; none for any other key."""
        if key.primary_region != key.region:
            return []
        return [one for one in self.members(key) if one.region != key.region]

    def schedule(self, key: Key, window: int, now: float) -> None:
        """Start the waiting period, or wait for the replicas of a primary."""
        if self.replicas(key):
            key.move("PendingReplicaDeletion", None, window)
            return
        date = now + window * DAY
        key.move("PendingDeletion", date, window)
        heapq.heappush(self._due, (date, key.account, key.region, key.id))

    def settle(self, now: float) -> list[Key]:
        """Delete every key whose waiting period has ended; return what was deleted.

        A primary whose last replica goes starts its own window at that very moment.
        """
        gone: list[Key] = []
        while self._due and self._due[0][0] <= now:
            date, account, region, identifier = heapq.heappop(self._due)
            store = self.region(account, region)
            key = store.keys.get(identifier)
            if key is None or key.state != "PendingDeletion" or key.deletion_date != date:
                continue
            store.remove(key)
            gone.append(key)
            if key.primary_region and key.primary_region != region:
                primary = self.region(account, key.primary_region).keys.get(identifier)
                if primary and primary.state == "PendingReplicaDeletion":
                    self.schedule(primary, primary.window or 30, date)
        return gone
