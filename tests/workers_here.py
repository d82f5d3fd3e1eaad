"""Workers as threads of this process, which its patches reach, and a clock that stands still.

What processes add is tested in test_jobs.py with real ones.
"""

from __future__ import annotations

import itertools
import socket
import threading
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from typing import Any

import pytest

from keysweep.remediation.aws import accounts
from keysweep.remediation.aws.clock import Clock
from keysweep.remediation.workers import pool, process


class Stopped(Clock):
    """A clock that stands still, also in other processes."""

    at = datetime.now(UTC)

    def __init__(self) -> None:
        super().__init__()
        self.moment = self.at

    def observe(self, date_header: str | None) -> None:
        """Stay."""

    def elapsed(self) -> float:
        return 0.0

    def now(self) -> datetime:
        return self.moment


def stop_clocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each run have the same time throughout."""
    monkeypatch.setattr(accounts, "Clock", Stopped)


class _Process:
    """What `Workers` needs of a process."""

    numbers = itertools.count(1)

    def __init__(self, thread: threading.Thread) -> None:
        self.pid = next(self.numbers)
        self._thread = thread

    def poll(self) -> int | None:
        return None if self._thread.is_alive() else 0

    def wait(self, timeout: float | None = None) -> int:
        self._thread.join(timeout)
        return 0

    def kill(self) -> None:
        """Threads end by themselves."""


def ended_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start workers that have ended before their first task."""

    class Ended(_Process):
        def poll(self) -> int | None:
            return 7

        def wait(self, timeout: float | None = None) -> int:
            return 7

    def spawn() -> tuple[Any, Connection]:
        ours, theirs = socket.socketpair()
        theirs.close()
        return Ended(threading.Thread()), Connection(ours.detach())

    monkeypatch.setattr(pool, "spawn", spawn)


def as_threads(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Start workers as threads; returns the list of those that were started."""
    started: list[Any] = []

    def spawn() -> tuple[Any, Connection]:
        ours, theirs = socket.socketpair()
        thread = threading.Thread(
            target=process.serve, args=(Connection(theirs.detach()),), daemon=True
        )
        thread.start()
        started.append(_Process(thread))
        return started[-1], Connection(ours.detach())

    monkeypatch.setattr(pool, "spawn", spawn)
    return started
