"""The HTML page: one file with its own style, without scripts or external resources.

Text from outside stays text: Jinja2 escapes markup, and `printable` escapes invisible characters.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from ..escape import printable
from ..wording import counted
from .evidence_words import moment
from .key_rows import money
from .page import Page

_TEMPLATE: Final = "page.html.j2"

_NUMBERS: Final = frozenset(
    {"to schedule", "on hold", "skipped", "monthly cost", "saved", "keys", "drifted", "unreadable"}
)
"""Columns with numbers, aligned right."""


def html(page: Page) -> str:
    """The page as one HTML document."""
    return _template().render(
        page=page,
        numbers=_NUMBERS,
        counted=counted,
        money=money,
        moment=moment,
        version=version("keysweep"),
    )


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(_TEMPLATE)


def _shown(value: object) -> object:
    """Escape plain strings; markup that is already escaped passes."""
    return printable(value) if type(value) is str else value
