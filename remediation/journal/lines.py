"""The line types of a journal, and their JSON."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Final, Literal

from pydantic import Field, TypeAdapter
from pydantic.dataclasses import dataclass

from .. import strict_json
from ..files import ascii_json
from ..models import SLIM, AppliedException, KeyArn, Outcome, WrittenTime

USE_REPORTING_DELAY: Final = timedelta(minutes=60)
"""The longest delay before AWS shows the use of a key: an hour for GetKeyLastUsage, about 15
minutes for CloudTrail ("How CloudTrail works", AWS CloudTrail User Guide)."""

DELIVERY_DELAY: Final = timedelta(minutes=15)
"""The usual delay before CloudTrail shows an event (the same page)."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SLIM)
class RunLine:
    """Start of a run of a command that writes."""

    version: Literal[1] = 1
    """Version of the format."""
    line: Literal["run"] = "run"
    """Kind of the line."""
    run: str
    """Id of the run, the same in all of its lines."""
    time: WrittenTime
    """Time of writing, by AWS's clock."""
    command: str
    """`apply`, `cancel` or `guard`."""
    plan_digest: str | None = None
    """Digest of the plan; only with `apply`."""
    caller: str | None = None
    """ARN of the identity that ran it; absent if AWS did not return it."""
    ticket: str | None = None
    """Change ticket, from `--ticket`."""
    approved_by: str | None = None
    """Approver, from `--approved-by`."""
    exceptions: tuple[AppliedException, ...] | None = None
    """Exceptions of the policy without which keys of this run would be on hold; only with `apply`.
    """
    owners: tuple[str, ...] | None = None
    """Owners to which the run was limited, from `--owner`; only with `apply`."""
    accounts: tuple[str, ...] | None = None
    """Accounts to which it was limited, from `--account`; only with `apply`."""
    regions: tuple[str, ...] | None = None
    """Regions to which it was limited, from `--region`; only with `apply`."""
    follow_ups: tuple[str, ...] | None = None
    """Operations that follow each cancellation of this run: TagResource with `--keep`, EnableKey
    with `--enable`."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SLIM)
class IntentLine:
    """A write that is about to be made."""

    version: Literal[1] = 1
    """Version of the format."""
    line: Literal["intent"] = "intent"
    """Kind of the line."""
    run: str
    """Id of the run, the same in all of its lines."""
    id: str
    """Id of the intent; its outcome has the same."""
    time: WrittenTime
    """Time of writing, by AWS's clock."""
    operation: str
    """AWS operation: ScheduleKeyDeletion, CancelKeyDeletion, EnableKey or TagResource."""
    key_arn: KeyArn
    """ARN of the key."""
    pending_window_days: int | None = None
    """Waiting period in days, 7 to 30; only with ScheduleKeyDeletion."""
    monthly_cost_usd: Annotated[float, Field(allow_inf_nan=False)] | None = None
    """Monthly cost of the key in US dollars (list price); only with ScheduleKeyDeletion."""
    alias: str | None = None
    """First alias of the key when the plan was made. Only with ScheduleKeyDeletion; absent if it
    had none, and in older journals."""
    owner: str | None = None
    """Owner of the key when the plan was made. Only with ScheduleKeyDeletion; absent if unknown and
    in older journals."""
    exceptions: tuple[int, ...] | None = None
    """Exceptions without which the key would be on hold, as positions from 0 in `exceptions` of the
    run's line. Only with ScheduleKeyDeletion; absent if there are none."""
    watch_use_from: WrittenTime | None = None
    """Start of the period in which uses may not have been visible yet: when `apply` last began to
    read them, minus 60 minutes. Only with ScheduleKeyDeletion; absent in older journals."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SLIM)
class OutcomeLine:
    """Outcome of the intent with the same id."""

    version: Literal[1] = 1
    """Version of the format."""
    line: Literal["outcome"] = "outcome"
    """Kind of the line."""
    run: str
    """Id of the run that writes this line; a later run can reconcile an earlier run's intent."""
    id: str
    """Id of the intent."""
    time: WrittenTime
    """Time of writing, by AWS's clock."""
    operation: str
    """AWS operation of the intent."""
    key_arn: KeyArn
    """ARN of the key of the intent."""
    outcome: Outcome
    """Outcome of the operation."""
    deletion_date: WrittenTime | None = None
    """Date on which AWS deletes the key, if known."""
    message: str = ""
    """Explanation; empty if there is nothing to add."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SLIM)
class LookLine:
    """A check of keys by `guard`: a run of this line alone, which changes nothing in AWS."""

    version: Literal[1] = 1
    """Version of the format."""
    line: Literal["look"] = "look"
    """Kind of the line."""
    run: str
    """Id of the run; no other line has it."""
    time: WrittenTime
    """Time of writing, by AWS's clock."""
    caller: str | None = None
    """ARN of the identity that ran it; absent if AWS did not return it."""
    keys: tuple[KeyArn, ...]
    """Keys of this journal that were checked. For keys pending deletion, attempts to use them were
    read."""
    until: WrittenTime
    """CloudTrail usually shows events up to this time: 15 minutes before the check began."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SLIM)
class RebuiltDeletion:
    """A pending deletion that Keysweep began, according to CloudTrail."""

    key_arn: KeyArn
    """ARN of the key."""
    event_id: str
    """Id of its ScheduleKeyDeletion event in CloudTrail."""
    time: WrittenTime
    """Time of that event."""
    caller: str | None = None
    """ARN of the identity that made the call, from the event; absent if it names none."""
    user_agent: str
    """Keysweep's part of the event's user agent, such as `keysweep/1.0.0`. Any caller can send it,
    so it proves nothing."""
    pending_window_days: int
    """Waiting period in days, from the event."""
    deletion_date: WrittenTime
    """Date on which AWS deletes the key, from DescribeKey. The event's date is within 2 seconds."""
    watch_use_from: WrittenTime
    """Start of the period in which uses may have gone unseen: when the plan's evidence was read,
    minus 60 minutes. Without a plan: 90 days before the rebuild, where the event history begins.
    """
    monthly_cost_usd: Annotated[float, Field(allow_inf_nan=False)] | None = None
    """Monthly cost of the key in US dollars (list price), from the plan; absent without a plan."""
    alias: str | None = None
    """First alias of the key, from the plan; absent if it had none, and without a plan."""
    owner: str | None = None
    """Owner of the key, from the plan; absent if unknown, and without a plan."""
    exceptions: tuple[int, ...] | None = None
    """Exceptions without which the key would be on hold, from the plan, as positions from 0 in the
    line's `exceptions`."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SLIM)
class RebuildLine:
    """The first line of a journal that was rebuilt from CloudTrail's events: a run of its own.

    Other content of the lost journal, such as tickets and cancelled deletions, is not in it.
    """

    version: Literal[1] = 1
    """Version of the format."""
    line: Literal["rebuild"] = "rebuild"
    """Kind of the line."""
    run: str
    """Id of the run; no other line has it."""
    time: WrittenTime
    """Time of writing, by AWS's clock."""
    caller: str | None = None
    """ARN of the identity that ran it; absent if AWS did not return it."""
    plan_digest: str | None = None
    """Digest of the plan to which the rebuild was limited; absent without `--plan`."""
    exceptions: tuple[AppliedException, ...] | None = None
    """Exceptions of that plan without which some of its keys would be on hold."""
    read: tuple[str, ...]
    """Account-Regions that were read, as `ACCOUNT REGION`. The journal covers no others."""
    unread: tuple[str, ...] = ()
    """Account-Regions that could not be read."""
    undetermined: tuple[KeyArn, ...] = ()
    """Keys that Keysweep may or may not have scheduled: this could not be determined."""
    keys: tuple[RebuiltDeletion, ...]
    """The deletions, sorted by key ARN."""


AnyLine = RunLine | IntentLine | OutcomeLine | LookLine | RebuildLine

Line = Annotated[AnyLine, Field(discriminator="line")]
_LINE: Final[TypeAdapter[AnyLine]] = TypeAdapter(Line)

BEGINNING: Final = b'{"version":1,"line":"'
"""First bytes of every line that Keysweep writes."""

RUN_BEGINNINGS: Final = (BEGINNING + b'run"', BEGINNING + b'look"', BEGINNING + b'rebuild"')
"""First bytes of a run's first line."""


def decode(raw: bytes) -> AnyLine:
    """Parse a line. Raises ValueError, or RepeatedName for a repeated member."""
    line = _LINE.validate_json(raw)
    strict_json.loads(raw)
    return line


def encode(line: AnyLine) -> bytes:
    """Return the line as ASCII JSON, with a line feed."""
    return ascii_json(_LINE.dump_json(line, exclude_none=True).decode()).encode("ascii") + b"\n"
