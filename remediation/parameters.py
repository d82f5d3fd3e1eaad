"""Parameters that argparse and click share. Standard library only."""

from __future__ import annotations

from typing import Any, Final

Parameter = tuple[tuple[str, ...], dict[str, Any]]
"""Names and settings of an argument or option, in argparse's terms."""

DIAGNOSTICS: Final[tuple[Parameter, ...]] = (
    (
        ("--debug",),
        {
            "action": "store_true",
            "help": "Log every AWS request and the tracebacks of errors to standard error.",
        },
    ),
    (
        ("--log-file",),
        {"metavar": "FILE", "help": "Append the same log to a file, created with mode 0600."},
    ),
)
"""Options of every command. Also set by `KEYSWEEP_DEBUG` and `KEYSWEEP_LOG_FILE`."""
