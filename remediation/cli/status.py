"""`keysweep status`: the state of a journal's keys."""

from __future__ import annotations

from pathlib import Path

import click

from .. import journal as journal_stage
from .. import status as status_stage
from ..aws import Access, Accounts
from ..files import demand_writable, write_private
from ..interrupt import at_once
from ..journal import JournalName
from ..report import csv_rows, page, tables
from ..report.html import html
from . import DONE, INCOMPLETE
from .console import print_parts, print_report, progress, say
from .options import (
    ALL_FORMATS,
    access_options,
    command,
    format_option,
    html_option,
    jobs_option,
    journal_option,
)
from .setup import journal_arguments, located, worth_starting


@command()
@journal_option(many=True)
@click.option(
    "--all",
    "every",
    is_flag=True,
    help="For audits: also show keys whose deletion was cancelled, and each deletion with its "
    "plan, exceptions, ticket, approver, caller and dates.",
)
@html_option
@jobs_option
@access_options
@format_option(*ALL_FORMATS)
def status(
    journals: tuple[Path | JournalName, ...],
    every: bool,
    html_path: Path | None,
    jobs: int | None,
    access: Access,
    form: str,
) -> int:
    """Show the journal's keys: state, deletion date, savings, drift.

    Exits with 1 if a key could not be read, if nothing has checked a pending key for 3 days, if a
    key will be deleted within 3 days, or if a journal is damaged.

    Example: keysweep status
    """
    accounts = Accounts(access)
    paths = located(journals or (journal_stage.DEFAULT_PATH,), accounts)
    history = journal_stage.read(paths)
    options = (*journal_arguments(paths), *access.limits)
    deletions = journal_stage.deletions(paths) if every else None
    demand_writable(html_path)
    with at_once(), progress("reading keys"):
        jobs = worth_starting(jobs, len(history.keys))
        check = access.command_line("guard", *options)
        now = status_stage.status(history, accounts, deletions, jobs=jobs, check=check, notice=say)
    if html_path is not None:
        write_private(html_path, html(page.of_status(now, accounts.clock.now())))
    if form == "json":
        print_parts(status_stage.json_parts(now))
    elif form == "csv":
        for sentence in (*now.problems, *now.notes, *now.warnings):
            say(sentence)
        print_parts(csv_rows.of_audit(now.audit) if every else csv_rows.of_status(now.rows))
    else:
        print_report(tables.of_status(now, access.command_line("status", *options, "--all")), form)
    return INCOMPLETE if now.problems or now.unreadable or now.warnings else DONE
