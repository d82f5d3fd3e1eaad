"""The one write: every change that Keysweep makes in AWS goes through `write`.

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
from .errors import RUN_AGAIN, InvariantError, TruncatedResponse, demand
from .evidence.description import describe
from .journal import IntentLine, Journal, JournalFailed, KeyRecord
from .lifecycle import (
    CANCELLED_ELSEWHERE,
    KEY_NOT_FOUND,
    SCHEDULED_ELSEWHERE,
    Origin,
    Situation,
    State,
    is_conclusive,
    is_pending,
    origin,
    origin_of_any,
    state_of,
    undetermined_origin,
    was_cancelled_a_moment_ago,
)
from .models import (
    PENDING_DELETION,
    AppliedException,
    KeyArn,
    KeyDescription,
    KeyResult,
    NotFound,
    Outcome,
)
from .policy_values import MAX_WINDOW_DAYS, MIN_WINDOW_DAYS

READ_BACK_PAUSES: Final = (0.0, 0.5, 1.0, 2.0)
"""Seconds before each DescribeKey after a lost answer: it may lag behind ("ScheduleKeyDeletion",
AWS KMS API Reference, on eventual consistency)."""

ALIVE: Final = frozenset({"Disabled", "Enabled"})
"""States of a key whose deletion was cancelled."""


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
    """Whether the description shows that the call took effect."""
    clean: Callable[[Mapping[str, Any], KeyArn], bool]
    """Whether the answer is complete and confirms the call."""


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
    took_effect=lambda seen, _intent, _now: not is_pending(seen),
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
    # DescribeKey shows no tags: after a lost answer the call is repeated.
    took_effect=lambda _seen, _intent, _now: False,
    clean=lambda answer, arn: True,
)

OPERATIONS: Final = (SCHEDULE, CANCEL, ENABLE, TAG)
"""Every operation with which Keysweep changes AWS."""


@dataclass(frozen=True)
class Write:
    """One change of one key."""

    operation: Operation
    key_arn: KeyArn
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Parameters of the call besides KeyId."""
    pending_window_days: int | None = None
    monthly_cost_usd: float | None = None
    alias: str | None = None
    owner: str | None = None
    exceptions: tuple[AppliedException, ...] = ()
    watch_use_from: datetime | None = None
    """See `IntentLine`."""
    earlier: tuple[IntentLine, ...] = ()
    """Open intents of the same change, oldest first."""


@dataclass(frozen=True)
class Reconciliation:
    """What became of an intent."""

    result: KeyResult
    final: bool = True
    """False: the intent stays open in the journal, for a later run to reconcile."""
    undetermined: bool = False
    """The key is pending deletion, perhaps by this intent."""


