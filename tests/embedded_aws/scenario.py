"""The scenario: what exists in the embedded AWS when it starts. README.md shows the schema.

Every date is relative ("days ago"), so that a scenario never ages. Unknown names are errors.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from .refusals import Answered, Refusal

Days = Annotated[float, Field(ge=0)]
KeyState = Literal[
    "Enabled",
    "Disabled",
    "PendingDeletion",
    "PendingReplicaDeletion",
    "PendingImport",
    "Unavailable",
    "Creating",
    "Updating",
]
AliasName = Annotated[str, StringConstraints(pattern=r"^alias/[A-Za-z0-9:/_{}-]+$")]
Document = dict[str, Any]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Grant(_Strict):
    """A grant on a key; `{account}` and `{region}` in principals are filled in."""

    grantee: str | None = None
    grantee_service: str | None = None
    retiring: str | None = None
    operations: tuple[str, ...] = ("Decrypt", "GenerateDataKey")
    name: str | None = None
    created_days_ago: Days = 30
    constraints: Document | None = None
    count: Annotated[int, Field(ge=1)] = 1

    @model_validator(mode="after")
    def _one_grantee(self) -> Self:
        if (self.grantee is None) == (self.grantee_service is None):
            raise ValueError("a grant names either `grantee` or `grantee_service`")
        return self


class Event(_Strict):
    """One CloudTrail event of a key's past; `by` is a user or role name, or an ARN."""

    name: str
    days_ago: Days
    error: str | None = None
    message: str | None = None
    by: str = "operator"
    with_resources: bool = True
    """False: the event names the key in requestParameters and errorMessage only."""
    alias: AliasName | None = None
    """Of CreateAlias, UpdateAlias and DeleteAlias; the aliases of today stay as they are."""
    count: Annotated[int, Field(ge=1)] = 1
    account: str | None = None
    """The account whose trail has it; None: the key's."""
    shared: str | None = None
    """Its `sharedEventID`."""
    request: dict[str, str] | None = None
    """Its requestParameters."""
    key_id: str | None = None
    """What the request names; `{id}` is the key's id. None: its ARN."""


class LastUse(_Strict):
    """The last successful cryptographic operation."""

    days_ago: Days
    operation: str = "Decrypt"


class Replica(_Strict):
    """How a replica differs from its primary; what is not given is as on the primary."""

    state: KeyState = "Enabled"
    description: str | None = None
    disabled_days_ago: Days | None = None
    created_days_ago: Days | None = None
    scheduled_days_ago: Days = 1
    window_days: Annotated[int, Field(ge=7, le=30)] = 30
    tags: dict[str, str] | None = None
    aliases: tuple[AliasName, ...] = ()
    last_used: LastUse | None = None


