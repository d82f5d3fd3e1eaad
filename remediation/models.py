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
    return value.astimezone(UTC)


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
    def place(self) -> tuple[str, str]:
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
    PASS = "PASS"  # noqa: S105 - a status, no password
    MANUAL = "MANUAL"
    MUTED = "MUTED"
    """Muted in Prowler, or suppressed in Checkov: somebody decided not to act on it."""


class CodeLocation(Model):
    """Where infrastructure code declares a key, as Checkov names it."""

    framework: str
    """Checkov's framework (`check_type`), for example `terraform` or `cloudformation`."""
    file: str
    first_line: int
    last_line: int
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
    check_id: str
    status: FindingStatus
    source: str
    """The results file, as the user named it (`-` for standard input)."""
    place: str
    """Where in the source: `record 3`."""
    key_arn: KeyArn | None = None
    """None: the record is from code, and no route to a live key is known yet."""
    key_state: str | None = None
    """The state that the scanner saw, where it says so. A snapshot: never a basis for acting."""
    time: Time | None = None
    """When the scanner looked; Checkov's records carry none."""
    code: CodeLocation | None = None


class Unmapped(Model):
    """A finding of code that leads to no live key: why, and what would resolve it."""

    finding: Finding
    reason: str
    step: str
    """The option to add or the thing to do, for people."""
    candidates: tuple[str, ...] = ()
    """What it may be, when it is ambiguous; nothing is done about any of them."""


class UnusableRecord(Model):
    """A record that could not be used, named by its place; the rest of its document was."""

    source: str
    place: str
    problem: str


class ResultsSource(Model):
    """One results document that was read."""

    path: str
    sha256: str
    format: str
    scanner: str
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
    PLACE_SCAN = 3
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


class Unknown(Model):
    """A piece of evidence that was asked for and could not be had. Never the same as "no"."""

    unknown: str
    """Why, as a clause: `AccessDeniedException from kms:ListGrants in eu-west-1`."""
    permission: str | None = None
    """The IAM action whose absence explains it, where it does."""


class NotFound(Model):
    """AWS says that there is no such key: deleted, or never there."""

    not_found: Literal[True] = True


PENDING_DELETION: Final = frozenset({"PendingDeletion", "PendingReplicaDeletion"})
"""The key states of a deletion that can still be cancelled ("Key states of AWS KMS keys")."""


class KeyDescription(Model):
    """What DescribeKey says; names and values are AWS's."""

    key_manager: str
    key_state: str
    origin: str
    key_spec: str
    key_usage: str
    creation_date: Time
    deletion_date: Time | None = None
    pending_window_days: int | None = None
    """Only while a primary waits for its replicas (PendingReplicaDeletion)."""
    custom_key_store_id: str | None = None
    multi_region_type: Literal["PRIMARY", "REPLICA"] | None = None
    primary: KeyArn | None = None
    replicas: tuple[KeyArn, ...] = ()
    description: str = ""


class Grant(Model):
    """One grant of a key, as ListGrants shows it."""

    grant_id: str
    grantee_principal: str
    retiring_principal: str | None = None
    issuing_account: str | None = None
    operations: tuple[str, ...] = ()
    name: str | None = None

    def outsiders(self, account_id: str) -> Iterator[tuple[str, str]]:
        """Role and name of whoever in this grant is neither of the account nor an AWS service.

        A principal that names no account (the unique id that is left of a deleted role) counts,
        since nobody can tell whose it was.
        """
        for role, principal in (
            ("grantee", self.grantee_principal),
            ("retiring principal", self.retiring_principal),
            ("issuing account", self.issuing_account),
        ):
            if principal is not None and not _at_home(principal, account_id):
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


def _at_home(principal: str, account_id: str) -> bool:
    return account_of(principal) == account_id or _SERVICE.fullmatch(principal) is not None


