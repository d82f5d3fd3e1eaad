"""What commands print and ask: messages and prompts on standard error, reports on standard output.

The libraries that draw reports are imported on use, so that help and errors need click alone.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from ..diagnostics import logs_to_stderr
from ..errors import BadInput, Refused
from ..escape import printable
from ..wording import counted
from . import DONE, INCOMPLETE

if TYPE_CHECKING:
    from ..journal import Journal
    from ..models import KeyArn, KeyResult
    from ..report.key_rows import KeyRow
    from ..report.tables import Report
    from ..runner import Stop


def say(sentence: str) -> None:
    """Print one message to standard error, with control characters escaped."""
    click.echo(f"keysweep: {printable(sentence)}", err=True)


def confirm(
    action: str,
    keys: Sequence[KeyArn],
    rows: Callable[[], Sequence[KeyRow]],
    *,
    yes: bool,
    listing: str,
) -> None:
    """List the keys and ask before AWS is changed; `rows` is called only for a terminal.

    `listing` is the command that lists them if there are too many.

    Raises Refused after a no, and BadInput without a terminal.
    """
    counts = Counter(arn.account_id for arn in keys)
    where = ", ".join(f"{count} in account {account}" for account, count in sorted(counts.items()))
    number = counted(counts.total(), "key")

    def show() -> None:
        from ..report import confirmation, render

        render.terminal(confirmation.of_confirmation(rows(), listing), sys.stderr)

    ask(f"{action} {number} ({where})?", yes=yes, show=show)


def ask(question: str, *, yes: bool, show: Callable[[], None] = lambda: None) -> None:
    """Ask before something is changed; `show` is called first, and only for a terminal.

    Raises Refused after a no, and BadInput without a terminal.
    """
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise BadInput(f"{question} There is no terminal to ask on. Fix: add --yes")
    show()
    if not click.confirm(question, err=True):
        raise Refused("Cancelled. Nothing was changed.")


def print_results(form: str, results: tuple[KeyResult, ...]) -> int:
    """Print the outcome of each key; returns the exit code."""
    from ..models import Outcome

    if form == "json":
        print_parts(_results_as_json(results))
    elif form == "csv":
        from ..report import csv_rows

        print_parts(csv_rows.of_results(results))
    else:
        from ..report import tables

        print_report(tables.of_results(results), form)
    return INCOMPLETE if any(one.outcome is Outcome.FAILED for one in results) else DONE


def _results_as_json(results: tuple[KeyResult, ...]) -> Iterator[str]:
    from pydantic import TypeAdapter

    from ..files import json_with_list
    from ..models import KeyResult, Outcomes

    summary = Counter(result.outcome for result in results)
    head = Outcomes(summary=summary, results=()).model_dump_json(indent=2, exclude={"results"})
    row = TypeAdapter(KeyResult)
    rows = (row.dump_json(result, indent=2).decode() for result in results)
    return json_with_list(head, "results", rows)


def print_lines(lines: Iterable[str]) -> None:
    """Print lines to standard output, with control characters escaped; a terminal breaks none."""
    for line in lines:
        click.echo(printable(line))


def print_parts(parts: Iterable[str]) -> None:
    """Print a document that comes in parts, without adding line breaks."""
    for part in parts:
        click.echo(part, nl=False)


def print_report(report: Report, form: str) -> None:
    """Print a report as Markdown or a table."""
    from ..report import render

    if form == "markdown":
        click.echo(render.markdown(report), nl=False)
    else:
        render.terminal(report, sys.stdout)


def exit_code_at_end(stop: Stop, journals: Iterable[Journal], code: int) -> int:
    """The exit code of a run that changed AWS; says why it stopped early, if it did."""
    for journal in journals:
        if journal.left_behind is not None:
            say(journal.left_behind)
            code = INCOMPLETE
        if journal.failure is not None:
            stop.request(str(journal.failure), journal.failure.fix)
    if not stop.requested:
        return code
    say(stop.message)
    return INCOMPLETE


@contextmanager
def progress(what: str, total: int | None = None) -> Iterator[Callable[[str | None], None]]:
    """A progress bar on standard error; call it with None for a step, or with a new label.

    Shows nothing without a terminal, or when the log goes there.
    """
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from ..report.console import PeoplesConsole

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    console = PeoplesConsole(sys.stderr)
    if logs_to_stderr() or not console.is_terminal or console.is_dumb_terminal:
        yield lambda label: None
        return
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=total)

        def step(label: str | None) -> None:
            if label is None:
                bar.advance(task)
            else:
                bar.update(task, description=label)

        yield step
