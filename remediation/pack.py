"""Where the pack lies, for the scanners. Standard library only: it runs in their environments."""

from __future__ import annotations

import argparse
import importlib.util
import sys

FOLDERS = {
    "checkov": "keysweep.checkov",
    "prowler": "keysweep.services.kms",
    "policies": "keysweep.policies",
}
"""What `keysweep path` knows, and the installed package that holds it."""


def folder(name: str) -> str:
    """The installed folder to hand to a scanner."""
    spec = importlib.util.find_spec(FOLDERS[name])
    if spec is None or not spec.submodule_search_locations:
        sys.exit(f"keysweep: {FOLDERS[name]} is not installed; reinstall keysweep")
    return next(iter(spec.submodule_search_locations))


def main(arguments: list[str]) -> int:
    """Answer `path`; returns the exit code."""
    parser = argparse.ArgumentParser(prog="keysweep")
    commands = parser.add_subparsers(dest="command", required=True)
    path = commands.add_parser("path", help="folder to hand to the scanner")
    path.add_argument("part", choices=sorted(FOLDERS))
    options = parser.parse_args(arguments)
    sys.stdout.write(folder(options.part) + "\n")
    return 0
