"""Reading files that others name, never more than is bearable."""

from __future__ import annotations

from pathlib import Path

from ..errors import BadInput


def read_bounded(path: Path, largest: int) -> bytes:
    """All bytes of a file or pipe. Raises BadInput when it cannot be read, or has more bytes."""
    try:
        with path.open("rb") as stream:
            content = stream.read(largest + 1)
    except (OSError, ValueError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or "not a file"
        raise BadInput(f"{path}: cannot be read: {why}") from error
    if len(content) > largest:
        raise BadInput(f"{path}: has more than {largest // 1024 // 1024} MiB; give another file")
    return content