def write(
    connection: Connection, journal: Journal, change: Write, seen: KeyDescription
) -> KeyResult:
    """Make one change, given the description read right before it.

    Errors of AWS become the key's row. Raises JournalFailed, without a call, if the intent could
    not be written.
    """
    operation, arn = change.operation, change.key_arn
    if seen.key_manager != "CUSTOMER" or seen.key_state not in operation.from_states:
        return KeyResult(
            key_arn=arn,
            outcome=Outcome.FAILED,
            message=f"{operation.name} not called: the key is {seen.key_state}, "
            f"managed by {seen.key_manager}",
        )
    if arn.account_region != connection.account_region:
        raise InvariantError(
            f"{arn} is not in account {connection.account_id}, {connection.region}"
        )
    if operation is SCHEDULE:
        window = change.parameters.get("PendingWindowInDays")
        # Rule 4 of docs/safety.md: always sent, within AWS's bounds, and as in the journal.
        if not isinstance(window, int) or not MIN_WINDOW_DAYS <= window <= MAX_WINDOW_DAYS:
            raise InvariantError(f"a waiting period of {window} days reached the write")
        demand(window == change.pending_window_days, "the intent has another waiting period")
    intent = journal.intent(
        connection.clock.now(),
        operation.name,
        arn,
        pending_window_days=change.pending_window_days,
        monthly_cost_usd=change.monthly_cost_usd,
        alias=change.alias,
        owner=change.owner,
        exceptions=change.exceptions,
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
    return reconcile(
        connection, journal, intent, operation, failure=failure, earlier=change.earlier
    ).result


def not_called(connection: Connection, journal: Journal, change: Write, why: str) -> KeyResult:
    """Record a change that is needed and was not made, for a later run to make."""
    intent = journal.intent(connection.clock.now(), change.operation.name, change.key_arn)
    return _note(
        connection,
        journal,
        intent,
        Outcome.FAILED,
        message=f"{change.operation.name} not called: {why}",
    )


def reconcile(
    connection: Connection,
    journal: Journal,
    intent: IntentLine,
    operation: Operation,
    *,
    failure: Failure | None = None,
    earlier: tuple[IntentLine, ...] = (),
) -> Reconciliation:
    """Find out from DescribeKey what became of an intent without a clean answer.

    A call that AWS refused had no effect; a visible effect is recorded for an `earlier` intent. A
    lost call is recorded as failed only when DescribeKey is conclusive: until then the intent stays
    open, so that undo still finds its key.
    """
    refused = failure is not None and _refused(failure)
    why = _why(failure, connection, operation)
    # AWS refuses EnableKey and TagResource for reasons unrelated to their effect.
    own = () if refused and operation in {SCHEDULE, CANCEL} else (intent,)
    begun = (*own, *reversed(earlier))
    once = refused and not earlier
    now = connection.clock.now()
    seen = _read_back(
        connection, intent, lambda seen: _begun(seen, operation, begun, now), once=once
    )
    if seen is None:
        return _unanswered(connection, journal, intent, why, refused=refused)
    if isinstance(seen, NotFound):
        why = f"{why}. {KEY_NOT_FOUND}"
        return Reconciliation(_note(connection, journal, intent, Outcome.FAILED, message=why))
    date = seen.deletion_date
    if (came := _begun(seen, operation, begun, now)) is not None:
        if came is not intent:
            earlier_one = f"{why}. An earlier {operation.name} took effect"
            _note(connection, journal, intent, Outcome.FAILED, message=earlier_one)
        why = f"{why}. DescribeKey shows that it took effect"
        return Reconciliation(
            _note(connection, journal, came, operation.done, deletion_date=date, message=why)
        )
    if operation is SCHEDULE and is_pending(seen):
        if origin_of_any(seen, begun, now) is Origin.UNDETERMINED:
            why = f"{why}. {undetermined_origin(intent.key_arn, connection.access)}"
            return _undetermined(connection, journal, intent, why, refused=refused)
        return Reconciliation(
            _note(
                connection,
                journal,
                intent,
                Outcome.ALREADY_PENDING,
                deletion_date=date,
                message=SCHEDULED_ELSEWHERE,
            )
        )
    if operation is CANCEL and refused and not is_pending(seen):
        why = f"{CANCELLED_ELSEWHERE}: the key is {seen.key_state}"
        return Reconciliation(_note(connection, journal, intent, Outcome.UNCHANGED, message=why))
    why = f"{why}. The key is {seen.key_state}"
    if refused or is_conclusive(intent, now):
        return Reconciliation(_note(connection, journal, intent, Outcome.FAILED, message=why))
    return Reconciliation(
        _row(intent, Outcome.FAILED, message=f"{why}. Fix: {RUN_AGAIN}"), final=False
    )


def _unanswered(
    connection: Connection, journal: Journal, intent: IntentLine, why: str, *, refused: bool
) -> Reconciliation:
    """DescribeKey did not answer: a call that AWS refused had no effect, any other stays open."""
    if refused:
        return Reconciliation(_note(connection, journal, intent, Outcome.FAILED, message=why))
    message = f"{why}. Its effect is unknown: DescribeKey did not answer. Fix: {RUN_AGAIN}"
    return Reconciliation(_row(intent, Outcome.FAILED, message=message), final=False)


def _undetermined(
    connection: Connection, journal: Journal, intent: IntentLine, message: str, *, refused: bool
) -> Reconciliation:
    """The intent stays open, unless AWS refused its call and only an earlier one can be it."""
    make = _row if not refused else partial(_note, connection, journal)
    return Reconciliation(
        make(intent, Outcome.FAILED, message=message), final=False, undetermined=True
    )


def _begun(
    seen: KeyDescription, operation: Operation, intents: Iterable[IntentLine], now: datetime
) -> IntentLine | None:
    """The first of these intents that took effect."""
    return next((one for one in intents if operation.took_effect(seen, one, now)), None)


def await_state(
    connection: Connection, arn: KeyArn, states: frozenset[str]
) -> KeyDescription | None:
    """The key once it is in one of these states, else as last read.

    None if it was not found or could not be read.
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


def await_visible(
    connection: Connection,
    record: KeyRecord,
    seen: KeyDescription | NotFound,
    state: State,
) -> tuple[KeyDescription | NotFound, State]:
    """The key and its situation, read again while a change by the journal may not be visible."""
    now = connection.clock.now()
    if state.situation is Situation.NOT_VISIBLE_YET:
        states = PENDING_DELETION
    elif state.situation is Situation.FOREIGN and was_cancelled_a_moment_ago(record, now):
        states = ALIVE
    else:
        return seen, state
    seen = await_state(connection, record.key_arn, states) or seen
    return seen, state_of(record, seen, connection.clock.now())


def _read_back(
    connection: Connection,
    intent: IntentLine,
    shows: Callable[[KeyDescription], object],
    *,
    once: bool,
) -> KeyDescription | NotFound | None:
    """DescribeKey, repeated while an effect may not be visible yet; None: no answer."""
    old = is_conclusive(intent, connection.clock.now())
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
    """Whether AWS refused the call, so that it had no effect."""
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
    """Record the outcome. If that fails, the row still has it and the next run reconciles it."""
    try:
        journal.outcome(
            connection.clock.now(), intent, outcome, deletion_date=deletion_date, message=message
        )
    except JournalFailed as error:
        message = ". ".join(filter(None, (message, f"The outcome was not recorded: {error}")))
    return _row(intent, outcome, deletion_date=deletion_date, message=message)


def _why(failure: Failure | None, connection: Connection, operation: Operation) -> str:
    if failure is None:
        return f"The answer to {operation.name} is missing or incomplete"
    reason = explain(failure, connection).unreadable
    denied = isinstance(failure, ClientError) and code_of(failure).startswith("AccessDenied")
    if denied and operation is SCHEDULE:
        return (
            f"{reason}. Fix: allow {operation.permission} in the key policy or an IAM policy, or "
            "meet its conditions on the waiting period "
            "(kms:ScheduleKeyDeletionPendingWindowInDays) or on recent use "
            "(kms:TrailingDaysWithoutKeyUsage)"
        )
    if denied:
        return f"{reason}. Fix: allow {operation.permission} in the key policy or an IAM policy"
    return reason
