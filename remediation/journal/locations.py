"""Where journals are kept, from a file's path or a store. Imports no library of AWS."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from .file_store import FileStore
from .store import Store

Location = Path | Store
"""A file, or a journal in S3. As text: the value of `--journal`."""


def store_of(location: Location) -> Store:
    """Where the journal is kept."""
    return FileStore(location) if isinstance(location, Path) else location


def exists(location: Location) -> bool:
    """Whether there is a journal. Raises AccessRefused if AWS refuses to say."""
    return store_of(location).exists()


def distinct(locations: Iterable[Location]) -> tuple[Location, ...]:
    """The locations, without those that lead to the same journal as an earlier one."""
    return tuple({_identity(one): one for one in reversed([*locations])}.values())[::-1]


def _identity(location: Location) -> str:
    return os.path.realpath(location) if isinstance(location, Path) else str(location)
