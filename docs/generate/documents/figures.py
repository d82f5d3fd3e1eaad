"""The figures of the last runs of tests/model, tests/fuzz and the kills, in reliability.md."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from pydantic import BaseModel, TypeAdapter

SOURCES: Final = {
    "tests/model/test_histories.py": "random histories",
    "tests/model/test_mutants.py": "safety rules switched off",
    "tests/model/test_every_kill.py": "a kill at every event",
    "tests/remediation/test_kills.py": "SIGKILL at a random moment",
    "tests/fuzz/": "fuzzers",
}
"""Test files, or their folder, that count something, and what they try."""


class Figures(BaseModel):
    """What one test file counted when all of its tests passed."""

    date: str
    version: str
    tests: int
    seeds: list[int]
    counts: dict[str, int]


_ALL: Final = TypeAdapter(dict[str, Figures])


def figures_part(page: str, data: Path) -> str:
    """The page with the table of figures."""
    start, end = "<!-- figures: generated -->\n", "<!-- /figures -->\n"
    before, _, rest = page.partition(start)
    _, _, after = rest.partition(end)
    kept = _ALL.validate_python(json.loads(data.read_text("utf-8")) if data.exists() else {})
    rows = "".join(row for source, what in SOURCES.items() for row in _rows(source, what, kept))
    head = "| what | tests | version, date | counted |\n|---|---|---|---|\n"
    return f"{before}{start}\n{head}{rows}\n{end}{after}"


def _rows(source: str, what: str, kept: Mapping[str, Figures]) -> Iterator[str]:
    """One row for each file of a source."""
    files = [file for file in sorted(kept) if file.startswith(source)]
    if not files:
        yield f"| {what} | | | not run |\n"
    for file in files:
        figures = kept[file]
        counts = ", ".join(f"{count:,} {name}" for name, count in figures.counts.items() if count)
        seeds = "".join(f"; seed {seed}" for seed in figures.seeds)
        yield (
            f"| {what} (`{file}`) | {figures.tests} passed "
            f"| {figures.version}, {figures.date} | {counts}{seeds} |\n"
        )
