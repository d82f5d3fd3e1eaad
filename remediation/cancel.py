"""Undo: choose the keys whose deletion is to be cancelled, and cancel it.

A cancelled key lands in Disabled, as it was before (table of key states, AWS KMS Developer Guide).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from .aws import Accounts, Connection
from .aws.failures import explain
from .errors import AccountUnavailable, Refused, TruncatedResponse
from .evidence.description import describe
from .journal import (
    AGAIN,
    History,
    IntentLine,
    Journal,
    JournalFailed,
    KeyRecord,
    different,
    read,
)
from .lifecycle import PENDING, Situation, State, state_of
from .models import KeyArn, KeyDescription, KeyResult, NotFound, Outcome
from .work import Stop, each_key
from .write import (
    CANCEL,
    ENABLE,
    OPERATIONS,
    SCHEDULE,
    TAG,
    Operation,
    Settled,
    Write,
    await_state,
    settle,
    who_began_it,
    write,
)

LATER: Final = f"in five minutes {AGAIN}"

_ALIVE: Final = frozenset({"Disabled", "Enabled"})


def operations_after(*, keep: bool, enable: bool) -> frozenset[str]:
    """AWS's names of what follows each cancellation, as the journal notes them with a run."""
    wanted = {TAG.name: keep, ENABLE.name: enable}
    return frozenset(name for name, wish in wanted.items() if wish)


def batch(history: History, afterwards: frozenset[str] = frozenset()) -> tuple[KeyArn, ...]:
    """The keys that this journal scheduled, or may have scheduled; never `already_pending`.

    Also those that an interrupted run cancelled and left some of `afterwards` to be done.
    """
    return tuple(
        sorted(
            arn
            for arn, record in history.keys.items()
            if record.scheduled_outcome is not None
            or record.open_schedules
            or record.owed & afterwards
        )
    )


def batches(
    paths: Iterable[Path], afterwards: frozenset[str] = frozenset()
) -> Mapping[Path, Collection[KeyArn]]:
    """The batch of each journal, where what all of them say together counts.

    A key that several journals name goes to the one that scheduled it last, so that its
    cancellation stands beside its deletion.
    """
    journals = {path: read([path]) for path in different(paths)}
    alone = {path: [*batch(one, afterwards)] for path, one in journals.items()}
    if len(journals) == 1:
        return alone
    named = {path: frozenset(keys) for path, keys in alone.items()}
    found: dict[Path, list[KeyArn]] = {path: [] for path in journals}
    for arn in batch(read([*journals]), afterwards):
        holders = [path for path in journals if arn in named[path]]
        if not holders:  # it came into one of them since it was read alone
            names = ", ".join(map(str, journals))
            raise Refused(
                f"{names}: another keysweep is writing one of these journals; wait until it has "
                "ended"
            )
        found[max(holders, key=lambda path: _touched(journals[path], arn))].append(arn)
    return found


def _touched(history: History, arn: KeyArn) -> datetime:
    """When a journal last said something of a key."""
    record = history.keys[arn]
    lines = (*record.open, record.scheduled, record.last)
    return max(line.time for line in lines if line is not None)


def cancel(
    keys: Iterable[KeyArn],
    accounts: Accounts,
    journal: Journal,
    *,
    only_ours: bool,
    protected_tag: str | None = None,
    enable: bool = False,
    stop: Stop | None = None,
    done: Callable[[KeyResult], None] = lambda result: None,
) -> tuple[KeyResult, ...]:
    """Cancel the deletion of these keys; a row for each.

    With `only_ours`, an intent without outcome counts only when the key's deletion began with it.
    `protected_tag` tags the keys so that they are not planned again; `enable` enables them.
    """
    records = journal.history().keys
    wishes = _Wishes(only_ours, protected_tag, enable)

    def one(key: _Key) -> KeyResult:
        arn = key.key_arn
        try:
            connection = accounts.connect(arn)
        except AccountUnavailable as error:
            return _failed(arn, str(error))
        record = records.get(arn) or KeyRecord(arn)
        return _Work(arn, connection, journal, record, wishes).run()

    return each_key([_Key(arn) for arn in keys], one, _failed, stop=stop, done=done)


def _failed(arn: KeyArn, message: str) -> KeyResult:
    return KeyResult(key_arn=arn, outcome=Outcome.FAILED, message=message)


@dataclass(frozen=True)
class _Key:
    key_arn: KeyArn


@dataclass(frozen=True)
class _Wishes:
    """What the user asked for."""

    only_ours: bool
    protected_tag: str | None
    enable: bool

    @property
    def afterwards(self) -> frozenset[str]:
        """The operations that follow a cancellation."""
        return operations_after(keep=self.protected_tag is not None, enable=self.enable)


@dataclass(frozen=True)
class _Before:
    """What runs before this one left of a key."""

    row: KeyResult | None = None
    """Says all that there is to say; None: go on."""
    lost: tuple[IntentLine, ...] = ()
    """Cancellations of which it is not known what became, oldest first."""
    undecided: KeyResult | None = None
    """The row, unless the key is pending deletion: whether ours began is not known."""