class KeyPolicy(Model):
    """What a key policy says about who else may use the key."""

    sha256: str
    """Of the policy document, to see that it is the same at apply."""
    outside: tuple[str, ...] = ()
    """Principals of other accounts, or everybody, each with its statement, for people."""
    account_root: bool
    """A statement lets the own account's IAM govern the key; without it a deletion may not be
    cancellable by anyone who is left."""
    undo_denied: tuple[str, ...] = ()
    """Statements that deny a cancellation, and not the scheduling."""
    problem: str | None = None
    """Why the document cannot be judged: no JSON, or `NotPrincipal`."""


class StateChange(Model):
    """A CloudTrail event that set the state of a key."""

    event: str
    time: Time
    who: str | None = None


class KeyHistory(Model):
    """What CloudTrail's event names say about how the key came to today's state."""

    since: Time
    """Where the readable history begins; nothing is known from before."""
    last_change: StateChange | None = None
    """None: no change since `since`, so the state is older than the history."""
    rescues: tuple[StateChange, ...] = ()
    """Times that somebody cancelled the key's deletion."""


class LastUse(Model):
    """What GetKeyLastUsage says, read three ways."""

    used: Time | None = None
    operation: str | None = None
    tracking_start: Time
    never: bool = False
    """The key is younger than the tracking and was never used."""


class UseAttempt(Model):
    """A cryptographic operation or CreateGrant on the key, allowed or refused."""

    event: str
    time: Time
    who: str | None = None
    error: str | None = None


class UseAttempts(Model):
    """Attempts to use the key in the readable history. Absence is weak evidence."""

    since: Time
    attempts: tuple[UseAttempt, ...] = ()
    all_read: bool = True
    """False: older events were not read any more, since the newest ones decide."""


class Reference(Model):
    """A resource of another service that names the key."""

    service: str
    resource: str
    """Its ARN, or its name where the service gives none."""
    region: str
    field: str
    """The API field that names the key."""


class Gap(Model):
    """A part of the reference index that could not be read."""

    service: str
    region: str
    why: str
    permission: str | None = None


class References(Model):
    """The resources that name the key, and what could not be looked at."""

    found: tuple[Reference, ...] = ()
    gaps: tuple[Gap, ...] = ()
    services: int = 0
    """How many entries of the reference list were read."""


class Declaration(Model):
    """Infrastructure code or a stack that owns the key."""

    tool: Literal["terraform", "cloudformation", "ansible", "crossplane"]
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


def _told_unknown(tags: object) -> object:
    """Tags, or why they are unknown: written as JSON both are names with texts. A key with two tags
    of just these names is taken for one whose tags are unknown, which holds it."""
    if isinstance(tags, dict) and tags.keys() == Unknown.model_fields.keys():
        return Unknown(**tags)
    return tags


class Evidence(Model):
    """What is known about one key. A field that is None was not asked: the key was held before."""

    key_arn: KeyArn
    finding_time: Time | None = None
    """Newest scanner time of the findings that nominated the key."""
    description: KeyDescription | NotFound | Unknown | None = None
    tags: Annotated[dict[str, str] | Unknown | None, BeforeValidator(_told_unknown)] = None
    aliases: tuple[str, ...] | Unknown | None = None
    grants: tuple[Grant, ...] | Unknown | None = None
    key_policy: KeyPolicy | Unknown | None = None
    rotations: int | Unknown | None = None
    declarations: Declarations | Unknown | None = None
    references: References | Unknown | None = None
    history: KeyHistory | Unknown | None = None
    last_use: LastUse | Unknown | None = None
    use_attempts: UseAttempts | Unknown | None = None

    def difference(self, before: Evidence) -> tuple[str, ...]:
        """What is not as it was, among the pieces that both have: one clause each, for people."""
        found = []
        for piece in sorted(PIECES):
            old, new = getattr(before, piece), getattr(self, piece)
            if (
                old is None
                or new is None
                or (isinstance(old, Unknown) and isinstance(new, Unknown))
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
            new.rescues
        ) <= set(old.rescues)
    if isinstance(old, UseAttempts) and isinstance(new, UseAttempts):
        return set(new.attempts) <= set(old.attempts)
    if isinstance(old, References) and isinstance(new, References):
        return set(new.found) <= set(old.found) and _unread(new) <= _unread(old)
    if isinstance(old, KeyDescription) and isinstance(new, KeyDescription):
        return old.model_copy(update={"description": ""}) == new.model_copy(
            update={"description": ""}
        )
    return old == new


