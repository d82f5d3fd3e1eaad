"""`keysweep verify` for completion and help; `standalone` runs it without click."""

from __future__ import annotations

from ..verify.command import ABOUT, EXAMPLE, PARAMETERS
from .argparse_command import ArgparseCommand

verify = ArgparseCommand("verify", PARAMETERS, ABOUT, EXAMPLE)
