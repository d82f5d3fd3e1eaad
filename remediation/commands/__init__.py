"""The commands, thin: parse, call, print. What they do is in the stages of the package.

Each stands in the module of its name; the others have what several commands share.
"""

from __future__ import annotations

from typing import Final

DONE: Final = 0
LEFT: Final = 1
"""Exit codes: all is done; something is left. Those of errors are with the errors."""
