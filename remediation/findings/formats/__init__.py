"""Supported formats of results. Each is a module of this package with a `FORMAT`.

All modules of the package are found; there is no list of them.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any, Final

import msgspec

from ..format import Format


def _discover() -> tuple[Format[Any], ...]:
    return tuple(
        importlib.import_module(f"{__name__}.{module.name}").FORMAT
        for module in pkgutil.iter_modules(__path__)
    )


FORMATS: Final = _discover()


def recognize(
    record: msgspec.Raw, likely: Format[Any] | None = None
) -> tuple[Format[Any], Any] | None:
    """Return the format of a record, by its content, and its head. None: unknown.

    `likely` is the format to try first, that of the previous record.
    """
    for known in (likely, *FORMATS) if likely else FORMATS:
        if (head := known.recognize(record)) is not None:
            return known, head
    return None
