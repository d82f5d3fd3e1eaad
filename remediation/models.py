"""The words of the design as values: finding, evidence, hold, verdict, plan.

All are frozen pydantic models, so that they can be compared (a changed key is a difference of two
`Evidence` values), written as JSON and described by a JSON Schema.
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
    """Base of all values: immutable, and strict about names that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


SLIM: Final = ConfigDict(extra="forbid")
"""Of the values of which a run holds one for every key: pydantic's dataclasses with slots check the
same, and take a tenth of a model's memory."""


def _utc(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("a time needs its zone, for example 2026-01-31T00:00:00Z")
    try:
        return value.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("a time is of the years 1 to 9999 in UTC") from error


Time = Annotated[datetime, AfterValidator(_utc)]
"""A moment with its zone, kept in UTC."""

_KEY_ARN: Final = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):kms:(?P<region>[a-z]{2,}(?:-[a-z]+)+-[0-9]+)"
    r":(?P<account_id>[0-9]{12}):key/"
    r"(?P<key_id>mrk-[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})",
    re.ASCII,
)


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class KeyArn:
    """The ARN of a KMS key: its identity everywhere, since multi-Region keys share a bare id.

    The one source of partition, account and Region. Form:
    `arn:PARTITION:kms:REGION:ACCOUNT:key/ID`, the ID a UUID or `mrk-` and 32 hexadecimal digits
    (AWS KMS Developer Guide, "Key identifiers (KeyId)").
    """

    partition: str
    account_id: str
    region: str
    key_id: str

    @classmethod
    def parse(cls, text: object) -> Self:
        """Read an ARN; raises ValueError with a sentence for people on anything else."""
        if isinstance(text, cls):
            return text
        if isinstance(text, str) and (match := _KEY_ARN.fullmatch(text)):
            # Few partitions, accounts and Regions, and many keys: each is kept once.
            return cls(**{name: sys.intern(part) for name, part in match.groupdict().items()})
        raise ValueError(f"{str(text)[:200]!r} is not the ARN of a KMS key")

    def __str__(self) -> str:
        return f"arn:{self.partition}:kms:{self.region}:{self.account_id}:key/{self.key_id}"

    @property
    def account_region(self) -> tuple[str, str]:
        """The account and Region that the key lives in."""
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
    """What a scanner said of one resource, in one vocabulary for all formats."""

    FAIL = "FAIL"
    """The check failed; a plan takes no other finding."""
    PASS = "PASS"  # noqa: S105 - a status, no password
    """The check passed, so that an older failure counts no more."""
    MANUAL = "MANUAL"
    """The check could not be decided; a person must look."""
    MUTED = "MUTED"
    """Muted in Prowler, or suppressed in Checkov: somebody decided not to act on it."""


class CodeLocation(Model):
    """Where infrastructure code declares a key, as Checkov names it."""

    framework: str
    """Checkov's framework (`check_type`), for example `terraform` or `cloudformation`."""
    file: str
    """Path as Checkov names it (`file_path`), such as `/main.tf`."""
    first_line: int
    """Of the declaration, counted from 1; 0 where Checkov gives no lines."""
    last_line: int
    """Of the declaration, itself included."""
    address: str
    """Resource address, for example `module.a.aws_kms_key.b[0]` or `AWS::KMS::Key.Logical`."""
    absolute_file: str | None = None
    """The file on the machine that ran Checkov (`file_abs_path`), where it is absolute."""
    root_file: str | None = None
    """Of a resource in a Terraform module: the file with the outermost `module` call, absolute
    (`breadcrumbs.source_module_[0].path`)."""
    resource_type: str | None = None
    """Terraform's, from `details`: `kms:resource-type=`. In terraform_json the address lacks it."""
    actions: tuple[str, ...] = ()
    """What a Terraform plan would do with it, from `details`: `terraform:actions=`."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SLIM)
class Finding:
    """One scanner record that names a key, or code that should lead to one. It only nominates."""

    scanner: Literal["prowler", "checkov"]
    """Whose record it is."""
    check_id: str
    """Such as `kms_cmk_not_disabled` or `CKV_KEYSWEEP_001`."""
    status: FindingStatus
    """What the check said."""
    source: str
    """The results file, as the user named it (`-` for standard input)."""
    position: str
    """Where in the source: `record 3`."""
    key_arn: KeyArn | None = None
    """None: the record is from code, and no route to a live key is known yet."""
    key_state: str | None = None
    """The state that the scanner saw, where it says so. A snapshot: never a basis for acting."""
    time: Time | None = None
    """When the scanner looked; Checkov's records carry none."""
    code: CodeLocation | None = None
    """Where code declares the key; None: the record is Prowler's."""


