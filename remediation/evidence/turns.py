"""Who scans next: account-Regions take turns, because scans take CPU and memory."""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final


class Turns:
    """Lets so many threads in at a time, those of one Region after each other.

    Accounts share the clients of a Region, and only some hundred clients are kept. So another
    Region's turn comes when none of the former's is left, or has not ended for `PATIENCE` seconds.
    """

    PATIENCE: Final = 3.0

    def __init__(self, number: int) -> None:
        self._number = number
        self._held = 0
        self._region = ""
        self._since = -math.inf
        """When a turn was last begun or ended."""
        self._numbers = itertools.count()
        self._waiting: list[tuple[str, int]] = []
        self._changed = threading.Condition()

    @contextmanager
    def of(self, region: str) -> Iterator[None]:
        """Wait for a turn, and hold it."""
        with self._changed:
            mine = region, next(self._numbers)
            self._waiting.append(mine)
            while not self._is_next(mine):
                self._changed.wait(self.PATIENCE)
            self._waiting.remove(mine)
            self._region = region
            self._change(1)
        try:
            yield
        finally:
            with self._changed:
                self._change(-1)

    def _change(self, turns: int) -> None:
        self._held += turns
        self._since = time.monotonic()
        self._changed.notify_all()

    def _is_next(self, mine: tuple[str, int]) -> bool:
        first = min(self._waiting, key=lambda one: (one[0] != self._region, one))
        if mine != first or self._held >= self._number:
            return False
        idle = time.monotonic() - self._since
        return mine[0] == self._region or not self._held or idle >= self.PATIENCE
