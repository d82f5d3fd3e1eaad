"""The log of a run: every AWS request, and the traceback of what was not expected.

`--debug` shows it on standard error, `--log-file` appends it to a file. Modules write to
`logging.getLogger(__name__)`; nothing is set up unless one of the options is given. The loggers of
botocore and urllib3 stay off: they show headers, bodies and signatures.

Standard library only, so that `path` and `verify` have it too.
"""

from __future__ import annotations

import logging
import os
import re
import stat
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from .errors import BadInput, InvariantError, KeysweepError
from .escape import printable

LOGGER: Final = logging.getLogger("keysweep")
"""Parent of every logger of this package."""

LOGGER.addHandler(logging.NullHandler())  # else logging itself prints warnings to standard error

_log: Final = logging.getLogger(__name__)

_OWN_LOG: Final = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
"""Beginning of each line of a log. Other files (a plan, a journal) are not appended to."""

_SAFE_MESSAGES: Final = (
    AttributeError,
    ImportError,
    InvariantError,
    KeysweepError,
    LookupError,
    NameError,
    OSError,
    RuntimeError,
    TypeError,
)
"""Errors whose message is logged. Those of others, such as ValueError, pydantic's and botocore's,
may quote what was read: a tag, a token in AWS's answer, a line of a plan."""

_LONGEST_MESSAGE: Final = 300
_LONGEST_CHAIN: Final = 20
_TRUE: Final = frozenset({"1", "on", "t", "true", "y", "yes"})


def debug_asked(arguments: Sequence[str] = ()) -> bool:
    """Whether these arguments or the environment ask for `--debug`."""
    return "--debug" in arguments or os.environ.get("KEYSWEEP_DEBUG", "").lower() in _TRUE


def logs_to_stderr() -> bool:
    """Whether the log goes to standard error, where nothing else may move the cursor."""
    return any(handler.path is None for handler in _handlers())


@contextmanager
def to_stderr() -> Iterator[None]:
    """Log to standard error."""

    def write(text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()

    with _logging_to(_Handler(write, None)):
        yield


@contextmanager
def to_file(path: Path) -> Iterator[None]:
    """Append the log to a file that only its owner can read (mode 0600).

    Raises BadInput unless it is new or a log of Keysweep, no symbolic link, and writable.
    """
    descriptor = _open(path)
    try:
        # One write for each record: those of several runs do not mix.
        with _logging_to(_Handler(lambda text: _write(descriptor, text), path)):
            yield
    finally:
        os.close(descriptor)


@contextmanager
def to_parent(write: Callable[[str], None], label: str) -> Iterator[None]:
    """Log to another process, which passes each text to `write_through`; `label` names this one."""
    with _logging_to(_Handler(write, None, label)):
        yield


def is_on() -> bool:
    """Whether there is a log."""
    return bool(_handlers())


def write_through(text: str) -> None:
    """Write lines that another process has formatted."""
    for handler in _handlers():
        handler.write(lambda: text)


def unexpected(error: Exception, arguments: Sequence[str] = ()) -> str:
    """Log an error of Keysweep itself with its traceback; returns the sentence for people.

    `arguments`: those of the command line, where its options were not reached.
    """
    shown_late = debug_asked(arguments) and not _handlers()
    with to_stderr() if shown_late else nullcontext():
        _log.critical("unexpected error", exc_info=error)
        files = [handler.path for handler in _handlers() if handler.path is not None]
        if files:
            where = f"its traceback is in {files[0]}: please report it"
        elif logs_to_stderr():
            where = "its traceback is above: please report it"
        else:
            where = "run the command again with --debug to see its traceback, and report it"
    return f"an error of keysweep itself ({brief(error)}); {where}"


def brief(error: BaseException) -> str:
    """Class and message of an error, on one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:_LONGEST_MESSAGE]


class _Handler(logging.Handler):
    """Writes records, one line each. Reports a failure once, and lets the run go on."""

    def __init__(self, write: Callable[[str], None], path: Path | None, label: str = "") -> None:
        super().__init__()
        self.path = path
        self._write = write
        self._failed = False
        self.setFormatter(_Formatter(label))

    def emit(self, record: logging.LogRecord) -> None:
        self.write(lambda: self.format(record) + "\n")

    def write(self, text: Callable[[], str]) -> None:
        """Write what `text` returns."""
        try:
            self._write(text())
        except Exception as error:  # noqa: BLE001 - a log must not stop what it tells of
            if not self._failed:
                self._failed = True
                with suppress(OSError):
                    sys.stderr.write(f"keysweep: the log has gaps from here on ({brief(error)})\n")


class _Formatter(logging.Formatter):
    """One line for each record, whatever it contains; a traceback follows on indented lines."""

    def __init__(self, label: str) -> None:
        super().__init__()
        self._label = label

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        head = (
            f"{moment.removesuffix('+00:00')}Z {record.levelname} {self._label}{record.threadName}"
        )
        lines = [printable(f"{head} {record.name}: {record.getMessage()}")]
        if record.exc_info and record.exc_info[1] is not None:
            lines += (f"    {printable(line)}" for line in _traceback(record.exc_info[1]))
        return "\n".join(lines)


def _traceback(error: BaseException) -> Iterator[str]:
    """The frames of an error and of its causes, as Python orders them."""
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and len(chain) < _LONGEST_CHAIN:
        chain.append(cause)
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    for one in reversed(chain):
        for frame in traceback.format_tb(one.__traceback__):
            yield from frame.splitlines()
        kind = f"{type(one).__module__}.{type(one).__qualname__}"
        message = str(one) if isinstance(one, _SAFE_MESSAGES) else "(message left out)"
        yield f"{kind}: {message[:_LONGEST_MESSAGE]}"


def _handlers() -> list[_Handler]:
    return [handler for handler in LOGGER.handlers if isinstance(handler, _Handler)]


@contextmanager
def _logging_to(handler: _Handler) -> Iterator[None]:
    level = LOGGER.level
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        LOGGER.setLevel(level)
        LOGGER.removeHandler(handler)
        handler.close()


def _open(path: Path) -> int:
    """A descriptor that appends to a log. Raises BadInput."""
    # O_NONBLOCK: a pipe without a reader must not block. It is refused below as not a file.
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        raise BadInput(
            f"{path}: The log cannot be written: {error.strerror}. Fix: give another --log-file."
        ) from error
    if problem := _why_not_ours(descriptor):
        os.close(descriptor)
        raise BadInput(f"{path}: Not {problem}. Fix: give another --log-file.")
    return descriptor


def _why_not_ours(descriptor: int) -> str:
    """The required kind of file that this one is not; empty if it can be appended to."""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        return "a regular file"
    begin = os.pread(descriptor, 32, 0)
    return "a log of keysweep" if begin and not _OWN_LOG.match(begin) else ""


def _write(descriptor: int, text: str) -> None:
    os.write(descriptor, text.encode("utf-8", "backslashreplace"))
