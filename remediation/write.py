"""The one write: every change that Keysweep makes in AWS goes through `write` below.

Intent on the disk -> one call, never retried -> DescribeKey decides on anything but a clean, full
answer -> outcome on the disk. apply, cancel and guard only choose keys.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from .aws import Connection
from .aws.failures import Failure, code_of, explain
from .errors import InvariantError, TruncatedResponse, demand
from .evidence.description import describe
from .journal import AGAIN, IntentLine, Journal, JournalFailed
from .lifecycle import Origin, is_settled, origin, origin_of_any
from .models import PENDING_DELETION, KeyArn, KeyDescription, KeyResult, NotFound, Outcome
from .policy import MAX_WINDOW_DAYS, MIN_WINDOW_DAYS

READ_BACK_PAUSES: Final = (0.0, 0.5, 1.0, 2.0)
"""Seconds before each look after a lost answer: DescribeKey may lag behind ("ScheduleKeyDeletion",
AWS KMS API Reference, on eventual consistency)."""

NOT_SHOWN_YET: Final = "DescribeKey does not show its deletion yet; look again in five minutes"
"""What is said of a key in the situation LATE."""


GONE_EARLY: Final = "gone before its date"
"""What is said of a key in the situation GONE_EARLY."""


def who_began_it(arn: KeyArn) -> str:
    """What is said of a key in the situation UNDETERMINED, with what decides it, as a clause."""
    return (
        "it is pending deletion, and whether this journal began that or somebody else is not "
        f"known: unless it is to be deleted, run: keysweep cancel --key {arn}"
    )


@dataclass(frozen=True)
class Operation:
    """One mutating operation of AWS KMS, as AWS names it."""

    name: str
    permission: str
    method: str
    from_states: frozenset[str]
    """Key states in which Keysweep makes the call ("Key states of AWS KMS keys")."""
    done: Outcome
    took_effect: Callable[[KeyDescription, IntentLine, datetime], bool]
    """Whether the key, as described now, shows that the call did its work."""
    clean: Callable[[Mapping[str, Any], KeyArn], bool]
    """Whether the answer is full and says what it must."""


def _clean_schedule(answer: Mapping[str, Any], arn: KeyArn) -> bool:
    state = answer.get("KeyState")
    dated = "DeletionDate" in answer
    return answer.get("KeyId") == str(arn) and (
        (state == "PendingDeletion" and dated) or state == "PendingReplicaDeletion"
    )


SCHEDULE: Final = Operation(
    "ScheduleKeyDeletion",
    "kms:ScheduleKeyDeletion",
    "schedule_key_deletion",
    frozenset({"Disabled"}),
    Outcome.SCHEDULED,
    took_effect=lambda seen, intent, now: origin(seen, intent, now) is Origin.OURS,
    clean=_clean_schedule,
)
CANCEL: Final = Operation(
    "CancelKeyDeletion",
    "kms:CancelKeyDeletion",
    "cancel_key_deletion",
    PENDING_DELETION,
    Outcome.CANCELLED,
    took_effect=lambda seen, _intent, _now: seen.key_state not in PENDING_DELETION,
    clean=lambda answer, arn: answer.get("KeyId") == str(arn),
)
ENABLE: Final = Operation(
    "EnableKey",
    "kms:EnableKey",
    "enable_key",
    frozenset({"Disabled"}),
    Outcome.CANCELLED,
    took_effect=lambda seen, _intent, _now: seen.key_state == "Enabled",
    clean=lambda answer, arn: True,
)
TAG: Final = Operation(
    "TagResource",
    "kms:TagResource",
    "tag_resource",
    frozenset({"Disabled", "Enabled"}),
    Outcome.CANCELLED,
    # DescribeKey shows no tags: after a lost answer the call is made again.
    took_effect=lambda _seen, _intent, _now: False,
    clean=lambda answer, arn: True,
)

OPERATIONS: Final = (SCHEDULE, CANCEL, ENABLE, TAG)
"""Every operation with which Keysweep changes anything in AWS."""


@dataclass(frozen=True)
class Write:
    """One change of one key, to be made."""

    operation: Operation
    key_arn: KeyArn
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """What the call sends besides KeyId."""
    pending_window_days: int | None = None
    monthly_cost_usd: float | None = None
    watch_use_from: datetime | None = None
    """See `IntentLine`."""
    earlier: tuple[IntentLine, ...] = ()
    """Tries of the same change of which it is not known what became, oldest first."""


@dataclass(frozen=True)
class Settled:
    """What is known of an intent."""

    result: KeyResult
    final: bool = True
    """False: it stays open in the journal, and a later run will know."""
    undetermined: bool = False
    """The key is pending deletion, and whether by this intent is not known."""


def write(
    connection: Connection, journal: Journal, change: Write, seen: KeyDescription
) -> KeyResult:
    """Make one change, given the description read right before it.

    Raises nothing of AWS's: whatever happens is the row of this key. Raises JournalFailed when the
    intent cannot be written, and then makes no call.
    """
    operation, arn = change.operation, change.key_arn
    if seen.key_manager != "CUSTOMER" or seen.key_state not in operation.from_states:
        return KeyResult(
            key_arn=arn,
            outcome=Outcome.FAILED,
            message=f"{operation.name} was not asked: the key is {seen.key_state}, "
            f"managed by {seen.key_manager}",
        )
    if arn.account_region != (connection.account_id, connection.region):
        raise InvariantError(
            f"{arn} is not in account {connection.account_id}, {connection.region}"
        )
    if operation is SCHEDULE:
        window = change.parameters.get("PendingWindowInDays")
        # Rule 4 of docs/safety.md: always sent, within AWS's bounds, and as the journal has it.
        if not isinstance(window, int) or not MIN_WINDOW_DAYS <= window <= MAX_WINDOW_DAYS:
            raise InvariantError(f"a waiting period of {window} days reached the write")
        demand(window == change.pending_window_days, "the intent has another waiting period")
    intent = journal.intent(
        connection.clock.now(),
        operation.name,
        arn,
        pending_window_days=change.pending_window_days,
        monthly_cost_usd=change.monthly_cost_usd,
        watch_use_from=change.watch_use_from,
    )
    failure: Failure | None = None
    answer: Mapping[str, Any] = {}
    try:
        call = getattr(connection.client("kms", writes=True), operation.method)
        answer = call(KeyId=str(arn), **change.parameters)
    except (ClientError, BotoCoreError, TruncatedResponse) as error:
        failure = error
    if failure is None and operation.clean(answer, arn):
        date = answer.get("DeletionDate")
        return _note(connection, journal, intent, operation.done, deletion_date=date)
    return settle(
        connection, journal, intent, operation, failure=failure, earlier=change.earlier
    ).result


def not_asked(connection: Connection, journal: Journal, change: Write, why: str) -> KeyResult:
    """Write down that a change was wanted and not asked for, so that a later run knows of it."""
    intent = journal.intent(connection.clock.now(), change.operation.name, change.key_arn)
    return _note(connection, journal, intent, Outcome.FAILED, message=f"not asked: {why}")


def settle(
    connection: Connection,
    journal: Journal,
    intent: IntentLine,
    operation: Operation,
    *,
    failure: Failure | None = None,
    earlier: tuple[IntentLine, ...] = (),
) -> Settled:
    """Let DescribeKey say what became of an intent whose answer was not clean, or never came.

    A call that AWS refused did nothing; what came of it may be an `earlier` one's work, and is
    written down as that. One that got lost is written down as failed only when enough time has
    passed: until then the intent stays open, so that undo still finds its key.
    """
    refused = failure is not None and _refused(failure)
    why = _why(failure, connection, operation)
    # AWS refuses to enable or tag a key for reasons that say nothing of what it is.
    own = () if refused and operation in {SCHEDULE, CANCEL} else (intent,)
    begun = (*own, *reversed(earlier))
    once = refused and not earlier
    now = connection.clock.now()
    seen = _look(connection, intent, lambda seen: _begun(seen, operation, begun, now), once=once)
    if seen is None:
        return _unanswered(connection, journal, intent, why, refused=refused)
    if isinstance(seen, NotFound):
        why = f"{why}; AWS knows no such key (any more)"
        return Settled(_note(connection, journal, intent, Outcome.FAILED, message=why))
    date = seen.deletion_date
    if (came := _begun(seen, operation, begun, now)) is not None:
        if came is not intent:
            told = f"{why}; an earlier {operation.name} took effect"
            _note(connection, journal, intent, Outcome.FAILED, message=told)
        why = f"{why}; DescribeKey shows that it took effect"
        return Settled(
            _note(connection, journal, came, operation.done, deletion_date=date, message=why)
        )
    if operation is SCHEDULE and seen.key_state in PENDING_DELETION:
        if origin_of_any(seen, begun, now) is Origin.UNDETERMINED:
            told = f"{why}; {who_began_it(intent.key_arn)}"
            return _undetermined(connection, journal, intent, told, refused=refused)
        why = "pending deletion by somebody else's request"
        return Settled(
            _note(
                connection,
                journal,
                intent,
                Outcome.ALREADY_PENDING,
                deletion_date=date,
                message=why,
            )
        )
    if operation is CANCEL and refused and seen.key_state not in PENDING_DELETION:
        why = f"somebody else cancelled it: the key is {seen.key_state}"
        return Settled(_note(connection, journal, intent, Outcome.NOT_PENDING, message=why))
    why = f"{why}; the key is {seen.key_state}"
    if refused or is_settled(intent, now):
        return Settled(_note(connection, journal, intent, Outcome.FAILED, message=why))
    return Settled(_row(intent, Outcome.FAILED, message=f"{why}: {AGAIN}"), final=False)


def _unanswered(
    connection: Connection, journal: Journal, intent: IntentLine, why: str, *, refused: bool
) -> Settled:
    """DescribeKey did not answer: a call that AWS refused did nothing, any other stays open."""
    if refused:
        return Settled(_note(connection, journal, intent, Outcome.FAILED, message=why))
    told = f"{why}; whether it took effect is not known, since DescribeKey did not answer either"
    return Settled(_row(intent, Outcome.FAILED, message=f"{told}: {AGAIN}"), final=False)


def _undetermined(
    connection: Connection, journal: Journal, intent: IntentLine, told: str, *, refused: bool
) -> Settled:
    """The intent stays open, unless AWS refused its call: then only an earlier one may be it."""
    make = _row if not refused else partial(_note, connection, journal)
    return Settled(make(intent, Outcome.FAILED, message=told), final=False, undetermined=True)


def _begun(
    seen: KeyDescription, operation: Operation, intents: Iterable[IntentLine], now: datetime
) -> IntentLine | None:
    """The first of these intents whose work the key shows."""
    return next((one for one in intents if operation.took_effect(seen, one, now)), None)


def await_state(
    connection: Connection, arn: KeyArn, states: frozenset[str]
) -> KeyDescription | None:
    """The key as soon as DescribeKey shows it in one of these states, or as it is seen last.

    None when there is no such key, or no answer.
    """
    seen: KeyDescription | NotFound | None = None
    for pause in READ_BACK_PAUSES:
        time.sleep(pause)
        try:
            seen = describe(connection, arn)
        except (ClientError, BotoCoreError, TruncatedResponse):
            continue
        if isinstance(seen, NotFound) or seen.key_state in states:
            break
    return seen if isinstance(seen, KeyDescription) else None


def _look(
    connection: Connection,
    intent: IntentLine,
    shows: Callable[[KeyDescription], object],
    *,
    once: bool,
) -> KeyDescription | NotFound | None:
    """DescribeKey, again while a change that took effect may not show yet; None: no answer."""
    old = is_settled(intent, connection.clock.now())
    seen: KeyDescription | NotFound | None = None
    for pause in READ_BACK_PAUSES[:1] if once or old else READ_BACK_PAUSES:
        time.sleep(pause)
        try:
            seen = describe(connection, intent.key_arn)
        except (ClientError, BotoCoreError, TruncatedResponse):
            continue
        if isinstance(seen, NotFound) or shows(seen):
            break
    return seen


def _refused(failure: Failure) -> bool:
    """Whether AWS said no: the one call that went out did nothing."""
    if not isinstance(failure, ClientError):
        return False
    status = int(failure.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500))
    return 400 <= status < 500 and status != 408


def _row(
    intent: IntentLine,
    outcome: Outcome,
    *,
    deletion_date: datetime | None = None,
    message: str = "",
) -> KeyResult:
    return KeyResult(
        key_arn=intent.key_arn, outcome=outcome, deletion_date=deletion_date, message=message
    )


def _note(
    connection: Connection,
    journal: Journal,
    intent: IntentLine,
    outcome: Outcome,
    *,
    deletion_date: datetime | None = None,
    message: str = "",
) -> KeyResult:
    """Write the outcome down. If that fails the row still tells it, and the next run settles it."""
    try:
        journal.outcome(
            connection.clock.now(), intent, outcome, deletion_date=deletion_date, message=message
        )
    except JournalFailed as error:
        message = "; ".join(filter(None, (message, f"not written down: {error}")))
    return _row(intent, outcome, deletion_date=deletion_date, message=message)


def _why(failure: Failure | None, connection: Connection, operation: Operation) -> str:
    if failure is None:
        return f"the answer to {operation.name} did not come, or lacks fields"
    reason = explain(failure, connection).unreadable
    denied = isinstance(failure, ClientError) and code_of(failure).startswith("AccessDenied")
    if denied and operation is SCHEDULE:
        return (
            f"{reason}: the key policy or an IAM policy does not allow it, or a guardrail "
            "conditions it on the waiting period (kms:ScheduleKeyDeletionPendingWindowInDays) or "
            "on recent use (kms:TrailingDaysWithoutKeyUsage)"
        )
    if denied:
        return f"{reason}: allow {operation.permission} in the key policy or an IAM policy"
    return reason
