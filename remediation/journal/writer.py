"""Append to a journal: lock, fsync, and stop after the first line that could not be written."""

from __future__ import annotations

import errno
import fcntl
import os
import threading
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from ..errors import RUN_AGAIN, BadInput, KeysweepError, Refused
from ..models import AppliedException, KeyArn, Outcome
from .lines import AnyLine, IntentLine, LookLine, OutcomeLine, RunLine, encode
from .reader import History, read, stamp_of

BYTES_PER_KEY: Final = 4096
"""Upper bound for the lines of one key in one run."""


class JournalFailed(KeysweepError):
    """A line could not be written during a run; no further call may be made.

    The text is the reason alone: the message that it becomes part of ends with `fix`.
    """

    exit_code = 1
    fix: Final = f"free some space or repair the disk, then {RUN_AGAIN}"


class JournalUnusable(BadInput):
    """The file cannot be written to; no line was."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(
            f"{path}: The journal cannot be written: {why}. Nothing was done. "
            "Fix: name another file with --journal."
        )
        self.why: Final = why


@dataclass
class Journal:
    """A journal open for one run, as a context manager that holds its lock."""

    path: Path
    run: str = field(default_factory=lambda: uuid.uuid4().hex)
    failure: str | None = None
    """Text of the JournalFailed of a line that could not be written; from then on, none is."""
    known: History | None = None
    """What this run has already read, of this journal and perhaps others."""
    _before: History | None = None
    _exceptions: dict[AppliedException, int] = field(default_factory=dict)
    """Positions in the run's line."""
    _handle: int = -1
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> Self:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            self._handle = os.open(self.path, flags, 0o600)
        except OSError as error:
            raise self._unusable(error) from error
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._handle)
            if isinstance(error, BlockingIOError):
                raise Refused(
                    f"{self.path}: Another keysweep is writing to this journal. Wait until it ends."
                ) from error
            raise self._unusable(error) from error
        try:
            # Even when the file is not new: a run that was killed may have made it a moment ago.
            _sync_folder(self.path.absolute().parent)
            _sync_folder(self.path.absolute().parent.parent)
        except OSError as error:
            os.close(self._handle)
            raise self._unusable(error) from error
        known = None if self.known is None else self.known.journals.get(self.path)
        if known is not None and known.stamp == stamp_of(self._handle):
            self._before = known
        return self

    def _unusable(self, error: OSError) -> JournalUnusable:
        link = error.errno == errno.ELOOP
        why = "it is a symbolic link, which is not followed" if link else error.strerror
        return JournalUnusable(self.path, why or str(error))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._handle)

    def history(self) -> History:
        """What the journal said before this run: read again only if it changed meanwhile."""
        return read([self.path]) if self._before is None else self._before

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
        """Write the first line of this run, after closing off a torn line.

        `exceptions` are those on which keys of the run rest. `owners`, `accounts` and `regions`
        are the part of the plan to which the run is limited.

        Raises BadInput when it cannot be written, or the disk has no room for this many keys.
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
            self._demand_room(keys * BYTES_PER_KEY)
            self._start_with(line)
        except OSError as error:
            raise self._unusable(error) from error
        except JournalFailed as error:
            raise BadInput(f"{error}. Nothing was done. Fix: {error.fix}") from error

    def look(
        self, now: datetime, keys: Iterable[KeyArn], until: datetime, *, caller: str | None = None
    ) -> None:
        """Write that these keys were checked; the only line of its run.

        Raises JournalFailed.
        """
        line = LookLine(run=self.run, time=now, caller=caller, keys=tuple(keys), until=until)
        try:
            self._start_with(line)
        except OSError as error:
            raise JournalFailed(error.strerror or str(error)) from error

    def _start_with(self, line: RunLine | LookLine) -> None:
        """Write the first line of this run, after closing off a torn line."""
        size = os.fstat(self._handle).st_size
        torn = size > 0 and os.pread(self._handle, 1, size - 1) != b"\n"
        self._append((b"\n" if torn else b"") + encode(line))

    def _demand_room(self, size: int) -> None:
        disk = os.fstatvfs(self._handle)
        room = disk.f_bavail * disk.f_frsize
        if size > room:
            raise BadInput(
                f"{self.path}: The journal needs {size // 1024} KB for this run; its disk has "
                f"{room // 1024} KB free. Nothing was done. Fix: free some space, or name another "
                "file with --journal."
            )

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
        """Put an intent on the disk; the call may go out only after this returns.

        `exceptions` are those on which the key rests, all given to `begin`.
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
        """Put the outcome of an intent on the disk."""
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
                    written = os.write(self._handle, data)
                    os.fsync(self._handle)
                    if written != len(data):
                        self._fail(f"only {written} of {len(data)} bytes were written")
                except OSError as error:
                    self._fail(error.strerror or str(error))
            if self.failure is not None:
                raise JournalFailed(self.failure)

    def _fail(self, why: str) -> None:
        self.failure = f"{self.path}: The journal cannot be written: {why}"


def _sync_folder(folder: Path) -> None:
    """Put the names in a folder on the disk, if the file system and permissions allow it."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except PermissionError:
        return  # it can be entered, but not read
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:  # not supported by the file system
            raise
    finally:
        os.close(handle)
