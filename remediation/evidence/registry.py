"""All evidence sources, found in this package."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable
from typing import Final

from ..errors import demand
from ..models import PIECES
from .source import Source

_NOT_SOURCES: Final = frozenset({"collector", "registry"})
"""Modules that import this one."""


def _declared() -> Iterable[Source]:
    package = __name__.rpartition(".")[0]
    for found in pkgutil.iter_modules(importlib.import_module(package).__path__):
        if found.name in _NOT_SOURCES:
            continue
        module = importlib.import_module(f"{package}.{found.name}")
        if source := getattr(module, "SOURCE", None):
            yield source
        yield from getattr(module, "SOURCES", {}).values()


def _discover() -> dict[str, Source]:
    sources: dict[str, Source] = {}
    for source in _declared():
        piece = source.piece
        demand(piece in PIECES, f"no such piece of evidence: {piece}")
        demand(piece not in sources, f"two sources fill {piece}")
        one_way = (source.read_key is None) != (source.read_account_region is None)
        demand(one_way, f"{piece} needs exactly one function that reads it")
        sources[piece] = source
    return sources


SOURCES: Final = _discover()
"""The source of each piece, by the piece's name."""
