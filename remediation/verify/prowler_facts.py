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

    `places` are the folders that such checks of Prowler's own have or would have, `holders` say
    whose check is there, and `packaged` are the ids that installed packages provide.
    """
    found = util.find_spec("prowler")
    if found is None or not found.submodule_search_locations:
        return {}
    folder = Path(next(iter(found.submodule_search_locations))).resolve()
    services = folder / "providers" / "aws" / "services"
    places = {check: services / check.split("_", maxsplit=1)[0] / check for check in checks}
    brought = {
        entry.name
        for distribution in metadata.distributions()
        for entry in distribution.entry_points
        if entry.group == "prowler.checks.aws"
    }
    return {
        "version": _version(folder),
        "places": {check: str(place) for check, place in places.items()},
        "holders": {check: _holder(place) for check, place in places.items() if place.is_dir()},
        "packaged": sorted(brought & set(checks)),
        "regions": _regions(folder / "config" / "config.yaml"),
    }


def _holder(place: Path) -> str:
    """Whose check is among Prowler's own: Prowler's, or a copy of Keysweep's that `-x` left."""
    declared = place / (place.name + ".metadata.json")
    keysweeps = declared.is_file() and "keysweep" in declared.read_text("utf-8")
    return "keysweep" if keysweeps else "prowler"


def _version(folder: Path) -> str:
    text = (folder / "config" / "config.py").read_text("utf-8")
    stated = re.search(r'^prowler_version = "([^"]+)"', text, re.MULTILINE)
    return stated[1] if stated else metadata.version("prowler")


def _regions(config: Path) -> list[str]:
    """`disallowed_regions` of Prowler's default configuration."""
    import yaml  # noqa: PLC0415  installed with Prowler

    loaded = yaml.safe_load(config.read_text("utf-8")) or {}
    return sorted(map(str, (loaded.get("aws") or {}).get("disallowed_regions") or []))


if __name__ == "__main__":
    json.dump(facts(sys.argv[1:]), sys.stdout)
