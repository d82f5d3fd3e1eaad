"""The journal: append-only JSON lines of what was done; the source for undo, status and resume.

A line is on the disk (fsync) before the call that it announces. One process writes at a time: the
lock is the operating system's and dies with the process. A last line that was torn by a kill is
read over, and said.
"""

from __future__ import annotations

import fcntl
import heapq
import os
import threading
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Annotated, Final, Literal, Self

from pydantic import Field, TypeAdapter, ValidationError

from .errors import BadInput, Refused
from .models import KeyArn, Model, Outcome, Time

DEFAULT_PATH: Final = Path("keysweep-journal.jsonl")


class RunLine(Model):
    """The start of a run of a command that writes."""

    version: Literal[1] = 1
    line: Literal["run"] = "run"
    run: str
    time: Time
    command: str
    plan_digest: str | None = None
    caller: str | None = None
    """ARN of the identity that ran it."""
    ticket: str | None = None
    approved_by: str | None = None


class IntentLine(Model):
    """A write that is about to be made."""

    version: Literal[1] = 1
    line: Literal["intent"] = "intent"
    run: str
    id: str
    time: Time
    operation: str
    """AWS's name: ScheduleKeyDeletion, CancelKeyDeletion, EnableKey, TagResource."""
    key_arn: KeyArn
    pending_window_days: int | None = None
    monthly_cost_usd: float | None = None


class OutcomeLine(Model):
    """What became of the intent with the same id."""

    version: Literal[1] = 1
    line: Literal["outcome"] = "outcome"
    run: str
    id: str
    time: Time
    operation: str
    key_arn: KeyArn
    outcome: Outcome
    deletion_date: Time | None = None
    message: str = ""


Line = Annotated[RunLine | IntentLine | OutcomeLine, Field(discriminator="line")]
_LINE: Final[TypeAdapter[RunLine | IntentLine | OutcomeLine]] = TypeAdapter(Line)


@dataclass
class KeyRecord:
    """What the journal knows of one key."""

    key_arn: KeyArn
    scheduled: IntentLine | None = None
    """The intent whose deletion stands, as far as the journal knows; None after a cancel."""
    scheduled_outcome: OutcomeLine | None = None
    plan_digest: str | None = None
    undecided: IntentLine | None = None
    """An intent without outcome: the run was killed or lost the answer."""
    undecided_digest: str | None = None
    last: OutcomeLine | None = None
    last_digest: str | None = None


@dataclass(frozen=True)
class History:
    """A journal, read."""

    keys: dict[KeyArn, KeyRecord]
    notes: tuple[str, ...] = ()
    """What a person should know about the file itself: torn lines."""


def read(paths: Sequence[Path]) -> History:
    """Read journals and merge them by time. Raises BadInput naming file and line when damaged."""
    journals: list[list[tuple[datetime, RunLine | IntentLine | OutcomeLine]]] = []
    notes: list[str] = []
    for path in paths:
        try:
            data = path.read_bytes()
        except OSError as error:
            raise BadInput(
                f"{path}: the journal cannot be read: {error.strerror}; name it with --journal"
            ) from error
        journals.append(_dated(_parse(path, data, notes)))
    merged = heapq.merge(*journals, key=lambda dated: dated[0])
    return History(_fold([line for _, line in merged]), tuple(notes))


def _dated(
    lines: Iterable[RunLine | IntentLine | OutcomeLine],
) -> list[tuple[datetime, RunLine | IntentLine | OutcomeLine]]:
    """The lines with times that never go back: within a file, its own order is the truth."""
    dated = []
    latest = datetime.min.replace(tzinfo=UTC)
    for line in lines:
        latest = max(latest, line.time)
        dated.append((latest, line))
    return dated


def _parse(
    path: Path, data: bytes, notes: list[str]
) -> Iterator[RunLine | IntentLine | OutcomeLine]:
    torn: int | None = None
    for number, raw in enumerate(data.splitlines(), start=1):
        if not raw.strip():
            continue
        try:
            line = _LINE.validate_json(raw)
        except ValidationError as error:
            if torn is not None:
                raise _damaged(path, torn) from error
            torn = number
            continue
        if torn is not None:
            # A kill tears the last line only; whatever follows it was begun by a later run.
            if not isinstance(line, RunLine):
                raise _damaged(path, torn)
            notes.append(f"{path}: line {torn} is torn and was left out; its run was interrupted")
            torn = None
        yield line
    if torn is not None:
        notes.append(f"{path}: the last line is torn and was left out; the run was interrupted")


