"""The journal: append-only JSON lines of what was done; the source for undo, status and resume.

A line is on the disk (fsync) before the call that it announces. One process writes at a time: the
lock is the operating system's and dies with the process. A last line that was torn by a kill is
read over, and said. After a write that failed, nothing is written any more.
"""

from __future__ import annotations

import errno
import fcntl
import heapq
import json
import os
import threading
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Annotated, Final, Literal, Self

from pydantic import Field, TypeAdapter
from pydantic.dataclasses import dataclass as pydantic_dataclass

from . import strict_json
from .errors import BadInput, KeysweepError, Refused
from .files import ascii_json
from .models import SLIM, KeyArn, Outcome, Time
from .strict_json import RepeatedName

DEFAULT_PATH: Final = Path("keysweep-journal.jsonl")

AGAIN: Final = "run the same command again"

USE_SHOWS_LATE: Final = timedelta(minutes=60)
"""How late AWS may show the use of a key: GetKeyLastUsage by an hour, CloudTrail by some 15 minutes
("How CloudTrail works", AWS CloudTrail User Guide)."""

ROOM_FOR_A_KEY: Final = 4096
"""Bytes that the lines of one key take at most, in one run."""


class JournalFailed(KeysweepError):
    """A line could not be written in the middle of a run: nothing more may be done."""

    exit_code = 1


@pydantic_dataclass(frozen=True, slots=True, kw_only=True, config=SLIM)
class RunLine:
    """The start of a run of a command that writes."""

    version: Literal[1] = 1
    """Version of the format."""
    line: Literal["run"] = "run"
    """Tells the kinds of line apart."""
    run: str
    """Id of the run, in all of its lines."""
    time: Time
    """When the line was written, by AWS's clock."""
    command: str
    """`apply`, `cancel` or `guard`."""
    plan_digest: str | None = None
    """Of the plan that was applied; only with `apply`."""
    caller: str | None = None
    """ARN of the identity that ran it; absent when it could not be told."""
    ticket: str | None = None
    """The change ticket, as given with `--ticket`."""
    approved_by: str | None = None
    """Who approved it, as given with `--approved-by`."""
    afterwards: tuple[str, ...] | None = None
    """What follows each cancellation of this run: TagResource with `--keep`, EnableKey with
    `--enable`."""


@pydantic_dataclass(frozen=True, slots=True, kw_only=True, config=SLIM)
class IntentLine:
    """A write that is about to be made."""

    version: Literal[1] = 1
    """Version of the format."""
    line: Literal["intent"] = "intent"
    """Tells the kinds of line apart."""
    run: str
    """Id of the run, in all of its lines."""
    id: str
    """Its outcome has the same."""
    time: Time
    """When the line was written, by AWS's clock."""
    operation: str
    """AWS's name: ScheduleKeyDeletion, CancelKeyDeletion, EnableKey, TagResource."""
    key_arn: KeyArn
    """ARN of the key."""
    pending_window_days: int | None = None
    """Days of waiting that are sent, 7 to 30; only with ScheduleKeyDeletion."""
    monthly_cost_usd: float | None = None
    """List price in US dollars a month of the key; only with ScheduleKeyDeletion."""
    watch_use_from: Time | None = None
    """Uses of the key from then on may not have been seen: when `apply` last began to read them,
    minus 60 minutes. Only with ScheduleKeyDeletion; absent in older journals."""


@pydantic_dataclass(frozen=True, slots=True, kw_only=True, config=SLIM)
class OutcomeLine:
    """What became of the intent with the same id."""

    version: Literal[1] = 1
    """Version of the format."""
    line: Literal["outcome"] = "outcome"
    """Tells the kinds of line apart."""
    run: str
    """Id of the run that writes this line; a later one may settle what another began."""
    id: str
    """Of its intent."""
    time: Time
    """When the line was written, by AWS's clock."""
    operation: str
    """The intent's."""
    key_arn: KeyArn
    """The intent's."""
    outcome: Outcome
    """What became of it."""
    deletion_date: Time | None = None
    """When AWS deletes the key, where that is known."""
    message: str = ""
    """Why, as a clause for people; empty when there is nothing to add."""


