"""Reading documents whole and writing private ones at once: never half written, never by a link."""

from __future__ import annotations

import fcntl
import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from .errors import BadInput, Refused


def write_private(path: Path, text: str | Iterable[str]) -> None:
    """Write the text for the owner's eyes alone (mode 0600), whole or not at all.

    A large text may come in parts. A symbolic link at `path` is replaced, not followed. Raises
    BadInput when it cannot be written.
    """
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise BadInput(
            f"{path}: cannot be written: {error.strerror}; choose another place"
        ) from error
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.writelines([text] if isinstance(text, str) else text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException as error:
        Path(name).unlink(missing_ok=True)
        if not isinstance(error, OSError):
            raise
        raise BadInput(
            f"{path}: cannot be written: {error.strerror}; choose another place"
        ) from error


def ascii_json(document: str) -> str:
    """The same JSON in ASCII: a terminal that shows it obeys nothing, and reorders nothing."""
    return re.sub("[^\n -~]", lambda found: json.dumps(found[0])[1:-1], document)


def json_with_list(document: str, name: str, values: Iterable[str]) -> Iterator[str]:
    """A JSON object, indented by two, with one more member at its end: a list of such documents.

    It comes in parts, a value each, so that a long list needs no second copy; all in ASCII.
    """
    yield ascii_json(document).removesuffix("\n}") + f',\n  "{name}": ['
    end = "]"
    for number, value in enumerate(values):
        yield ",\n    " if number else "\n    "
        yield ascii_json(value).replace("\n", "\n    ")
        end = "\n  ]"
    yield f"{end}\n}}\n"


def demand_writable(path: Path | None) -> None:
    """Raise BadInput when no file could be written there; so that it is known before the work."""
    if path is None:
        return
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise BadInput(
            f"{path}: cannot be written: {error.strerror}; choose another place"
        ) from error


def read_text(path: Path) -> str:
    """The whole text of a file of ours. Raises BadInput naming the file."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise _unreadable(path, error) from error
    except UnicodeDecodeError as error:
        raise BadInput(
            f"{path}: is not UTF-8 text (byte {error.start}); give the file as keysweep wrote it"
        ) from error


def read_at_most(path: Path, limit: int) -> bytes:
    """Read a whole file or pipe. Raises BadInput if it cannot be read or has more bytes."""
    try:
        with path.open("rb") as stream:
            content = stream.read(limit + 1)
    except (OSError, ValueError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or "not a file"
        raise BadInput(f"{path}: cannot be read: {why}") from error
    if len(content) > limit:
        raise BadInput(f"{path}: has more than {limit // 1024 // 1024} MiB; give another file")
    return content


@contextmanager
def read_stream(path: Path) -> Iterator[BinaryIO]:
    """A file of ours, to be read in parts. Raises BadInput naming the file."""
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise _unreadable(path, error) from error


@contextmanager
def locked(path: Path, busy: str) -> Iterator[None]:
    """Hold the operating system's lock on a file, which dies with the process.

    Raises Refused with `busy` while another process holds it. A file system without locks for files
    that are only read is taken as it is: then the journal's own lock is the only one.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise _unreadable(path, error) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Refused(f"{path}: {busy}; wait until it has ended") from error
        except OSError:
            pass
        yield
    finally:
        os.close(handle)


def _unreadable(path: Path, error: OSError) -> BadInput:
    return BadInput(
        f"{path}: cannot be read: {error.strerror}; check the path, and that you may read it"
    )
