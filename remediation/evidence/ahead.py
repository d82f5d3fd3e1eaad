"""Reads ahead for single keys, while their account-Region waits to be scanned."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Final, Self

from ..models import Evidence, KeyArn

_THREADS: Final = 2
"""Two answers of less than a second each use up CloudTrail's two requests a second."""


class ReadAhead:
    """Evidence of keys that wait for a scan, with what comes after it.

    CloudTrail's quota binds a plan, and would be idle until the scan has ended. A key uses only
    what it still needs then, so that timing never decides about a key. Thread-safe.
    """

    def __init__(self, most: int, read: Callable[[Evidence], Evidence]) -> None:
        """`most` is the number of keys, and `read` adds what comes after the scan."""
        self._left = most
        self._read = read
        self._begun: dict[KeyArn, Future[Evidence]] = {}
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(_THREADS)

    def begin(self, evidence: Evidence) -> None:
        """Read ahead for this key, unless there are enough keys."""
        with self._lock:
            if self._left:
                self._left -= 1
                self._begun[evidence.key_arn] = self._threads.submit(self._read, evidence)

    def stop(self) -> None:
        """Begin no more keys."""
        with self._lock:
            self._left = 0
            self._begun = {arn: one for arn, one in self._begun.items() if not one.cancel()}

    def piece(self, arn: KeyArn, piece: str) -> object:
        """A piece that was read ahead, once it is there. None: it was not read."""
        begun = self._begun.get(arn)
        return None if begun is None else getattr(begun.result(), piece)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        self._threads.shutdown()
