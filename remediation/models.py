"""Data models: findings, evidence, holds, verdicts, plan items and results.

All are immutable and compare by value: a key has changed if its two `Evidence` values differ.
Pydantic writes them as JSON and describes them as a JSON Schema.
"""

from __future__ import annotations

import dataclasses
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from enum import IntEnum, StrEnum
from typing import Annotated, Any, Final, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
)
from pydantic.dataclasses import dataclass
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from .errors import InvariantError

T = TypeVar("T")


class Model(BaseModel):
    """Base model: immutable, rejects unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


SLIM: Final = ConfigDict(extra="forbid")
"""For values that a run holds once per key. Pydantic dataclasses with slots validate the same and
take a tenth of a model's memory."""


def _utc(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("a time needs its zone, for example 2026-01-31T00:00:00Z")
    try:
        return value.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("a time is of the years 1 to 9999 in UTC") from error


Time = Annotated[datetime, AfterValidator(_utc)]
"""A time with a zone, converted to UTC."""

_KEY_ARN: Final = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):kms:(?P<region>[a-z]{2,}(?:-[a-z]+)+-[0-9]+)"
    r":(?P<account_id>[0-9]{12}):key/"
    r"(?P<key_id>mrk-[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})",
    re.ASCII,
)


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class KeyArn:
    """The ARN of a KMS key. It identifies the key, because multi-Region keys share a key ID.

    Partition, account and Region always come from it. Format:
    `arn:PARTITION:kms:REGION:ACCOUNT:key/ID`. ID is a UUID, or `mrk-` and 32 hexadecimal digits
    (AWS KMS Developer Guide, "Key identifiers (KeyId)").
    """

    partition: str
    account_id: str
    region: str
    key_id: str

    @classmethod
    def parse(cls, text: object) -> Self:
        """Parse an ARN. Raises ValueError for anything else."""
        if isinstance(text, cls):
            return text
        if isinstance(text, str) and (match := _KEY_ARN.fullmatch(text)):
            # Many keys share few partitions, accounts and Regions. Interning saves memory.
            partition, account_id, region = map(
                sys.intern, match.group("partition", "account_id", "region")
            )
            return cls(partition, account_id, region, match["key_id"])
        raise ValueError(f"{str(text)[:200]!r} is not the ARN of a KMS key")

    def __str__(self) -> str:
        return f"arn:{self.partition}:kms:{self.region}:{self.account_id}:key/{self.key_id}"

    @property
    def account_region(self) -> tuple[str, str]:
        """Account and Region of the key."""
        return self.account_id, self.region

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: type[Any], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls.parse, serialization=core_schema.to_string_ser_schema()
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        nameless = re.sub(r"\?P<\w+>", "?:", _KEY_ARN.pattern)
        return {"type": "string", "pattern": f"^{nameless}$"}


# --- findings ---------------------------------------------------------------------------------


class FindingStatus(StrEnum):
    """Status of a finding, the same for all formats."""

    FAIL = "FAIL"
    """The check failed. Plans use only these findings."""
    PASS = "PASS"  # noqa: S105 - a status, no password
    """The check passed. It supersedes an older failure."""
    MANUAL = "MANUAL"
    """The check could not decide; a person must."""
    MUTED = "MUTED"
    """Muted (Prowler) or suppressed (Checkov) by a user."""


