"""The picture of the stages in CONTRIBUTING.md, made from the imports of the code.

`python -P tests/way_of_a_key.py` draws docs/_static/way-of-a-key.svg anew; a test compares it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CODE = ROOT / "remediation"
PICTURE = ROOT / "docs" / "_static" / "way-of-a-key.svg"

STAGES = {
    "cancel": "undoes it",
    "apply": "schedules what was reviewed",
    "reread": "what changed since the review",
    "report": "tables, JSON, Markdown, CSV, HTML",
    "mutelist": "for Prowler",
    "guard": "watches the waiting period",
    "status": "what became of it",
    "plan": "the verdicts, for a person",
    "write": "the one writer",
    "rules": "what holds a key",
    "lifecycle": "whose deletion it is",
    "evidence": "what AWS says of a key",
    "journal": "what was done",
    "iac": "from code to keys, and their owners",
    "aws": "sessions, limits, complete responses",
    "findings": "what scanners wrote",
}
"""Modules and packages of `remediation` that a key passes, and what each is about."""

Imports = Mapping[str, frozenset[str]]

WIDTH, HEIGHT, GAP, ROW = 196, 46, 20, 96


def imports() -> Imports:
    """Which stages each stage imports."""
    found: dict[str, set[str]] = {stage: set() for stage in STAGES}
    for path in CODE.rglob("*.py"):
        stage = path.relative_to(CODE).with_suffix("").parts[0]
        if stage in STAGES:
            found[stage] |= {other for other in _imported(path) if other in STAGES}
    return {stage: frozenset(others - {stage}) for stage, others in found.items()}


def _imported(path: Path) -> Iterator[str]:
    """First names below `remediation` of all that a module imports."""
    package = path.relative_to(CODE).parent.parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            for alias in node.names:
                yield ([*base, *(node.module or alias.name).split(".")])[0]


def direct(graph: Imports) -> Imports:
    """Without the imports of what is reached through another stage anyway."""
    return {
        stage: frozenset(
            other
            for other in others
            if not any(other in _below(graph, through) for through in others - {other})
        )
        for stage, others in graph.items()
    }


def _below(graph: Imports, stage: str) -> frozenset[str]:
    return graph[stage].union(*(_below(graph, other) for other in graph[stage]))


def rows(graph: Imports) -> list[list[str]]:
    """The stages from the top down: each below its importers, and what has none above its first."""
    level: dict[str, int] = {}

    def level_of(stage: str) -> int:
        if stage not in level:
            importers = [other for other in graph if stage in graph[other]]
            level[stage] = 1 + max(map(level_of, importers), default=-1)
        return level[stage]

    for stage in STAGES:
        level_of(stage)
    for stage in STAGES:
        if not any(stage in others for others in graph.values()):
            level[stage] = min(map(level_of, graph[stage])) - 1
    return [[s for s in STAGES if level[s] == row] for row in range(1 + max(level.values()))]


def drawn(graph: Imports) -> str:
    """The picture as SVG; its colors do on light and on dark ground."""
    lines = rows(graph)
    width = max(map(len, lines)) * (WIDTH + GAP) + GAP
    at = {
        stage: (
            (width - len(line) * (WIDTH + GAP) + GAP) // 2 + column * (WIDTH + GAP),
            GAP + level * ROW,
        )
        for level, line in enumerate(lines)
        for column, stage in enumerate(line)
    }
    arrows = "".join(
        f'<path d="M{at[stage][0] + WIDTH // 2} {at[stage][1] + HEIGHT}'
        f' L{at[other][0] + WIDTH // 2} {at[other][1] - 6}"/>\n'
        for stage, others in sorted(direct(graph).items())
        for other in sorted(others)
    )
    boxes = "".join(
        f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="6"/>'
        f'<text class="name" x="{x + WIDTH // 2}" y="{y + 19}">{stage}</text>'
        f'<text x="{x + WIDTH // 2}" y="{y + 36}">{STAGES[stage]}</text>\n'
        for stage, (x, y) in at.items()
    )
    height = 2 * GAP + (len(lines) - 1) * ROW + HEIGHT
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img"'
        ' aria-label="Stages and their imports">\n'
        "<style>rect{fill:#2f5d8a}text{fill:#fff;font:11px sans-serif;text-anchor:middle}"
        ".name{font-weight:bold;font-size:14px}"
        "path{stroke:#8a8f98;stroke-width:1.5;fill:none;marker-end:url(#tip)}</style>\n"
        '<marker id="tip" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="7" markerHeight="7"'
        ' orient="auto"><path d="M0 0L8 4L0 8z" style="fill:#8a8f98;stroke:none;marker-end:none"/>'
        f"</marker>\n{arrows}{boxes}</svg>\n"
    )


if __name__ == "__main__":
    PICTURE.write_text(drawn(imports()), encoding="utf-8")
