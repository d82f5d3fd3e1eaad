"""`keysweep verify`, for the shell's completion; it is answered without click, in `pack`."""

from __future__ import annotations

from .. import verify_command
from .plain_command import PlainCommand

verify = PlainCommand(
    "verify", verify_command.PARAMETERS, verify_command.ABOUT, verify_command.EXAMPLE
)
