"""The formats that are read. A format is one module of this package with a `FORMAT`.

Nothing is wired up elsewhere: the registry finds the modules.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Final

from ..format import Format
from ..lookup import JsonObject


def _discover() -> tuple[Format, ...]:
    return tuple(
        importlib.import_module(f"{__name__}.{module.name}").FORMAT
        for module in pkgutil.iter_modules(__path__)
    )


FORMATS: Final = _discover()


def recognise(record: JsonObject) -> Format | None:
    """The format that a record is written in, told from its content."""
    return next((known for known in FORMATS if known.recognises(record)), None)
