"""Reads evidence about many keys, cheapest first."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from typing import TYPE_CHECKING, Final, Protocol, TypeVar, runtime_checkable

from botocore.exceptions import BotoCoreError, ClientError

from ..aws import Accounts, Connection
from ..aws.concurrency import ACCOUNT_REGIONS, SCANS, keys_ahead, keys_at_a_time
from ..aws.failures import explain
from ..errors import AccountUnavailable, InvariantError, TruncatedResponse, present
from ..models import AccountRegion, Cost, Evidence, KeyArn, Unreadable
from ..spill import SpilledSequence
from .ahead import ReadAhead, reading_ahead
from .registry import SOURCES
from .source import Piece, Source, with_piece
from .turns import Turns

if TYPE_CHECKING:
    from ..workers import Workers

_log: Final = logging.getLogger(__name__)

T = TypeVar("T")

OUR_BUG: Final = "this is a bug in Keysweep; please report it"

_SCAN_AS_KEYS: Final = 40
"""A scan of an account-Region has about as many requests as all evidence of so many keys."""

Needed = Callable[[Evidence], frozenset[str]]
"""Returns the pieces that a key still needs, or nothing."""


@runtime_checkable
class PortableNeeded(Protocol):
    """A `Needed` that can be sent to another process."""

    def __call__(self, evidence: Evidence) -> frozenset[str]:
        """The pieces that a key still needs, or nothing."""

    def only(self, keys: Sequence[KeyArn]) -> PortableNeeded:
        """The same with what it knows about these keys alone."""


Progress = Callable[[str, int], None]
"""Called with each piece that is read, and for how many keys so far."""


@dataclass
class Collector:
    """Reads evidence about many keys, with account-Regions in parallel.

    Each account-Region has its own threads, so that a slow one does not delay others.
    """

    accounts: Accounts
    progress: Progress = lambda _piece, _keys: None
    sources: Mapping[str, Source] = field(default_factory=lambda: SOURCES)
    """The source of each piece. Athena replaces some of `SOURCES`."""
    jobs: int = 1
    """Number of processes that read, each whole accounts. One account needs no other process."""
    notice: Callable[[str], None] = lambda _message: None
    """Called with a message about each process that becomes silent."""
    _scans: Turns = field(default_factory=lambda: Turns(SCANS))

    def collect(
        self,
        keys: Iterable[KeyArn],
        needed: Needed,
        begin: Callable[[KeyArn], Evidence] = lambda arn: Evidence(key_arn=arn),
    ) -> Mapping[KeyArn, Evidence]:
        """Read the cheapest needed piece of each key until none is needed.

        Account-Regions proceed independently, and so do keys within them: while one piece waits for
        its quota, other keys read another. A piece that is read for all keys together is
        read when all keys need it. `begin` returns the evidence to start with. The result spills to
        disk, so that memory holds only the keys being read.
        """
        collected = SpilledSequence(Evidence)
        tally = _Tally(self.progress)
        groups = _by_account_region(keys, lambda arn: arn)
        groups.sort(key=lambda group: group[0].region)  # whose clients accounts share
        jobs = min(self.jobs, len({group[0].account_id for group in groups}))
        limits = _Limits(keys_at_a_time(len(groups)), keys_ahead(len(groups), jobs))
        work = _work_of_accounts(groups)
        lost: dict[str, Unreadable] = {}

        def go_on(waiting: SpilledSequence[Evidence], known: Iterable[Evidence]) -> list[_Wait]:
            waits = []
            for step in self._one_account_region([*known], needed, limits, tally):
                if step.ready:
                    waits.append(_Wait(waiting.append(step.evidence), step.ready))
                else:
                    collected.append(step.evidence)
            return waits

        def go_on_in(
            workers: Workers, waiting: SpilledSequence[Evidence], known: Iterable[Evidence]
        ) -> list[_Wait]:
            group = [*known]
            account = group[0].key_arn.account_id
            try:
                task = _task(group, needed, limits)
                what = f"account {account}, {group[0].key_arn.region}"
                done = workers.run(account, task, what, work[account])
            except AccountUnavailable as error:
                lost[account] = Unreadable(unreadable=str(error))
                return []
            waits = []
            for arn, json, ready in done:
                if ready:
                    waits.append(_Wait(waiting.append_json(arn, json), ready))
                else:
                    collected.append_json(arn, json)
            return waits

        with (
            self._workers(jobs, tally) as workers,
            ThreadPoolExecutor(ACCOUNT_REGIONS * max(jobs, 1)) as threads,
        ):
            read = go_on if workers is None else partial(go_on_in, workers)
            started: Iterable[Iterable[Evidence]] = [map(begin, arns) for arns in groups]
            waiting = SpilledSequence(Evidence)
            while waits := [some for some in threads.map(partial(read, waiting), started) if some]:
                started = self._read_all(waiting, waits, tally)
                waiting = SpilledSequence(Evidence)
        for evidence in (begin(arn) for arns in groups for arn in arns if arn.account_id in lost):
            # Newer than what the account's worker may have read before it ended.
            why = lost[evidence.key_arn.account_id]
            collected.append(evidence.model_copy(update={"description": why}))
        return collected.by_key

    @contextmanager
    def _workers(self, jobs: int, tally: _Tally) -> Iterator[Workers | None]:
        """So many workers; None: this process reads."""
        if jobs <= 1:
            yield None
            return
        from ..workers import Workers  # imports botocore

        elsewhere = [source for source in self.sources.values() if source.read_all is not None]
        job = _Reading(tuple(map(_elsewhere, elsewhere)))
        with Workers(self.accounts, job, jobs, tally.add, self.notice) as workers:
            yield workers

    def read_one(self, evidence: Evidence, pieces: Iterable[str]) -> Evidence:
        """Read these pieces of one key, again if they were read before, in this thread."""
        for piece in sorted(pieces, key=self._order):
            (evidence,) = self._read_group(piece, [evidence])
        return evidence

    def do(self, tally: _Batched, task: _Task) -> _Done:
        """Read evidence of an account-Region's keys, in a worker."""
        group = [*map(_evidence, task.keys)]
        steps = self._one_account_region(group, task.needed, task.limits, tally)
        return [(step.evidence.key_arn, _json(step.evidence), step.ready) for step in steps]

    def _one_account_region(
        self, group: Sequence[Evidence], needed: Needed, limits: _Limits, tally: _Counts
    ) -> list[_Step]:
        """Read evidence of an account-Region's keys, up to pieces of all keys together."""
        known: dict[KeyArn, _Step] = {}
        keys_to_read = group
        with (
            reading_ahead(limits.ahead, partial(self._single_pieces, needed=needed)) as ahead,
            ThreadPoolExecutor(min(limits.at_a_time, len(group))) as threads,
        ):
            read_on = partial(self._one_key, needed=needed, tally=tally, ahead=ahead)
            while True:
                for step in threads.map(read_on, keys_to_read):
                    known[step.evidence.key_arn] = step
                waiting = [step for step in known.values() if step.ready]
                if not waiting:
                    return list(known.values())
                piece, some = self._choose(waiting)
                if self._is_elsewhere(piece):
                    return list(known.values())
                tally.add(piece, len(some))
                keys_to_read = self._read_group(piece, some)
                if self._cost(piece) is Cost.ACCOUNT_REGION_SCAN:
                    ahead.stop()

    def _one_key(
        self, evidence: Evidence, needed: Needed, tally: _Counts, ahead: ReadAhead
    ) -> _Step:
        """Read evidence of one key, up to pieces that are read for many keys together."""
        while ready := self._ready(evidence, needed):
            piece = min(ready, key=self._order)
            if not self._is_single(piece):
                if self._cost(piece) is Cost.ACCOUNT_REGION_SCAN:
                    ahead.begin(evidence)
                break
            tally.add(piece, 1)
            if (value := ahead.piece(evidence.key_arn, piece)) is not None:
                evidence = evidence.model_copy(update={piece: value})
            else:
                (evidence,) = self._read_group(piece, [evidence])
        return _Step(evidence, ready)

    def _single_pieces(self, evidence: Evidence, needed: Needed) -> Evidence:
        """Read the needed pieces that are read for one key alone."""
        while ready := [*filter(self._is_single, self._ready(evidence, needed))]:
            (evidence,) = self._read_group(min(ready, key=self._order), [evidence])
        return evidence

    def _is_single(self, piece: str) -> bool:
        source = self.sources.get(piece)
        return source is not None and source.read_key is not None

    def _choose(self, waiting: Sequence[_Step]) -> tuple[str, list[Evidence]]:
        """Return the cheapest piece that a key waits for, and the keys that wait for it."""
        piece = self._cheapest(step.ready for step in waiting)
        return piece, [step.evidence for step in waiting if piece in step.ready]

    def _cheapest(self, ready: Iterable[frozenset[str]]) -> str:
        return min({piece for some in ready for piece in some}, key=self._order)

    def _is_elsewhere(self, piece: str) -> bool:
        source = self.sources.get(piece)
        return source is not None and source.read_all is not None

    def _read_group(self, piece: str, group: Sequence[Evidence]) -> list[Evidence]:
        """Read one more piece of these keys."""
        values = self._values(piece, group)
        return [_with_value(evidence, piece, values) for evidence in group]

    def _read_all(
        self, waiting: SpilledSequence[Evidence], waits: Sequence[Sequence[_Wait]], tally: _Tally
    ) -> list[Iterator[Evidence]]:
        """Read the cheapest piece of keys of all account-Regions that wait for it."""
        piece = self._cheapest(wait.ready for some in waits for wait in some)
        tally.add(piece, sum(piece in wait.ready for some in waits for wait in some))
        read = present(self.sources[piece].read_all, f"the function that reads {piece}")
        values = read(waiting.by_key)
        return [_with_piece_of_all(waiting, some, piece, values) for some in waits]

    def _values(self, piece: str, group: Sequence[Evidence]) -> Mapping[KeyArn, Piece]:
        source = self.sources.get(piece)
        if source is None:
            return _all(group, Unreadable(unreadable=f"no source reads it ({OUR_BUG})"))
        if source.read_all is not None:
            return source.read_all({evidence.key_arn: evidence for evidence in group})
        try:
            connection = self.accounts.connect(group[0].key_arn.account_region)
        except AccountUnavailable as error:
            return _all(group, Unreadable(unreadable=str(error)))
        _log.debug(
            "%s of %d in %s, %s", piece, len(group), connection.account_id, connection.region
        )
        if source.cost is Cost.ACCOUNT_REGION_SCAN:
            with self._scans.of(connection.region):
                return _read(source, connection, group)
        connection = connection.limited_to(operations())
        with connection.acting():
            return _read(source, connection, group)

    def _order(self, piece: str) -> tuple[int, str]:
        return self._cost(piece), piece

    def _cost(self, piece: str) -> Cost:
        source = self.sources.get(piece)
        return Cost.FREE if source is None else source.cost

    def _ready(self, evidence: Evidence, needed: Needed) -> frozenset[str]:
        """Pieces to read now: needed ones, or those that must be read before them."""
        ready: set[str] = set()
        todo = list(needed(evidence))
        while todo:
            piece = todo.pop()
            source = self.sources.get(piece)
            after = () if source is None else source.after
            before = [p for p in after if getattr(evidence, p) is None]
            if before:
                todo.extend(before)
            else:
                ready.add(piece)
        return frozenset(ready)