class CodeLocation(Model):
    """Where infrastructure code declares a key, as Checkov reports it."""

    framework: str
    """Checkov's framework (`check_type`), for example `terraform` or `cloudformation`."""
    file: str
    """Path that Checkov reports (`file_path`), such as `/main.tf`."""
    first_line: int
    """First line of the declaration, from 1; 0 if Checkov gives no lines."""
    last_line: int
    """Last line of the declaration, inclusive."""
    address: str
    """Resource address, for example `module.a.aws_kms_key.b[0]` or `AWS::KMS::Key.Logical`."""
    absolute_file: str | None = None
    """Path on the machine that ran Checkov (`file_abs_path`), if it is absolute."""
    root_file: str | None = None
    """For a resource in a Terraform module: absolute path of the file with the outermost `module`
    call (`breadcrumbs.source_module_[0].path`)."""
    resource_type: str | None = None
    """Terraform resource type (`kms:resource-type=` in `details`). Addresses in terraform_json lack
    it."""
    actions: tuple[str, ...] = ()
    """Actions of a Terraform plan (`terraform:actions=` in `details`)."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SLIM)
class Finding:
    """A scanner record about a key, or code that declares one. It only makes a candidate."""

    scanner: Literal["prowler", "checkov"]
    """Scanner that wrote the record."""
    check_id: str
    """Id of the check, such as `kms_cmk_not_disabled` or `CKV_KEYSWEEP_001`."""
    status: FindingStatus
    """Result of the check."""
    source: str
    """Results file, as passed on the command line (`-`: standard input)."""
    position: str
    """Position in the source, such as `record 3`."""
    key_arn: KeyArn | None = None
    """None: the record is about code, and its key has not been found yet."""
    key_state: str | None = None
    """Key state at the time of the scan, if recorded. Never a basis for action."""
    time: Time | None = None
    """Time of the scan. Checkov records have none."""
    code: CodeLocation | None = None
    """Declaration of the key in code; None for Prowler records."""


class Unmapped(Model):
    """A finding about code whose key was not found."""

    finding: Finding
    """The record, with its location in the code."""
    reason: str
    """Why no key was found."""
    step: str
    """What to do, such as an option to add."""
    candidates: tuple[str, ...] = ()
    """Possible keys if the finding is ambiguous. Keysweep evaluates none of them."""


class UnusableRecord(Model):
    """A record that could not be used, identified by its position. The others were used."""

    source: str
    """Results file, as passed on the command line (`-`: standard input)."""
    position: str
    """Position in the source: `record 3`, or `record 1, failed check 2` for Checkov."""
    problem: str
    """Why the record could not be used."""


class ResultsSource(Model):
    """A results document that was read."""

    path: str
    """Path as passed or found in a folder, `s3://BUCKET/KEY`, or `-` (standard input)."""
    sha256: str
    """SHA-256 digest of its content, hexadecimal."""
    format: str
    """Format, such as `Prowler OCSF` or `Checkov JSON`."""
    scanner: str
    """`prowler` or `checkov`."""
    findings: int
    """Number of records of supported checks, with any status."""


# --- evidence ---------------------------------------------------------------------------------


class Cost(IntEnum):
    """Cost of reading a piece of evidence, cheapest first. Quotas: "Request quotas" (AWS KMS
    Developer Guide) and "Quotas in AWS CloudTrail"."""

    FREE = 0
    """No call."""
    DESCRIBE = 1
    """DescribeKey: 2,000 requests per second."""
    KEY_CALL = 2
    """One call per key, or one listing per account-Region: at least 100 requests per second."""
    ACCOUNT_REGION_SCAN = 3
    """Many listings per account-Region: the reference index."""
    EVENT_NAME = 4
    """CloudTrail by event name: 2 requests per second, a few pages per account-Region."""
    STACK = 5
    """DescribeStackResources, once per key. AWS publishes no quota; Keysweep assumes 20 per
    second. It follows the reads per account-Region, so that later pieces need not wait for it."""
    LAST_USE = 6
    """GetKeyLastUsage: 5 requests per second, one per key."""
    EVENT_KEY = 7
    """CloudTrail by key: 2 requests per second, one or more per key."""


class Unreadable(Model):
    """Evidence that could not be read. It never counts as absent."""

    unreadable: str
    """Why, such as `ListGrants in account 111122223333, eu-west-1 was denied
    (AccessDeniedException)`."""
    permission: str | None = None
    """IAM action that is missing, if that is the cause."""


class NotFound(Model):
    """Key not found: deleted, or never existed."""

    not_found: Literal[True] = True
    """Distinguishes this from the description of a key."""


PENDING_DELETION: Final = frozenset({"PendingDeletion", "PendingReplicaDeletion"})
"""Key states in which the deletion can be cancelled ("Key states of AWS KMS keys")."""


class KeyDescription(Model):
    """Response of DescribeKey, with AWS's names and values."""

    key_manager: str
    """`CUSTOMER` or `AWS`."""
    key_state: str
    """Key state, such as `Disabled` or `PendingDeletion`."""
    origin: str
    """Origin of the key material, such as `AWS_KMS` or `EXTERNAL`."""
    key_spec: str
    """Key spec, such as `SYMMETRIC_DEFAULT` or `RSA_2048`."""
    key_usage: str
    """Key usage, such as `ENCRYPT_DECRYPT` or `SIGN_VERIFY`."""
    creation_date: Time
    """When the key was created."""
    deletion_date: Time | None = None
    """When AWS deletes the key; only in state PendingDeletion."""
    pending_window_days: int | None = None
    """Waiting period in days; only in state PendingReplicaDeletion (a primary with replicas)."""
    custom_key_store_id: str | None = None
    """Custom key store of the key, if any."""
    multi_region_type: Literal["PRIMARY", "REPLICA"] | None = None
    """None for a single-Region key."""
    primary: KeyArn | None = None
    """Primary of the multi-Region set; can be the key itself."""
    replicas: tuple[KeyArn, ...] = ()
    """Replicas of the multi-Region set, sorted by ARN."""
    description: str = ""
    """Description of the key; empty if it has none."""


