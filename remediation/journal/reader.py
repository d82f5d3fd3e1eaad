"""Read journals: the record of each key, and any damage."""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from ..access import Access
from ..errors import BadInput
from ..models import AppliedException, KeyArn, Outcome
from ..strict_json import RepeatedName
from ..wording import counted
from .lines import (
    BEGINNING,
    RUN_BEGINNINGS,
    USE_REPORTING_DELAY,
    AnyLine,
    IntentLine,
    LookLine,
    OutcomeLine,
    RebuildLine,
    RebuiltDeletion,
    RunLine,
    decode,
)
from .locations import Location, distinct, exists, store_of
from .store import JournalExists, Reading, Stamp

_SCHEDULE: Final = "ScheduleKeyDeletion"
_CANCEL: Final = "CancelKeyDeletion"

_NOTHING: Final = frozenset[str]()
"""Shared by all keys, because each new empty frozenset takes 200 bytes."""


@dataclass(slots=True)
class KeyRecord:
    """The record of one key in the journal."""

    key_arn: KeyArn
    scheduled: IntentLine | None = None
    """Intent of the current deletion; None after a cancellation."""
    scheduled_outcome: OutcomeLine | None = None
    plan_digest: str | None = None
    alias: str = ""
    """First alias of the key at its last scheduling; kept after a cancellation."""
    owner: str | None = None
    """Owner of the key at that time."""
    exceptions: tuple[AppliedException, ...] = ()
    """Exceptions without which the key would have been on hold."""
    open: tuple[IntentLine, ...] = ()
    """Intents without an outcome, oldest first: the run was killed, or the answer was lost. Later
    calls do not decide them."""
    open_digests: frozenset[str] = _NOTHING
    """Digests of the plans of open intents."""
    cancelled: OutcomeLine | None = None
    """The last cancellation, until the key is scheduled again."""
    follow_ups: frozenset[str] = _NOTHING
    """Follow-ups that were requested with that cancellation: operations."""
    follow_ups_done: frozenset[str] = _NOTHING
    """Follow-ups done since that cancellation."""
    last: OutcomeLine | None = None
    looked_at: datetime | None = None
    """When `guard` last checked the key."""
    rebuilt: bool = False
    """Whether the current deletion was rebuilt from CloudTrail's events."""

    @property
    def follow_ups_left(self) -> frozenset[str]:
        """Requested follow-ups of the cancellation that are not done yet."""
        return self.follow_ups - self.follow_ups_done

    @property
    def undo_failed(self) -> bool:
        """Whether the deletion is still pending after a failed cancellation."""
        last = self.last
        if self.scheduled_outcome is None or last is None:
            return False
        return last.operation == _CANCEL and last.outcome is Outcome.FAILED

    def interrupted(self, access: Access) -> str:
        """Message with the interrupted operation and its fix; empty if there is none."""
        if self.undecided is None:
            return ""
        operation = self.undecided.operation
        if operation == _SCHEDULE:
            undo = access.command_line("cancel", "--journal", "FILE")
            fix = f"run keysweep apply with the same plan again, or {undo}"
        else:
            fix = "run the same keysweep cancel or keysweep guard again"
        return f"{operation} was interrupted. Fix: {fix}"

    @property
    def open_schedules(self) -> tuple[IntentLine, ...]:
        """Open intents that may have begun a deletion, oldest first."""
        return tuple(intent for intent in self.open if intent.operation == _SCHEDULE)

    @property
    def open_cancellations(self) -> tuple[IntentLine, ...]:
        """Open intents that may have cancelled a deletion, oldest first."""
        return tuple(intent for intent in self.open if intent.operation == _CANCEL)

    @property
    def watch_use_from(self) -> datetime | None:
        """Start of the period in which uses may not have been visible when the deletion began.

        None if the journal began no deletion.
        """
        begun = (*self.open_schedules, *filter(None, (self.scheduled,)))
        moments = (one.watch_use_from or one.time - USE_REPORTING_DELAY for one in begun)
        return min(moments, default=None)

    @property
    def undecided(self) -> IntentLine | None:
        """The open intent to report: the newest that may have begun a deletion, else the newest."""
        return max(self.open_schedules or self.open, key=lambda one: one.time, default=None)


