"""The folders that the distribution installs, and how `path` and `verify` declare their parameters.

Standard library only.
"""

from __future__ import annotations

import importlib.util
import sys
from typing import Any, Final

FOLDERS: Final = {
    "checkov": "keysweep.checkov",
    "prowler": "keysweep.services.kms",
    "policies": "keysweep.policies",
}
"""What `keysweep path` knows, and the installed package that holds it."""

Parameter = tuple[tuple[str, ...], dict[str, Any]]
"""Names and settings of an argument or option, as argparse takes them; shells complete by them."""


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
        {"metavar": "FILE", "help": "Append the same log to a file, which is made with mode 0600."},
    ),
)
"""Options of every command. `KEYSWEEP_DEBUG` and `KEYSWEEP_LOG_FILE` stand for them."""


def folder(name: str) -> str:
    """The installed folder to hand to a scanner."""
    spec = importlib.util.find_spec(FOLDERS[name])
    if spec is None or not spec.submodule_search_locations:
        sys.exit(f"keysweep: {FOLDERS[name]} is not installed; reinstall keysweep")
    return next(iter(spec.submodule_search_locations))
