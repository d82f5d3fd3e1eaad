"""Reads ahead for single keys, while their account-Region waits to be scanned."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final

from ..models import Evidence, KeyArn

_THREADS: Final = 2
"""Two answers of less than a second each use up CloudTrail's two requests a second."""


class ReadAhead:
    """Evidence of keys that wait for a scan, with what comes after it.

    CloudTrail's quota binds a plan, and would be idle until the scan has ended. A key uses only
    what it still needs then, so that timing never decides about a key. Thread-safe.
    """

    def __init__(
        self, most: int, read: Callable[[Evidence], Evidence], threads: ThreadPoolExecutor
    ) -> None:
        self._left = most
        self._read = read
        self._begun: dict[KeyArn, Future[Evidence]] = {}
        self._lock = threading.Lock()
        self._threads = threads

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


@contextmanager
def reading_ahead(most: int, read: Callable[[Evidence], Evidence]) -> Iterator[ReadAhead]:
    """Reads ahead for at most so many keys, until the end. `read` adds what follows the scan."""
    with ThreadPoolExecutor(_THREADS) as threads:
        ahead = ReadAhead(most, read, threads)
        try:
            yield ahead
        finally:
            ahead.stop()
