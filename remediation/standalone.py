"""Run `keysweep path` and `keysweep verify`.

Standard library only, because both also run in the environment of a scanner.
"""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from .parameters import DIAGNOSTICS, Parameter
from .paths import FOLDERS, folder

PATH_PARAMETERS: Final[tuple[Parameter, ...]] = (
    (("part",), {"choices": sorted(FOLDERS), "help": "A scanner, or policies."}),
    (("--format",), {"choices": ("table", "json"), "default": "table", "help": "Output format."}),
    *DIAGNOSTICS,
)

PATH_ABOUT: Final = "Print the folder of a scanner's checks, to pass to it, or of the policies."
PATH_EXAMPLE: Final = 'prowler aws -x "$(keysweep path prowler)"'
"""Description and example in the help."""


def main(arguments: list[str]) -> int:
    """Run `path` or `verify` and return the exit code.

    Raises BadInput if the log file cannot be written.
    """
    import argparse

    command, *rest = arguments
    log_options = argparse.ArgumentParser(
        prog=f"keysweep {command}", add_help=False, allow_abbrev=False
    )
    for names, settings in DIAGNOSTICS:
        log_options.add_argument(*names, **settings)
    log, _ = log_options.parse_known_args(rest)
    with ExitStack() as logs:
        if log.debug or os.environ.get("KEYSWEEP_DEBUG"):
            from . import diagnostics

            if log.debug or diagnostics.debug_asked():
                logs.enter_context(diagnostics.to_stderr())
        if log_file := log.log_file or os.environ.get("KEYSWEEP_LOG_FILE"):
            from . import diagnostics

            logs.enter_context(diagnostics.to_file(Path(log_file)))
        return _run(command, rest)


def _run(command: str, rest: list[str]) -> int:
    # Imports are lazy because `keysweep path` is part of scanner commands and must be fast.
    if command == "verify":
        from .verify import command as verify

        return verify.main(rest)
    import argparse

    parser = argparse.ArgumentParser(
        prog="keysweep path",
        description=PATH_ABOUT,
        epilog=f"example: {PATH_EXAMPLE}",
    )
    for names, settings in PATH_PARAMETERS:
        parser.add_argument(*names, **settings)
    options = parser.parse_args(rest)
    found = folder(options.part)
    if options.format == "json":
        import json

        found = json.dumps({"path": found})
    sys.stdout.write(f"{found}\n")
    return 0
