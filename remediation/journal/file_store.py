"""A journal in a file: append lines under a lock that the operating system releases."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..errors import RUN_AGAIN, BadInput, Refused
from ..files import exists, write_private
from .store import JournalExists, LineNotWritten, Reading, Stamp


class JournalUnusable(BadInput):
    """The file cannot be written. Nothing was added to it."""

    def __init__(self, path: object, why: str) -> None:
        super().__init__(
            f"{path}: The journal cannot be written: {why}. Nothing was done. "
            "Fix: make it writable, or name another."
        )
        self.why: Final = why


@dataclass(frozen=True)
class FileStore:
    """A journal in a file."""

    path: Path
    tears: bool = True
    unlock: None = None
    """The operating system releases the lock."""

    def __str__(self) -> str:
        return str(self.path)

    def exists(self) -> bool:
        """Whether the file exists. An invalid name counts as absent, and fails on opening."""
        return exists(self.path)

    def read(self, reading: Reading) -> Iterator[tuple[int, bytes]]:
        """Yield the lines, except empty ones."""
        if self.exists() and not (self.path.is_file() or self.path.is_dir()):
            raise BadInput(
                f"{self.path}: Not a regular file. Fix: name another journal with --journal."
            )
        try:
            with self.path.open("rb") as file:
                reading.stamp = _stamp_of(file.fileno())
                for number, raw in enumerate(file, start=1):
                    if raw.strip():
                        yield number, raw.rstrip(b"\r\n")
        except OSError as error:
            raise BadInput(
                f"{self.path}: The journal could not be read: {error.strerror}. "
                "Fix: name the journal with --journal."
            ) from error

    def open(self, run: str) -> FileAppender:  # noqa: ARG002 - the interface's
        """Open or create the file, and lock it."""
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            handle = os.open(self.path, flags, 0o600)
        except OSError as error:
            raise self._unusable(error) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Even if the file exists: a killed run may have just created it.
            _sync_folder(self.path.absolute().parent)
            _sync_folder(self.path.absolute().parent.parent)
        except OSError as error:
            os.close(handle)
            if isinstance(error, BlockingIOError):
                raise Refused(
                    f"{self.path}: Another keysweep is writing to this journal. Wait until it ends."
                ) from error
            raise self._unusable(error) from error
        return FileAppender(self.path, handle)

    def create(self, run: str, lines: Sequence[bytes]) -> None:  # noqa: ARG002 - the interface's
        """Write the complete file, or none."""
        try:
            write_private(self.path, (line.decode("ascii") for line in lines), new=True)
        except FileExistsError as error:
            raise JournalExists(self.path) from error
        _sync_folder(self.path.absolute().parent)

    def _unusable(self, error: OSError) -> JournalUnusable:
        link = error.errno == errno.ELOOP
        why = "it is a symbolic link, which is not followed" if link else _reason(error)
        return JournalUnusable(self.path, why)


class FileAppender:
    """An open and locked file."""

    fix: str = f"free some space or repair the disk, then {RUN_AGAIN}"

    def __init__(self, path: Path, handle: int) -> None:
        self._path = path
        self._handle = handle

    @property
    def stamp(self) -> Stamp:
        return _stamp_of(self._handle)

    def demand_room(self, size: int) -> None:
        """Raise BadInput if the disk does not have this many bytes free."""
        try:
            disk = os.fstatvfs(self._handle)
        except OSError as error:
            raise JournalUnusable(self._path, _reason(error)) from error
        room = disk.f_bavail * disk.f_frsize
        if size > room:
            raise BadInput(
                f"{self._path}: The journal needs {size // 1024} KB for this run; its disk has "
                f"{room // 1024} KB free. Nothing was done. Fix: free some space, or name another "
                "file with --journal."
            )

    def is_torn(self) -> bool:
        """Whether the file does not end with a line feed."""
        try:
            size = os.fstat(self._handle).st_size
            return size > 0 and os.pread(self._handle, 1, size - 1) != b"\n"
        except OSError as error:
            raise LineNotWritten(_reason(error)) from error

    def append(self, data: bytes) -> None:
        """Append the line and sync it to disk."""
        try:
            written = os.write(self._handle, data)
            os.fsync(self._handle)
        except OSError as error:
            raise LineNotWritten(_reason(error)) from error
        if written != len(data):
            raise LineNotWritten(f"only {written} of {len(data)} bytes were written")

    def close(self) -> None:
        """Close the file, which releases the lock."""
        os.close(self._handle)


def _stamp_of(handle: int) -> Stamp:
    """Device, inode, size and modification time of an open file."""
    state = os.fstat(handle)
    return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns


def _reason(error: OSError) -> str:
    return error.strerror or str(error)


def _sync_folder(folder: Path) -> None:
    """Sync a folder's entries to disk, if the file system and permissions allow it."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except PermissionError:
        return  # the folder can be searched, but not read
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:  # not supported by the file system
            raise
    finally:
        os.close(handle)
