"""Append to a locked journal, until a line cannot be written."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Final, Self

from ..errors import BadInput, KeysweepError, present
from ..models import AppliedException, KeyArn, Outcome
from .file_store import JournalUnusable
from .lines import (
    AnyLine,
    IntentLine,
    LookLine,
    OutcomeLine,
    RebuildLine,
    RunLine,
    encode,
)
from .locations import Location, exists, store_of
from .reader import History, demand_empty, read
from .store import Appender, LineNotWritten

BYTES_PER_KEY: Final = 4096
"""Upper limit for the lines of one key in one run."""


class JournalFailed(KeysweepError):
    """A line could not be written during a run. No further call may be made.

    The text is only the reason. The message to print also has `fix`.
    """

    exit_code = 1

    def __init__(self, why: str, fix: str, kind: type[KeysweepError] = BadInput) -> None:
        super().__init__(why)
        self.fix: Final = fix
        self.kind: Final = kind
        """The error to raise if this prevents the run from starting."""


@dataclass
class Journal:
    """A journal that is open for one run: a context manager that holds the lock."""

    path: Location
    run: str = field(default_factory=lambda: uuid.uuid4().hex)
    failure: JournalFailed | None = None
    """Why a line could not be written. No line is written after that."""
    left_behind: str | None = None
    """Message about a lock that could not be released."""
    known: History | None = None
    """What this run has already read from this journal, and perhaps from others."""
    _before: History | None = None
    _exceptions: dict[AppliedException, int] = field(default_factory=dict)
    """Positions in the run's line."""
    _opened: Appender | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> Self:
        self._opened = store_of(self.path).open(self.run)
        known = None if self.known is None else self.known.journals.get(self.path)
        if known is not None and known.stamp == self._opened.stamp:
            self._before = known
        return self

    @property
    def _appender(self) -> Appender:
        return present(self._opened, "the open journal")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.left_behind = self._appender.close()

    def history(self) -> History:
        """The journal as it was before this run. Read again only if it has changed since."""
        if self._before is not None:
            return self._before
        return read([self.path]) if exists(self.path) else History({})

    def begin(
        self,
        now: datetime,
        command: str,
        *,
        plan_digest: str | None = None,
        caller: str | None = None,
        ticket: str | None = None,
        approved_by: str | None = None,
        exceptions: Iterable[AppliedException] = (),
        owners: Iterable[str] = (),
        accounts: Iterable[str] = (),
        regions: Iterable[str] = (),
        follow_ups: Iterable[str] = (),
        keys: int = 0,
    ) -> None:
        """Write the first line of this run. Ends a torn line first.

        `exceptions` are those without which keys of the run would be on hold. `owners`, `accounts`
        and `regions` limit the run to a part of the plan.

        Raises BadInput if the line cannot be written, or the disk lacks space for this many keys.
        """
        self._exceptions = {one: position for position, one in enumerate(exceptions)}
        line = RunLine(
            run=self.run,
            time=now,
            command=command,
            plan_digest=plan_digest,
            caller=caller,
            ticket=ticket,
            approved_by=approved_by,
            exceptions=tuple(self._exceptions) or None,
            owners=tuple(sorted(owners)) or None,
            accounts=tuple(sorted(accounts)) or None,
            regions=tuple(sorted(regions)) or None,
            follow_ups=tuple(sorted(follow_ups)) or None,
        )
        try:
            self._appender.demand_room(keys * BYTES_PER_KEY)
            self._start_with(line)
        except LineNotWritten as error:
            raise JournalUnusable(self.path, str(error)) from error
        except JournalFailed as error:
            raise error.kind(f"{error}. Nothing was done. Fix: {error.fix}") from error

    def look(
        self, now: datetime, keys: Iterable[KeyArn], until: datetime, *, caller: str | None = None
    ) -> None:
        """Record that these keys were checked, as the only line of this run.

        Raises JournalFailed.
        """
        line = LookLine(run=self.run, time=now, caller=caller, keys=tuple(keys), until=until)
        try:
            self._start_with(line)
        except LineNotWritten as error:
            raise self._failed(error) from error

    def rebuild(self, line: RebuildLine) -> None:
        """Write the only line of this run to a journal without lines.

        Raises BadInput if the journal has lines, or the line cannot be written.
        """
        demand_empty(self.path)
        try:
            self._appender.demand_room(len(encode(line)))
            self._start_with(line)
        except LineNotWritten as error:
            raise JournalUnusable(self.path, str(error)) from error
        except JournalFailed as error:
            raise error.kind(f"{error}. Nothing was done. Fix: {error.fix}") from error

    def _start_with(self, line: RunLine | LookLine | RebuildLine) -> None:
        """Write the first line of this run. Ends a torn line first."""
        self._append((b"\n" if self._appender.is_torn() else b"") + encode(line))

    def intent(
        self,
        now: datetime,
        operation: str,
        key_arn: KeyArn,
        *,
        pending_window_days: int | None = None,
        monthly_cost_usd: float | None = None,
        alias: str | None = None,
        owner: str | None = None,
        exceptions: Iterable[AppliedException] = (),
        watch_use_from: datetime | None = None,
    ) -> IntentLine:
        """Write an intent durably. The call may be made only after this returns.

        `exceptions` are those without which the key would be on hold; `begin` must have had them.
        """
        line = IntentLine(
            run=self.run,
            id=uuid.uuid4().hex,
            time=now,
            operation=operation,
            key_arn=key_arn,
            pending_window_days=pending_window_days,
            monthly_cost_usd=monthly_cost_usd,
            alias=alias,
            owner=owner,
            exceptions=tuple(self._exceptions[one] for one in exceptions) or None,
            watch_use_from=watch_use_from,
        )
        self._write(line)
        return line

    def outcome(
        self,
        now: datetime,
        intent: IntentLine,
        outcome: Outcome,
        *,
        deletion_date: datetime | None = None,
        message: str = "",
    ) -> None:
        """Write the outcome of an intent durably."""
        self._write(
            OutcomeLine(
                run=self.run,
                id=intent.id,
                time=now,
                operation=intent.operation,
                key_arn=intent.key_arn,
                outcome=outcome,
                deletion_date=deletion_date,
                message=message,
            )
        )

    def _write(self, line: AnyLine) -> None:
        self._append(encode(line))

    def _append(self, data: bytes) -> None:
        with self._lock:
            if self.failure is None:
                try:
                    self._appender.append(data)
                except LineNotWritten as error:
                    self.failure = self._failed(error)
            if self.failure is not None:
                raise JournalFailed(str(self.failure), self.failure.fix, self.failure.kind)

    def _failed(self, error: LineNotWritten) -> JournalFailed:
        return JournalFailed(
            f"{self.path}: The journal cannot be written: {error}",
            error.fix or self._appender.fix,
            error.kind,
        )
