"""Rows of measurements, and their tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

HEAD: Final = ("what", "N", "ours", "peer", "ratio", "target", "met")


@dataclass(frozen=True)
class Row:
    """One measurement. Texts include their units; an empty text is a cell that does not apply."""

    what: str
    n: int | None
    """Number of keys, files or records."""
    ours: str
    peer: str = ""
    ratio: float | None = None
    """The value to compare with the target, usually the other tool's figure over Keysweep's."""
    target: str = ""
    met: bool | None = None
    """None: for information only, without a target."""


def seconds(value: float) -> str:
    """Format seconds."""
    if value < 0.1:
        return f"{value * 1000:.1f} ms"
    return f"{value:.2f} s" if value < 10 else f"{value:.1f} s"


def megabytes(value: float) -> str:
    """Format bytes as megabytes (10^6 bytes)."""
    return f"{value:.0f} MB"


def markdown(rows: Iterable[Row]) -> str:
    """The rows as a table."""
    lines = [HEAD, tuple("---" for _ in HEAD), *map(_cells, rows)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.what,
        "" if row.n is None else f"{row.n:,}",
        row.ours,
        row.peer,
        "" if row.ratio is None else _ratio(row.ratio),
        row.target,
        "" if row.met is None else ("yes" if row.met else "**no**"),
    )


def _ratio(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
