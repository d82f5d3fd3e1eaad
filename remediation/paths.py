"""Folders that the distribution installs. Standard library only."""

from __future__ import annotations

import importlib.util
import sys
from typing import Final

FOLDERS: Final = {
    "checkov": "keysweep.checkov",
    "prowler": "keysweep.services.kms",
    "policies": "keysweep.policies",
}
"""The argument of `keysweep path`, and the installed package that it stands for."""


def folder(name: str) -> str:
    """Path of an installed folder, for a scanner's options. Exits if it is not installed."""
    spec = importlib.util.find_spec(FOLDERS[name])
    if spec is None or not spec.submodule_search_locations:
        sys.exit(f"keysweep: {FOLDERS[name]} is not installed. Reinstall keysweep")
    return next(iter(spec.submodule_search_locations))