AnyLine = RunLine | IntentLine | OutcomeLine

Line = Annotated[AnyLine, Field(discriminator="line")]
_LINE: Final[TypeAdapter[AnyLine]] = TypeAdapter(Line)

_SCHEDULE: Final = "ScheduleKeyDeletion"
_CANCEL: Final = "CancelKeyDeletion"


_NOTHING: Final = frozenset[str]()
"""One for all keys: Python makes a new empty set, of 200 bytes, each time that it is asked."""


@dataclass(slots=True)
class KeyRecord:
    """What the journal knows of one key."""

    key_arn: KeyArn
    scheduled: IntentLine | None = None
    """The intent whose deletion stands, as far as the journal knows; None after a cancel."""
    scheduled_outcome: OutcomeLine | None = None
    plan_digest: str | None = None
    open: tuple[IntentLine, ...] = ()
    """Intents without outcome, oldest first: runs were killed, or lost the answer. What became of
    each is not known, whatever became of the calls that were made after it."""
    open_digests: frozenset[str] = _NOTHING
    """Of the plans that they belong to."""
    cancelled: OutcomeLine | None = None
    """The last cancellation, until the key is scheduled again."""
    wished: frozenset[str] = _NOTHING
    """Operations that were to follow that cancellation."""
    afterwards: frozenset[str] = _NOTHING
    """Operations that were done since that cancellation."""
    last: OutcomeLine | None = None

    @property
    def owed(self) -> frozenset[str]:
        """Operations that were to follow the cancellation, and were not done."""
        return self.wished - self.afterwards

    @property
    def undo_failed(self) -> bool:
        """Whether the deletion stands although its cancellation was tried, or wanted, since."""
        last = self.last
        if self.scheduled_outcome is None or last is None:
            return False
        return last.operation == _CANCEL and last.outcome is Outcome.FAILED

    @property
    def interrupted(self) -> str:
        """What was interrupted, and the run that finishes it; empty when nothing was."""
        if self.undecided is None:
            return ""
        operation = self.undecided.operation
        if operation == _SCHEDULE:
            mend = "run keysweep apply with its plan again, or keysweep cancel --journal FILE"
        else:
            mend = "run the keysweep cancel or guard that began it again"
        return f"{operation} was interrupted: {mend}"

    @property
    def open_schedules(self) -> tuple[IntentLine, ...]:
        """The open intents that may have begun a deletion, oldest first."""
        return tuple(intent for intent in self.open if intent.operation == _SCHEDULE)

    @property
    def watch_use_from(self) -> datetime | None:
        """From when uses of the key may not have been seen before its deletion began; None: the
        journal began none."""
        begun = (*self.open_schedules, *filter(None, (self.scheduled,)))
        moments = (one.watch_use_from or one.time - USE_SHOWS_LATE for one in begun)
        return min(moments, default=None)

    @property
    def undecided(self) -> IntentLine | None:
        """The open intent that counts most: the newest that may have begun a deletion."""
        return max(self.open_schedules or self.open, key=lambda one: one.time, default=None)


@dataclass(frozen=True)
class History:
    """A journal, read."""

    keys: dict[KeyArn, KeyRecord]
    notes: tuple[str, ...] = ()
    """What a person should know about the file itself: torn lines."""
    problems: tuple[str, ...] = ()
    """What no run of keysweep leaves behind: lines that are missing, doubled or altered."""

    def left_open(self, plan_digest: str) -> frozenset[KeyArn]:
        """The keys of this plan with an intent whose outcome is not known, or whose deletion
        stands although it was to be cancelled at once."""
        return frozenset(
            arn
            for arn, record in self.keys.items()
            if plan_digest in record.open_digests
            or (record.undo_failed and record.plan_digest == plan_digest)
        )


