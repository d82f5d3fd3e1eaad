"""Undo: choose the keys whose deletion is to be cancelled, and cancel it.

A cancelled key lands in Disabled, as it was before (table of key states, AWS KMS Developer Guide).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from .aws import Accounts, Place
from .aws.failures import explain
from .errors import AccountUnavailable, CutAnswer
from .evidence.description import describe
from .journal import History, Journal, KeyRecord
from .models import KeyArn, KeyDescription, KeyResult, NotFound, Outcome
from .write import CANCEL, ENABLE, PENDING, SCHEDULE, TAG, Operation, Write, decide, write

WORKERS: Final = 5
"""CancelKeyDeletion's quota is 5 requests a second for an account and Region."""


def batch(history: History) -> tuple[KeyArn, ...]:
    """The keys that this journal scheduled, or may have scheduled; never `already_pending`."""
    return tuple(
        sorted(
            arn
            for arn, record in history.keys.items()
            if record.scheduled is not None or _undecided_schedule(record)
        )
    )


def cancel(
    keys: Iterable[KeyArn],
    accounts: Accounts,
    journal: Journal,
    *,
    only_ours: bool,
    protected_tag: str | None = None,
    enable: bool = False,
    done: Callable[[KeyResult], None] = lambda result: None,
) -> tuple[KeyResult, ...]:
    """Cancel the deletion of these keys; a row for each.

    With `only_ours`, an intent without outcome counts only when the key's deletion began with it.
    `protected_tag` tags the keys so that they are not planned again; `enable` enables them.
    """
    records = journal.history().keys

    def one(arn: KeyArn) -> KeyResult:
        result = _one(arn, accounts, journal, records.get(arn), only_ours=only_ours)
        if result.outcome is Outcome.CANCELLED:
            result = _afterwards(result, accounts, journal, protected_tag, enable=enable)
        done(result)
        return result

    with ThreadPoolExecutor(WORKERS) as workers:
        return tuple(workers.map(one, keys))


def _one(
    arn: KeyArn,
    accounts: Accounts,
    journal: Journal,
    record: KeyRecord | None,
    *,
    only_ours: bool,
) -> KeyResult:
    try:
        place = accounts.place(arn)
    except AccountUnavailable as error:
        return KeyResult(key_arn=arn, outcome=Outcome.FAILED, message=str(error))
    if record is not None and record.undecided is not None:
        earlier = decide(place, journal, record.undecided, _operation(record), None)
        if earlier.outcome is Outcome.CANCELLED:
            return earlier
        if only_ours and record.scheduled is None and earlier.outcome is not Outcome.SCHEDULED:
            return _not_ours(earlier)
    try:
        seen = describe(place, arn)
    except (ClientError, BotoCoreError, CutAnswer) as error:
        return KeyResult(key_arn=arn, outcome=Outcome.FAILED, message=explain(error, place).unknown)
    if isinstance(seen, NotFound):
        return KeyResult(
            key_arn=arn, outcome=Outcome.NOT_PENDING, message="AWS knows no such key (any more)"
        )
    if seen.key_state not in PENDING:
        return KeyResult(
            key_arn=arn, outcome=Outcome.NOT_PENDING, message=f"the key is {seen.key_state}"
        )
    return write(place, journal, Write(CANCEL, arn), seen)


def _not_ours(earlier: KeyResult) -> KeyResult:
    if earlier.outcome is Outcome.FAILED:
        return earlier.model_copy(update={"outcome": Outcome.NOT_PENDING})
    return earlier.model_copy(update={"message": "pending by somebody else's request: left alone"})


def _operation(record: KeyRecord) -> Operation:
    assert record.undecided is not None
    return next(o for o in (SCHEDULE, CANCEL, ENABLE, TAG) if o.name == record.undecided.operation)


def _undecided_schedule(record: KeyRecord) -> bool:
    return record.undecided is not None and record.undecided.operation == SCHEDULE.name


def _afterwards(
    result: KeyResult,
    accounts: Accounts,
    journal: Journal,
    protected_tag: str | None,
    *,
    enable: bool,
) -> KeyResult:
    """Tag and enable a cancelled key; trouble with that makes its row `failed`, and says so."""
    arn = result.key_arn
    place = accounts.place(arn)
    told = [result.message] if result.message else []
    wishes: list[tuple[Write, str]] = []
    if protected_tag is not None:
        tag = {"TagKey": protected_tag, "TagValue": f"cancelled {place.clock.now():%Y-%m-%d}"}
        wishes.append((Write(TAG, arn, {"Tags": [tag]}), f"tagged {protected_tag}"))
    if enable:
        wishes.append((Write(ENABLE, arn), "enabled"))
    outcome = Outcome.CANCELLED
    for wish, words in wishes:
        failed = _try(place, journal, wish)
        told.append(words if failed is None else f"not {words}: {failed}")
        outcome = outcome if failed is None else Outcome.FAILED
    if outcome is Outcome.FAILED:
        told.insert(0, "cancelled")
    return result.model_copy(update={"outcome": outcome, "message": "; ".join(told)})


def _try(place: Place, journal: Journal, wish: Write) -> str | None:
    try:
        seen = describe(place, wish.key_arn)
    except (ClientError, BotoCoreError, CutAnswer) as error:
        return explain(error, place).unknown
    assert isinstance(seen, KeyDescription)
    result = write(place, journal, wish, seen)
    return None if result.outcome is Outcome.CANCELLED else result.message
