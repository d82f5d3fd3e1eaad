"""Where the pack lies, and whether the scanners run it: `keysweep path` and `keysweep verify`.

Standard library only: both are answered in a scanner's environment too.
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

PATH_PARAMETERS: Final[tuple[Parameter, ...]] = (
    (("part",), {"choices": sorted(FOLDERS), "help": "the scanner, or the policies"}),
)


def folder(name: str) -> str:
    """The installed folder to hand to a scanner."""
    spec = importlib.util.find_spec(FOLDERS[name])
    if spec is None or not spec.submodule_search_locations:
        sys.exit(f"keysweep: {FOLDERS[name]} is not installed; reinstall keysweep")
    return next(iter(spec.submodule_search_locations))


def main(arguments: list[str]) -> int:
    """Answer `path` or `verify`; returns the exit code."""
    command, *rest = arguments
    # Each imports what it needs when it is asked: people put `keysweep path` into a scanner's call.
    if command == "verify":
        from . import verify_command

        return verify_command.main(rest)
    import argparse

    parser = argparse.ArgumentParser(
        prog="keysweep path",
        description="Prints the folder to hand to the scanner.",
        epilog='example: prowler aws -x "$(keysweep path prowler)"',
    )
    for names, settings in PATH_PARAMETERS:
        parser.add_argument(*names, **settings)
    sys.stdout.write(folder(parser.parse_args(rest).part) + "\n")
    return 0
