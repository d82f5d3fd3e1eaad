"""Reading documents whole and writing private ones at once: never half written, never by a link."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from .errors import BadInput


def write_private(path: Path, text: str) -> None:
    """Write the text for the owner's eyes alone (mode 0600), whole or not at all.

    A symbolic link at `path` is replaced, not followed. Raises BadInput when it cannot be written.
    """
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise BadInput(
            f"{path}: cannot be written: {error.strerror}; choose another place"
        ) from error
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except OSError as error:
        Path(name).unlink(missing_ok=True)
        raise BadInput(
            f"{path}: cannot be written: {error.strerror}; choose another place"
        ) from error


def read_text(path: Path) -> str:
    """The whole text of a file of ours. Raises BadInput naming the file."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadInput(
            f"{path}: is not UTF-8 text (byte {error.start}); give the file as keysweep wrote it"
        ) from error
