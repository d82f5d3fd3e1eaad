"""The one write: every change that Keysweep makes in AWS goes through `write` below.

Intent on the disk -> one call, never retried -> DescribeKey decides on anything but a clean, full
answer -> outcome on the disk. apply, cancel and guard only choose keys.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from .aws import Place
from .aws.failures import Failure, code_of, explain
from .errors import CutAnswer
from .evidence.description import describe
from .journal import IntentLine, Journal
from .models import KeyArn, KeyDescription, KeyResult, NotFound, Outcome

READ_BACK_PAUSES: Final = (0.0, 0.5, 1.0, 2.0)
"""Seconds before each look after a lost answer: DescribeKey may lag behind ("ScheduleKeyDeletion",
AWS KMS API Reference, on eventual consistency)."""

OURS_WITHIN: Final = timedelta(hours=1)
"""How near to our intent a deletion must have begun to count as ours (safety rule 7)."""


def _scheduled(seen: KeyDescription, intent: IntentLine) -> bool:
    """Whether the key's pending deletion began with this intent."""
    window = intent.pending_window_days
    if window is None:
        return False
    if seen.key_state == "PendingReplicaDeletion":
        return seen.pending_window_days == window
    if seen.key_state != "PendingDeletion" or seen.deletion_date is None:
        return False
    return abs(seen.deletion_date - timedelta(days=window) - intent.time) <= OURS_WITHIN


@dataclass(frozen=True)
class Operation:
    """One mutating operation of AWS KMS, as AWS names it."""

    name: str
    permission: str
    method: str
    from_states: frozenset[str]
    """Key states in which Keysweep makes the call ("Key states of AWS KMS keys")."""
    done: Outcome
    took_effect: Callable[[KeyDescription, IntentLine], bool]
    """Whether the key, as described now, shows that the call did its work."""
    clean: Callable[[Mapping[str, Any], KeyArn], bool]
    """Whether the answer is full and says what it must."""


def _clean_schedule(answer: Mapping[str, Any], arn: KeyArn) -> bool:
    state = answer.get("KeyState")
    dated = "DeletionDate" in answer
    return answer.get("KeyId") == str(arn) and (
        (state == "PendingDeletion" and dated) or state == "PendingReplicaDeletion"
    )


PENDING: Final = frozenset({"PendingDeletion", "PendingReplicaDeletion"})

