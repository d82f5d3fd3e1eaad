"""The formats that are read. A format is one module of this package with a `FORMAT`.

Nothing is wired up elsewhere: the registry finds the modules.
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


def recognise(
    record: msgspec.Raw, likely: Format[Any] | None = None
) -> tuple[Format[Any], Any] | None:
    """The format that a record is written in, told from its content, and the record's head.

    `likely` is the format to try first: that of the record before.
    """
    for known in (likely, *FORMATS) if likely else FORMATS:
        if (head := known.recognise(record)) is not None:
            return known, head
    return None
