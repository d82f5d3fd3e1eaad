"""What tests counted (`record_property("figures", "3 kills, 20 events")`), added up by file.

`--figures FILE` keeps the sums of a run that passed, from which docs/generate makes a table.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

_COUNT = re.compile(r"(\d+) ([A-Za-z][A-Za-z ]*)")
_SEED = re.compile(r"from seed (\d+): ")

MUTANT = "::test_a_history_shows_a_rule_that_is_switched_off["
"""The test that has one mutant each time."""


def added_up(reports: Iterable[Any]) -> dict[str, dict[str, Any]]:
    """Tests that passed, seeds and counts of each test file that counts something."""
    tests: Counter[str] = Counter()
    counts: dict[str, Counter[str]] = {}
    seeds: dict[str, set[int]] = {}
    for report in reports:
        file = report.nodeid.partition("::")[0]
        tests[file] += 1
        if MUTANT in report.nodeid:
            counts.setdefault(file, Counter())["mutants found"] += 1
        for name, text in report.user_properties:
            if name != "figures":
                continue
            seeds.setdefault(file, set()).update(map(int, _SEED.findall(text)))
            sums = counts.setdefault(file, Counter())
            for number, what in _COUNT.findall(_SEED.sub("", text)):
                sums[what.strip()] += int(number)
    return {
        file: {
            "tests": tests[file],
            "seeds": sorted(seeds.get(file, ())),
            "counts": dict(sorted(counts[file].items())),
        }
        for file in sorted(counts)
    }


def keep(found: dict[str, dict[str, Any]], path: Path) -> None:
    """Replace what the file has of the same test files."""
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    for file, figures in found.items():
        kept[file] = {"date": today, "version": version("keysweep"), **figures}
    text = json.dumps(kept, indent=2, sort_keys=True) + "\n"
    path.write_text(text, encoding="utf-8")
