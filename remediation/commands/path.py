"""`keysweep path`, for the shell's completion; it is answered without click, in `pack`."""

from __future__ import annotations

from .. import pack
from .plain_command import PlainCommand

path = PlainCommand("path", pack.PATH_PARAMETERS, pack.PATH_ABOUT, pack.PATH_EXAMPLE)