class Grant(Model):
    """A grant, as ListGrants returns it."""

    grant_id: str
    """Id of the grant, for RevokeGrant."""
    grantee_principal: str
    """ARN or AWS service that can use the key, such as `rds.eu-west-1.amazonaws.com`."""
    retiring_principal: str | None = None
    """ARN or AWS service that can retire the grant; None: none."""
    issuing_account: str | None = None
    """Account that issued the grant, such as `arn:aws:iam::111122223333:root`."""
    operations: tuple[str, ...] = ()
    """Allowed operations, such as `Decrypt`."""
    name: str | None = None
    """Name of the grant; None: none."""

    def outsiders(self, account_id: str) -> Iterator[tuple[str, str]]:
        """Yield role and name of each principal outside the account.

        A service belongs to the account that issued the grant, and is outside if no account is
        named. A principal without an account (the unique ID of a deleted role) is outside too,
        because its account is unknown.
        """
        for role, principal in (
            ("grantee", self.grantee_principal),
            ("retiring principal", self.retiring_principal),
            ("issuing account", self.issuing_account),
        ):
            if principal is None or account_of(principal) == account_id:
                continue
            if self.issuing_account is None or not _SERVICE.fullmatch(principal):
                yield role, principal


_SERVICE: Final = re.compile(r"[a-z0-9.-]+\.amazonaws\.com(\.cn)?")
"""A service principal, regional or not: `rds.amazonaws.com`, `dynamodb.eu-west-1.amazonaws.com`."""


_ACCOUNT: Final = re.compile(r"[0-9]{12}", re.ASCII)
_PRINCIPAL: Final = re.compile(r"arn:aws[a-z-]*:(iam|sts)::(?P<account>[^:]*):.+")


def account_of(principal: str) -> str | None:
    """Account of a principal, from an account ID or an IAM or STS ARN; None if it cannot be known.

    A deleted user or role leaves only its unique ID, such as AROA...
    """
    if _ACCOUNT.fullmatch(principal):
        return principal
    match = _PRINCIPAL.fullmatch(principal)
    return match["account"] if match else None


class KeyPolicy(Model):
    """Who else can use the key, according to its key policy."""

    sha256: str
    """SHA-256 digest of the key policy; `apply` compares it."""
    outside: tuple[str, ...] = ()
    """Principals of other accounts, or everyone, each with its statement."""
    unpinned: tuple[str, ...] = ()
    """Services that can use the key without a condition on the account, each with its statement."""
    account_root: bool
    """Whether a statement lets IAM policies of the account control access to the key. Without it,
    the deletion might be impossible to cancel."""
    undo_denied: tuple[str, ...] = ()
    """Statements that deny the cancellation, but not the scheduling."""
    problem: str | None = None
    """Why the key policy could not be evaluated: invalid JSON, or `NotPrincipal`."""


