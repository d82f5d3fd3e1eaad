"""Values that are computed once, even if several threads ask for them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Generic, TypeVar
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from ..aws import Connection
    from ..aws.accounts import Own

V = TypeVar("V")


class Once(Generic[V]):
    """Values by name. The first caller computes a value; others wait for it or its error."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: dict[Hashable, Future[V]] = {}

    def get(self, name: Hashable, make: Callable[[], V]) -> V:
        """The value of that name. Compute it if it is missing."""
        with self._lock:
            future = self._made.get(name)
            mine = future is None
            if future is None:
                future = self._made[name] = Future()
        if mine:
            try:
                future.set_result(make())
            except BaseException as error:
                future.set_exception(error)
                raise
        return future.result()


class OfEachRun(Generic[V]):
    """One value for each run, for all of its accounts."""

    def __init__(self, make: Callable[[], V]) -> None:
        self._make = make
        self._values: WeakKeyDictionary[Own, V] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def __call__(self, connection: Connection) -> V:
        """The value of a connection's run."""
        with self._lock:
            return self._values.setdefault(connection.own, self._make())