class Unmapped(Model):
    """A finding of code that leads to no live key: why, and what would resolve it."""

    finding: Finding
    """The record, with the place in the code."""
    reason: str
    """Why it leads to no key, as a clause."""
    step: str
    """The option to add or the thing to do, for people."""
    candidates: tuple[str, ...] = ()
    """What it may be, when it is ambiguous; nothing is done about any of them."""


class UnusableRecord(Model):
    """A record that could not be used, named by its place; the rest of its document was."""

    source: str
    """The results file, as the user named it (`-` for standard input)."""
    position: str
    """Where in the source: `record 3`, or `record 1, failed check 2` in Checkov's."""
    problem: str
    """Why it could not be used, as a clause."""


class ResultsSource(Model):
    """One results document that was read."""

    path: str
    """The file as it was named, or found below a folder; `s3://BUCKET/KEY`; or `-` for standard
    input."""
    sha256: str
    """Hexadecimal digest of its bytes."""
    format: str
    """Such as `Prowler OCSF` or `Checkov JSON`."""
    scanner: str
    """`prowler` or `checkov`."""
    findings: int
    """Records of the checks that Keysweep acts on, whatever their status."""


# --- evidence ---------------------------------------------------------------------------------


class Cost(IntEnum):
    """What a piece of evidence costs to read, cheapest first (quotas: "Request quotas", AWS KMS
    Developer Guide, and "Quotas in AWS CloudTrail")."""

    FREE = 0
    """Known without a call."""
    DESCRIBE = 1
    """DescribeKey: 2,000 requests a second."""
    KEY_CALL = 2
    """A call a key, or a listing an account-Region: 100 a second and more."""
    ACCOUNT_REGION_SCAN = 3
    """Many listings an account-Region: the reference index."""
    EVENT_NAME = 4
    """CloudTrail by event name: 2 requests a second, a few pages an account-Region."""
    STACK = 5
    """DescribeStackResources, one a key; AWS publishes no quota, and 20 a second are taken to be
    one. After what is read once an account-Region, so that the next pieces need not wait for it."""
    LAST_USE = 6
    """GetKeyLastUsage: 5 requests a second, one a key."""
    EVENT_KEY = 7
    """CloudTrail by key: 2 requests a second, one or more a key."""


class Unreadable(Model):
    """A piece of evidence that was asked for and could not be had. Never the same as "no"."""

    unreadable: str
    """Why, as a clause: `ListGrants in account 111122223333, eu-west-1 was denied
    (AccessDeniedException)`."""
    permission: str | None = None
    """The IAM action whose absence explains it, where it does."""


class NotFound(Model):
    """AWS says that there is no such key: deleted, or never there."""

    not_found: Literal[True] = True
    """Tells this from what DescribeKey says of a key that exists."""


PENDING_DELETION: Final = frozenset({"PendingDeletion", "PendingReplicaDeletion"})
"""The key states of a deletion that can still be cancelled ("Key states of AWS KMS keys")."""


class KeyDescription(Model):
    """What DescribeKey says; names and values are AWS's."""

    key_manager: str
    """`CUSTOMER` or `AWS`."""
    key_state: str
    """Such as `Disabled` or `PendingDeletion`."""
    origin: str
    """Where the key material comes from, such as `AWS_KMS` or `EXTERNAL`."""
    key_spec: str
    """Such as `SYMMETRIC_DEFAULT` or `RSA_2048`."""
    key_usage: str
    """Such as `ENCRYPT_DECRYPT` or `SIGN_VERIFY`."""
    creation_date: Time
    """When the key was made."""
    deletion_date: Time | None = None
    """When AWS deletes it; only while it is PendingDeletion."""
    pending_window_days: int | None = None
    """Only while a primary waits for its replicas (PendingReplicaDeletion)."""
    custom_key_store_id: str | None = None
    """None: the key is in no custom key store."""
    multi_region_type: Literal["PRIMARY", "REPLICA"] | None = None
    """None: a single-Region key."""
    primary: KeyArn | None = None
    """The primary of its multi-Region set, which may be the key itself."""
    replicas: tuple[KeyArn, ...] = ()
    """The replicas of that set, in the order of their ARNs."""
    description: str = ""
    """What its makers wrote; empty when they wrote nothing."""