@dataclass(frozen=True)
class _Limits:
    """Numbers of keys of one account-Region."""

    at_a_time: int
    ahead: int
    """To read ahead while the account-Region waits to be scanned."""


@dataclass(frozen=True)
class _Task:
    """Evidence of an account-Region's keys to complete, as JSON."""

    keys: Sequence[str]
    needed: PortableNeeded
    limits: _Limits


_Done = list[tuple[KeyArn, str, frozenset[str]]]
"""A key, its evidence as JSON, and the pieces to read next."""


@dataclass(frozen=True)
class _Reading:
    """The job of workers: to read evidence."""

    elsewhere: tuple[Source, ...]
    """Pieces that the parent reads, for the order of reads."""

    def start(self, accounts: Accounts, report: Callable[[str, int], None]) -> Callable[..., _Done]:
        """A function that reads evidence of an account-Region's keys."""
        of_parent = {source.piece: source for source in self.elsewhere}
        collector = Collector(accounts, sources={**SOURCES, **of_parent})
        return partial(collector.do, _Batched(report))


def _elsewhere(source: Source) -> Source:
    """The declaration of a source that another process reads."""
    return Source(
        source.piece,
        source.cost,
        (),
        read_all=_not_here,
        after=source.after,
    )


def _not_here(_waiting: Mapping[KeyArn, Evidence]) -> Mapping[KeyArn, Piece]:
    raise InvariantError("the parent reads this piece")


