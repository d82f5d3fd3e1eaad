"""The decision policy: what a team allows Keysweep to schedule. Never AWS's key or IAM policies.

Read from YAML, strictly: an unknown name, a wrong type or a value out of range is refused with the
file, the line and the mend. The default is `policies/retirement.yaml`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Collection, Iterator
from datetime import date, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Final

import yaml
from pydantic import Field, ValidationError

from .errors import BadInput
from .models import Evidence, KeyArn, Model

ALL: Final = "all"
"""The word that says on purpose: every key."""

MIN_WINDOW_DAYS: Final = 7
MAX_WINDOW_DAYS: Final = 30
"""AWS's bounds ("ScheduleKeyDeletion", AWS KMS API Reference); botocore lets 1 to 365 through."""

Days = Annotated[int, Field(strict=True, ge=0)]
Window = Annotated[int, Field(strict=True, ge=MIN_WINDOW_DAYS, le=MAX_WINDOW_DAYS)]


class Waiver(Model):
    """One rule lifted for one key, or for the keys of a glob, until a date."""

    key: str
    """Key ARN or glob of ARNs; the word `all` means every key."""
    rule: str
    reason: str = Field(min_length=1)
    until: date
    """The last day (UTC) on which the waiver counts."""

    def covers(self, rule: str, evidence: Evidence, now: datetime) -> bool:
        """Whether this waiver lifts the rule for the key today."""
        return (
            self.rule == rule
            and now.date() <= self.until
            and (self.key == ALL or fnmatchcase(str(evidence.key_arn), self.key))
        )


class AcceptedGap(Model):
    """A service of the reference list that may stay unread."""

    service: str
    reason: str = Field(min_length=1)


class Scope(Model):
    """An allow list and a deny list; an empty allow list allows everything."""

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()

    def admits(self, name: str) -> bool:
        """Whether the lists let this name through."""
        return name not in self.deny and (not self.allow or name in self.allow)


class OverridableDays(Model):
    """Values that an override may set; one left out stays as it is."""

    pending_window_days: Window | None = None
    min_age_days: Days | None = None
    min_days_disabled: Days | None = None
    min_days_unused: Days | None = None
    max_finding_age_days: Days | None = None


class Override(Model):
    """Other numbers for some accounts and Regions. Later overrides win over earlier ones."""

    accounts: tuple[str, ...] = ()
    """Account ids; empty means every account."""
    regions: tuple[str, ...] = ()
    """Regions; empty means every Region."""
    set: OverridableDays

    def covers(self, key_arn: KeyArn) -> bool:
        """Whether the key is in the accounts and Regions of this override."""
        return (not self.accounts or key_arn.account_id in self.accounts) and (
            not self.regions or key_arn.region in self.regions
        )

    def changes(self) -> dict[str, int]:
        """The values that this override sets, by name."""
        return self.set.model_dump(exclude_none=True)


class Policy(Model):
    """The effective decision policy. Ages and windows are whole days."""

    version: Annotated[int, Field(strict=True, ge=1, le=1)] = 1
    pending_window_days: Window = 30
    max_keys: Annotated[int, Field(strict=True, ge=0)] = 25
    min_age_days: Days = 30
    min_days_disabled: Days = 30
    min_days_unused: Days = 90
    plan_expires_days: Days = 7
    max_finding_age_days: Days = 7
    protected_tag: str = Field(default="keysweep:keep", min_length=1)
    protected_keys: tuple[str, ...] = ()
    """Globs of key ARNs, or of alias names (`alias/...`)."""
    accounts: Scope = Scope()
    regions: Scope = Scope()
    overrides: tuple[Override, ...] = ()
    quota_share: Annotated[float, Field(gt=0, le=1)] = 0.8
    """Share of AWS's request quotas that Keysweep takes at most."""
    owner_tags: tuple[str, ...] = ("owner", "team", "contact")
    accept: tuple[Waiver, ...] = ()
    accept_gaps: tuple[AcceptedGap, ...] = ()

    @property
    def protects_aliases(self) -> bool:
        """Whether `protected_keys` names aliases, so that they must be read."""
        return any("alias/" in glob for glob in self.protected_keys)

    def protecting(self, key_arn: KeyArn, aliases: Collection[str]) -> Iterator[str]:
        """The entries of `protected_keys` that cover a key with these alias names."""
        home = f"arn:{key_arn.partition}:kms:{key_arn.region}:{key_arn.account_id}:"
        names = {str(key_arn), *aliases, *(home + alias for alias in aliases)}
        for glob in self.protected_keys:
            if glob == ALL or any(fnmatchcase(name, glob) for name in names):
                yield glob

    def accepted_gap(self, service: str) -> AcceptedGap | None:
        """The entry that lets this service of the reference list stay unread."""
        return next((gap for gap in self.accept_gaps if gap.service == service), None)

    def for_key(self, key_arn: KeyArn) -> Policy:
        """The policy in force for a key: this one with the overrides of its account and Region."""
        changes: dict[str, int] = {}
        for override in self.overrides:
            if override.covers(key_arn):
                changes |= override.changes()
        if not self.overrides:
            return self
        return self.model_copy(update={**changes, "overrides": ()})

    def with_window(self, days: int) -> Policy:
        """This policy with one waiting period for every key, overrides or not."""
        overrides = tuple(
            o.model_copy(update={"set": o.set.model_copy(update={"pending_window_days": None})})
            for o in self.overrides
        )
        return self.model_copy(update={"pending_window_days": days, "overrides": overrides})

    def waiver(self, rule: str, evidence: Evidence, now: datetime) -> Waiver | None:
        """The waiver that lifts this rule for this key today, if there is one."""
        return next((w for w in self.accept if w.covers(rule, evidence, now)), None)


def policies_folder() -> Path:
    """The installed `policies` folder: data only, so it is found without importing it."""
    spec = importlib.util.find_spec("keysweep.policies")
    if spec is None or not spec.submodule_search_locations:
        raise BadInput("the policies folder of keysweep is not installed; reinstall keysweep")
    return Path(next(iter(spec.submodule_search_locations)))


def load(path: Path | None = None) -> Policy:
    """Read a policy file, or the default one. Raises BadInput with file, place and mend."""
    path = path or policies_folder() / "retirement.yaml"
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: is not YAML: {' '.join(str(error).split())}") from error
    try:
        return Policy.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the document"
        raise BadInput(f"{path}: {place}: {first['msg']}") from error
