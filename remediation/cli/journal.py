"""`keysweep journal`: what journals need a person for."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from .. import planfile
from .. import rebuild as rebuild_stage
from ..access import Access
from ..aws import Accounts
from ..errors import BadInput, Refused
from ..files import ascii_json, demand_writable
from ..interrupt import at_once
from ..journal import Journal, JournalName, Location, demand_empty
from ..journal import copy as copy_journal
from ..journal.s3_lock import LOCK, describe
from ..plan import Plan
from ..rebuild import Found
from ..report import render, tables
from ..wording import counted
from . import DONE, INCOMPLETE
from .console import ask, print_report, progress, say
from .options import (
    Command,
    access_options,
    format_option,
    jobs_option,
    journal_name,
    profile_option,
    yes_option,
)
from .setup import caller_of, in_s3, located, new_collector


@click.group()
def journal() -> None:
    """Copy a journal, rebuild a lost one, or remove the lock of one in S3."""


@journal.command(cls=Command)
@click.argument("name", metavar="S3URI", type=click.Path(), callback=journal_name)
@yes_option
@profile_option
def unlock(name: Path | JournalName, yes: bool, profile: str | None) -> int:
    """Remove the lock that a killed run left on the journal s3://BUCKET/PREFIX/.

    Names the run that holds the lock, and asks. Make sure first that this run has ended: look at
    its host or its job. If it has not, only one of it and the next run can write the next line; the
    other makes no further call.

    Example: keysweep journal unlock s3://audit-journal/keysweep/
    """
    if isinstance(name, Path):
        raise BadInput(
            f"{name}: A file needs no unlock, because its lock ends with the process. Fix: name "
            "a journal as s3://BUCKET/PREFIX/"
        )
    bucket = in_s3(name, Accounts(Access(profile))).bucket
    found = bucket.get(LOCK)
    if found is None:
        say(f"{name}: No run holds the lock.")
        return DONE
    say(f"{name}: The lock is held by {describe(found)}.")
    ask("Has this run ended? Remove its lock?", yes=yes)
    if not bucket.delete(LOCK, found.etag):
        raise Refused(f"{name}: The lock has changed meanwhile, and was left alone.")
    say(f"{name}: The lock was removed.")
    return DONE


@journal.command(cls=Command)
@click.argument("source", metavar="FROM", type=click.Path(dir_okay=False), callback=journal_name)
@click.argument("target", metavar="TO", type=click.Path(dir_okay=False), callback=journal_name)
@profile_option
def copy(source: Path | JournalName, target: Path | JournalName, profile: str | None) -> int:
    """Copy a journal from a file to S3, or back, to hand it over.

    FROM and TO are a file or s3://BUCKET/PREFIX/. TO must not exist, and no run may be writing to
    FROM. Interrupted operations are copied, too: finish them with the copy.

    Afterwards, use TO alone. What is recorded in one of them is not in the other.

    Example: keysweep journal copy keysweep-journal.jsonl s3://audit/team/
    """
    here, there = located([source, target], Accounts(Access(profile)))
    number, left_behind = copy_journal(here, there)
    say(f"{there}: {number} lines were copied. From now on, use this journal in place of {here}.")
    if left_behind is not None:
        say(left_behind)
    return DONE if left_behind is None else INCOMPLETE


@journal.command(cls=Command)
@click.argument(
    "name", metavar="FILE|S3URI", type=click.Path(dir_okay=False), callback=journal_name
)
@click.option(
    "--plan",
    "plan_path",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The applied plan: only its keys are rebuilt, with their costs, owners and exceptions.",
)
@yes_option
@jobs_option
@access_options
@format_option("table", "json")
def rebuild(
    name: Path | JournalName,
    plan_path: Path | None,
    yes: bool,
    jobs: int | None,
    access: Access,
    form: str,
) -> int:
    """Rebuild a lost journal from CloudTrail's events. Changes nothing in AWS but the new journal.

    Finds the keys that are pending deletion by Keysweep: those of the plan, or of the session's own
    account or those given with --account, in the configured Region or those given with --region.
    The user agent of a request says that it was Keysweep's. A caller can forge it, so read the
    list before you confirm.

    Exits with 1 if an account-Region could not be read, or if it could not be determined who
    scheduled a key, for example because CloudTrail does not show the event yet.

    Example: keysweep journal rebuild rebuilt.jsonl --plan plan.json
    """
    accounts = Accounts(access)
    (path,) = located([name], accounts)
    demand_writable(path if isinstance(path, Path) else None)
    demand_empty(path)
    plan = None if plan_path is None else planfile.load(plan_path)
    with at_once(), progress("reading keys") as step:
        found = rebuild_stage.find(new_collector(accounts, step=step, jobs=jobs), plan)
    left_behind: str | None = None
    if found.deletions:
        _confirm(path, found, plan, yes=yes)
        left_behind = _write(path, found, plan, accounts)
    made = found.report(str(path), plan, written=bool(found.deletions))
    if form == "json":
        click.echo(ascii_json(made.model_dump_json(indent=2)))
    else:
        print_report(tables.of_rebuild(made), form)
    if left_behind is not None:
        say(left_behind)
    return INCOMPLETE if made.is_incomplete or left_behind is not None else DONE


def _confirm(path: Location, found: Found, plan: Plan | None, *, yes: bool) -> None:
    """List what was found, and ask whether these deletions are Keysweep's."""
    ask(
        f"{path}: Write a journal that says that Keysweep scheduled the deletion of "
        f"{counted(len(found.deletions), 'key')}?",
        yes=yes,
        show=lambda: render.terminal(
            tables.of_rebuild(found.report(str(path), plan, written=False), asking=True), sys.stderr
        ),
    )


def _write(path: Location, found: Found, plan: Plan | None, accounts: Accounts) -> str | None:
    """Write the journal; what a person must know about its lock."""
    caller = caller_of(accounts, [one.key_arn for one in found.deletions])
    with Journal(path) as made:
        made.rebuild(found.line(made.run, accounts.clock.now(), caller, plan))
    return made.left_behind
