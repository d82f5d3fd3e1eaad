"""Locations of journals: paths and stores. Imports no AWS library."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from .file_store import FileStore
from .store import Store

Location = Path | Store
"""A file, or a journal in S3. As text: the value of `--journal`."""


def store_of(location: Location) -> Store:
    """Return the store of a location."""
    return FileStore(location) if isinstance(location, Path) else location


def exists(location: Location) -> bool:
    """Whether there is a journal. Raises AccessRefused if AWS refuses the request."""
    return store_of(location).exists()


def distinct(locations: Iterable[Location]) -> tuple[Location, ...]:
    """The locations, except those of the same journal as an earlier one."""
    return tuple({_identity(one): one for one in reversed([*locations])}.values())[::-1]


def _identity(location: Location) -> str:
    return os.path.realpath(location) if isinstance(location, Path) else str(location)
