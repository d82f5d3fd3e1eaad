"""Undo: choose the keys whose deletion to cancel, and cancel it.

A cancelled key becomes Disabled, as before ("Key states of AWS KMS keys", AWS KMS Developer Guide).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from .aws import Accounts, Connection
from .aws.failures import explain
from .errors import RUN_AGAIN, AccountUnavailable, TruncatedResponse
from .evidence.description import describe
from .journal import History, IntentLine, Journal, JournalFailed, KeyRecord, Location
from .lifecycle import (
    CANCELLED_A_MOMENT_AGO,
    KEY_NOT_FOUND,
    LOOK_AGAIN,
    PENDING,
    SCHEDULED_ELSEWHERE,
    Situation,
    State,
    state_of,
    undetermined_origin,
    was_cancelled_a_moment_ago,
)
from .models import KeyArn, KeyDescription, KeyResult, NotFound, Outcome
from .runner import Stop, each_key
from .write import (
    ALIVE,
    CANCEL,
    ENABLE,
    OPERATIONS,
    SCHEDULE,
    TAG,
    Operation,
    Reconciliation,
    Write,
    await_state,
    await_visible,
    reconcile,
    write,
)

_LEFT_ALONE: Final = f"{SCHEDULED_ELSEWHERE}; left alone. Fix: cancel it with --key"


class Batch(NamedTuple):
    """Keys whose deletion to cancel, and the journal that records it."""

    journal: Location
    keys: Sequence[KeyArn]
    only_ours: bool


def follow_ups(*, keep: bool, enable: bool) -> frozenset[str]:
    """AWS operations that follow each cancellation, as recorded with the run."""
    requested = {TAG.name: keep, ENABLE.name: enable}
    return frozenset(name for name, is_requested in requested.items() if is_requested)


def batch(history: History, requested: frozenset[str] = frozenset()) -> tuple[KeyArn, ...]:
    """The keys that the journals scheduled, or may have scheduled; never `already_pending`.

    Includes those that an interrupted run cancelled without some of the `requested` follow-ups.
    """
    return tuple(sorted(arn for arn in history.keys if _is_in_batch(history, arn, requested)))


def _is_in_batch(history: History, arn: KeyArn, requested: frozenset[str]) -> bool:
    record = history.keys.get(arn)
    return record is not None and bool(
        record.scheduled_outcome is not None
        or record.open_schedules
        or record.follow_ups_left & requested
    )


def batches(
    history: History, requested: frozenset[str] = frozenset()
) -> Mapping[Location, Collection[KeyArn]]:
    """The batch of each journal, decided by all journals together.

    A key in several journals goes to the one that scheduled it last, so that its cancellation
    stands beside its deletion.
    """
    journals = history.journals
    found: dict[Location, list[KeyArn]] = {path: [] for path in journals}
    for arn in batch(history, requested):
        holders = [path for path in journals if _is_in_batch(journals[path], arn, requested)]
        naming = holders or [path for path in journals if arn in journals[path].keys]
        found[max(naming, key=lambda path: _last_line(journals[path], arn))].append(arn)
    return found


def _last_line(history: History, arn: KeyArn) -> datetime:
    """Time of the last line about a key."""
    record = history.keys[arn]
    lines = (*record.open, record.scheduled, record.last)
    return max(line.time for line in lines if line is not None)


def deletion_dates(keys: Sequence[KeyArn], accounts: Accounts) -> Mapping[KeyArn, datetime | None]:
    """Deletion dates to confirm, from DescribeKey; None: not pending, or could not be read."""

    def one(key: _Key) -> datetime | None:
        try:
            seen = describe(accounts.connect(key.key_arn.account_region), key.key_arn)
        except (AccountUnavailable, ClientError, BotoCoreError, TruncatedResponse):
            return None
        return seen.deletion_date if isinstance(seen, KeyDescription) else None

    dates = each_key([_Key(arn) for arn in keys], one, lambda arn, why: None)
    return dict(zip(keys, dates, strict=True))


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

    `only_ours` leaves alone every deletion that the journal did not begin. `protected_tag` tags the
    keys so that no plan schedules them again; `enable` enables them.
    """
    records = journal.history().keys
    request = _Request(only_ours, protected_tag, enable)

    def one(key: _Key) -> KeyResult:
        arn = key.key_arn
        try:
            connection = accounts.connect(arn.account_region)
        except AccountUnavailable as error:
            return _failed(arn, str(error))
        record = records.get(arn) or KeyRecord(arn)
        return _Cancelling(arn, connection, journal, record, request).run()

    return each_key([_Key(arn) for arn in keys], one, _failed, stop=stop, done=done)