class Grant(Model):
    """One grant of a key, as ListGrants shows it."""

    grant_id: str
    """AWS's id; RevokeGrant takes it."""
    grantee_principal: str
    """ARN of who may use the key by it, or an AWS service, such as
    `rds.eu-west-1.amazonaws.com`."""
    retiring_principal: str | None = None
    """Who may retire it, likewise; None: nobody was named."""
    issuing_account: str | None = None
    """Whose grant it is, such as `arn:aws:iam::111122223333:root`."""
    operations: tuple[str, ...] = ()
    """What it allows, such as `Decrypt`."""
    name: str | None = None
    """Name that its makers gave it; None: they gave none."""

    def outsiders(self, account_id: str) -> Iterator[tuple[str, str]]:
        """Role and name of each principal of this grant that is not of the account.

        A service is of the account that issued the grant, so it counts where none is named. A
        principal that names no account (the unique id that is left of a deleted role) counts too,
        since nobody can tell whose it was.
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
    """The account of a principal: an account id, or an ARN of IAM or STS; None: nobody can tell.

    A unique id, like AROA..., is what is left of a deleted user or role.
    """
    if _ACCOUNT.fullmatch(principal):
        return principal
    match = _PRINCIPAL.fullmatch(principal)
    return match["account"] if match else None


class KeyPolicy(Model):
    """What a key policy says about who else may use the key."""

    sha256: str
    """Of the policy document, to see that it is the same at apply."""
    outside: tuple[str, ...] = ()
    """Principals of other accounts, or everybody, each with its statement, for people."""
    unpinned: tuple[str, ...] = ()
    """Services that may use the key, where no condition pins the own account, likewise."""
    account_root: bool
    """A statement lets the own account's IAM govern the key; without it a deletion may not be
    cancellable by anyone who is left."""
    undo_denied: tuple[str, ...] = ()
    """Statements that deny a cancellation, and not the scheduling."""
    problem: str | None = None
    """Why the document could not be evaluated: no JSON, or `NotPrincipal`."""


class StateChange(Model):
    """A CloudTrail event that set the state of a key."""

    event: str
    """Such as `DisableKey` or `CancelKeyDeletion`."""
    time: Time
    """When it happened."""
    who: str | None = None
    """ARN of the identity, or the name of the service or user; None: CloudTrail does not say."""


class KeyHistory(Model):
    """What CloudTrail's event names say about how the key came to today's state."""

    since: Time
    """Where the readable history begins; nothing is known from before."""
    last_change: StateChange | None = None
    """None: no change since `since`, so the state is older than the history."""
    cancellations: tuple[StateChange, ...] = ()
    """Times that somebody cancelled the key's deletion."""


class AliasMove(Model):
    """An alias that was put on a key after it had been on another one."""

    alias: str
    """Its name, as `alias/NAME`."""
    key_id: str
    """Id of the key that it was moved to."""
    time: Time
    """When CloudTrail says that it was."""
    who: str | None = None
    """ARN of the identity, or the name of the service or user; None: CloudTrail does not say."""


class AliasMoves(Model):
    """Moves of aliases from this key to another one, in the readable history."""

    since: Time
    """Where the readable history begins; nothing is known from before."""
    moved: tuple[AliasMove, ...] = ()
    """Aliases that were moved away from this key: the last move of each, by their names."""
    possible: tuple[AliasMove, ...] = ()
    """Moves from a key that CloudTrail does not show and that may be this one: it is older, and had
    no other alias. The newest 20 at most."""


class LaterAlias(Model):
    """An alias on another key."""

    alias: str
    """Its name, as `alias/NAME`."""
    key_id: str
    """Id of the key that it is on."""
    updated: Time
    """When it was last associated with a key (LastUpdatedDate)."""


