"""Calls between two processes over a pipe: in both directions, many at a time."""

from __future__ import annotations

import itertools
import logging
import pickle
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from ..diagnostics import brief
from ..errors import KeysweepError

_log: Final = logging.getLogger(__name__)

_UNANSWERED: Final = 0
"""Number of calls that get no answer."""

_RELAYED: Final = (BotoCoreError, ClientError, KeysweepError)
"""Errors that are raised again on the other side. Others become a `PeerError`."""


class PeerLost(Exception):
    """The other process has ended, or its end of the pipe is closed."""


class PeerError(Exception):
    """An unexpected error in the other process, whose log has its traceback."""


class Peer:
    """One end of a pipe to another process. Thread-safe.

    A call names a function of a module, which runs in a thread of the other process with that
    process's `context` as its first argument.
    """

    def __init__(self, pipe: Connection, context: Any, threads: int) -> None:
        self._pipe = pipe
        self._context = context
        self._threads = ThreadPoolExecutor(threads)
        self._sending = threading.Lock()
        self._lock = threading.Lock()
        self._numbers = itertools.count(_UNANSWERED + 1)
        self._waiting: dict[int, Future[tuple[bool, bytes]]] = {}
        self.ended = threading.Event()
        """Set once the other side has ended."""
        self.received = 0
        """Number of messages so far."""

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function there and return its value, or raise its error. Raises PeerLost."""
        future: Future[tuple[bool, bytes]] = Future()
        with self._lock:
            if self.ended.is_set():
                raise PeerLost
            number = next(self._numbers)
            self._waiting[number] = future
        self._send(number, None, pickle.dumps((function, arguments)))
        succeeded, content = future.result()
        value = pickle.loads(content)  # noqa: S301 - from our own process, over a private pipe
        if succeeded:
            return value
        raise value

    def tell(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Call a function there that returns at once, and wait for nothing. Raises PeerLost."""
        self._send(_UNANSWERED, None, pickle.dumps((function, arguments)))

    def end(self) -> None:
        """Make the other side's `listen` return. Raises PeerLost."""
        self._send(_UNANSWERED, None, b"")

    def listen(self) -> None:
        """Take calls and answers until the other side ends. Waiting calls then raise PeerLost."""
        try:
            while True:
                number, succeeded, content = self._pipe.recv()
                self.received += 1
                if succeeded is not None:
                    self._waiting.pop(number).set_result((succeeded, content))
                elif not content:
                    return
                elif number == _UNANSWERED:
                    self._run(content)
                else:
                    self._threads.submit(self._answer, number, content)
        except (EOFError, OSError):
            return
        finally:
            self._close()

    def _run(self, content: bytes) -> Any:
        function, arguments = pickle.loads(content)  # noqa: S301 - as above
        return function(self._context, *arguments)

    def _answer(self, number: int, content: bytes) -> None:
        try:
            answer = True, pickle.dumps(self._run(content))
        except Exception as error:  # noqa: BLE001 - raised on the other side
            answer = False, _pickled(error)
        try:
            self._send(number, *answer)
        except PeerLost:
            _log.debug("the other process has ended before its answer was sent")

    def _send(self, number: int, succeeded: bool | None, content: bytes) -> None:
        try:
            with self._sending:
                self._pipe.send((number, succeeded, content))
        except OSError as error:
            raise PeerLost from error

    def _close(self) -> None:
        with self._lock:
            self.ended.set()
            waiting = [*self._waiting.values()]
            self._waiting.clear()
        lost = pickle.dumps(PeerLost())
        for future in waiting:
            future.set_result((False, lost))
        self._threads.shutdown(wait=False, cancel_futures=True)


def _pickled(error: Exception) -> bytes:
    """An error as bytes that surely can be read."""
    if isinstance(error, _RELAYED):
        try:
            content = pickle.dumps(error)
            pickle.loads(content)  # noqa: S301 - what was pickled a line above
        except Exception:  # noqa: BLE001 - classes that botocore makes at run time
            _log.debug("an error that cannot be sent", exc_info=True)
        else:
            return content
    _log.error("unexpected error", exc_info=error)
    return pickle.dumps(PeerError(brief(error)))