SCHEDULE: Final = Operation(
    "ScheduleKeyDeletion",
    "kms:ScheduleKeyDeletion",
    "schedule_key_deletion",
    frozenset({"Disabled"}),
    Outcome.SCHEDULED,
    took_effect=_scheduled,
    clean=_clean_schedule,
)
CANCEL: Final = Operation(
    "CancelKeyDeletion",
    "kms:CancelKeyDeletion",
    "cancel_key_deletion",
    PENDING,
    Outcome.CANCELLED,
    took_effect=lambda seen, _: seen.key_state not in PENDING,
    clean=lambda answer, arn: answer.get("KeyId") == str(arn),
)
ENABLE: Final = Operation(
    "EnableKey",
    "kms:EnableKey",
    "enable_key",
    frozenset({"Disabled"}),
    Outcome.CANCELLED,
    took_effect=lambda seen, _: seen.key_state == "Enabled",
    clean=lambda answer, arn: True,
)
TAG: Final = Operation(
    "TagResource",
    "kms:TagResource",
    "tag_resource",
    frozenset({"Disabled", "Enabled"}),
    Outcome.CANCELLED,
    took_effect=lambda seen, _: False,  # DescribeKey shows no tags: a lost answer is made again
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


def write(place: Place, journal: Journal, change: Write, seen: KeyDescription) -> KeyResult:
    """Make one change, given the description read right before it.

    Raises nothing of AWS's: whatever happens is the row of this key. Raises BadInput when the
    journal cannot be written, and then makes no call.
    """
    operation, arn = change.operation, change.key_arn
    if seen.key_manager != "CUSTOMER" or seen.key_state not in operation.from_states:
        return KeyResult(
            key_arn=arn,
            outcome=Outcome.FAILED,
            message=f"{operation.name} was not asked: the key is {seen.key_state}, "
            f"managed by {seen.key_manager}",
        )
    if arn.place != (place.account_id, place.region):
        raise AssertionError(f"{arn} is not in account {place.account_id}, {place.region}")
    intent = journal.intent(
        place.clock.now(),
        operation.name,
        arn,
        pending_window_days=change.pending_window_days,
        monthly_cost_usd=change.monthly_cost_usd,
    )
    failure: Failure | None = None
    answer: Mapping[str, Any] = {}
    try:
        call = getattr(place.client("kms", writes=True), operation.method)
        answer = call(KeyId=str(arn), **change.parameters)
    except (ClientError, BotoCoreError, CutAnswer) as error:
        failure = error
    if failure is None and operation.clean(answer, arn):
        return _decided(
            place, journal, intent, operation.done, deletion_date=answer.get("DeletionDate")
        )
    return decide(place, journal, intent, operation, failure)


def decide(
    place: Place,
    journal: Journal,
    intent: IntentLine,
    operation: Operation,
    failure: Failure | None,
) -> KeyResult:
    """Let DescribeKey say what became of an intent whose answer was not clean, or never came."""
    refused = failure is not None and _refused(failure)
    seen: KeyDescription | NotFound | None = None
    for pause in READ_BACK_PAUSES[:1] if refused else READ_BACK_PAUSES:
        time.sleep(pause)
        try:
            seen = describe(place, intent.key_arn)
        except (ClientError, BotoCoreError, CutAnswer):
            continue
        if isinstance(seen, NotFound) or operation.took_effect(seen, intent):
            break
    why = _why(failure, place, operation)
    if seen is None:
        return KeyResult(
            key_arn=intent.key_arn,
            outcome=Outcome.FAILED,
            message=f"{why}; whether it took effect is not known, since DescribeKey did not answer "
            "either: run the same command again",
        )
    if isinstance(seen, NotFound):
        return _decided(
            place, journal, intent, Outcome.FAILED, message=f"{why}; AWS knows no such key"
        )
    if operation is SCHEDULE and refused and seen.key_state in PENDING:
        return _decided(
            place,
            journal,
            intent,
            Outcome.ALREADY_PENDING,
            deletion_date=seen.deletion_date,
            message="somebody else scheduled it",
        )
    if operation.took_effect(seen, intent) and not (refused and operation is SCHEDULE):
        return _decided(
            place,
            journal,
            intent,
            operation.done,
            deletion_date=seen.deletion_date,
            message=f"{why}; DescribeKey shows that it took effect",
        )
    if operation is SCHEDULE and seen.key_state in PENDING:
        return _decided(
            place,
            journal,
            intent,
            Outcome.ALREADY_PENDING,
            deletion_date=seen.deletion_date,
            message="pending deletion, by somebody else's request",
        )
    return _decided(
        place, journal, intent, Outcome.FAILED, message=f"{why}; the key is {seen.key_state}"
    )


def _refused(failure: Failure) -> bool:
    """Whether AWS said no: the one call that went out did nothing."""
    if not isinstance(failure, ClientError):
        return False
    status = failure.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
    return 400 <= int(status) < 500


def _decided(
    place: Place,
    journal: Journal,
    intent: IntentLine,
    outcome: Outcome,
    *,
    deletion_date: datetime | None = None,
    message: str = "",
) -> KeyResult:
    journal.outcome(
        place.clock.now(), intent, outcome, deletion_date=deletion_date, message=message
    )
    return KeyResult(
        key_arn=intent.key_arn, outcome=outcome, deletion_date=deletion_date, message=message
    )


def _why(failure: Failure | None, place: Place, operation: Operation) -> str:
    if failure is None:
        return f"the answer to {operation.name} did not come, or lacks fields"
    reason = explain(failure, place).unknown
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
