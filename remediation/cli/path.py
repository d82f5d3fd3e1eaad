"""`keysweep path` for completion and help; `standalone` runs it without click."""

from __future__ import annotations

from .. import standalone
from .argparse_command import ArgparseCommand

path = ArgparseCommand(
    "path", standalone.PATH_PARAMETERS, standalone.PATH_ABOUT, standalone.PATH_EXAMPLE
)
