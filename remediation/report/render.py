"""A report as a terminal table, Markdown or CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import Final, TextIO

from rich.cells import cell_len
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from ..escape import csv_cell, markdown_text, printable, printable_lines
from .console import PeoplesConsole
from .tables import Report
from .view import Table

_WIDE: Final = 120
"""On fewer columns the rows get more lines instead."""

_BESIDE: Final = 72
"""On fewer columns, sentences stand below what they are about and no longer beside it."""

_KEY: Final = 36
"""Columns of a key's id, which is never folded: people copy it."""

_ROOM: Final = 14
"""Columns that a text needs to be read; longer ones fold."""

_GAP: Final = 3
"""Columns between two columns."""

_RIGHT: Final = frozenset({"monthly cost", "yearly cost", "days left", "keys"})
_WHOLE: Final = _RIGHT | {
    *("key", "account", "Region", "state", "outcome", "deletion date", "rule", "name"),
    *("waiting period", "first deletion date"),
}
_SENTENCES: Final = ("why", "drift", "message")
_NAMED: Final = frozenset({"days left", "deletion date", "use", "waiting period"})
"""Values that say nothing without their column's name."""


def terminal(report: Report, stream: TextIO) -> None:
    """Print for people; colours and width follow the terminal, NO_COLOR and COLUMNS.

    No width cuts anything: where a table's columns have no room, its rows take more lines.
    """
    console = PeoplesConsole(stream)
    for line in report.head:
        console.print(Text(printable(line), "bold"))
    for table in report.tables:
        console.print(Text(f"\n{printable(table.heading)}", "bold"))
        _draw(_shown(table), console)
    for line in report.lines:
        console.print(Text(printable(line)))


def _shown(table: Table) -> Table:
    """The table without the columns that are empty throughout."""
    shown = [index for index in range(len(table.columns)) if any(row[index] for row in table.rows)]
    return Table(
        table.heading,
        tuple(table.columns[index] for index in shown),
        tuple(tuple(row[index] for index in shown) for row in table.rows),
    )


def _draw(table: Table, console: PeoplesConsole) -> None:
    sentence = next((name for name in _SENTENCES if name in table.columns), None)
    for form in (table, _narrowed(table)) if console.width >= _WIDE else (_narrowed(table),):
        if sentence != "why" and _needs(form) <= console.width:
            console.print(_columns(form, console))
            return
    if "key" in table.columns and console.width >= _BESIDE:
        console.print(_beside(table, sentence, console))
    else:
        _records(table, console)


def _needs(table: Table) -> int:
    """How many columns of the terminal the table needs at least."""
    cells = zip(*table.rows, strict=True)
    return sum(map(_width, table.columns, cells)) + _GAP * len(table.columns)


def _width(name: str, cells: Iterable[str]) -> int:
    lines = [line for cell in cells for line in printable_lines(cell.split("\n")).split("\n")]
    longest = max(map(cell_len, lines), default=0)
    if name == "key":
        return _KEY
    return max(longest, cell_len(name)) if name in _WHOLE else min(longest, _ROOM)


def _columns(table: Table, console: PeoplesConsole) -> RichTable:
    """One line a row, unless a text folds."""
    drawn = RichTable(box=console.lines, pad_edge=False)
    spare = console.width - _needs(table)
    for name, cells in zip(table.columns, zip(*table.rows, strict=True), strict=True):
        lines = [line for cell in cells for line in cell.split("\n")]
        longest = max(map(cell_len, lines))
        drawn.add_column(
            name,
            justify="right" if name in _RIGHT else "left",
            overflow="fold",
            no_wrap=name in _WHOLE - {"key"},
            width=min(longest, _KEY + spare) if name == "key" else None,
        )
    for row in table.rows:
        drawn.add_row(*(Text(printable_lines(cell.split("\n"))) for cell in row))
    return drawn


def _narrowed(table: Table) -> Table:
    """The same rows on fewer columns: a key below its alias, a Region below its account."""
    names = list(table.columns)
    rows = [list(row) for row in table.rows]
    for name, below in (("key", "alias"), ("account", "Region")):
        if name in names and below in names:
            at, gone = names.index(name), names.index(below)
            for row in rows:
                cells = (row[at], row[gone]) if name == "account" else (row[gone], row[at])
                row[at] = "\n".join(filter(None, cells))
                del row[gone]
            del names[gone]
    return Table(table.heading, tuple(names), tuple(map(tuple, rows)))


def _beside(table: Table, sentence: str | None, console: PeoplesConsole) -> RichTable:
    """Sentences need room: the rest of a row stands on a few lines beside them.

    Where there are none, it stands in their place.
    """
    rows = []
    for row in table.rows:
        cells = {name: cell for name, cell in zip(table.columns, row, strict=True) if cell}
        lines = [cells.pop("alias", ""), cells.pop("key", "")]
        told = cells.pop(sentence, "") if sentence else ""
        rest = "  ".join(_named(name, cell) for name, cell in cells.items())
        if sentence:
            lines.append(rest)
        rows.append((printable_lines(filter(None, lines)), printable(told if sentence else rest)))
    room = console.width - _GAP - 2  # one at each end
    longest = max(cell_len(line) for about, _ in rows for line in about.split("\n"))
    left = max(_KEY, min(longest, room // 2))
    drawn = RichTable(box=console.lines, pad_edge=False, show_lines=True)
    drawn.add_column("key", overflow="fold", width=left)
    drawn.add_column(sentence or "as it is", overflow="fold", width=room - left)
    for about, told in rows:
        drawn.add_row(Text(about), Text(told))
    return drawn


def _named(name: str, cell: str) -> str:
    return f"{name} {cell}" if name in _NAMED else cell


def _records(table: Table, console: PeoplesConsole) -> None:
    """A few lines a row: what it is about, and below it each value with its column's name."""
    for row in table.rows:
        cells = {name: cell for name, cell in zip(table.columns, row, strict=True) if cell}
        title = [cells.pop(name) for name in ("alias", "key") if name in cells]
        if not title:
            title = [cells.pop(next(iter(cells)))]
        values = RichTable.grid(padding=(0, 2, 0, 0))
        values.add_column(no_wrap=True)
        values.add_column(overflow="fold")
        for name, cell in cells.items():
            values.add_row(name, Text(printable_lines(cell.split("\n"))))
        console.print(Text(f"\n{printable_lines(title)}"))
        console.print(Padding(values, (0, 0, 0, 2)))
    console.print()


def markdown(report: Report) -> str:
    """Tables of GitHub Flavored Markdown, for pull requests and job summaries."""
    parts = [f"**{markdown_text(line)}**\n" for line in report.head]
    for table in report.tables:
        parts.append(f"### {markdown_text(table.heading)}\n")
        rows = [table.columns, tuple("---" for _ in table.columns)]
        parts.append(
            "\n".join(
                f"| {' | '.join(cells)} |"
                for cells in [
                    *rows,
                    *(tuple(markdown_text(cell) for cell in row) for row in table.rows),
                ]
            )
            + "\n"
        )
    parts += [f"{markdown_text(line)}\n" for line in report.lines]
    return "\n".join(parts)


def comma_separated(report: Report) -> str:
    """CSV (RFC 4180) of every table; the first column names the table a row is from."""
    text = io.StringIO()
    writer = csv.writer(text)
    for table in report.tables:
        writer.writerow(["table", *table.columns])
        for row in table.rows:
            writer.writerow([csv_cell(table.heading), *(csv_cell(cell) for cell in row)])
    return text.getvalue()
