"""`keysweep path`, for the shell's completion; it is answered without click, in `standalone`."""

from __future__ import annotations

from .. import standalone
from .argparse_command import ArgparseCommand

path = ArgparseCommand(
    "path", standalone.PATH_PARAMETERS, standalone.PATH_ABOUT, standalone.PATH_EXAMPLE
)
