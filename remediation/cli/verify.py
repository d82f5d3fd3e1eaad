"""`keysweep verify`, for the shell's completion; it is answered without click, in `standalone`."""

from __future__ import annotations

from ..verify.command import ABOUT, EXAMPLE, PARAMETERS
from .argparse_command import ArgparseCommand

verify = ArgparseCommand("verify", PARAMETERS, ABOUT, EXAMPLE)
