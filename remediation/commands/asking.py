"""Before AWS is changed: who we are, and whether a person wants it."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence

import click

from ..aws import Accounts
from ..errors import AccountUnavailable, BadInput, Refused
from ..models import KeyArn


def caller_of(accounts: Accounts, keys: Sequence[KeyArn]) -> str | None:
    """Who the given credentials are; unusable ones become the rows of the keys."""
    try:
        return accounts.caller(keys[0]) if keys else None
    except AccountUnavailable:
        return None


def confirm(what: str, keys: Sequence[KeyArn], accounts: Accounts, *, yes: bool) -> None:
    """Ask a person. Raises Refused after a no, and BadInput where nobody can be asked."""
    counts = Counter(arn.account_id for arn in keys if accounts.admits(arn))
    told = ", ".join(f"{count} in account {account}" for account, count in sorted(counts.items()))
    keys_told = "1 key" if counts.total() == 1 else f"{counts.total()} keys"
    question = f"{what} {keys_told} ({told or 'none in the accounts named'})?"
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise BadInput(f"{question} There is no terminal to ask on: add --yes; nothing was done")
    if not click.confirm(question, err=True):
        raise Refused("you said no; nothing was done")
