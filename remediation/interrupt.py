"""Ctrl-C and SIGTERM: the first ends the run in order, the second at once. Neither loses data."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Final

from .errors import RUN_AGAIN
from .journal import Location, store_of
from .runner import Stop

EXIT_CODE: Final = 1
"""Something is left."""

_SHOW_CURSOR: Final = "\x1b[?25h"


@contextmanager
def orderly(stop: Stop, journals: Iterable[Location]) -> Iterator[None]:
    """For runs that write: the first signal stops in order, the second at once.

    Calls in flight are then intents in the journals, which the next run reconciles. The locks of
    journals in S3 remain.
    """
    unlock = [f"run {command}" for one in journals if (command := store_of(one).unlock)]
    fix = ", then ".join([*unlock, RUN_AGAIN])

    def requested() -> None:
        if stop.requested:
            _end(f"Stopped at once. The journal has the calls in flight. Fix: {fix}.")
        stop.request("the run was interrupted")
        _say("Stopping after the calls in flight. Press Ctrl-C again to stop at once.")

    with _handling(requested):
        yield


@contextmanager
def at_once() -> Iterator[None]:
    """For runs that only read: end without waiting for calls in flight."""
    with _handling(lambda: _end("Interrupted. Nothing was changed.")):
        yield


@contextmanager
def _handling(requested: Callable[[], None]) -> Iterator[None]:
    def handle(_signal: int, _frame: FrameType | None) -> None:
        requested()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _say(message: str) -> None:
    # Unbuffered: a handler may run in the middle of a write to sys.stderr.
    _write(f"keysweep: {message}\n")


def _write(text: str) -> None:
    with suppress(OSError):  # the terminal may be closed
        os.write(2, text.encode())


def _end(message: str) -> None:
    """Exit without waiting for threads that hang in a call."""
    if sys.stderr.isatty():
        _write(_SHOW_CURSOR)  # a progress bar hides it
    _say(message)
    os._exit(EXIT_CODE)
