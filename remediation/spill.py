"""A sequence that spills to disk: memory holds a few megabytes of it, whatever its length.

SQLite keeps the models as JSON in a temporary database without a name: no other process can open
it, and it disappears with the process ("Temporary Databases", SQLite documentation). Each read
validates the model and returns a new object that equals the one appended.
"""

from __future__ import annotations

import sqlite3
import threading
import weakref
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar, overload

from pydantic import TypeAdapter

from .errors import BadInput
from .models import Evidence, KeyArn, PlanItem

V = TypeVar("V")
M = TypeVar("M", bound=Evidence | PlanItem)

CACHE_KIB: Final = 8192
"""Memory of one sequence, in KiB. SQLite writes no file before this is full."""


class _LazySequence(Sequence[V]):
    """What sequences of values that are read on demand share."""

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Sequence)
            and len(self) == len(other)
            and all(one == another for one, another in zip(self, other, strict=True))
        )

    __hash__ = None  # type: ignore[assignment]

    @overload
    def __getitem__(self, position: int) -> V: ...
    @overload
    def __getitem__(self, position: slice) -> Sequence[V]: ...
    def __getitem__(self, position: int | slice) -> V | Sequence[V]:
        positions = range(len(self))[position]
        return Selection(self, positions) if isinstance(positions, range) else self._read(positions)

    def _read(self, position: int) -> V:
        raise NotImplementedError


class Selection(_LazySequence[V]):
    """Some values of a sequence, by their positions in it."""

    def __init__(self, of: Sequence[V], positions: Sequence[int]) -> None:
        self._of = of
        self._positions = positions

    def __len__(self) -> int:
        return len(self._positions)

    def _read(self, position: int) -> V:
        return self._of[self._positions[position]]


class SpilledSequence(_LazySequence[M]):
    """Models on disk, to look up by position, by key ARN, or by group.

    Threads may append and read at once. Raises BadInput if there is no room on the disk.
    """

    def __init__(self, model: type[M], group: Callable[[M], str] = lambda _: "") -> None:
        self._adapter = TypeAdapter(model)
        self._group = group
        self._lock = threading.Lock()
        self._length = 0
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        weakref.finalize(self, self._database.close)
        for statement in (
            f"PRAGMA cache_size = -{CACHE_KIB}",
            "PRAGMA journal_mode = MEMORY",
            "CREATE TABLE models (position INTEGER PRIMARY KEY, arn, label, json)",
            "CREATE INDEX by_arn ON models (arn)",
            "CREATE INDEX by_label ON models (label)",
        ):
            self._rows(statement)

    def append(self, model: M) -> int:
        """Add a model at the end, and return its position."""
        # What is unset stays unset, because a digest covers only what a file had.
        json = model.model_dump_json(exclude_unset=True)
        return self._insert(model.key_arn, self._group(model), json)

    def append_json(self, arn: KeyArn, json: str) -> int:
        """Add a model of no group at the end, given as `append` stores it."""
        return self._insert(arn, "", json)

    def _insert(self, arn: KeyArn, group: str, json: str) -> int:
        with self._lock:
            row = self._length, str(arn), group, json
            self._rows("INSERT INTO models VALUES (?, ?, ?, ?)", *row)
            self._length += 1
            return row[0]

    def __len__(self) -> int:
        return self._length

    def _read(self, position: int) -> M:
        with self._lock:
            ((json,),) = self._rows("SELECT json FROM models WHERE position = ?", position)
        return self._adapter.validate_json(json)

    def of_groups(self, *groups: str) -> Sequence[M]:
        """The models of these groups, in their order."""
        marks = ", ".join("?" * len(groups))
        query = f"SELECT position FROM models WHERE label IN ({marks}) ORDER BY position"  # noqa: S608
        with self._lock:
            return Selection(self, array("Q", (row[0] for row in self._rows(query, *groups))))

    @property
    def by_key(self) -> Mapping[KeyArn, M]:
        """The models by key ARN, each read when it is asked for."""
        return _ByKey(self)

    def arns(self) -> Iterator[KeyArn]:
        """The key ARNs, in the order of the models."""
        with self._lock:
            rows = self._rows("SELECT arn FROM models ORDER BY position")
        return (KeyArn.parse(arn) for (arn,) in rows)

    def position_of(self, arn: KeyArn) -> int | None:
        """The position of the newest model of a key; None if there is none."""
        with self._lock:
            rows = self._rows("SELECT max(position) FROM models WHERE arn = ?", str(arn))
        position: int | None = rows[0][0]
        return position

    def _rows(self, statement: str, *values: str | int) -> list[tuple[Any, ...]]:
        try:
            return self._database.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise BadInput(
                f"Temporary data could not be stored on disk: {error}. Fix: free some space, or "
                "name another folder in the environment variable SQLITE_TMPDIR"
            ) from error


class _ByKey(Mapping[KeyArn, M]):
    def __init__(self, models: SpilledSequence[M]) -> None:
        self._models = models

    def __getitem__(self, arn: KeyArn) -> M:
        position = self._models.position_of(arn)
        if position is None:
            raise KeyError(arn)
        return self._models[position]

    def __contains__(self, arn: object) -> bool:
        return isinstance(arn, KeyArn) and self._models.position_of(arn) is not None

    def __iter__(self) -> Iterator[KeyArn]:
        return self._models.arns()

    def __len__(self) -> int:
        return len(self._models)
