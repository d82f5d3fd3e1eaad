"""The keys that `--account` and `--region` leave in a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..errors import BadInput
from ..models import KeyArn
from ..wording import counted, first_few
from .accounts import Accounts


@dataclass(frozen=True)
class Selection:
    """The keys to process."""

    keys: Sequence[KeyArn]
    notes: tuple[str, ...] = ()
    """One sentence if keys were left out."""


def select(
    accounts: Accounts, keys: Iterable[KeyArn], named: Iterable[KeyArn] | None = None
) -> Selection:
    """Select the keys that the options admit, and check that the credentials work for them.

    `named` is everything that the results, plan or journals name, by default the keys. Raises
    BadInput if an option names nothing of it, and AccountUnavailable if no key can be read.
    """
    keys = list(keys)
    demand_known(accounts, keys if named is None else named)
    chosen = [key for key in keys if accounts.admits(key)]
    accounts.demand_access(dict.fromkeys(key.account_region for key in chosen))
    return Selection(chosen, left_out(key for key in keys if not accounts.admits(key)))


def demand_known(accounts: Accounts, named: Iterable[KeyArn]) -> None:
    """Raise BadInput if `--account` or `--region` names nothing of these; none: no check."""
    known = {(key.account_id, key.region) for key in named}
    if not known:
        return
    options = {
        "--account": (accounts.access.only, {account for account, _ in known}),
        "--region": (accounts.access.regions, {region for _, region in known}),
    }
    for option, (given, there) in options.items():
        if unknown := sorted(given - there):
            raise BadInput(
                f"{option} {unknown[0]}: No key is there. Fix: name one of "
                f"{first_few(sorted(there))}, or leave out the option."
            )


def left_out(keys: Iterable[KeyArn]) -> tuple[str, ...]:
    """One sentence about the keys that the options leave out; nothing if there are none."""
    counts = Counter((key.account_id, key.region) for key in keys)
    if not counts:
        return ()
    account_regions = [f"account {account} {region}" for account, region in sorted(counts)]
    return (
        f"Left out by --account and --region: {counted(counts.total(), 'key')} in "
        f"{first_few(account_regions)}.",
    )
