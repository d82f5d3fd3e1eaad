"""`keysweep verify`, for the shell's completion; it is answered without click, in `pack`."""

from __future__ import annotations

from ..verify.command import ABOUT, EXAMPLE, PARAMETERS
from .plain_command import PlainCommand

verify = PlainCommand("verify", PARAMETERS, ABOUT, EXAMPLE)