def read(paths: Sequence[Path]) -> History:
    """Read journals and merge them by time. Raises BadInput naming file and line when damaged."""
    files = [_File(path) for path in different(paths)]
    merged = heapq.merge(*(file.lines() for file in files), key=lambda dated: dated[0])
    keys = _fold(line for _, line in merged)
    return History(
        keys,
        tuple(note for file in files for note in file.notes),
        tuple(f"{file.path}: {problem}" for file in files for problem in file.problems),
    )


def read_whole(path: Path) -> History:
    """The journal to write to; nothing where there is none yet. Raises BadInput for one with
    problems: what is written after lines that are missing or altered may be taken wrongly."""
    history = read([path]) if exists(path) else History({})
    if history.problems:
        raise BadInput(
            f"{'; '.join(history.problems)}; nothing was done: restore the journal, or name a new "
            "one with --journal"
        )
    return history


def exists(path: Path) -> bool:
    """Whether there is such a file; a name that cannot be one is told when it is opened."""
    try:
        return path.exists()
    except OSError:
        return False


def different(paths: Iterable[Path]) -> tuple[Path, ...]:
    """The paths without those that lead to a file named before."""
    return tuple({os.path.realpath(path): path for path in reversed([*paths])}.values())[::-1]


class _File:
    """One journal while it is read, a line at a time, and what is to be said about it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.notes: list[str] = []
        """Torn lines."""
        self.problems: list[str] = []
        """What is wrong between its lines."""
        self._order = _Order()

    def lines(self) -> Iterator[tuple[datetime, AnyLine]]:
        """The lines with times that never go back: within a file, its own order is the truth."""
        latest = datetime.min.replace(tzinfo=UTC)
        for number, line in self._parsed():
            self.problems += (f"line {number} {wrong}" for wrong in self._order.take(line))
            if not isinstance(line, RunLine):  # its time is this machine's when AWS does not answer
                latest = max(latest, line.time)
            yield latest, line

    def _parsed(self) -> Iterator[tuple[int, AnyLine]]:
        torn: int | None = None
        ours = False
        for number, raw in enumerate(self._raw(), start=1):
            if not raw.strip():
                continue
            try:
                line = _line(raw)
            except ValueError as error:
                if _is_newer(raw):
                    raise BadInput(
                        f"{self.path}: line {number} was written by a newer keysweep; update this "
                        "one"
                    ) from error
                is_torn = _is_torn(raw)
                if not ours and not is_torn:
                    raise _foreign(self.path, number, _repeated(error)) from error
                if torn is not None:
                    self._left_out(torn, killed=_is_torn(raw, _RUN))
                torn = number if is_torn else None
                if not is_torn:
                    self._left_out(number, killed=False, why=_repeated(error))
                continue
            ours = True
            if torn is not None:
                # A kill tears the last line only; whatever follows it was begun by a later run.
                self._left_out(torn, killed=isinstance(line, RunLine))
                torn = None
            yield number, line
        if torn is not None:
            self.notes.append(
                f"{self.path}: the last line is torn and was left out; the run was interrupted"
            )

    def _left_out(self, number: int, *, killed: bool, why: str = "") -> None:
        if killed:
            self.notes.append(
                f"{self.path}: line {number} is torn and was left out; its run was interrupted"
            )
        else:
            self.problems.append(
                f"line {number} is altered, no line of a journal{why}, and left out"
            )

    def _raw(self) -> Iterator[bytes]:
        if exists(self.path) and not (self.path.is_file() or self.path.is_dir()):
            raise BadInput(f"{self.path}: is no file, so no journal; name another with --journal")
        try:
            with self.path.open("rb") as file:
                for raw in file:
                    yield raw.rstrip(b"\r\n")
        except OSError as error:
            raise BadInput(
                f"{self.path}: the journal cannot be read: {error.strerror}; name it with --journal"
            ) from error


_BEGINNING: Final = b'{"version":1,"line":"'
"""Of every line, as it is written."""

_RUN: Final = _BEGINNING + b'run"'
"""Of the line that begins a run: the only one that may follow a torn one, whole or torn itself."""


def _line(raw: bytes) -> AnyLine:
    """The line. Raises ValueError for anything else, and RepeatedName for a name given twice."""
    line = _LINE.validate_json(raw)
    strict_json.loads(raw)
    return line


def _is_torn(raw: bytes, beginning: bytes = _BEGINNING) -> bool:
    """Whether this is the beginning of a line, and neither something else nor a whole document; a
    disk that lost its power may end it with zeros."""
    begun = raw.rstrip(b"\0")
    if not (begun.startswith(beginning) or beginning.startswith(begun)):
        return False
    try:
        json.loads(begun)
    except (ValueError, RecursionError):
        return True
    return False


def _is_newer(raw: bytes) -> bool:
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):
        return False
    version = document.get("version") if isinstance(document, dict) else None
    return isinstance(version, int) and version > 1


def _repeated(error: ValueError) -> str:
    return f" ({error})" if isinstance(error, RepeatedName) else ""


def _foreign(path: Path, number: int, why: str) -> BadInput:
    return BadInput(
        f"{path}: line {number} is not a line of a journal of version 1{why}; the file is damaged "
        "or foreign: restore it, or name another with --journal"
    )


class _Order:
    """What must hold between the lines of one file."""

    def __init__(self) -> None:
        self._runs: set[str] = set()
        self._open: dict[str, tuple[KeyArn, str]] = {}
        self._decided: set[str] = set()

    def take(self, line: AnyLine) -> Iterator[str]:
        """What is wrong with a line after those before it; clauses that continue "line 7 "."""
        if isinstance(line, RunLine):
            if line.run in self._runs:
                yield "begins a run that was begun before"
            self._runs.add(line.run)
            return
        if line.run not in self._runs:
            yield "belongs to a run that was never begun: a line is missing"
        if isinstance(line, IntentLine):
            if line.id in self._open or line.id in self._decided:
                yield "repeats an intent"
            self._open[line.id] = line.key_arn, line.operation
            return
        if line.id in self._decided:
            yield "is a second outcome of one intent"
        elif line.id not in self._open:
            yield "is an outcome without intent: a line is missing"
        elif self._open[line.id] != (line.key_arn, line.operation):
            yield "is the outcome of another key's or operation's intent"
        self._open.pop(line.id, None)
        self._decided.add(line.id)


def _fold(lines: Iterable[AnyLine]) -> dict[KeyArn, KeyRecord]:
    runs: dict[str, RunLine] = {}
    intents: dict[str, IntentLine] = {}
    keys: dict[KeyArn, KeyRecord] = {}
    for line in lines:
        if isinstance(line, RunLine):
            runs[line.run] = line
            continue
        record = keys.setdefault(line.key_arn, KeyRecord(line.key_arn))
        if isinstance(line, IntentLine):
            intents[line.id] = line
            record.open = (*record.open, line)
        else:
            intent = intents.pop(line.id, None)
            # A later run, of no plan and with other wishes, may have decided it.
            begun = runs.get(line.run if intent is None else intent.run)
            decided = runs.get(line.run)
            record.open = tuple(one for one in record.open if one.id != line.id)
            record.last = line
            _stands(record, line, intent, begun, decided)
        named = {runs[one.run].plan_digest for one in record.open if one.run in runs}
        record.open_digests = frozenset(name for name in named if name is not None) or _NOTHING
    return keys


def _stands(
    record: KeyRecord,
    line: OutcomeLine,
    intent: IntentLine | None,
    begun: RunLine | None,
    decided: RunLine | None,
) -> None:
    """Keep what stands after an outcome: a deletion, or its cancellation.

    Whatever was begun before it is settled by it: AWS schedules no key that is pending.
    """
    if line.outcome is Outcome.SCHEDULED:
        record.scheduled, record.scheduled_outcome = intent, line
        record.plan_digest = None if begun is None else begun.plan_digest
        record.cancelled, record.wished, record.afterwards = None, _NOTHING, _NOTHING
        _settles(record, intent)
    elif line.outcome is Outcome.CANCELLED and line.operation == _CANCEL:
        record.scheduled = record.scheduled_outcome = record.plan_digest = None
        record.cancelled, record.afterwards = line, _NOTHING
        wishes = [run.afterwards or () for run in (begun, decided) if run is not None]
        record.wished = _NOTHING.union(*wishes)
        _settles(record, intent)
    elif line.outcome is Outcome.CANCELLED:
        record.afterwards |= {line.operation}
        record.open = tuple(one for one in record.open if one.operation != line.operation)


def _settles(record: KeyRecord, intent: IntentLine | None) -> None:
    if intent is not None:
        record.open = tuple(one for one in record.open if one.time > intent.time)


@dataclass
class Journal:
    """A journal open for one run's lines. Use as a context manager; the lock ends with it."""

    path: Path
    run: str = field(default_factory=lambda: uuid.uuid4().hex)
    failure: str | None = None
    """Why a line could not be written; nothing is, from then on."""
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
                    f"{self.path}: another keysweep is writing this journal; wait until it has "
                    "ended"
                ) from error
            raise self._unusable(error) from error
        try:
            # Even when the file is not new: a run that was killed may have made it a moment ago.
            _sync_folder(self.path.absolute().parent)
            _sync_folder(self.path.absolute().parent.parent)
        except OSError as error:
            os.close(self._handle)
            raise self._unusable(error) from error
        return self

    def _unusable(self, error: OSError) -> BadInput:
        what = "is a link, which is not followed" if error.errno == errno.ELOOP else error.strerror
        return BadInput(
            f"{self.path}: the journal cannot be written: {what}; nothing was done, name another "
            "with --journal"
        )

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
        afterwards: Iterable[str] = (),
        keys: int = 0,
    ) -> None:
        """Write the line that starts this run; a torn end of the file is closed off before it.

        Raises BadInput when it cannot be written, or has no room for the lines of so many keys.
        """
        line = RunLine(
            run=self.run,
            time=now,
            command=command,
            plan_digest=plan_digest,
            caller=caller,
            ticket=ticket,
            approved_by=approved_by,
            afterwards=tuple(sorted(afterwards)) or None,
        )
        try:
            self._demand_room(keys * ROOM_FOR_A_KEY)
            size = os.fstat(self._handle).st_size
            torn = size > 0 and os.pread(self._handle, 1, size - 1) != b"\n"
            self._append((b"\n" if torn else b"") + _json(line))
        except OSError as error:
            raise self._unusable(error) from error
        except JournalFailed as error:
            raise BadInput(f"{error}; nothing was done") from error

    def _demand_room(self, size: int) -> None:
        disk = os.fstatvfs(self._handle)
        room = disk.f_bavail * disk.f_frsize
        if size > room:
            raise BadInput(
                f"{self.path}: the journal needs {size // 1024} KB for this run, and its disk has "
                f"{room // 1024} KB; nothing was done, make room or name another with --journal"
            )

    def intent(
        self,
        now: datetime,
        operation: str,
        key_arn: KeyArn,
        *,
        pending_window_days: int | None = None,
        monthly_cost_usd: float | None = None,
        watch_use_from: datetime | None = None,
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
        self._append(_json(line))

    def _append(self, data: bytes) -> None:
        with self._lock:
            if self.failure is None:
                try:
                    written = os.write(self._handle, data)
                    os.fsync(self._handle)
                    if written != len(data):
                        self.failure = f"only {written} of {len(data)} bytes were written"
                except OSError as error:
                    self.failure = error.strerror or str(error)
            if self.failure is not None:
                raise JournalFailed(
                    f"{self.path}: the journal cannot be written: {self.failure}; make room or "
                    f"repair it, then {AGAIN}"
                )


def _json(line: AnyLine) -> bytes:
    return ascii_json(_LINE.dump_json(line, exclude_none=True).decode()).encode("ascii") + b"\n"


def _sync_folder(folder: Path) -> None:
    """Put the names in a folder on the disk, where the file system can and we may."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except PermissionError:
        return  # it may be entered, but not read
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system that does not know this
            raise
    finally:
        os.close(handle)