@dataclass(frozen=True)
class History:
    """The content of one or several journals."""

    keys: dict[KeyArn, KeyRecord]
    notes: tuple[str, ...] = ()
    """Torn lines and rebuilt journals. Neither is damage."""
    problems: tuple[str, ...] = ()
    """Missing, repeated or altered lines. No run of Keysweep causes these."""
    journals: Mapping[Location, History] = field(default_factory=dict)
    """The content of each journal on its own."""
    stamp: Stamp | None = None
    """State of the journal when it was read; only for a single journal."""

    def left_open(self, plan_digest: str) -> frozenset[KeyArn]:
        """Keys of this plan with an open intent, or with a deletion whose cancellation failed."""
        return frozenset(
            arn
            for arn, record in self.keys.items()
            if plan_digest in record.open_digests
            or (record.undo_failed and record.plan_digest == plan_digest)
        )


def read(paths: Iterable[Location]) -> History:
    """Read journals in one pass, merged by time. Raises BadInput for a foreign or newer file."""
    files = [_File(path) for path in distinct(paths)]
    together = _Fold(copies=len(files) > 1)
    alone = {file.path: together if len(files) == 1 else _Fold() for file in files}
    for path, line, is_repeated in _merged(files):
        alone[path].take(line)
        if not (alone[path] is together or is_repeated):
            together.take(line)
    return History(
        together.keys,
        tuple(note for file in files for note in file.notes),
        tuple(f"{file.path}: {problem}" for file in files for problem in file.problems),
        {file.path: History(alone[file.path].keys, stamp=file.stamp) for file in files},
    )


def lines(paths: Iterable[Location]) -> Iterator[AnyLine]:
    """Yield the lines of journals, merged by time, without those that a copy repeats."""
    for _, line, is_repeated in _merged([_File(path) for path in distinct(paths)]):
        if not is_repeated:
            yield line


def _merged(files: Sequence[_File]) -> Iterator[tuple[Location, AnyLine, bool]]:
    """Yield the lines by time, and whether another journal, of which this is a copy, had it."""
    seen: dict[AnyLine, Location] = {}
    for _, path, line in heapq.merge(*(file.lines() for file in files), key=lambda one: one[0]):
        yield path, line, len(files) > 1 and seen.setdefault(line, path) != path


def undamaged_lines(path: Location) -> list[AnyLine]:
    """All lines of a journal, each read once. Raises BadInput if it is damaged."""
    file = _File(path)
    found = [line for _, _, line in file.lines()]
    if file.problems:
        problems = "; ".join(f"{path}: {problem}" for problem in file.problems)
        raise BadInput(f"{problems}. Nothing was done. Fix: restore the journal.")
    return found


def demand_empty(path: Location) -> None:
    """Raise JournalExists if the journal has a complete line or damage; for a rebuild.

    Raises BadInput as `read` does.
    """
    if not exists(path):
        return
    file = _File(path)
    first = next((line for _, _, line in file.lines()), None)
    if first is not None or file.problems:
        raise JournalExists(path, rebuilt=isinstance(first, RebuildLine))


def read_undamaged(path: Location) -> History:
    """Read a journal before writing to it. An absent one is empty.

    Raises BadInput if it is damaged, because new lines could be misread.
    """
    history = read([path]) if exists(path) else History({})
    if history.problems:
        raise BadInput(
            f"{'; '.join(history.problems)}. Nothing was done. Fix: restore the journal, or name a "
            "new one with --journal."
        )
    return history