class StateChange(Model):
    """A CloudTrail event that changed the key state."""

    event: str
    """Event name, such as `DisableKey` or `CancelKeyDeletion`."""
    time: Time
    """Time of the event."""
    who: str | None = None
    """ARN of the identity, or name of the service or user; None: not in the event."""


class KeyHistory(Model):
    """Changes of the key state in CloudTrail."""

    since: Time
    """Start of the readable history."""
    last_change: StateChange | None = None
    """Last change of the key state; None: none since `since`."""
    cancellations: tuple[StateChange, ...] = ()
    """Cancellations of its deletion."""


class AliasMove(Model):
    """An alias that was moved from one key to another."""

    alias: str
    """Name of the alias, as `alias/NAME`."""
    key_id: str
    """ID of the key that it was moved to."""
    time: Time
    """Time of the event."""
    who: str | None = None
    """ARN of the identity, or name of the service or user; None: not in the event."""


class AliasMoves(Model):
    """Aliases moved from this key to another, in the readable history."""

    since: Time
    """Start of the readable history."""
    moved: tuple[AliasMove, ...] = ()
    """Last move of each alias away from this key, sorted by alias."""
    possible: tuple[AliasMove, ...] = ()
    """Up to 20 moves, newest first, away from a key that CloudTrail does not name. It can be this
    key, which is older than the move and had no other alias."""


class LaterAlias(Model):
    """An alias on another key."""

    alias: str
    """Name of the alias, as `alias/NAME`."""
    key_id: str
    """ID of its key."""
    updated: Time
    """When the alias was last associated with a key (LastUpdatedDate)."""


class LaterAliases(Model):
    """Aliases associated with other keys after this key was created; they might have been on this
    key before. Reported only; never holds a key."""

    count: int
    """Number of these aliases."""
    newest: tuple[LaterAlias, ...] = ()
    """Up to 20 of them: those changed by UpdateAlias, then the others, each newest first."""


class LastUse(Model):
    """Response of GetKeyLastUsage: last use, never used, or not used since tracking began."""

    used: Time | None = None
    """Time of the last successful use; None: none since `tracking_start`."""
    operation: str | None = None
    """Operation of the last use, such as `Decrypt`."""
    tracking_start: Time
    """When AWS began to track the use of the key. Earlier use is unknown."""
    never: bool = False
    """True: the key was created after tracking began, and was never used."""


class UseAttempt(Model):
    """A cryptographic operation, CreateGrant or GetPublicKey on the key, successful or refused."""

    event: str
    """Event name, such as `Decrypt` or `CreateGrant`."""
    time: Time
    """Time of the event."""
    who: str | None = None
    """ARN of the identity, or name of the service or user; None: not in the event."""
    error: str | None = None
    """Error code, such as `KMSInvalidStateException`; None: successful."""


class UseAttempts(Model):
    """Attempts to use the key, in the readable history. An empty list proves nothing."""

    since: Time
    """Start of the readable history."""
    attempts: tuple[UseAttempt, ...] = ()
    """Attempts, newest first."""
    all_read: bool = True
    """False: older events were not read, because the newest ones decide."""


class Reference(Model):
    """A resource of another service that names the key."""

    service: str
    """Service, as named in the key references."""
    resource: str
    """ARN of the resource, or its name if it has no ARN."""
    region: str
    """Region of the resource."""
    field: str
    """API field that names the key."""


CoverageGapKind = Literal["network"]
"""Known causes of a coverage gap."""


class CoverageGap(Model):
    """A service that could not be read in a Region."""

    service: str
    """Service, as named in the key references; `kms`: aliases of the key."""
    region: str
    """Region that could not be read."""
    why: str
    """Why, such as `DescribeRepositories was denied (AccessDeniedException)`."""
    permission: str | None = None
    """IAM action that is missing, if that is the cause."""
    kind: CoverageGapKind | None = None
    """Cause. `network`: no connection to the host of the service; None: any other."""


