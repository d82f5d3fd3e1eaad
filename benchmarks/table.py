"""A row of a table of measurements, and the tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

HEAD: Final = ("what", "N", "ours", "peer", "ratio", "target", "met")


@dataclass(frozen=True)
class Row:
    """One measurement. Texts carry their units; an empty one is a cell that does not apply."""

    what: str
    n: int | None
    """How many keys, files or records."""
    ours: str
    peer: str = ""
    ratio: float | None = None
    """What the target is about: mostly the peer's figure over ours."""
    target: str = ""
    met: bool | None = None
    """None: a figure for information, without a target."""


def seconds(value: float) -> str:
    """Seconds for people."""
    if value < 0.1:
        return f"{value * 1000:.1f} ms"
    return f"{value:.2f} s" if value < 10 else f"{value:.1f} s"


def megabytes(value: float) -> str:
    """Megabytes (10^6 bytes) for people."""
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