class _File:
    """One journal, read line by line."""

    def __init__(self, path: Location) -> None:
        self.path = path
        self._store = store_of(path)
        self._reading = Reading()
        self.notes: list[str] = []
        """Notes on torn lines and on a rebuild."""
        self.problems = self._reading.problems
        """Missing lines, and lines in the wrong order."""
        self._order = _Order()

    @property
    def stamp(self) -> Stamp | None:
        """State of the journal when it was read."""
        return self._reading.stamp

    def lines(self) -> Iterator[tuple[datetime, Location, AnyLine]]:
        """Yield the lines with times that never go back: the order in the file is decisive."""
        latest = datetime.min.replace(tzinfo=UTC)
        for number, line in self._parsed():
            self.problems += (f"line {number} {problem}" for problem in self._order.take(line))
            if not isinstance(line, RunLine):  # the local clock's time, if AWS does not answer
                latest = max(latest, line.time)
            if isinstance(line, RebuildLine):
                self.notes.append(f"{self.path}: {_rebuilt(line)}")
            yield latest, self.path, line

    def _parsed(self) -> Iterator[tuple[int, AnyLine]]:
        torn: int | None = None
        ours = False
        for number, raw in self._store.read(self._reading):
            try:
                line = decode(raw)
            except ValueError as error:
                is_torn = self._demand_ours(number, raw, error, ours=ours)
                if torn is not None:
                    self._left_out(torn, killed=any(_is_torn(raw, one) for one in RUN_BEGINNINGS))
                torn = number if is_torn else None
                if not is_torn:
                    self._left_out(number, killed=False, why=_repeated(error))
                continue
            ours = True
            if torn is not None:
                # A kill tears only the last line of a run, so the next line starts a run.
                self._left_out(torn, killed=isinstance(line, RunLine | LookLine | RebuildLine))
                torn = None
            yield number, line
        if torn is not None:
            self.notes.append(
                f"{self.path}: The last line is incomplete and was ignored: the run was interrupted"
            )

    def _demand_ours(self, number: int, raw: bytes, error: ValueError, *, ours: bool) -> bool:
        """Whether an unreadable line is torn. Raises BadInput for a newer or foreign file."""
        if _is_newer(raw):
            raise BadInput(
                f"{self.path}: Line {number} was written by a newer keysweep. "
                "Fix: update this keysweep."
            ) from error
        is_torn = self._store.tears and _is_torn(raw)
        if not ours and not is_torn:
            raise _foreign(self.path, number, _repeated(error)) from error
        return is_torn

    def _left_out(self, number: int, *, killed: bool, why: str = "") -> None:
        if killed:
            self.notes.append(
                f"{self.path}: Line {number} is incomplete and was ignored: its run was interrupted"
            )
        else:
            self.problems.append(f"line {number} is not a journal line{why} and was ignored")


def _rebuilt(line: RebuildLine) -> str:
    """Note on a rebuilt journal."""
    left = (
        *((f"{len(line.undetermined)} undetermined",) if line.undetermined else ()),
        *((f"{counted(len(line.unread), 'account-Region')} not read",) if line.unread else ()),
    )
    return (
        f"Rebuilt from CloudTrail's events on {line.time:%Y-%m-%d} with "
        f"{', '.join((counted(len(line.keys), 'key'), *left))}. Earlier runs are not in it"
    )


def _is_torn(raw: bytes, beginning: bytes = BEGINNING) -> bool:
    """Whether this is the beginning of a line, but not a complete document.

    After a power failure, it may end with zero bytes.
    """
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


def _foreign(path: Location, number: int, why: str) -> BadInput:
    return BadInput(
        f"{path}: Line {number} is not a line of a version 1 journal{why}. The file is damaged, "
        "or it is not a journal. Fix: restore it, or name another."
    )


class _Order:
    """Checks the order of the lines of one journal."""

    def __init__(self) -> None:
        self._runs: set[str] = set()
        self._open: dict[str, tuple[KeyArn, str]] = {}
        self._decided: set[str] = set()

    def take(self, line: AnyLine) -> Iterator[str]:
        """Yield the violations of this line, as clauses that continue "line 7 "."""
        if isinstance(line, RunLine | LookLine | RebuildLine):
            if line.run in self._runs:
                yield "starts a run a second time"
            if isinstance(line, RebuildLine):
                yield from self._rebuilt(line)
            self._runs.add(line.run)
            return
        if line.run not in self._runs:
            yield "belongs to a run without a first line: a line is missing"
        if isinstance(line, IntentLine):
            if line.id in self._open or line.id in self._decided:
                yield "repeats an intent"
            self._open[line.id] = line.key_arn, line.operation
            return
        if line.id in self._decided:
            yield "is a second outcome of the same intent"
        elif line.id not in self._open:
            yield "is an outcome without an intent: a line is missing"
        elif self._open[line.id] != (line.key_arn, line.operation):
            yield "is an outcome whose intent has another key or operation"
        self._open.pop(line.id, None)
        self._decided.add(line.id)

    def _rebuilt(self, line: RebuildLine) -> Iterator[str]:
        if self._runs:
            yield "rebuilds a journal that has lines already"
        keys = [one.key_arn for one in line.keys]
        if len({*keys}) != len(keys):
            yield "rebuilds the deletion of a key twice"
        self._decided |= {one.event_id for one in line.keys}