def _damaged(path: Path, number: int) -> BadInput:
    return BadInput(
        f"{path}: line {number} is not a line of a journal of version 1; the file is damaged or "
        "foreign: restore it, or name another with --journal"
    )


def _fold(lines: Sequence[RunLine | IntentLine | OutcomeLine]) -> dict[KeyArn, KeyRecord]:
    digests = {line.run: line.plan_digest for line in lines if isinstance(line, RunLine)}
    intents = {line.id: line for line in lines if isinstance(line, IntentLine)}
    keys: dict[KeyArn, KeyRecord] = {}
    for line in lines:
        if isinstance(line, RunLine):
            continue
        record = keys.setdefault(line.key_arn, KeyRecord(line.key_arn))
        digest = digests.get(line.run)
        if isinstance(line, IntentLine):
            record.undecided, record.undecided_digest = line, digest
            continue
        if record.undecided is not None and record.undecided.id == line.id:
            record.undecided = record.undecided_digest = None
        record.last, record.last_digest = line, digest
        if line.outcome is Outcome.SCHEDULED:
            record.scheduled = intents.get(line.id)
            record.scheduled_outcome, record.plan_digest = line, digest
        elif line.outcome is Outcome.CANCELLED and line.operation == "CancelKeyDeletion":
            record.scheduled = record.scheduled_outcome = record.plan_digest = None
    return keys


@dataclass
class Journal:
    """A journal open for one run's lines. Use as a context manager; the lock ends with it."""

    path: Path
    run: str = field(default_factory=lambda: uuid.uuid4().hex)
    _handle: int = -1
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> Self:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            new = not self.path.exists()
            self._handle = os.open(self.path, flags, 0o600)
            if new:
                _sync_folder(self.path.parent)
        except OSError as error:
            raise BadInput(
                f"{self.path}: the journal cannot be written: {error.strerror}; nothing was done, "
                "name another with --journal"
            ) from error
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._handle)
            raise Refused(
                f"{self.path}: another keysweep is writing this journal; wait until it has ended"
            ) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._handle)

    def history(self) -> History:
        """What the journal says up to now."""
        return read([self.path])

    def begin(
        self,
        now: datetime,
        command: str,
        *,
        plan_digest: str | None = None,
        caller: str | None = None,
        ticket: str | None = None,
        approved_by: str | None = None,
    ) -> None:
        """Write the line that starts this run; a torn end of the file is closed off before it."""
        size = os.fstat(self._handle).st_size
        if size and os.pread(self._handle, 1, size - 1) != b"\n":
            self._append(b"\n")
        self._write(
            RunLine(
                run=self.run,
                time=now,
                command=command,
                plan_digest=plan_digest,
                caller=caller,
                ticket=ticket,
                approved_by=approved_by,
            )
        )

    def intent(
        self,
        now: datetime,
        operation: str,
        key_arn: KeyArn,
        *,
        pending_window_days: int | None = None,
        monthly_cost_usd: float | None = None,
    ) -> IntentLine:
        """Put an intent on the disk; only when this returns may the call go out."""
        line = IntentLine(
            run=self.run,
            id=uuid.uuid4().hex,
            time=now,
            operation=operation,
            key_arn=key_arn,
            pending_window_days=pending_window_days,
            monthly_cost_usd=monthly_cost_usd,
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

    def _write(self, line: RunLine | IntentLine | OutcomeLine) -> None:
        self._append(line.model_dump_json(exclude_none=True).encode() + b"\n")

    def _append(self, data: bytes) -> None:
        with self._lock:
            try:
                written = os.write(self._handle, data)
                os.fsync(self._handle)
            except OSError as error:
                raise BadInput(
                    f"{self.path}: the journal cannot be written: {error.strerror}; make room or "
                    "repair it, then run the same command again"
                ) from error
            if written != len(data):
                raise BadInput(
                    f"{self.path}: the journal took only {written} of {len(data)} bytes; make "
                    "room, then run the same command again"
                )


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