class AbsentService(Model):
    """A service that is not available in a Region (evidence: `Absences`)."""

    service: str
    """Service, as named in the key references."""
    host: str
    """Host of the operation that was not called. It does not exist in DNS."""
    code: str
    """Code of the service in AWS's public list, which lacks it for this Region."""


class Absences(Model):
    """Services that are not available in a Region, and the evidence: DNS and AWS's public list."""

    region: str
    """The Region without these services."""
    services: tuple[AbsentService, ...]
    """Services that were not called, because they can have no resources in this Region."""
    controls: tuple[str, ...]
    """Hosts of rarely used services of the Region that exist in DNS."""
    list_path: str
    """Path in Parameter Store of AWS's public list of services in the Region."""
    listed: int
    """Number of services in that list."""


class References(Model):
    """Resources that name the key, and coverage gaps."""

    found: tuple[Reference, ...] = ()
    """Resources, sorted by service, Region and field. If more than 20 share these, the last entry
    has the number of the others."""
    gaps: tuple[CoverageGap, ...] = ()
    """Coverage gaps; `coverage_exceptions` can lift them."""
    services: int = 0
    """Number of key references that were read."""
    absent: tuple[Absences, ...] | None = None
    """Services that are not available, by Region; None: written by an older version."""


class Declaration(Model):
    """Infrastructure code or a stack that declares the key."""

    tool: Literal["terraform", "cloudformation", "ansible", "crossplane"]
    """Tool of the code or stack; it determines the content of `owner` and `source`."""
    owner: str
    """Resource address, or stack name and logical ID."""
    source: str
    """State file, Region of the stack, or code."""
    file: str | None = None
    """File of the declaration, as Checkov reports it, if a finding names it."""
    line: int | None = None
    """First line of the declaration in that file."""
    fix: str
    """What to do there before the key is deleted."""


class Declarations(Model):
    """Declarations of the key in the code and stacks that were read."""

    found: tuple[Declaration, ...] = ()
    """Empty: none found in the code that was given."""


def _tags_or_unreadable(tags: object) -> object:
    """Distinguish tags from `Unreadable`, which look alike in JSON. A key whose only tags are
    `unreadable`, or this and `permission`, counts as unreadable and stays on hold."""
    if isinstance(tags, dict) and {"unreadable"} <= tags.keys() <= Unreadable.model_fields.keys():
        return Unreadable(**tags)
    return tags


class Evidence(Model):
    """Evidence about a key. None: not read, because the key was already on hold."""

    key_arn: KeyArn
    """ARN of the key."""
    finding_time: Time | None = None
    """Newest scan time of the findings that made it a candidate."""
    description: KeyDescription | NotFound | Unreadable | None = None
    """Description of the key (DescribeKey)."""
    tags: Annotated[dict[str, str] | Unreadable | None, BeforeValidator(_tags_or_unreadable)] = None
    """Tag names and values (ListResourceTags)."""
    aliases: tuple[str, ...] | Unreadable | None = None
    """Aliases, as `alias/NAME`, sorted (ListAliases)."""
    grants: tuple[Grant, ...] | Unreadable | None = None
    """All grants, sorted by ID (ListGrants)."""
    key_policy: KeyPolicy | Unreadable | None = None
    """Evaluated key policy (GetKeyPolicy)."""
    rotations: int | Unreadable | None = None
    """Number of rotations (ListKeyRotations); the first two add to the monthly cost."""
    declarations: Declarations | Unreadable | None = None
    """Code and stacks that declare the key: Terraform states, findings, CloudFormation."""
    references: References | Unreadable | None = None
    """Resources of other services that name the key."""
    history: KeyHistory | Unreadable | None = None
    """Changes of the key state (CloudTrail)."""
    alias_moves: AliasMoves | Unreadable | None = None
    """Aliases that were moved away from the key (CloudTrail)."""
    later_aliases: LaterAliases | Unreadable | None = None
    """Aliases of other keys that might have been on this key before (ListAliases)."""
    last_use: LastUse | Unreadable | None = None
    """Last successful use (GetKeyLastUsage)."""
    use_attempts: UseAttempts | Unreadable | None = None
    """Attempts to use the key (CloudTrail)."""

    def difference(self, before: Evidence) -> tuple[str, ...]:
        """Describe the differences from earlier evidence, among the pieces that both have."""
        found = []
        for piece in sorted(PIECES):
            old, new = getattr(before, piece), getattr(self, piece)
            if (
                old is None
                or new is None
                or (isinstance(old, Unreadable) and isinstance(new, Unreadable))
            ):
                continue
            if not _same(old, new):
                found.append(_difference(piece, old, new))
        return tuple(found)


