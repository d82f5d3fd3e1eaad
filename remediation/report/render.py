"""A report as a terminal table, Markdown or CSV."""

from __future__ import annotations

import csv
import io
from typing import TextIO

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from .neutral import for_csv, for_markdown, plain
from .tables import Report

_RIGHT = frozenset({"a month", "saves", "days left", "keys"})


def terminal(report: Report, stream: TextIO) -> None:
    """Print for people; colours and width follow the terminal, NO_COLOR and COLUMNS."""
    console = Console(file=stream, highlight=False, soft_wrap=False)
    for table in report.tables:
        columns = [
            index for index in range(len(table.columns)) if any(row[index] for row in table.rows)
        ]
        drawn = RichTable(box=box.SIMPLE_HEAD, title=Text(plain(table.heading), "bold"))
        drawn.title_justify = "left"
        for index in columns:
            name = table.columns[index]
            drawn.add_column(
                name,
                justify="right" if name in _RIGHT else "left",
                overflow="fold",
                no_wrap=name in {"account", "Region"},
            )
        for row in table.rows:
            drawn.add_row(*(Text(plain(row[index])) for index in columns))
        console.print(drawn)
    for line in report.lines:
        console.print(Text(plain(line)))


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
