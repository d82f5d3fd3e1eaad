"""A report as a terminal table or Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, TextIO

from rich.cells import cell_len
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from ..escape import markdown_text, printable, printable_lines
from .console import PeoplesConsole
from .key_rows import Table
from .tables import Report

_WIDE: Final = 120
"""On narrower terminals, rows take more lines."""

_BESIDE: Final = 72
"""On narrower terminals, sentences stand below the key instead of beside it."""

_KEY: Final = 36
"""Columns of a key id. It is never folded, so that it can be copied."""

_ROOM: Final = 14
"""Minimum width of a text column; longer texts fold."""

_GAP: Final = 3
"""Width of the space between two columns."""

_RIGHT: Final = frozenset({"monthly cost", "yearly cost", "days left", "keys"})
_WHOLE: Final = _RIGHT | {
    *("key", "account", "Region", "state", "outcome", "deletion date", "rule", "name"),
    *("waiting period", "first deletion date"),
}
_SENTENCES: Final = ("why", "drift", "message")
_NAMED: Final = frozenset(
    {
        *("days left", "deletion date", "use", "waiting period", "owner", "lead", "plan", "ticket"),
        *(
            "exceptions",
            "approved by",
            "caller",
            "requested",
            "request",
            "cancelled",
            "cancelled by",
        ),
    }
)
"""Columns whose values mean nothing without their name."""


def terminal(report: Report, stream: TextIO) -> None:
    """Print to a terminal, with its colors and width, NO_COLOR and COLUMNS.

    Nothing is cut: where a table has no room for its columns, its rows take more lines.
    """
    console = PeoplesConsole(stream)
    for line in report.head:
        console.print(Text(printable(line), "bold"))
    for table in report.tables:
        console.print(Text(f"\n{printable(table.heading)}", "bold"))
        _draw(_shown(table), console)
    for line in report.lines:
        console.print(Text(printable(line)))
    for line in report.commands:
        console.print(Text(printable(line)), soft_wrap=True)


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
    """Minimum width of the table."""
    cells = zip(*table.rows, strict=True)
    return sum(map(_width, table.columns, cells)) + _GAP * len(table.columns)


def _width(name: str, cells: Iterable[str]) -> int:
    lines = [line for cell in cells for line in printable_lines(cell.split("\n")).split("\n")]
    longest = max(map(cell_len, lines), default=0)
    if name == "key":
        return _KEY
    return max(longest, cell_len(name)) if name in _WHOLE else min(longest, _ROOM)


def _columns(table: Table, console: PeoplesConsole) -> RichTable:
    """A table with one line for each row, unless a text folds."""
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
    """The table with fewer columns: the key below its alias, the Region below its account."""
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
    """Two columns: the key, and its sentence with the rest of the row below the key.

    Without a sentence, the rest of the row is the second column.
    """
    rows = []
    for row in table.rows:
        cells = {name: cell for name, cell in zip(table.columns, row, strict=True) if cell}
        lines = [*filter(None, (cells.pop("alias", ""), cells.pop("key", "")))]
        text = cells.pop(sentence, "") if sentence else ""
        facts = [printable(_named(name, cell)) for name, cell in cells.items()]
        rows.append((printable_lines(lines), printable(text), facts))
    room = console.width - _GAP - 2  # one at each end
    beside = [_joined(facts) for _, _, facts in rows] if sentence else []
    titles = (line for title, _, _ in rows for line in title.split("\n"))
    left = max(_KEY, min(max(map(cell_len, (*titles, *beside))), room // 2))
    drawn = RichTable(box=console.lines, pad_edge=False, show_lines=True)
    drawn.add_column("key", overflow="fold", width=left)
    drawn.add_column(sentence or "details", overflow="fold", width=room - left)
    for title, text, facts in rows:
        packed = "\n".join(_packed(facts, left if sentence else room - left))
        about = "\n".join(filter(None, (title, packed))) if sentence else title
        drawn.add_row(Text(about), Text(text if sentence else packed))
    return drawn


def _joined(facts: Iterable[str]) -> str:
    return "  ".join(facts)


def _packed(facts: Iterable[str], width: int) -> Iterator[str]:
    """Facts packed into lines; one is broken only if it is longer than a line."""
    line: list[str] = []
    for fact in facts:
        if line and cell_len(_joined([*line, fact])) > width:
            yield _joined(line)
            line = []
        line.append(fact)
    if line:
        yield _joined(line)


def _named(name: str, cell: str) -> str:
    return f"{name} {cell}" if name in _NAMED else cell


def _records(table: Table, console: PeoplesConsole) -> None:
    """Print a few lines for each row: its key, and below it each value with its column name."""
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
    parts += [f"{markdown_text(line)}\n" for line in (*report.lines, *report.commands)]
    return "\n".join(parts)