def _same(old: object, new: object) -> bool:
    """Whether nothing happened between two reads. A history that merely aged is the same."""
    if isinstance(old, KeyHistory) and isinstance(new, KeyHistory):
        aged = old.last_change is not None and old.last_change.time < new.since
        return (new.last_change == old.last_change or (new.last_change is None and aged)) and set(
            new.cancellations
        ) <= set(old.cancellations)
    if isinstance(old, AliasMoves) and isinstance(new, AliasMoves):
        return set(new.moved) <= set(old.moved) and set(new.possible) <= set(old.possible)
    if isinstance(old, UseAttempts) and isinstance(new, UseAttempts):
        return set(new.attempts) <= set(old.attempts)
    if isinstance(old, References) and isinstance(new, References):
        return (
            set(new.found) <= set(old.found)
            and _unread(new) <= _unread(old)
            and not _newly_absent(old, new)
        )
    if isinstance(old, KeyDescription) and isinstance(new, KeyDescription):
        # Rule protected-tag evaluates the new description.
        return old.model_copy(update={"description": ""}) == new.model_copy(
            update={"description": ""}
        )
    return old == new


def _unread(references: References) -> set[tuple[str, str, str | None]]:
    """Coverage gaps without their text, in which counts can differ."""
    return {(gap.service, gap.region, gap.permission) for gap in references.gaps}


def _newly_absent(old: References, new: References) -> list[str]:
    """List services that are absent now and were read before. They count as changes, like new gaps.

    A former coverage gap that is absent now loses nothing, and a service that is available again
    is read.
    """
    if old.absent is None or new.absent is None:
        return []
    unread = {(gap.service, gap.region) for gap in old.gaps}
    before = {(one.service, one.host, each.region) for each in old.absent for one in each.services}
    return [
        f"{one.service} in {each.region}"
        for each in new.absent
        for one in each.services
        if (one.service, one.host, each.region) not in before
        and (one.service, each.region) not in unread
    ]


def _difference(piece: str, old: object, new: object) -> str:
    if isinstance(old, KeyDescription) and isinstance(new, KeyDescription):
        if old.key_state != new.key_state:
            return f"the key was {old.key_state} and is {new.key_state}"
        names = [n for n in KeyDescription.model_fields if getattr(old, n) != getattr(new, n)]
        return f"description: {', '.join(names)}"
    if isinstance(old, References) and isinstance(new, References):
        absent = _newly_absent(old, new)
        return f"{piece}: no longer offered: {', '.join(absent)}" if absent else piece
    if isinstance(old, dict) and isinstance(new, dict):
        names = sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
        return f"{piece}: {', '.join(names)}"
    return piece.replace("_", " ")


PIECES: Final = frozenset(Evidence.model_fields) - {"key_arn", "finding_time"}
"""Names of the pieces of evidence that sources read."""


def known(piece: T | Unreadable | NotFound | None) -> T:
    """Return evidence that is known to be readable. Raises InvariantError otherwise."""
    if piece is None or isinstance(piece, Unreadable | NotFound):
        raise InvariantError(f"evaluated without its evidence: {piece!r}")
    return piece


# --- evaluation -------------------------------------------------------------------------------


class Hold(Model):
    """A reason not to schedule a key."""

    rule: str
    """Id of the rule, or a reason from outside the rules. `unreadable-key` and `not-asked` hold.
    `not-found`, `aws-managed`, `already-pending` and `not-disabled` skip. `changed` is from
    `guard`."""
    message: str
    """The reason as text."""
    gaps: tuple[CoverageGap, ...] = ()
    """Coverage gaps behind this hold; reports print them once."""