class _Fold:
    """Builds the records of keys from lines in order."""

    def __init__(self, *, copies: bool = False) -> None:
        self.keys: dict[KeyArn, KeyRecord] = {}
        self._copies = copies
        """Whether an intent can have two outcomes: one in each copy of its journal."""
        self._runs: dict[str, RunLine] = {}
        self._intents: dict[str, IntentLine] = {}

    def take(self, line: AnyLine) -> None:
        """Add a line."""
        if isinstance(line, RunLine):
            self._runs[line.run] = line
            return
        if isinstance(line, LookLine):
            for arn in line.keys:
                if (known := self.keys.get(arn)) is not None:
                    known.looked_at = line.time
            return
        if isinstance(line, RebuildLine):
            for one in line.keys:
                self._rebuild(line, one)
            return
        record = self.keys.setdefault(line.key_arn, KeyRecord(line.key_arn))
        if isinstance(line, IntentLine):
            self._intents[line.id] = line
            record.open = (*record.open, line)
            if line.operation == _SCHEDULE:
                record.alias, record.owner = line.alias or "", line.owner
                record.exceptions = self._exceptions_of(line)
        else:
            self._decide(record, line)
        named = {self._runs[one.run].plan_digest for one in record.open if one.run in self._runs}
        record.open_digests = frozenset(name for name in named if name is not None) or _NOTHING

    def _rebuild(self, line: RebuildLine, one: RebuiltDeletion) -> None:
        """Add a deletion as if its run had been read, and mark it as rebuilt."""
        run, intent, outcome = as_run(line, one)
        for part in (run, intent, outcome):
            self.take(part)
        self.keys[one.key_arn].rebuilt = True

    def _exceptions_of(self, line: IntentLine) -> tuple[AppliedException, ...]:
        """The exceptions of an intent, which names positions in its run's line."""
        run = self._runs.get(line.run)
        known = () if run is None else run.exceptions or ()
        return tuple(known[one] for one in line.exceptions or () if 0 <= one < len(known))

    def _decide(self, record: KeyRecord, line: OutcomeLine) -> None:
        """Add the outcome of a deletion, a cancellation or a follow-up.

        Also closes earlier intents, because AWS does not schedule a key that is pending deletion.
        """
        intent = self._intents.get(line.id)
        if not self._copies:
            self._intents.pop(line.id, None)
        # A later run without a plan, or with other follow-ups, may have reconciled it.
        begun = self._runs.get(line.run if intent is None else intent.run)
        decided = self._runs.get(line.run)
        opened = record.open
        record.open = tuple(one for one in opened if one.id != line.id)
        record.last = line
        if line.outcome is Outcome.SCHEDULED:
            record.scheduled, record.scheduled_outcome = intent, line
            record.plan_digest = None if begun is None else begun.plan_digest
            record.cancelled, record.follow_ups, record.follow_ups_done = None, _NOTHING, _NOTHING
            record.rebuilt = False
            _close_before(record, opened, intent)
        elif line.outcome is Outcome.CANCELLED and line.operation == _CANCEL:
            record.scheduled = record.scheduled_outcome = record.plan_digest = None
            record.cancelled, record.follow_ups_done = line, _NOTHING
            record.rebuilt = False
            closed = (self._runs.get(one.run) for one in opened if one.operation == _CANCEL)
            runs = (begun, decided, *closed)
            requested = [run.follow_ups or () for run in runs if run is not None]
            record.follow_ups = _NOTHING.union(*requested)
            _close_before(record, opened, intent)
        elif line.outcome is Outcome.CANCELLED:
            record.follow_ups_done |= {line.operation}
            record.open = tuple(one for one in record.open if one.operation != line.operation)


def as_run(line: RebuildLine, one: RebuiltDeletion) -> tuple[RunLine, IntentLine, OutcomeLine]:
    """Return a rebuilt deletion as the lines of a run, whose id is the event's."""
    run = RunLine(
        run=one.event_id,
        time=one.time,
        command="apply",
        plan_digest=line.plan_digest,
        caller=one.caller,
        exceptions=line.exceptions,
    )
    intent = IntentLine(
        run=run.run,
        id=one.event_id,
        time=one.time,
        operation=_SCHEDULE,
        key_arn=one.key_arn,
        pending_window_days=one.pending_window_days,
        monthly_cost_usd=one.monthly_cost_usd,
        alias=one.alias,
        owner=one.owner,
        exceptions=one.exceptions,
        watch_use_from=one.watch_use_from,
    )
    outcome = OutcomeLine(
        run=run.run,
        id=intent.id,
        time=one.time,
        operation=_SCHEDULE,
        key_arn=one.key_arn,
        outcome=Outcome.SCHEDULED,
        deletion_date=one.deletion_date,
    )
    return run, intent, outcome


def _close_before(
    record: KeyRecord, opened: tuple[IntentLine, ...], intent: IntentLine | None
) -> None:
    """Close intents that come before this one in the journal.

    Times do not decide this: AWS's clock is known only to the second, so the intents of a rerun may
    have earlier times.
    """
    if intent in opened:
        record.open = opened[opened.index(intent) + 1 :]
