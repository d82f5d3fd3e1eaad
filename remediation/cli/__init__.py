"""The command line: parsing, prompts and printing. The work is in the stages of the package.

Each command is in the module of its name. The other modules are shared by several commands.
"""

from __future__ import annotations

from typing import Final

DONE: Final = 0
INCOMPLETE: Final = 1
"""Exit codes: everything is done, something is left. The codes of errors are in `errors`."""