class AppliedException(Model):
    """An exception that the policy makes for this key."""

    rule: str
    """Id of the rule."""
    reason: str
    """Reason given in the policy."""
    until: str | None = None
    """Last day (UTC) of the exception, YYYY-MM-DD; None: no end date (`coverage_exceptions`)."""


class VerdictKind(StrEnum):
    """Verdict on a key: schedule, hold or skip."""

    SCHEDULE = "schedule"
    """`apply` schedules its deletion."""
    HOLD = "hold"
    """A rule holds it, or evidence could not be read."""
    SKIP = "skip"
    """Nothing to do: not found, AWS managed, already pending deletion, or not Disabled."""


class FindingRecord(Model):
    """A finding in a plan."""

    scanner: str
    """`prowler` or `checkov`."""
    check_id: str
    """Id of the check, such as `kms_cmk_not_disabled` or `CKV_KEYSWEEP_001`."""
    source: str
    """Results file, as passed on the command line (`-`: standard input)."""
    position: str
    """Position in the source, such as `record 3`."""
    time: Time | None = None
    """Time of the scan; None for Checkov records."""
    code: CodeLocation | None = None
    """Declaration of the key in code; None for Prowler records."""


class PlanItem(Model):
    """The verdict on a key, with its evidence."""

    key_arn: KeyArn
    """ARN of the key."""
    account_id: str
    """Account ID, from the ARN."""
    region: str
    """Region, from the ARN."""
    verdict: VerdictKind
    """Verdict on the key."""
    reasons: tuple[Hold, ...] = ()
    """Why it is on hold or skipped; empty for `schedule`."""
    exceptions: tuple[AppliedException, ...] = ()
    """Exceptions that apply to it."""
    pending_window_days: Annotated[int, Field(ge=7, le=30)]
    """Waiting period in days that `apply` requests; AWS allows 7 to 30 ("ScheduleKeyDeletion", AWS
    KMS API Reference)."""
    monthly_cost_usd: float
    """Monthly cost of the key in US dollars, at list price."""
    owner: str | None = None
    """Likely owner: an owner tag, the code or stack that declares the key, an alias, or the
    identity that last changed its state; None: unknown."""
    evidence: Evidence
    """Evidence about the key. `apply` reads it again and compares."""
    findings: tuple[FindingRecord, ...] = ()
    """Findings that made it a candidate."""


class PlanSummary(Model):
    """Number of keys by verdict, and the monthly cost of the keys to schedule."""

    schedule: int
    """Keys to schedule."""
    hold: int
    """Keys on hold."""
    skip: int
    """Keys to skip."""
    monthly_cost_usd: float
    """Monthly cost of the keys to schedule in US dollars, at list price."""


class Outcome(StrEnum):
    """Outcome for a key, in `--format json` and the journal."""

    SCHEDULED = "scheduled"
    """Its deletion is pending, scheduled by this run or an earlier run of the plan."""
    ALREADY_PENDING = "already_pending"
    """Its deletion was already pending by another request. Nothing was changed."""
    CHANGED = "changed"
    """Changed since the review: not scheduled, or its deletion was cancelled at once."""
    CANCELLED = "cancelled"
    """Its deletion was cancelled, and any further requested step is done. In the journal: the
    operation of this line is done."""
    NOT_PENDING = "not_pending"
    """Nothing to cancel, or the pending deletion is not the journal's. A key that is not found is
    `failed`."""
    FAILED = "failed"
    """Failed, or unconfirmed; see the message."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SLIM)
class KeyResult:
    """Result of `apply` or `cancel` for a key."""

    key_arn: KeyArn
    """ARN of the key."""
    outcome: Outcome
    """Outcome for the key."""
    deletion_date: Time | None = None
    """When AWS deletes the key; None: not pending, or unknown (a primary that waits for its
    replicas)."""
    message: str = Field(default="")
    """Explanation; can be empty."""


class Outcomes(Model):
    """Report of `apply` or `cancel`."""

    summary: dict[Outcome, int]
    """Number of keys by outcome, without zeros."""
    results: tuple[KeyResult, ...]
    """Results, sorted by key ARN."""
