"""What the commands print, and the bar that shows how far they are."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Final

import click
from pydantic import TypeAdapter
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from ..diagnostics import logs_to_stderr
from ..files import json_with_list
from ..models import KeyResult, Outcome, Outcomes
from ..report import render, tables
from ..report.console import PeoplesConsole
from . import DONE, LEFT

_NOT_DONE: Final = frozenset({Outcome.FAILED})

_RESULT: Final = TypeAdapter(KeyResult)


def print_results(form: str, results: tuple[KeyResult, ...]) -> int:
    """Print what became of the keys; returns the exit code that this makes."""
    if form == "json":
        summary = Counter(result.outcome for result in results)
        head = Outcomes(summary=summary, results=()).model_dump_json(indent=2, exclude={"results"})
        rows = (_RESULT.dump_json(result, indent=2).decode() for result in results)
        print_parts(json_with_list(head, "results", rows))
    else:
        print_report(tables.of_results(results, every_key=form == "csv"), form)
    return LEFT if any(result.outcome in _NOT_DONE for result in results) else DONE


def print_parts(parts: Iterable[str]) -> None:
    """Print a document that comes in parts, without a line break of ours."""
    for part in parts:
        click.echo(part, nl=False)


def print_report(report: tables.Report, form: str) -> None:
    """Print a report in any form but json, which is the model's own."""
    if form == "markdown":
        click.echo(render.markdown(report), nl=False)
    elif form == "csv":
        click.echo(render.comma_separated(report), nl=False)
    else:
        render.terminal(report, sys.stdout)


@contextmanager
def progress(what: str, total: int | None = None) -> Iterator[Callable[[str | None], None]]:
    """A bar on standard error; a call is a step, or says what is done now.

    Without a terminal, or where the log goes there, nothing is shown.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    console = PeoplesConsole(sys.stderr)
    if logs_to_stderr() or not console.is_terminal or console.is_dumb_terminal:
        yield lambda words: None
        return
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=total)

        def step(words: str | None) -> None:
            if words is None:
                bar.advance(task)
            else:
                bar.update(task, description=words)

        yield step
