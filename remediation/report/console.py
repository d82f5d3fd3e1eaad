"""The terminal: its width, and whether it draws lines."""

from __future__ import annotations

import os
from typing import Final, TextIO

from rich import box
from rich.console import Console

_ASCII_HEAD: Final = box.Box(str(box.SIMPLE_HEAD).replace("─", "-"), ascii=True)


class PeoplesConsole(Console):
    """A rich console (NO_COLOR, TERM) that also respects the C locale and COLUMNS."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(file=stream, highlight=False, soft_wrap=False)
        columns = os.environ.get("COLUMNS", "")
        if self.is_dumb_terminal and columns.isdigit():
            self.size = (int(columns), self.height)  # rich assumes 80 columns

    @property
    def encoding(self) -> str:
        """Encoding of the stream; ASCII in the C locale, although Python writes UTF-8 (PEP 540)."""
        return "ascii" if _c_locale() else super().encoding

    @property
    def lines(self) -> box.Box:
        """Box style of tables."""
        return _ASCII_HEAD if self.options.ascii_only else box.SIMPLE_HEAD


def _c_locale() -> bool:
    locale = os.environ.get("LC_ALL") or os.environ.get("LC_CTYPE")
    if not locale or (locale == "C.UTF-8" and not os.environ.get("LC_ALL")):
        # Python sets LC_CTYPE to this where LANG is C (PEP 538).
        locale = os.environ.get("LANG")
    return locale in {"C", "POSIX"}
