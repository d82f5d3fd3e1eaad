"""`keysweep mutelist`: mute Prowler findings of intended deletions."""

from __future__ import annotations

import json
from pathlib import Path

import click

from .. import journal as journal_stage
from .. import mutelist as mutelist_stage
from .. import status as status_stage
from ..aws import Access, Accounts
from ..errors import BadInput
from ..files import beginning, demand_writable, write_private
from ..interrupt import at_once
from ..journal import JournalName
from ..journal.lines import BEGINNING
from . import DONE, INCOMPLETE
from .console import progress, say
from .options import access_options, command, format_option, journal_option
from .setup import located


@command()
@journal_option(many=True)
@click.option(
    "--merge",
    "existing",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Mutelist to extend: its entries stay, its comments are lost.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="File to write.  [default: standard output]",
)
@format_option("yaml", "json", about="Output format; Prowler reads both.")
@access_options
def mutelist(
    journals: tuple[Path | JournalName, ...],
    existing: Path | None,
    out: Path | None,
    form: str,
    access: Access,
) -> int:
    """Create a Prowler mutelist for the journal's keys that are pending deletion.

    Mutes kms_cmk_not_deleted_unintentionally for these keys only. Prowler's --fixer ignores
    mutelists: never run it with that check while keys are pending deletion.

    Example: keysweep mutelist --merge mutelist.yaml --out mutelist.yaml
    """
    if out is not None and beginning(out).startswith(BEGINNING):
        raise BadInput(f"{out} is a journal. Fix: choose another --out")
    demand_writable(out)
    accounts = Accounts(access)
    history = journal_stage.read(located(journals or [journal_stage.DEFAULT_PATH], accounts))
    for problem in history.problems:
        say(problem)
    before = None if existing is None else mutelist_stage.load(existing)
    with at_once(), progress("reading keys"):
        now = status_stage.status(history, accounts)
    pending = mutelist_stage.intended(now)
    made = mutelist_stage.merged(pending, history.keys, before)
    text = mutelist_stage.to_yaml(made) if form == "yaml" else f"{json.dumps(made, indent=2)}\n"
    if existing is not None and mutelist_stage.has_comments(existing):
        say(f"{existing}: Its comments are not in the new mutelist.")
    if out is None:
        click.echo(text, nl=False)
    else:
        write_private(out, text)
    for note in now.notes:
        say(note)
    for row in now.unreadable_rows:
        say(f"{row.key_arn}: Not muted: the key could not be read: {row.unreadable}")
    return INCOMPLETE if now.unreadable or history.problems else DONE
