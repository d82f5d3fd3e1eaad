"""`keysweep path`, for the shell's completion; it is answered without click, in `pack`."""

from __future__ import annotations

from .. import pack
from .argparse_command import ArgparseCommand

path = ArgparseCommand("path", pack.PATH_PARAMETERS, pack.PATH_ABOUT, pack.PATH_EXAMPLE)