class LaterAliases(Model):
    """Aliases on other keys, associated with them after this key was created: they may have been on
    this key before. For review only."""

    count: int
    """How many there are."""
    newest: tuple[LaterAlias, ...] = ()
    """20 of them at most: those that UpdateAlias changed first, and of these the newest first."""


class LastUse(Model):
    """What GetKeyLastUsage says: last used at; never used; or not used since AWS began to track."""

    used: Time | None = None
    """When it last was, successfully; None: not since `tracking_start`."""
    operation: str | None = None
    """Of that use, such as `Decrypt`."""
    tracking_start: Time
    """When AWS began to keep track; nothing is known from before."""
    never: bool = False
    """The key is younger than the tracking and was never used."""


class UseAttempt(Model):
    """A cryptographic operation, CreateGrant or GetPublicKey on the key, allowed or refused."""

    event: str
    """Such as `Decrypt` or `CreateGrant`."""
    time: Time
    """When it was tried."""
    who: str | None = None
    """ARN of the identity, or the name of the service or user; None: CloudTrail does not say."""
    error: str | None = None
    """Why it was refused, such as `KMSInvalidStateException`; None: it was allowed."""


class UseAttempts(Model):
    """Attempts to use the key in the readable history. Absence is weak evidence."""

    since: Time
    """Where the readable history begins; nothing is known from before."""
    attempts: tuple[UseAttempt, ...] = ()
    """The newest first."""
    all_read: bool = True
    """False: older events were not read any more, since the newest ones decide."""


class Reference(Model):
    """A resource of another service that names the key."""

    service: str
    """Name of the service, as the reference list has it."""
    resource: str
    """Its ARN, or its name where the service gives none."""
    region: str
    """Where the resource was found."""
    field: str
    """The API field that names the key."""


CoverageGapKind = Literal["network"]
"""The classes of gaps that are told apart."""


class CoverageGap(Model):
    """A part of the reference index that could not be read."""

    service: str
    """Name of the service, as the reference list has it; `kms`: the key's aliases."""
    region: str
    """Where it could not be read."""
    why: str
    """As a clause, such as `DescribeRepositories was denied (AccessDeniedException)`."""
    permission: str | None = None
    """The IAM action whose absence explains it, where it does."""
    kind: CoverageGapKind | None = None
    """Why in a word. `network`: no connection to the service's host. None: anything else."""


class AbsentService(Model):
    """A service that a Region does not offer, by the witnesses of its `Absences`."""

    service: str
    """Name of the service, as the reference list has it."""
    host: str
    """The host of the operation that was not called: DNS says that it does not exist."""
    code: str
    """The service's code in AWS's public list, which does not have it for this Region."""


class Absences(Model):
    """The services that one Region does not offer, and what both witnesses rest on."""

    region: str
    """The Region without these services."""
    services: tuple[AbsentService, ...]
    """Not called: what a Region does not offer has no resource that names a key."""
    controls: tuple[str, ...]
    """Hosts of rarely used services of the Region that do exist in DNS."""
    list_path: str
    """The path of AWS's public list of the Region's services in Parameter Store."""
    listed: int
    """How many services that list has."""


class References(Model):
    """The resources that name the key, and what could not be looked at."""

    found: tuple[Reference, ...] = ()
    """By service, Region and field; of more than 20 alike the last says how many more."""
    gaps: tuple[CoverageGap, ...] = ()
    """What could not be looked at; `coverage_exceptions` of the policy lets it be."""
    services: int = 0
    """How many entries of the reference list were read."""
    absent: tuple[Absences, ...] | None = None
    """By Region, the services that it does not offer; None: read by a version that did not say."""


class Declaration(Model):
    """Infrastructure code or a stack that owns the key."""

    tool: Literal["terraform", "cloudformation", "ansible", "crossplane"]
    """Whose code or stack it is; what `owner` and `source` name goes by it."""
    owner: str
    """The resource address, or the stack's name and logical id."""
    source: str
    """The state file, the Region that was asked, or the code itself."""
    file: str | None = None
    """The file that declares it, as Checkov names it, where a finding says so."""
    line: int | None = None
    """The first line of the declaration in that file."""
    fix: str
    """What to do there before the key may go, for people."""