def _failed(arn: KeyArn, message: str) -> KeyResult:
    return KeyResult(key_arn=arn, outcome=Outcome.FAILED, message=message)


@dataclass(frozen=True)
class _Key:
    key_arn: KeyArn


@dataclass(frozen=True)
class _Request:
    """Options of the run."""

    only_ours: bool
    protected_tag: str | None
    enable: bool

    @property
    def follow_ups(self) -> frozenset[str]:
        """Operations that follow a cancellation."""
        return follow_ups(keep=self.protected_tag is not None, enable=self.enable)


@dataclass(frozen=True)
class _Before:
    """What earlier runs left to do for a key."""

    row: KeyResult | None = None
    """The final row; None: go on."""
    lost: tuple[IntentLine, ...] = ()
    """Open cancellations, oldest first."""
    undecided: KeyResult | None = None
    """The row if the key is not pending deletion: the journal's deletion may begin yet."""


@dataclass(frozen=True)
class _Cancelling:
    """Cancellation of the deletion of one key."""

    arn: KeyArn
    connection: Connection
    journal: Journal
    record: KeyRecord
    request: _Request

    def run(self) -> KeyResult:
        """Reconcile open intents, cancel, and run the follow-ups."""
        before = self._reconcile_all()
        result = before.row or self._cancel(before)
        if result.outcome is Outcome.CANCELLED:
            return self._follow_up(result)
        return result

    def _reconcile_all(self) -> _Before:
        """Reconcile open intents, the newest first."""
        cancels: list[tuple[IntentLine, Reconciliation]] = []
        schedules: list[Reconciliation] = []
        for intent in reversed(self.record.open):
            operation = _operation(intent.operation)
            done = reconcile(self.connection, self.journal, intent, operation)
            if operation is CANCEL and done.result.outcome is Outcome.CANCELLED:
                return _Before(row=done.result)  # its outcome closes the earlier ones
            if operation is CANCEL:
                cancels.append((intent, done))
            elif operation is SCHEDULE:
                schedules.append(done)
        lost = tuple(intent for intent, one in reversed(cancels) if not one.final)
        if not schedules or any(one.result.outcome is Outcome.SCHEDULED for one in schedules):
            return _Before(lost=lost)
        if open_still := next((one.result for one in schedules if not one.final), None):
            # The deletion may begin yet: reporting "not pending" now would be wrong.
            if self.request.only_ours:
                return _Before(row=open_still)
            return _Before(lost=lost, undecided=open_still)
        foreign = [one for one in schedules if one.result.outcome is Outcome.ALREADY_PENDING]
        if foreign and self.request.only_ours and self.record.scheduled_outcome is None:
            return _Before(row=replace(foreign[0].result, message=_LEFT_ALONE))
        return _Before(lost=lost)

    def _cancel(self, before: _Before) -> KeyResult:
        try:
            seen = describe(self.connection, self.arn)
        except (ClientError, BotoCoreError, TruncatedResponse) as error:
            return _failed(self.arn, explain(error, self.connection).unreadable)
        state = state_of(self.record, seen, self.connection.clock.now())
        if state.situation not in PENDING and (arrived := self._arrived(before)) is not None:
            return arrived
        seen, state = await_visible(self.connection, self.record, seen, state)
        if isinstance(seen, NotFound):
            return _failed(self.arn, self._not_found(state))
        if state.situation in PENDING:
            return self._cancel_pending(seen, state.situation, before)
        if before.undecided is not None:
            return before.undecided
        if state.situation is Situation.NOT_VISIBLE_YET:
            return _failed(self.arn, LOOK_AGAIN)
        if self.record.cancelled is not None and self.request.follow_ups:
            return self._row(Outcome.CANCELLED, "Cancelled by an earlier run")
        return self._row(Outcome.UNCHANGED, f"The key is {seen.key_state}")

    def _arrived(self, before: _Before) -> KeyResult | None:
        """The row of a lost cancellation that took effect after it was reconciled."""
        for intent in reversed(before.lost):
            result = reconcile(self.connection, self.journal, intent, CANCEL).result
            if result.outcome is Outcome.CANCELLED:
                return result
        return None

    def _cancel_pending(
        self, seen: KeyDescription, situation: Situation, before: _Before
    ) -> KeyResult:
        if self.request.only_ours and situation is Situation.UNDETERMINED:
            return _failed(self.arn, undetermined_origin(self.arn, self.connection.access))
        if self.request.only_ours and situation is not Situation.OURS:
            if was_cancelled_a_moment_ago(self.record, self.connection.clock.now()):
                return _failed(self.arn, CANCELLED_A_MOMENT_AGO)
            return self._row(Outcome.UNCHANGED, _LEFT_ALONE)
        return write(
            self.connection, self.journal, Write(CANCEL, self.arn, earlier=before.lost), seen
        )

    def _not_found(self, state: State) -> str:
        """Message for a key that is deleted, or never was in this account-Region."""
        if state.situation is Situation.DELETED and state.promised is not None:
            return f"{KEY_NOT_FOUND}: its waiting period ended on {state.promised:%Y-%m-%d}"
        return (
            f"{KEY_NOT_FOUND} in account {self.arn.account_id}, {self.arn.region}; nothing was "
            "cancelled. It is deleted, or the ARN has the wrong account or Region"
        )

    def _row(self, outcome: Outcome, message: str) -> KeyResult:
        return KeyResult(key_arn=self.arn, outcome=outcome, message=message)

    def _follow_up(self, result: KeyResult) -> KeyResult:
        """Tag and enable a cancelled key; a failure makes its row `failed`."""
        messages = [result.message] if result.message else []
        earlier = self.record.cancelled is not None and self.record.scheduled_outcome is None
        done_before = self.record.follow_ups_done if earlier else frozenset()
        failed = False
        for operation, parameters, effect in self._operations():
            if operation.name in done_before:
                continue
            why = self._try(operation, parameters)
            messages.append(effect if why is None else f"{operation.name} failed: {why}")
            failed = failed or why is not None
        if failed:
            messages = ["Cancelled", *messages, f"Fix: {RUN_AGAIN}"]
        outcome = Outcome.FAILED if failed else Outcome.CANCELLED
        return replace(result, outcome=outcome, message=". ".join(messages))

    def _operations(self) -> Iterable[tuple[Operation, dict[str, Any], str]]:
        if self.request.protected_tag is not None:
            tag = {
                "TagKey": self.request.protected_tag,
                "TagValue": f"cancelled {self.connection.clock.now():%Y-%m-%d}",
            }
            yield TAG, {"Tags": [tag]}, f"Tagged {self.request.protected_tag}"
        if self.request.enable:
            yield ENABLE, {}, "Enabled"

    def _try(self, operation: Operation, parameters: dict[str, Any]) -> str | None:
        seen = await_state(self.connection, self.arn, ALIVE)
        if seen is None:
            return "DescribeKey did not answer"
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