@dataclass(frozen=True)
class _Work:
    """One key, to be cancelled."""

    arn: KeyArn
    connection: Connection
    journal: Journal
    record: KeyRecord
    wishes: _Wishes

    def run(self) -> KeyResult:
        """Settle what was begun before, cancel, and do what is wished afterwards."""
        before = self._settled()
        result = before.row or self._cancel(before)
        if result.outcome is Outcome.CANCELLED:
            return self._afterwards(result)
        return result

    def _settled(self) -> _Before:
        """Settle what was begun before, the newest first."""
        settled = [(one, *self._settle(one)) for one in reversed(self.record.open)]
        cancels = [(intent, one) for intent, operation, one in settled if operation is CANCEL]
        for _, one in cancels:
            if one.result.outcome is Outcome.CANCELLED:
                return _Before(row=one.result)
        lost = tuple(intent for intent, one in reversed(cancels) if not one.final)
        schedules = [one for _, operation, one in settled if operation is SCHEDULE]
        if not schedules or any(one.result.outcome is Outcome.SCHEDULED for one in schedules):
            return _Before(lost=lost)
        if open_still := next((one.result for one in schedules if not one.final), None):
            # The deletion may begin yet: to say now that it is not pending would be wrong.
            if self.wishes.only_ours:
                return _Before(row=open_still)
            return _Before(lost=lost, undecided=open_still)
        foreign = [one for one in schedules if one.result.outcome is Outcome.ALREADY_PENDING]
        if foreign and self.wishes.only_ours and self.record.scheduled_outcome is None:
            message = "pending by somebody else's request: left alone"
            return _Before(row=replace(foreign[0].result, message=message))
        return _Before(lost=lost)

    def _settle(self, intent: IntentLine) -> tuple[Operation, Settled]:
        operation = _operation(intent.operation)
        return operation, settle(self.connection, self.journal, intent, operation)

    def _cancel(self, before: _Before) -> KeyResult:
        try:
            seen = describe(self.connection, self.arn)
        except (ClientError, BotoCoreError, TruncatedResponse) as error:
            return _failed(self.arn, explain(error, self.connection).unreadable)
        state = state_of(self.record, seen, self.connection.clock.now())
        if isinstance(seen, NotFound):
            return _failed(self.arn, self._not_found(state))
        if state.situation in PENDING:
            return self._cancel_pending(seen, state.situation, before)
        if before.undecided is not None:
            return before.undecided
        if state.situation is Situation.LATE:
            return _failed(self.arn, f"DescribeKey does not show its deletion yet; {LATER}")
        if self.record.cancelled is not None and self.wishes.afterwards:
            return self._row(Outcome.CANCELLED, "cancelled by an earlier run")
        return self._row(Outcome.NOT_PENDING, f"the key is {seen.key_state}")

    def _cancel_pending(
        self, seen: KeyDescription, situation: Situation, before: _Before
    ) -> KeyResult:
        if self.wishes.only_ours and situation is Situation.UNDETERMINED:
            return _failed(self.arn, who_began_it(self.arn))
        if self.wishes.only_ours and situation is not Situation.OURS:
            message = (
                "pending by somebody else's request: its date is not the journal's; left "
                "alone, and --key cancels it"
            )
            return self._row(Outcome.NOT_PENDING, message)
        return write(
            self.connection, self.journal, Write(CANCEL, self.arn, earlier=before.lost), seen
        )

    def _not_found(self, state: State) -> str:
        """Nothing was cancelled: the key is deleted, or it never was in this account and Region."""
        if state.situation is Situation.DELETED and state.promised is not None:
            return f"key not found: its waiting period ended on {state.promised:%Y-%m-%d}"
        account, region = self.arn.account_region
        return (
            f"key not found in account {account}, {region}: it is deleted, or the ARN names the "
            "wrong account or Region; nothing was cancelled"
        )

    def _row(self, outcome: Outcome, message: str) -> KeyResult:
        return KeyResult(key_arn=self.arn, outcome=outcome, message=message)

    def _afterwards(self, result: KeyResult) -> KeyResult:
        """Tag and enable a cancelled key; trouble with that makes its row `failed`, and says so."""
        told = [result.message] if result.message else []
        earlier = self.record.cancelled is not None and self.record.scheduled_outcome is None
        done_before = self.record.afterwards if earlier else frozenset()
        outcome = Outcome.CANCELLED
        for operation, parameters, words in self._wanted():
            if operation.name in done_before:
                continue
            failed = self._try(operation, parameters)
            told.append(words if failed is None else f"not {words}: {failed}")
            outcome = outcome if failed is None else Outcome.FAILED
        if outcome is Outcome.FAILED:
            told.insert(0, "cancelled")
            told.append(AGAIN)
        return replace(result, outcome=outcome, message="; ".join(told))

    def _wanted(self) -> Iterable[tuple[Operation, dict[str, Any], str]]:
        if self.wishes.protected_tag is not None:
            tag = {
                "TagKey": self.wishes.protected_tag,
                "TagValue": f"cancelled {self.connection.clock.now():%Y-%m-%d}",
            }
            yield TAG, {"Tags": [tag]}, f"tagged {self.wishes.protected_tag}"
        if self.wishes.enable:
            yield ENABLE, {}, "enabled"

    def _try(self, operation: Operation, parameters: dict[str, Any]) -> str | None:
        seen = await_state(self.connection, self.arn, _ALIVE)
        if seen is None:
            return "DescribeKey does not answer"
        if operation is ENABLE and seen.key_state == "Enabled":
            return None
        try:
            result = write(
                self.connection, self.journal, Write(operation, self.arn, parameters), seen
            )
        except JournalFailed as error:
            return str(error)
        return None if result.outcome is Outcome.CANCELLED else result.message


def _operation(name: str) -> Operation:
    return next(operation for operation in OPERATIONS if operation.name == name)