class Declarations(Model):
    """Who declares the key, among the code that was looked at."""

    found: tuple[Declaration, ...] = ()
    """Empty: nobody, as far as was looked."""


def _told_unknown(tags: object) -> object:
    """Tags, or why they are unreadable: in JSON, both are names with texts. A key whose only tag is
    `unreadable`, with `permission` or without, counts as unreadable and stays on hold."""
    if isinstance(tags, dict) and {"unreadable"} <= tags.keys() <= Unreadable.model_fields.keys():
        return Unreadable(**tags)
    return tags


class Evidence(Model):
    """What is known about one key. A field that is None was not asked: the key was held before."""

    key_arn: KeyArn
    """ARN of the key."""
    finding_time: Time | None = None
    """Newest scanner time of the findings that nominated the key."""
    description: KeyDescription | NotFound | Unreadable | None = None
    """What DescribeKey says."""
    tags: Annotated[dict[str, str] | Unreadable | None, BeforeValidator(_told_unknown)] = None
    """Names with their values (ListResourceTags)."""
    aliases: tuple[str, ...] | Unreadable | None = None
    """Names, as `alias/NAME`, in their order (ListAliases)."""
    grants: tuple[Grant, ...] | Unreadable | None = None
    """All of them, in the order of their ids (ListGrants)."""
    key_policy: KeyPolicy | Unreadable | None = None
    """What matters of the key policy (GetKeyPolicy)."""
    rotations: int | Unreadable | None = None
    """How many rotations there were; the first two cost (ListKeyRotations)."""
    declarations: Declarations | Unreadable | None = None
    """Code and stacks that own the key: states, findings and CloudFormation."""
    references: References | Unreadable | None = None
    """Resources of other services that name the key."""
    history: KeyHistory | Unreadable | None = None
    """Changes of its state in CloudTrail."""
    alias_moves: AliasMoves | Unreadable | None = None
    """Aliases that were moved away from it, in CloudTrail."""
    later_aliases: LaterAliases | Unreadable | None = None
    """Aliases on other keys that may have been on this one before (ListAliases)."""
    last_use: LastUse | Unreadable | None = None
    """Its last use, as AWS KMS keeps track of it (GetKeyLastUsage)."""
    use_attempts: UseAttempts | Unreadable | None = None
    """Attempts to use it in CloudTrail."""

    def difference(self, before: Evidence) -> tuple[str, ...]:
        """What is not as it was, among the pieces that both have: one clause each, for people."""
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
    """Whether nothing happened between two readings; a history that only aged is the same."""
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
        # Rule protected-tag decides on the text as it is read again.
        return old.model_copy(update={"description": ""}) == new.model_copy(
            update={"description": ""}
        )
    return old == new


def _unread(references: References) -> set[tuple[str, str, str | None]]:
    """The gaps without their words, in which a mere count may move."""
    return {(gap.service, gap.region, gap.permission) for gap in references.gaps}


def _newly_absent(old: References, new: References) -> list[str]:
    """Services that count as absent now and were read then, which fails closed as a new gap does.

    One that was a gap then has lost nothing by it, and one that is offered again is read.
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
"""The names of the pieces of evidence that sources read."""


def known(piece: T | Unreadable | NotFound | None) -> T:
    """The value of a piece that `judge` has already found to be there; anything else is our bug."""
    if piece is None or isinstance(piece, Unreadable | NotFound):
        raise InvariantError(f"judged without its evidence: {piece!r}")
    return piece


# --- judgement --------------------------------------------------------------------------------


class Hold(Model):
    """A rule's reason not to schedule a key."""

    rule: str
    """Id of the rule, or of what comes before rules: `unreadable-key` and `not-asked` hold;
    `not-found`, `aws-managed`, `already-pending` and `not-disabled` skip; `changed` is a sign of
    guard."""
    message: str
    """Why, as a clause for people."""
    gaps: tuple[CoverageGap, ...] = ()
    """Set when what holds is a gap in the reference index, to be told once for all keys."""


