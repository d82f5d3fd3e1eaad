"""Script for Prowler's Python, passed on standard input: print facts about Prowler and its checks.

Prints one JSON object. Does not import Prowler, to be fast. Runs on Python 3.9 too, as older
Prowlers do.
"""

from __future__ import annotations

import json
import re
import sys
from importlib import metadata, util
from pathlib import Path


def facts(checks: list[str]) -> dict[str, object]:
    """Prowler's version, the Regions that it leaves out, and where checks of these ids come from.

    `folders` are where Prowler keeps its own checks of these ids, or would. `holders` names whose
    check each existing folder holds. `packaged` are the ids that installed packages provide.
    """
    found = util.find_spec("prowler")
    if found is None or not found.submodule_search_locations:
        return {}
    package = Path(next(iter(found.submodule_search_locations))).resolve()
    services = package / "providers" / "aws" / "services"
    folders = {check: services / check.split("_", maxsplit=1)[0] / check for check in checks}
    provided = {
        entry.name
        for distribution in metadata.distributions()
        for entry in distribution.entry_points
        if entry.group == "prowler.checks.aws"
    }
    return {
        "version": _version(package),
        "folders": {check: str(folder) for check, folder in folders.items()},
        "holders": {check: _holder(folder) for check, folder in folders.items() if folder.is_dir()},
        "packaged": sorted(provided & set(checks)),
        "regions": _regions(package / "config" / "config.yaml"),
    }


def _holder(folder: Path) -> str:
    """Whose check the folder holds: Prowler's own, or a copy of Keysweep's that `-x` left."""
    declared = folder / (folder.name + ".metadata.json")
    keysweeps = declared.is_file() and "keysweep" in declared.read_text("utf-8")
    return "keysweep" if keysweeps else "prowler"


def _version(package: Path) -> str:
    text = (package / "config" / "config.py").read_text("utf-8")
    stated = re.search(r'^prowler_version = "([^"]+)"', text, re.MULTILINE)
    return stated[1] if stated else metadata.version("prowler")


def _regions(config: Path) -> list[str]:
    """`disallowed_regions` of Prowler's default configuration."""
    import yaml  # noqa: PLC0415  installed with Prowler

    loaded = yaml.safe_load(config.read_text("utf-8")) or {}
    return sorted(map(str, (loaded.get("aws") or {}).get("disallowed_regions") or []))


if __name__ == "__main__":
    json.dump(facts(sys.argv[1:]), sys.stdout)
