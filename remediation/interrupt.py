"""Ctrl-C and SIGTERM: once to end in order, twice to end at once. Neither loses anything."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

from .work import Stop

EXIT_CODE: Final = 1
"""Something is left."""

_SHOW_CURSOR: Final = "\x1b[?25h"


@contextmanager
def orderly(stop: Stop) -> Iterator[None]:
    """While work goes on that writes: ask it to stop, and end at once when asked again.

    What is in flight then stands in the journal as intents, and the next run decides them.
    """

    def asked() -> None:
        if stop.asked:
            _end("stopped at once; the journal has what was begun: run the same command again")
        stop.ask("stopped by hand")
        _say("stopping when the calls in flight have ended; press Ctrl-C again to stop at once")

    with _handling(asked):
        yield


@contextmanager
def at_once() -> Iterator[None]:
    """While work goes on that changes nothing: end without waiting for calls in flight."""
    with _handling(lambda: _end("interrupted; nothing was changed")):
        yield


@contextmanager
def _handling(asked: Callable[[], None]) -> Iterator[None]:
    def handle(_signal: int, _frame: FrameType | None) -> None:
        asked()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _say(sentence: str) -> None:
    # Straight to the file: a handler may run in the middle of a write to sys.stderr.
    os.write(2, f"keysweep: {sentence}\n".encode())


def _end(sentence: str) -> None:
    """Leave without the interpreter's wait for threads that hang in a call."""
    if sys.stderr.isatty():
        os.write(2, _SHOW_CURSOR.encode())  # a progress bar hides it
    _say(sentence)
    os._exit(EXIT_CODE)
