"""The decision policy: which keys Keysweep may schedule. Not a key policy or an IAM policy.

`policy_file` reads it from YAML. The default is `policies/retirement.yaml`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Collection, Iterator
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from .errors import BadInput
from .key_globs import OF_KEYS_ALONE
from .models import (
    AccountRegion,
    CoverageGap,
    Evidence,
    KeyArn,
    Model,
    can_be_decided,
    is_of_closed_region,
)
from .policy_values import (
    ALL,
    MAX_DAYS,
    MIN_HISTORY_DAYS,
    AccountId,
    Accounts,
    Day,
    Days,
    DayWithinAYear,
    Decided,
    KeyGlob,
    Operation,
    Phrase,
    ProtectedGlob,
    Region,
    Regions,
    RuleId,
    Service,
    Text,
    Window,
    none_is_empty,
)


class _Written(Model):
    """Part of the policy file. The docstrings of its fields are published as documentation."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class RuleException(_Written):
    """One rule lifted for one key, or for the keys of a glob, until a date."""

    key: KeyGlob
    """Key ARN or glob of ARNs; `all` means every key."""
    rule: RuleId
    """Id of the rule."""
    reason: Decided
    """Reason, shown to reviewers of the plan."""
    approved_by: Decided
    """Person or team that decided it."""
    until: Day
    """Last day (UTC) on which the exception applies."""

    def covers(self, rule: str, evidence: Evidence, now: datetime) -> bool:
        """Whether this exception lifts the rule for the key today."""
        return (
            self.rule == rule
            and now.date() <= self.until
            and (self.key == ALL or fnmatchcase(str(evidence.key_arn), self.key))
        )


class _CoverageDecision(_Written):
    """A decision that something may stay unread, in some accounts and Regions."""

    accounts: Accounts
    """Account ids; `all` means every account."""
    regions: Regions
    """Regions that could not be read; `all` means every Region."""
    reason: Decided
    """Why no key can be in use there; shown to reviewers of the plan."""
    approved_by: Decided
    """Person or team that decided it."""
    until: DayWithinAYear
    """Last day (UTC) on which the exception applies, at most a year ahead."""

    def _in_scope(self, account_id: str, region: str, now: datetime) -> bool:
        return (
            not {ALL, account_id}.isdisjoint(self.accounts)
            and not {ALL, region}.isdisjoint(self.regions)
            and now.date() <= self.until
        )


class Answer(_Written):
    """An answer of AWS, as plan and doctor show it."""

    code: Text
    """AWS's error code."""
    message: str
    """AWS's message, shortened; can be empty."""

    def __str__(self) -> str:
        return f"{self.code}: {self.message}" if self.message else self.code


class CoverageException(_CoverageDecision):
    """One call that may fail with one answer. A service that answers is always read."""

    service: Service
    """Service of the reference list."""
    operation: Operation
    """Operation that cannot be read."""
    answer: Answer
    """The answer. Any other answer holds the keys."""

    def covers(self, keys: AccountRegion, gap: CoverageGap, now: datetime) -> bool:
        """Whether this exception lifts the coverage gap of these keys today."""
        return (
            can_be_decided(gap)
            and self._in_scope(keys.account_id, gap.region, now)
            and (self.service, self.operation) == (gap.service, gap.operation)
            and (self.answer.code, self.answer.message) == (gap.code, gap.message)
        )


class ClosedRegions(_CoverageDecision):
    """Regions that the organization closes, in which keys of other Regions may be named.

    Lifts coverage gaps of entries that are read in every Region, and only where AWS says that a
    service control policy denies the call.
    """

    def covers(self, keys: AccountRegion, gap: CoverageGap, now: datetime) -> bool:
        """Whether this exception lifts the coverage gap of these keys today.

        A Region that has keys itself is not closed: its gaps hold them.
        """
        return (
            is_of_closed_region(gap)
            and gap.region != keys.region
            and self._in_scope(keys.account_id, gap.region, now)
        )


class AccountScope(_Written):
    """Accounts whose keys may be scheduled; an empty allow list allows every account."""

    allow: tuple[AccountId, ...] = ()
    """Only these."""
    deny: tuple[AccountId, ...] = ()
    """Never these; takes precedence over `allow`."""

    def admits(self, account_id: str) -> bool:
        """Whether the lists allow this account."""
        return _admits(account_id, self.allow, self.deny)


