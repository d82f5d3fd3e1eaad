"""A report as a terminal table, Markdown or CSV."""

from __future__ import annotations

import csv
import io
from typing import TextIO

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from .neutral import for_csv, for_markdown, plain, plain_lines
from .tables import Report, Table

_WIDE = 120
"""Terminals of fewer columns get more lines a row instead."""

_RIGHT = frozenset({"a month", "a year", "saves", "days left", "keys"})


def terminal(report: Report, stream: TextIO) -> None:
    """Print for people; colours and width follow the terminal, NO_COLOR and COLUMNS."""
    console = Console(file=stream, highlight=False, soft_wrap=False)
    for table in report.tables:
        console.print(Text(f"\n{plain(table.heading)}", "bold"))
        why = table.columns.index("why") if "why" in table.columns else None
        if why is not None and any(row[why] for row in table.rows):
            console.print(_with_reasons(table, why))
        else:
            console.print(_drawn(table if console.width >= _WIDE else _narrowed(table)))
    for line in report.lines:
        console.print(Text(plain(line)))


def _drawn(table: Table) -> RichTable:
    """One line a row; columns that are empty throughout are left out."""
    drawn = RichTable(box=box.SIMPLE_HEAD, pad_edge=False)
    shown = [index for index in range(len(table.columns)) if any(row[index] for row in table.rows)]
    for index in shown:
        name = table.columns[index]
        drawn.add_column(
            name,
            justify="right" if name in _RIGHT else "left",
            overflow="fold",
            no_wrap=name in {"key", "account", "Region", "state", "deletion date"},
        )
    for row in table.rows:
        drawn.add_row(*(Text(plain_lines(row[index].split("\n"))) for index in shown))
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


def _with_reasons(table: Table, why: int) -> RichTable:
    """Sentences need room: the rest of a row stands on a few lines beside its reasons."""
    drawn = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, show_lines=True)
    drawn.add_column("key", overflow="fold", min_width=36)
    drawn.add_column("why", overflow="fold", ratio=1)
    for row in table.rows:
        cells = {name: cell for name, cell in zip(table.columns, row, strict=True) if cell}
        lines = [cells.pop("alias", ""), cells.pop("key", "")]
        cells.pop("why", None)
        lines.append("  ".join(cells.values()))
        drawn.add_row(Text(plain_lines(filter(None, lines))), Text(plain(row[why])))
    return drawn


def markdown(report: Report) -> str:
    """Tables of GitHub Flavored Markdown, for pull requests and job summaries."""
    parts = []
    for table in report.tables:
        parts.append(f"### {for_markdown(table.heading)}\n")
        rows = [table.columns, tuple("---" for _ in table.columns)]
        parts.append(
            "\n".join(
                f"| {' | '.join(cells)} |"
                for cells in [
                    *rows,
                    *(tuple(for_markdown(cell) for cell in row) for row in table.rows),
                ]
            )
            + "\n"
        )
    parts += [f"{for_markdown(line)}\n" for line in report.lines]
    return "\n".join(parts)


def comma_separated(report: Report) -> str:
    """CSV (RFC 4180) of every table; the first column names the table a row is from."""
    text = io.StringIO()
    writer = csv.writer(text)
    for table in report.tables:
        writer.writerow(["table", *table.columns])
        for row in table.rows:
            writer.writerow([for_csv(table.heading), *(for_csv(cell) for cell in row)])
    return text.getvalue()