def _task(group: Sequence[Evidence], needed: Needed, limits: _Limits) -> _Task:
    if not isinstance(needed, PortableNeeded):
        raise InvariantError("what keys need cannot be sent to another process")
    only = needed.only([evidence.key_arn for evidence in group])
    return _Task([*map(_json, group)], only, limits)


def _json(evidence: Evidence) -> str:
    # What is unset stays unset, as in a SpilledSequence.
    return evidence.model_dump_json(exclude_unset=True)


def _evidence(json: str) -> Evidence:
    return Evidence.model_validate_json(json)


@dataclass(frozen=True, slots=True)
class _Step:
    """Evidence of one key so far, and the pieces to read next."""

    evidence: Evidence
    ready: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Wait:
    """A key that waits for pieces of all keys together."""

    position: int
    """Of its evidence on disk."""
    ready: frozenset[str]


class _Counts(Protocol):
    def add(self, piece: str, keys: int) -> None:
        """Count keys for which a piece is read."""


class _Tally:
    """Counts for how many keys each piece was read, for the progress display."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._keys: Counter[str] = Counter()
        self._lock = threading.Lock()

    def add(self, piece: str, keys: int) -> None:
        with self._lock:
            self._keys[piece] += keys
            self._progress(piece, self._keys[piece])


class _Batched:
    """Passes on such counts, not more often than people can see."""

    SECONDS: Final = 0.2

    def __init__(self, report: Progress) -> None:
        self._report = report
        self._keys: Counter[str] = Counter()
        self._next = 0.0
        self._lock = threading.Lock()

    def add(self, piece: str, keys: int) -> None:
        with self._lock:
            self._keys[piece] += keys
            if (now := time.monotonic()) < self._next:
                return
            self._next = now + self.SECONDS
            counts, self._keys = self._keys, Counter()
        for one, number in counts.items():
            self._report(one, number)


def _by_account_region(values: Iterable[T], arn_of: Callable[[T], KeyArn]) -> list[list[T]]:
    groups: dict[AccountRegion, list[T]] = {}
    for value in values:
        groups.setdefault(arn_of(value).account_region, []).append(value)
    return list(groups.values())


@cache
def operations() -> frozenset[str]:
    """The operations that sources call, as `service:Operation`, but for those of scans.

    An IAM action of theirs has boto3's names.
    """
    sources = (one for one in SOURCES.values() if one.cost is not Cost.ACCOUNT_REGION_SCAN)
    return frozenset(action for source in sources for action in source.permissions)


def _read(
    source: Source, connection: Connection, group: Sequence[Evidence]
) -> Mapping[KeyArn, Piece]:
    """Read a piece of these keys of an account-Region."""
    if (read_account_region := source.read_account_region) is not None:
        read_group = partial(read_account_region, connection, group)
        values = attempt(source.piece, source.permissions, connection, read_group)
        return _all(group, values) if isinstance(values, Unreadable) else values
    read_key = present(source.read_key, f"the function that reads {source.piece}")
    return {
        e.key_arn: attempt(
            source.piece, source.permissions, connection, partial(read_key, connection, e)
        )
        for e in group
    }


def _work_of_accounts(groups: Iterable[Sequence[KeyArn]]) -> Mapping[str, int]:
    """How much work the account-Regions of each account are."""
    work: Counter[str] = Counter()
    for group in groups:
        work[group[0].account_id] += _SCAN_AS_KEYS + len(group)
    return work


def attempt(
    what: str, permissions: Sequence[str], connection: Connection, read: Callable[[], T]
) -> T | Unreadable:
    """Read from AWS; `what` names it in the log. Errors and unexpected answers are `Unreadable`."""
    from botocore.parsers import ResponseParserError

    try:
        return read()
    except (ClientError, BotoCoreError, TruncatedResponse) as error:
        return explain(error, connection, permissions)
    except (LookupError, TypeError, ValueError, AttributeError, ResponseParserError) as error:
        _log.debug(
            "%s in %s, %s: answer not understood",
            what,
            connection.account_id,
            connection.region,
            exc_info=True,
        )
        why = f"{type(error).__name__}: {error}"
        return Unreadable(
            unreadable=f"AWS's answer in account {connection.account_id}, {connection.region} "
            f"was not understood ({why[:200]})"
        )


def _with_piece_of_all(
    waiting: Sequence[Evidence],
    waits: Iterable[_Wait],
    piece: str,
    values: Mapping[KeyArn, Piece],
) -> Iterator[Evidence]:
    """The evidence of keys that wait, with this piece where it is needed."""
    for wait in waits:
        evidence = waiting[wait.position]
        yield _with_value(evidence, piece, values) if piece in wait.ready else evidence


def _with_value(evidence: Evidence, piece: str, values: Mapping[KeyArn, Piece]) -> Evidence:
    value = values.get(evidence.key_arn)
    if value is None:
        value = Unreadable(unreadable=f"its source left out this key ({OUR_BUG})")
    return with_piece(evidence, piece, value)


def _all(group: Sequence[Evidence], value: Unreadable) -> dict[KeyArn, Piece]:
    return {evidence.key_arn: value for evidence in group}
