"""Verdicts on keys: the items of a plan."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from .base import Model, Time
from .evidence import Evidence
from .findings import CodeLocation
from .keys import KeyArn
from .references import CoverageGap

UNKNOWN: Final = "unknown"
"""The word of every report for what is not known."""


NEXT_WAVE: Final = "next-wave"
"""Reason to hold a key that only `max_keys` keeps out of the plan."""


class Hold(Model):
    """A reason not to schedule a key."""

    rule: str
    """Id of the rule, or a reason from outside the rules. `unreadable-key`, `not-asked` and
    `next-wave` hold.
    `not-found`, `aws-managed`, `already-pending` and `not-disabled` skip. `changed` is from
    `guard`."""
    message: str
    """The reason as text."""
    gaps: tuple[CoverageGap, ...] = ()
    """Coverage gaps behind this hold; reports print them once."""


class AppliedException(Model):
    """An exception of the policy without which the key would be on hold."""

    rule: str
    """Id of the rule."""
    reason: str
    """Reason given in the policy."""
    approved_by: str
    """Person or team that decided it, as the policy names them."""
    until: str
    """Last day (UTC) of the exception, YYYY-MM-DD."""
    region: str | None = None
    """Region that could not be read; only for coverage gaps."""
    service: str | None = None
    """Service that could not be read; None with a Region: a Region in `closed_regions`."""
    operation: str | None = None
    """Operation that could not be read; only with a service."""


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
    """`prowler`, `checkov`, or `none`: a person named the key with `--key`."""
    check_id: str
    """Id of the check, such as `kms_cmk_not_disabled` or `CKV_KEYSWEEP_001`, or `--key`."""
    source: str
    """Results file, as passed on the command line (`-`: standard input); `--key` or `@FILE` for a
    key that a person named."""
    position: str
    """Position in the source, such as `record 3` or `line 3`."""
    time: Time | None = None
    """Time of the scan; None for Checkov records and named keys."""
    code: CodeLocation | None = None
    """Declaration of the key in code; only for Checkov records."""

    @property
    def named_by(self) -> str:
        """What made the key a candidate, as text."""
        source = f"{self.source}, {self.position}"
        if self.scanner == "none":
            return source if self.source == self.check_id else f"{self.check_id} {source}"
        return f"{self.scanner} {self.check_id}: {source}"


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
    """Exceptions without which it would be on hold."""
    pending_window_days: Annotated[int, Field(ge=7, le=30)]
    """Waiting period in days that `apply` requests; AWS allows 7 to 30 ("ScheduleKeyDeletion", AWS
    KMS API Reference)."""
    monthly_cost_usd: float
    """Monthly cost of the key in US dollars, at list price."""
    owner: str | None = None
    """Owner: the value of an owner tag, or the account's owner in the policy; None: unknown."""
    lead: str | None = None
    """Whom to ask: the code or stack that declares the key, an alias, or the identity that last
    changed its state; None: unknown."""
    evidence: Evidence
    """Evidence about the key. `apply` reads it again and compares."""
    findings: tuple[FindingRecord, ...] = ()
    """Findings that made it a candidate."""

    @property
    def owner_name(self) -> str:
        """The owner, or the word for an unknown one."""
        return self.owner or UNKNOWN

    @property
    def rests_on_exceptions(self) -> bool:
        """Whether it is to be scheduled, and would be on hold but for exceptions."""
        return self.verdict is VerdictKind.SCHEDULE and bool(self.exceptions)


class PlanSummary(Model):
    """Number of keys by verdict, and the monthly cost of the keys to schedule."""

    schedule: int
    """Keys to schedule."""
    on_exceptions: int = 0
    """Keys to schedule that would be on hold but for exceptions of the policy."""
    hold: int
    """Keys on hold."""
    skip: int
    """Keys to skip."""
    monthly_cost_usd: float
    """Monthly cost of the keys to schedule in US dollars, at list price."""
