"""`keysweep journal`: what journals in S3 need a person for."""

from __future__ import annotations

from pathlib import Path

import click

from ..access import Access
from ..aws import Accounts
from ..errors import BadInput, Refused
from ..journal import JournalName
from ..journal.s3_lock import LOCK, describe
from . import DONE
from .console import ask, say
from .options import command, journal_name, profile_option, yes_option
from .setup import in_s3


@command()
@click.argument("action", type=click.Choice(["unlock"]))
@click.argument("name", metavar="S3URI", type=click.Path(), callback=journal_name)
@yes_option
@profile_option
def journal(action: str, name: Path | JournalName, yes: bool, profile: str | None) -> int:
    """Remove the lock that a killed run left on the journal s3://BUCKET/PREFIX/.

    Names the run that holds the lock, and asks. Make sure first that this run has ended: look at
    its host or its job. If it has not, its next line is refused, and it makes no further call.

    Example: keysweep journal unlock s3://audit-journal/keysweep/
    """
    if isinstance(name, Path):
        raise BadInput(
            f"{name}: A file needs no {action}, because its lock ends with the process. Fix: name "
            "a journal as s3://BUCKET/PREFIX/"
        )
    bucket = in_s3(name, Accounts(Access(profile))).bucket
    found = bucket.get(LOCK)
    if found is None:
        say(f"{name}: No run holds the lock.")
        return DONE
    say(f"{name}: The lock is held by {describe(found)}.")
    ask("Has this run ended, and remove its lock?", yes=yes)
    if not bucket.delete(LOCK, found.etag):
        raise Refused(f"{name}: The lock has changed meanwhile, and was left alone.")
    say(f"{name}: The lock was removed.")
    return DONE