class AppliedException(Model):
    """A rule that the policy lifted for this key."""

    rule: str
    """Id of the rule."""
    reason: str
    """The policy's, for whoever reads the plan."""
    until: str | None = None
    """Last day (UTC) of the waiver, YYYY-MM-DD; None: `coverage_exceptions`, which knows no end."""


class VerdictKind(StrEnum):
    """What becomes of a key. schedule; hold: a rule stopped it; skip: nothing to do."""

    SCHEDULE = "schedule"
    """To be scheduled for deletion by `apply`."""
    HOLD = "hold"
    """A rule, or evidence that is not known, stopped it."""
    SKIP = "skip"
    """Nothing to do: it is gone, AWS's own, pending deletion already, or not Disabled."""


class FindingRecord(Model):
    """A finding as the plan keeps it."""

    scanner: str
    """`prowler` or `checkov`."""
    check_id: str
    """Such as `kms_cmk_not_disabled` or `CKV_KEYSWEEP_001`."""
    source: str
    """The results file, as the user named it (`-` for standard input)."""
    position: str
    """Where in the source: `record 3`."""
    time: Time | None = None
    """When the scanner looked; None: the record is Checkov's, which carry none."""
    code: CodeLocation | None = None
    """Where code declares the key; None: the record is Prowler's."""


class PlanItem(Model):
    """The verdict on one key, with all that it rests on."""

    key_arn: KeyArn
    """ARN of the key."""
    account_id: str
    """Its 12 digits, from the ARN."""
    region: str
    """Such as `eu-west-1`, from the ARN."""
    verdict: VerdictKind
    """What becomes of the key."""
    reasons: tuple[Hold, ...] = ()
    """What holds it, or why it is skipped; empty with `schedule`."""
    exceptions: tuple[AppliedException, ...] = ()
    """Rules that the policy lifted for it."""
    pending_window_days: Annotated[int, Field(ge=7, le=30)]
    """Days of waiting that `apply` sends: AWS's bounds ("ScheduleKeyDeletion", AWS KMS API
    Reference)."""
    monthly_cost_usd: float
    """List price in US dollars a month that the key costs until it is deleted."""
    owner: str | None = None
    """Best lead to its people: the value of an owner tag, the code or stack that declares it, an
    alias, or who changed its state last; None: no lead."""
    evidence: Evidence
    """All that is known of the key; `apply` compares it with what it reads again."""
    findings: tuple[FindingRecord, ...] = ()
    """The findings that nominated it."""


class PlanSummary(Model):
    """Counts of verdicts, and the list price in US dollars a month of the keys to schedule."""

    schedule: int
    """Keys to schedule."""
    hold: int
    """Keys that are held."""
    skip: int
    """Keys with nothing to do."""
    monthly_cost_usd: float
    """List price in US dollars a month of the keys to schedule."""


class Outcome(StrEnum):
    """What became of one key; the contract of `--format json`."""

    SCHEDULED = "scheduled"
    """Its deletion is pending, by this run or an earlier one of the same plan."""
    ALREADY_PENDING = "already_pending"
    """Its deletion was pending already, by another request, and was left alone."""
    CHANGED = "changed"
    """It is not as it was reviewed: left alone, or its deletion was cancelled again at once."""
    CANCELLED = "cancelled"
    """Its deletion was cancelled, and what was asked for afterwards was done. In the journal: the
    operation of the line was done."""
    NOT_PENDING = "not_pending"
    """There was nothing to cancel; or only a deletion that somebody else asked for, where that of
    the journal was to be cancelled. A key that AWS does not find is `failed`."""
    FAILED = "failed"
    """Not done, or not known to be: the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SLIM)
class KeyResult:
    """The row of one key in what `apply` and `cancel` report."""

    key_arn: KeyArn
    """ARN of the key."""
    outcome: Outcome
    """What became of it."""
    deletion_date: Time | None = None
    """When AWS deletes the key; None: not pending, or not known, as of a primary that waits for its
    replicas."""
    message: str = Field(default="")
    """Why, as a clause for people; empty when there is nothing to add."""


class Outcomes(Model):
    """What `apply` and `cancel` report of all keys."""

    summary: dict[Outcome, int]
    """How many keys have each outcome; one that no key has is left out."""
    results: tuple[KeyResult, ...]
    """A row for each key, in the order of their ARNs."""