def _unread(references: References) -> set[tuple[str, str, str | None]]:
    """The gaps without their words, in which a mere count may move."""
    return {(gap.service, gap.region, gap.permission) for gap in references.gaps}


def _difference(piece: str, old: object, new: object) -> str:
    if isinstance(old, KeyDescription) and isinstance(new, KeyDescription):
        if old.key_state != new.key_state:
            return f"the key was {old.key_state} and is {new.key_state}"
        names = [n for n in KeyDescription.model_fields if getattr(old, n) != getattr(new, n)]
        return f"description: {', '.join(names)}"
    if isinstance(old, dict) and isinstance(new, dict):
        names = sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
        return f"{piece}: {', '.join(names)}"
    return piece.replace("_", " ")


PIECES: Final = frozenset(Evidence.model_fields) - {"key_arn", "finding_time"}
"""The names of the pieces of evidence that sources read."""


def known(piece: T | Unknown | NotFound | None) -> T:
    """The value of a piece that `judge` has already found to be there; anything else is our bug."""
    if piece is None or isinstance(piece, Unknown | NotFound):
        raise AssertionError(f"judged without its evidence: {piece!r}")
    return piece


# --- judgement --------------------------------------------------------------------------------


class Hold(Model):
    """A rule's reason not to schedule a key."""

    rule: str
    message: str
    gaps: tuple[Gap, ...] = ()
    """Set when what holds is a gap in the reference index, to be told once for all keys."""


class Waived(Model):
    """A rule that the policy lifted for this key."""

    rule: str
    reason: str
    until: str | None = None


class VerdictKind(StrEnum):
    """schedule; hold: a rule stopped it; skip: nothing to do."""

    SCHEDULE = "schedule"
    HOLD = "hold"
    SKIP = "skip"


class FindingRecord(Model):
    """A finding as the plan keeps it."""

    scanner: str
    check_id: str
    source: str
    place: str
    time: Time | None = None
    code: CodeLocation | None = None


class PlanItem(Model):
    """The verdict on one key, with all that it rests on."""

    key_arn: KeyArn
    account_id: str
    region: str
    verdict: VerdictKind
    reasons: tuple[Hold, ...] = ()
    waived: tuple[Waived, ...] = ()
    pending_window_days: Annotated[int, Field(ge=7, le=30)]
    """AWS's bounds ("ScheduleKeyDeletion", AWS KMS API Reference)."""
    monthly_cost_usd: float
    """List price in US dollars a month that the key costs until it is deleted."""
    owner: str | None = None
    evidence: Evidence
    findings: tuple[FindingRecord, ...] = ()


class PlanSummary(Model):
    """Counts of verdicts, and the list price in US dollars a month of the keys to schedule."""

    schedule: int
    hold: int
    skip: int
    monthly_cost_usd: float


class Outcome(StrEnum):
    """What became of one key; the contract of `--format json`."""

    SCHEDULED = "scheduled"
    ALREADY_PENDING = "already_pending"
    CHANGED = "changed"
    CANCELLED = "cancelled"
    NOT_PENDING = "not_pending"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True, config=SLIM)
class KeyResult:
    """The row of one key in what `apply` and `cancel` report."""

    key_arn: KeyArn
    outcome: Outcome
    deletion_date: Time | None = None
    message: str = Field(default="")
