"""Threads in virtual time: waiting takes no real time.

Inside `VirtualTime`, new locks, conditions and thread pools are virtual, and so are the monotonic
clocks. Time stands still while any thread computes. When all threads wait, it jumps to the next
moment at which one wakes. Quotas, latency and pools thus take as long as in reality, by virtual
time, and the simulation takes only its computing time. Locks created before are real: waiting for
them stops the clock.
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack
from types import ModuleType, TracebackType
from typing import Any, Final, Self
from unittest.mock import patch

_real_lock = threading.Lock

_LEAST: Final = 1e-6
"""Minimum seconds of any wait: a remainder lost in rounding would be waited for again and again."""


class _Waiter:
    """One thread that waits until it is woken or its time has come."""

    def __init__(self) -> None:
        self.over = False
        self.woken = False
        self.turn = _real_lock()
        self.turn.acquire()


class VirtualTime:
    """The clock, the number of threads that compute, and the waiting threads with their times."""

    def __init__(self, *modules: ModuleType) -> None:
        """`modules` are those that import ThreadPoolExecutor by name."""
        self.now = 0.0
        self._modules = modules
        self._guard = _real_lock()
        self._computing = 1  # the thread that enters
        self._moments: list[tuple[float, int, _Waiter]] = []
        self._number = itertools.count()
        self._patches = ExitStack()

    def __enter__(self) -> Self:
        replaced: list[tuple[object, str, Callable[..., object]]] = [
            (threading, "Lock", lambda: Lock(self)),
            (threading, "RLock", lambda: Lock(self)),
            (threading, "Condition", lambda lock=None: Condition(self, lock)),
            (time, "monotonic", lambda: self.now),
            (time, "clock_gettime", lambda clock: self.now),
            (time, "sleep", self.sleep),
            *((module, "ThreadPoolExecutor", self._pool) for module in self._modules),
        ]
        for where, name, virtual in replaced:
            self._patches.enter_context(patch.object(where, name, virtual))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._patches.close()

    def sleep(self, seconds: float) -> None:
        """Wait for a time."""
        self.block(_Waiter(), seconds)

    def start(self, work: Callable[[], None]) -> None:
        """Run a function in a new thread, which counts as computing from now on."""
        with self._guard:
            self._computing += 1

        def run() -> None:
            try:
                work()
            finally:
                self._rest()

        threading.Thread(target=run, daemon=True).start()

    def block(self, waiter: _Waiter, seconds: float | None = None) -> bool:
        """Wait until woken, or for this many seconds. Returns whether it was woken."""
        with self._guard:
            if seconds is not None and not waiter.over:
                moment = self.now + max(_LEAST, seconds)
                heapq.heappush(self._moments, (moment, next(self._number), waiter))
        self._rest()
        waiter.turn.acquire()
        return waiter.woken

    def wake(self, waiter: _Waiter) -> bool:
        """Wake a waiter. Returns False if its time came first."""
        with self._guard:
            if waiter.over:
                return False
            waiter.woken = True
            self._let_go(waiter)
            return True

    def _rest(self) -> None:
        """This thread stops computing. When none computes, time jumps to the next wake-up."""
        with self._guard:
            self._computing -= 1
            while not self._computing and self._moments:
                moment, _, waiter = heapq.heappop(self._moments)
                if not waiter.over:
                    self.now = max(self.now, moment)
                    self._let_go(waiter)

    def _let_go(self, waiter: _Waiter) -> None:
        waiter.over = True
        self._computing += 1
        waiter.turn.release()

    def _pool(self, max_workers: int) -> Pool:
        return Pool(self, max_workers)


class Lock:
    """A reentrant lock that is granted in the order of requests."""

    def __init__(self, of: VirtualTime) -> None:
        self._time = of
        self._guard = _real_lock()
        self._waiting: deque[_Waiter] = deque()
        self._depth = 0
        self._owner: int | None = None

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """As `threading.RLock.acquire`."""
        me = threading.get_ident()
        with self._guard:
            if not self._depth or self._owner == me:
                self._depth += 1
                self._owner = me
                return True
            if not blocking:
                return False
            waiter = _Waiter()
            self._waiting.append(waiter)
        got = self._time.block(waiter, None if timeout < 0 else timeout)
        if got:
            self._owner = me
        return got

    def release(self) -> None:
        """As `threading.RLock.release`."""
        with self._guard:
            self._depth -= 1
            while not self._depth and self._waiting:
                if self._time.wake(self._waiting.popleft()):
                    self._depth = 1
                    self._owner = None

    def locked(self) -> bool:
        """As `threading.Lock.locked`."""
        return self._depth > 0

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


class Condition:
    """As `threading.Condition`."""

    def __init__(self, of: VirtualTime, lock: Lock | None = None) -> None:
        self._time = of
        self._lock = lock or Lock(of)
        self._waiting: deque[_Waiter] = deque()
        self.acquire = self._lock.acquire
        self.release = self._lock.release

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for a notification, or for this many seconds."""
        waiter = _Waiter()
        self._waiting.append(waiter)
        self.release()
        woken = self._time.block(waiter, timeout)
        self.acquire()
        return woken

    def wait_for(self, predicate: Callable[[], Any], timeout: float | None = None) -> Any:
        """Wait until a predicate is true."""
        until = None if timeout is None else self._time.now + timeout
        while not (so := predicate()):
            if until is not None and self._time.now >= until:
                break
            self.wait(None if until is None else until - self._time.now)
        return so

    def notify(self, n: int = 1) -> None:
        """Wake this many waiters."""
        while n > 0 and self._waiting:
            n -= self._time.wake(self._waiting.popleft())

    def notify_all(self) -> None:
        """Wake all waiters."""
        self.notify(len(self._waiting))


class Pool:
    """The part of `concurrent.futures.ThreadPoolExecutor` that Keysweep uses."""

    def __init__(self, of: VirtualTime, workers: int) -> None:
        self._time = of
        self._guard = _real_lock()
        self._free = workers
        self._queue: deque[Callable[[], None]] = deque()
        self._futures: list[Future[Any]] = []

    def submit(self, work: Callable[..., Any], /, *given: Any, **named: Any) -> Future[Any]:
        """Run a call as soon as a worker is free."""
        future: Future[Any] = Future()

        def task() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = work(*given, **named)
            except BaseException as error:  # noqa: BLE001 - it is raised again where the result is read
                future.set_exception(error)
            else:
                future.set_result(result)

        with self._guard:
            self._futures.append(future)
            self._queue.append(task)
            begins = self._free > 0
            self._free -= begins
        if begins:
            self._time.start(self._work)
        return future

    def map(self, work: Callable[..., Any], *given: Iterable[Any]) -> Iterator[Any]:
        """The results in the order of the arguments."""
        futures = [self.submit(work, *one) for one in zip(*given, strict=False)]
        return (future.result() for future in futures)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for future in self._futures:
            if not future.cancelled():
                future.exception()

    def _work(self) -> None:
        while True:
            with self._guard:
                if not self._queue:
                    self._free += 1
                    return
                task = self._queue.popleft()
            task()