class Key(_Strict):
    """A key, or `count` alike ones whose texts carry `{n}`."""

    name: str
    count: Annotated[int, Field(ge=1)] = 1
    state: KeyState = "Enabled"
    description: str = ""
    created_days_ago: Days = 400
    disabled_days_ago: Days | None = None
    """When DisableKey was called; by default 365 days ago, or with the creation."""
    disabled_by: str = "operator"
    restored_days_ago: Days | None = None
    """When CancelKeyDeletion was called, which also lands in Disabled."""
    scheduled_days_ago: Days = 1
    window_days: Annotated[int, Field(ge=7, le=30)] = 30
    manager: Literal["CUSTOMER", "AWS"] = "CUSTOMER"
    origin: Literal["AWS_KMS", "EXTERNAL", "AWS_CLOUDHSM", "EXTERNAL_KEY_STORE"] = "AWS_KMS"
    custom_key_store: str | None = None
    valid_for_days: Annotated[float, Field(gt=0)] | None = None
    spec: str = "SYMMETRIC_DEFAULT"
    usage: str | None = None
    tags: dict[str, str] = {}
    aliases: tuple[AliasName, ...] = ()
    policy: Document | str | None = None
    """Key policy; `{account}` and `{region}` in it are filled in. A text is taken as it is."""
    grants: tuple[Grant, ...] = ()
    rotations: Annotated[int, Field(ge=0)] = 0
    rotation_period_days: Annotated[int, Field(ge=90, le=2560)] | None = None
    multi_region: bool = False
    replicas: dict[str, Replica] = {}
    last_used: LastUse | None = None
    events: tuple[Event, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _shorthands(cls, value: Any) -> Any:
        if isinstance(value, dict):
            value = dict(value)
            if isinstance(value.get("replicas"), list | tuple):
                value["replicas"] = {region: {} for region in value["replicas"]}
            if value.get("replicas"):
                value.setdefault("multi_region", True)
            if isinstance(value.get("last_used"), int | float):
                value["last_used"] = {"days_ago": value["last_used"]}
            if value.get("custom_key_store"):
                value.setdefault("origin", "AWS_CLOUDHSM")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.count > 1 and "{n}" not in self.name:
            raise ValueError(f"key {self.name!r}: `count` needs {{n}} in the name")
        if self.count > 1 and not all("{n}" in alias for alias in self.aliases):
            raise ValueError(f"key {self.name!r}: `count` needs {{n}} in every alias")
        if self.replicas and not self.multi_region:
            raise ValueError(f"key {self.name!r}: only multi-Region keys have replicas")
        if self.state == "PendingReplicaDeletion" and not self.replicas:
            raise ValueError(f"key {self.name!r}: PendingReplicaDeletion needs replicas")
        if self.state == "PendingDeletion" and self.replicas:
            raise ValueError(f"key {self.name!r}: with replicas it is PendingReplicaDeletion")
        if self.state == "PendingDeletion" and self.scheduled_days_ago >= self.window_days:
            raise ValueError(f"key {self.name!r}: its waiting period would be over")
        for field in ("disabled_days_ago", "restored_days_ago"):
            value = getattr(self, field)
            if value is not None and value > self.created_days_ago:
                raise ValueError(f"key {self.name!r}: {field} lies before its creation")
        return self

    def expand(self) -> Iterator[Key]:
        """Yield the key, or its `count` copies with {n} filled in from 1."""
        if self.count == 1 and "{n}" not in self.name:
            yield self
            return
        for number in range(1, self.count + 1):
            yield self.model_copy(
                update={
                    "name": self.name.replace("{n}", str(number)),
                    "count": 1,
                    "description": self.description.replace("{n}", str(number)),
                    "aliases": tuple(one.replace("{n}", str(number)) for one in self.aliases),
                    "tags": {k: v.replace("{n}", str(number)) for k, v in self.tags.items()},
                }
            )


class CustomKeyStore(_Strict):
    """A custom key store of one Region."""

    name: str
    type: Literal["AWS_CLOUDHSM", "EXTERNAL_KEY_STORE"] = "AWS_CLOUDHSM"
    connection: Literal["CONNECTED", "DISCONNECTED", "FAILED"] = "CONNECTED"
    created_days_ago: Days = 500


class Resource(_Strict):
    """Something of another service that names a key; see resources.py for `type`."""

    type: str | None = None
    """A recipe, as `ebs_volume`."""
    call: str | None = None
    """Any boto3 call, as `ec2.create_volume`, with its arguments in `with`."""
    answer: str | None = None
    """A listing, as `fsx.DescribeFileSystems`, whose content is `with`."""
    content: dict[str, Any] = Field(default_factory=dict, alias="with")
    """`{key}` in it is replaced by the key."""
    name: str | None = None
    key: str | None = None
    """Name of a key of the scenario, or an alias."""
    key_as: Literal["arn", "id", "alias", "alias_arn"] = "arn"
    key_region: str | None = None
    key_account: str | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if [self.type, self.call, self.answer].count(None) != 2:
            raise ValueError("a resource has one of `type`, `call` and `answer`")
        if self.type is not None and self.key is None:
            raise ValueError(f"resource {self.type} needs a key")
        if self.type is not None and self.content:
            raise ValueError(f"resource {self.type} takes no `with`")
        for dotted in (self.call, self.answer):
            if dotted is not None and dotted.count(".") != 1:
                raise ValueError(f"{dotted!r} is not `service.operation`")
        return self


class LogFiles(_Strict):
    """Log files of a day; without account or Region, of all of them."""

    days_ago: Days
    account: str | None = None
    region: str | None = None


class TrailChange(_Strict):
    """A change of a trail, which log files of the table show."""

    name: str
    days_ago: Days
    trail: str = "all"
    """What the request names: an ARN, or the name of a trail of the caller's account."""
    account: str | None = None
    """The caller's account; None: the trail's."""
    error: str | None = None


class AthenaTable(_Strict):
    """A table in Athena over the log files of a trail, its workgroup, and the trail itself."""

    workgroup: str = "history"
    workgroup_state: Literal["ENABLED", "DISABLED"] = "ENABLED"
    cutoff_bytes: int | None = 10**12
    database: str = "audit"
    name: str = "trail"
    accounts: tuple[str, ...] | None = None
    """Values of its projection; None: the scenario's accounts."""
    regions: tuple[str, ...] | None = None
    first_day_days_ago: Days = 1000
    properties: dict[str, str] = {}
    """Parameters that differ from those of AWS's documented table."""
    location: str | None = None
    lacks_columns: tuple[str, ...] = ()
    bucket: str = "amzn-s3-demo-bucket"
    prefix: str = ""
    organization: bool = True
    multi_region: bool = True
    trail: dict[str, Any] = {}
    """Fields of DescribeTrails that differ."""
    trail_status: dict[str, Any] = {}
    selectors: dict[str, Any] = {}
    days: int = 100
    """Days that have a read of KMS in each account-Region."""
    changes: tuple[TrailChange, ...] = ()
    missing: tuple[LogFiles, ...] = ()
    """Files that CloudTrail did not deliver."""
    quiet: tuple[LogFiles, ...] = ()
    """Days whose files have only an event of another service than AWS KMS."""
    archived: tuple[LogFiles, ...] = ()
    """Days of which S3 Glacier has all log files but one with a read of KMS."""
    lifecycle: tuple[dict[str, Any], ...] = ()
    """Rules of the bucket: an action, and if given a prefix and an ID."""
    queries_end: Literal["SUCCEEDED", "FAILED", "CANCELLED", "RUNNING"] = "SUCCEEDED"
    queries_end_reason: str = ""
    reused: bool = False
    loses_pages: Literal["cut", "repeats"] | None = None


class Region(_Strict):
    """One account's Region."""

    keys: tuple[Key, ...] = ()
    managed: tuple[str, ...] = ()
    """AWS managed keys that exist here, by service: `ebs` makes the key of alias/aws/ebs."""
    custom_key_stores: tuple[CustomKeyStore, ...] = ()
    athena: AthenaTable | None = None
    resources: tuple[Resource, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    """Operations that are refused here, also to an operator who may do everything."""
    refuses_tokens: bool = False
    """Whether every call is refused, as in an opt-in Region to a token of the global STS host."""

    @model_validator(mode="after")
    def _unique(self) -> Self:
        used = Counter(key.name for one in self.keys for key in one.expand())
        twice = sorted(name for name, times in used.items() if times > 1)
        if twice:
            raise ValueError(f"key names are used twice: {', '.join(twice)}")
        return self


class Role(_Strict):
    """A role that every account of the scenario may assume; without policies it may do all."""

    external_id: str | None = None
    policies: tuple[Document, ...] | None = None


class Image(_Strict):
    """What AWS takes from a container image; the container runs as a process of this machine."""

    entry_point: tuple[str, ...] = ()
    environment: dict[str, str] = {}
    log: str | None = None
    """File to which the containers' output is added."""


class Account(_Strict):
    """One account; the Regions named here are the ones it has enabled."""

    name: str | None = None
    status: Literal["ACTIVE", "SUSPENDED", "PENDING_CLOSURE"] = "ACTIVE"
    """As the organization shows it; the first account of the scenario manages the organization."""
    regions: Annotated[dict[str, Region], Field(min_length=1)]
    roles: dict[str, Role] = {}
    policies: tuple[Document, ...] | None = None
    """IAM documents of the operator; without them the operator may do everything."""
    service_control_policies: tuple[Document, ...] = ()
    refused: tuple[Answered, ...] = ()
    """Classes of `ordinary.yaml` whose refusals the account meets in each of its Regions."""

    @model_validator(mode="before")
    @classmethod
    def _shorthands(cls, value: Any) -> Any:
        if isinstance(value, dict):
            value = dict(value)
            if isinstance(value.get("roles"), list | tuple):
                value["roles"] = {role: {} for role in value["roles"]}
            if isinstance(value.get("regions"), list | tuple):
                value["regions"] = {region: {} for region in value["regions"]}
            elif isinstance(value.get("regions"), dict):
                value["regions"] = {k: v or {} for k, v in value["regions"].items()}
        return value

    @model_validator(mode="after")
    def _replicas_fit(self) -> Self:
        for home, region in self.regions.items():
            for key in region.keys:
                for other in key.replicas:
                    if other == home or other not in self.regions:
                        raise ValueError(
                            f"key {key.name!r} of {home}: {other} is not another Region of the "
                            "account"
                        )
        return self


class Scenario(_Strict):
    """Everything that exists at the start."""

    @model_validator(mode="after")
    def _tables_list_all(self) -> Self:
        """Let each table without lists read every account and Region."""
        regions = tuple(sorted({one for each in self.accounts.values() for one in each.regions}))
        for account in self.accounts.values():
            for name, region in account.regions.items():
                if region.athena is not None:
                    table = region.athena
                    full = {
                        "accounts": table.accounts or tuple(self.accounts),
                        "regions": table.regions or regions,
                    }
                    account.regions[name] = region.model_copy(
                        update={"athena": table.model_copy(update=full)}
                    )
        return self

    tracking_started_days_ago: Days = 300
    """When KMS began to record last use; for younger keys it is their creation."""
    failed_events_carry_resources: bool = True
    """Whether CloudTrail's events of refused calls name the key in `resources`."""
    images: dict[str, Image] = {}
    """Container images that Amazon ECS can pull, by name."""
    accounts: Annotated[
        dict[Annotated[str, StringConstraints(pattern=r"^\d{12}$")], Account], Field(min_length=1)
    ]


EMPTY: Document = {"accounts": {"111122223333": {"regions": ["us-east-1"]}}}
"""What a server starts with when no scenario is given: one account, one Region, nothing in it."""


def parse(document: object) -> Scenario:
    """Validate a scenario; pydantic's ValidationError names the field and the mistake."""
    return Scenario.model_validate(document)


def load(path: Path) -> Scenario:
    """Read a scenario from a YAML file."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return parse(yaml.load(path.read_text(encoding="utf-8"), Loader=loader))
