"""Runs inside Prowler's Python, given to it on standard input: what can be told of its pack.

Prints one JSON object. Prowler itself is not imported, so that this is quick. Understood by
Python 3.9 too, which older Prowlers run on.
"""

from __future__ import annotations

import json
import re
import sys
from importlib import metadata, util
from pathlib import Path


def look(checks: list[str]) -> dict[str, object]:
    """Tell Prowler's version, the Regions it leaves out, and who brings checks of these ids.

    `places` is where a check of Prowler's own lies or would lie, `holders` whose check is there,
    and `packaged` are the ids that installed packages bring.
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
    """Whose check lies among Prowler's own: a copy of ours that `-x` left there, or Prowler's."""
    declared = place / (place.name + ".metadata.json")
    ours = declared.is_file() and "keysweep" in declared.read_text("utf-8")
    return "keysweep" if ours else "prowler"


def _version(folder: Path) -> str:
    text = (folder / "config" / "config.py").read_text("utf-8")
    stated = re.search(r'^prowler_version = "([^"]+)"', text, re.MULTILINE)
    return stated[1] if stated else metadata.version("prowler")


def _regions(config: Path) -> list[str]:
    """`disallowed_regions` of the configuration that comes with Prowler."""
    import yaml  # noqa: PLC0415  Prowler requires it, we do not

    loaded = yaml.safe_load(config.read_text("utf-8")) or {}
    return sorted(map(str, (loaded.get("aws") or {}).get("disallowed_regions") or []))


if __name__ == "__main__":
    json.dump(look(sys.argv[1:]), sys.stdout)
