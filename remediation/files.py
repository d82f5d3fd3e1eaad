"""Read whole files, and write private files atomically without following symbolic links."""

from __future__ import annotations

import fcntl
import json
import os
import re
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from .errors import BadInput, Refused


def write_private(path: Path, text: str | Iterable[str], *, new: bool = False) -> None:
    """Write text atomically, readable only by the owner (mode 0600).

    A large text can be an iterable of parts. A symbolic link at `path` is replaced, not followed.
    Raises BadInput if the file could not be written, and FileExistsError for a `new` file that
    exists.
    """
    _demand_replaceable(path)
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.writelines([text] if isinstance(text, str) else text)
            file.flush()
            os.fsync(file.fileno())
        if new:
            path.hardlink_to(name)
            Path(name).unlink()
        else:
            Path(name).replace(path)
    except BaseException as error:
        Path(name).unlink(missing_ok=True)
        if not isinstance(error, OSError) or isinstance(error, FileExistsError):
            raise
        raise _unwritable(path, error) from error


def exists(path: Path) -> bool:
    """Whether there is something at the path. An unusable name counts as absent.

    Unlike `Path.exists`, never raises: not for a name that is too long, nor for a denied folder.
    """
    return os.path.exists(path)  # noqa: PTH110


def is_file(path: Path) -> bool:
    """Whether the path leads to a regular file. Never raises, as `exists`."""
    return os.path.isfile(path)  # noqa: PTH113


def beginning(path: Path) -> bytes:
    """The first bytes of a regular file, without white space; none if there is no such file."""
    if not is_file(path):
        return b""
    with suppress(OSError), path.open("rb") as file:
        return file.read(1024).lstrip()
    return b""


def ascii_json(document: str) -> str:
    """Return the same JSON in ASCII, without control or text direction characters."""
    return re.sub("[^\n -~]", lambda found: json.dumps(found[0])[1:-1], document)


def json_with_list(document: str, name: str, values: Iterable[str]) -> Iterator[str]:
    """Add a list of JSON documents to a JSON object, both indented by two.

    Yields ASCII parts, one for each value, so that a long list is not copied.
    """
    yield ascii_json(document).removesuffix("\n}") + f',\n  "{name}": ['
    end = "]"
    for number, value in enumerate(values):
        yield ",\n    " if number else "\n    "
        yield ascii_json(value).replace("\n", "\n    ")
        end = "\n  ]"
    yield f"{end}\n}}\n"


def demand_writable(path: Path | None) -> None:
    """Raise BadInput, before any work is done, if the file cannot be written."""
    if path is None:
        return
    _demand_replaceable(path)
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}."):
            pass
    except OSError as error:
        raise _unwritable(path, error) from error


def write_new(path: Path, text: str) -> None:
    """Write a whole file that does not exist yet. Raises BadInput if it does, or on an error."""
    try:
        with path.open("x", encoding="utf-8") as file:
            try:
                file.write(text)
                file.flush()
            except BaseException:
                path.unlink(missing_ok=True)
                raise
    except FileExistsError as error:
        raise BadInput(f"{path} exists already. Fix: name a file that does not exist") from error
    except OSError as error:
        raise _unwritable(path, error) from error


def read_text(path: Path) -> str:
    """Read the text of a file of Keysweep. Raises BadInput if it could not be read."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise _unreadable(path, error) from error
    except UnicodeDecodeError as error:
        raise BadInput(
            f"{path}: Not UTF-8 text (byte {error.start}). Fix: save it as UTF-8."
        ) from error


def read_at_most(path: Path, limit: int) -> bytes:
    """Read a file or pipe. Raises BadInput if it could not be read or exceeds `limit` bytes."""
    try:
        with path.open("rb") as stream:
            content = stream.read(limit + 1)
    except (OSError, ValueError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or "not a file"
        raise BadInput(
            f"{path}: The file could not be read: {why}. Fix: check the path and its permissions."
        ) from error
    if len(content) > limit:
        raise BadInput(f"{path}: More than {limit // 1024 // 1024} MiB. Fix: pass another file.")
    return content


@contextmanager
def read_stream(path: Path) -> Iterator[BinaryIO]:
    """Open a file that Keysweep wrote. Raises BadInput if it could not be read."""
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise _unreadable(path, error) from error


def _demand_replaceable(path: Path) -> None:
    """Raise BadInput for a device, a pipe or a standard stream, which no file may replace.

    A plan in place of `/dev/null` or `/dev/stdout` would break every other program.
    """
    try:
        mode = path.stat().st_mode
        stream = path.is_symlink() and str(path.readlink()).startswith("/proc/")
    except OSError:
        return
    if stream or not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise BadInput(f"{path}: Not a regular file. Fix: name a file")


@contextmanager
def locked(path: Path, busy: str) -> Iterator[None]:
    """Lock a file, at most until the process ends.

    Raises Refused with `busy` if another process has the lock. Some file systems cannot lock a file
    that is open for reading; then only the journal is locked.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise _unreadable(path, error) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Refused(f"{path}: {busy}. Wait until it ends.") from error
        except OSError:
            pass
        yield
    finally:
        os.close(handle)


def _unreadable(path: Path, error: OSError) -> BadInput:
    return BadInput(
        f"{path}: The file could not be read: {error.strerror}. "
        "Fix: check the path and its permissions."
    )


def _unwritable(path: Path, error: OSError) -> BadInput:
    return BadInput(
        f"{path}: The file could not be written: {error.strerror}. Fix: choose another path."
    )