class RegionScope(_Written):
    """Regions whose keys may be scheduled; an empty allow list allows every Region."""

    allow: tuple[Region, ...] = ()
    """Only these."""
    deny: tuple[Region, ...] = ()
    """Never these; takes precedence over `allow`."""

    def admits(self, region: str) -> bool:
        """Whether the lists allow this Region."""
        return _admits(region, self.allow, self.deny)


def _admits(name: str, allow: Collection[str], deny: Collection[str]) -> bool:
    return name not in deny and (not allow or name in allow)


class OverridableDays(_Written):
    """Values that an override can set. Others are unchanged."""

    pending_window_days: Window | None = None
    """Days between scheduling and deletion of these keys."""
    min_age_days: Days | None = None
    """Minimum age of these keys in days."""
    min_days_disabled: Days | None = None
    """Minimum number of days for which these keys have been disabled."""
    min_days_unused: Days | None = None
    """Minimum number of days since the last successful use of these keys."""
    max_finding_age_days: Days | None = None
    """Maximum age in days of the newest finding about these keys."""


class Override(_Written):
    """Other values for some accounts and Regions. Later overrides take precedence."""

    accounts: Annotated[tuple[AccountId, ...], Field(min_length=1)] | None = None
    """Account IDs; omitted: every account."""
    regions: Annotated[tuple[Region, ...], Field(min_length=1)] | None = None
    """Regions; omitted: every Region."""
    set: OverridableDays
    """The values in force there."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.accounts is None and self.regions is None:
            raise ValueError("has neither accounts nor regions. Fix: set the values at the top")
        if not self.changes():
            raise ValueError("sets nothing. Fix: give a value under `set`")
        return self

    def covers(self, key_arn: KeyArn) -> bool:
        """Whether the key is in the accounts and Regions of this override."""
        return (self.accounts is None or key_arn.account_id in self.accounts) and (
            self.regions is None or key_arn.region in self.regions
        )

    def changes(self) -> dict[str, int]:
        """The values that this override sets, by name."""
        return self.set.model_dump(exclude_none=True)


class Policy(_Written):
    """The effective decision policy. Ages and windows are whole days."""

    version: Literal[1] = 1
    """Version of the format."""
    pending_window_days: Window = 30
    """Days between scheduling and deletion. Until then, the deletion can be cancelled."""
    max_keys: Annotated[int, Field(strict=True, ge=0)] = 25
    """Maximum number of keys that a plan schedules, those disabled for longest. The others wait for
    the next plan (reason `next-wave`)."""
    max_keys_ceiling: Annotated[int, Field(strict=True, ge=0)] | None = None
    """Highest value that `max_keys` and `--max-keys` can have; null: no limit."""
    min_age_days: Days = 30
    """Minimum age of a key in days."""
    min_days_disabled: Days = 30
    """Minimum number of days for which a key has been disabled."""
    history_days: Annotated[int, Field(strict=True, ge=MIN_HISTORY_DAYS, le=MAX_DAYS)] = 400
    """How far `plan --history` looks back in days. Each day of a key's life within them needs an
    event of AWS KMS in its account and Region."""
    min_days_unused: Days = 90
    """Minimum number of days since the last successful use of a key."""
    plan_expires_days: Days = 7
    """Number of days for which a plan can be applied."""
    max_finding_age_days: Days = 7
    """Maximum age in days of the newest finding about a key (rule stale-finding)."""
    protected_tag: Text = "keysweep:keep"
    """A key with this tag is on hold, whatever the value. The IAM documents use the default."""
    protected_phrases: tuple[Phrase, ...] = (
        "do not delete",
        "do not destroy",
        "do not remove",
        "don't delete",
        "don't destroy",
        "don't remove",
        "must not be deleted",
        "never delete",
        "never destroy",
        "never remove",
        "delete protection",
        "deletion protection",
        "keep",
        "legal hold",
        "litigation hold",
        "retain",
    )
    """A key with one of these phrases in its description or a tag is on hold (rule
    protected-tag). Case, spaces and punctuation between the words are ignored."""
    protected_keys: tuple[ProtectedGlob, ...] = ()
    """Keys that are never scheduled: ARNs, globs of ARNs, aliases as `alias/NAME`, or `all`."""
    accounts: AccountScope = AccountScope()
    """Accounts whose keys may be scheduled."""
    regions: RegionScope = RegionScope()
    """Regions whose keys may be scheduled."""
    overrides: tuple[Override, ...] = ()
    """Other values for some accounts and Regions."""
    quota_share: Annotated[float, Field(strict=True, gt=0, le=1)] = 0.8
    """Highest share of AWS's request quotas that Keysweep uses."""
    owner_tags: tuple[Text, ...] = ("owner", "team", "contact")
    """Tags that name the owner of a key, in order of preference."""
    account_owners: dict[AccountId, Text] = Field(default_factory=dict)
    """Owners of keys without such a tag, by account ID."""
    require_alarm: Annotated[bool, Field(strict=True)] = False
    """Whether `apply` refuses keys of an account and Region in which it finds no alarm on the use
    of keys pending deletion."""
    exceptions: tuple[RuleException, ...] = ()
    """Rules lifted for single keys or globs, until a date."""
    coverage_exceptions: Annotated[
        tuple[CoverageException, ...], BeforeValidator(none_is_empty)
    ] = ()
    """Calls that may fail with one given answer, until a day."""
    closed_regions: Annotated[tuple[ClosedRegions, ...], BeforeValidator(none_is_empty)] = ()
    """Regions closed by the organization that may stay unread for keys of other Regions, until a
    day."""

    @model_validator(mode="after")
    def _within_its_ceiling(self) -> Self:
        if self.max_keys_ceiling is not None and self.max_keys > self.max_keys_ceiling:
            raise ValueError(
                f"max_keys is {self.max_keys}, above the max_keys_ceiling of "
                f"{self.max_keys_ceiling}. Fix: lower max_keys"
            )
        return self

    @property
    def protects_aliases(self) -> bool:
        """Whether `protected_keys` can match aliases, which must then be read."""
        return any(glob != ALL and OF_KEYS_ALONE not in glob for glob in self.protected_keys)

    def protecting(self, key_arn: KeyArn, aliases: Collection[str]) -> Iterator[str]:
        """The entries of `protected_keys` that cover a key with these alias names."""
        home = f"arn:{key_arn.partition}:kms:{key_arn.region}:{key_arn.account_id}:"
        names = {str(key_arn), *aliases, *(home + alias for alias in aliases)}
        for glob in self.protected_keys:
            if glob == ALL or any(fnmatchcase(name, glob) for name in names):
                yield glob

    def coverage_exception_for(
        self, keys: AccountRegion, gap: CoverageGap, now: datetime
    ) -> CoverageException | ClosedRegions | None:
        """The exception that lifts a coverage gap of these keys today, if there is one."""
        return next((one for one in self.coverage_decisions if one.covers(keys, gap, now)), None)

    @property
    def coverage_decisions(self) -> tuple[CoverageException | ClosedRegions, ...]:
        """Everything that may stay unread."""
        return (*self.coverage_exceptions, *self.closed_regions)

    def for_key(self, key_arn: KeyArn) -> Policy:
        """The policy in force for a key: this one with the overrides of its account and Region."""
        if not self.overrides:
            return self
        changes: dict[str, int] = {}
        for override in self.overrides:
            if override.covers(key_arn):
                changes |= override.changes()
        return self.model_copy(update={**changes, "overrides": ()})

    def with_window(self, days: int) -> Policy:
        """This policy with one waiting period for every key, overrides or not."""
        overrides = tuple(
            o.model_copy(update={"set": o.set.model_copy(update={"pending_window_days": None})})
            for o in self.overrides
        )
        kept = tuple(override for override in overrides if override.changes())
        return self.model_copy(update={"pending_window_days": days, "overrides": kept})

    def exception_for(self, rule: str, evidence: Evidence, now: datetime) -> RuleException | None:
        """The exception that lifts this rule for this key today, if there is one."""
        return next((one for one in self.exceptions if one.covers(rule, evidence, now)), None)


class PolicyFile(Policy):
    """A policy file. Its version is required, so that other files are not read as policies."""

    version: Literal[1]
    """Version of the format."""


def policies_folder() -> Path:
    """The installed `policies` folder, found without importing it."""
    spec = importlib.util.find_spec("keysweep.policies")
    if spec is None or not spec.submodule_search_locations:
        raise BadInput("The policies folder of keysweep is not installed. Fix: reinstall keysweep")
    return Path(next(iter(spec.submodule_search_locations)))
