"""The decision policy: what a team allows Keysweep to schedule. Never AWS's key or IAM policies.

Read from YAML, strictly: an unknown name, a wrong type or a value out of range is refused with the
file, the line and the mend. The default is `policies/retirement.yaml`.
"""

from __future__ import annotations

import importlib.util
from datetime import date, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Final

import yaml
from pydantic import Field, ValidationError

from .errors import BadInput
from .models import Evidence, Model

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
            and (self.key == "all" or fnmatchcase(str(evidence.key_arn), self.key))
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
    owner_tags: tuple[str, ...] = ("owner", "team", "contact")
    accept: tuple[Waiver, ...] = ()
    accept_gaps: tuple[AcceptedGap, ...] = ()

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
