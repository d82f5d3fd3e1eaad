"""What several commands prepare: the policy, the evidence collector, the caller's identity."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

from .. import policy_file
from ..aws import Accounts
from ..aws.concurrency import usable_cores
from ..errors import AccountUnavailable, BadInput
from ..evidence import SOURCES, Collector
from ..evidence.history.athena import AthenaHistory
from ..journal import DEFAULT_PATH, JournalName, Location
from ..journal.s3_store import S3Store
from ..models import KeyArn
from ..policy import Policy
from ..wording import counted
from .console import say

KEYS_EACH: Final = 250
"""Number of keys whose one request each takes as long as the start of a process."""


def load_policy(
    path: Path | None, window: int | None = None, max_keys: int | None = None
) -> Policy:
    """The policy of a file, or the built-in one, with the values that options replace.

    Raises BadInput for more keys than the policy's ceiling.
    """
    policy = policy_file.load(path)
    if max_keys is not None:
        ceiling = policy.max_keys_ceiling
        if ceiling is not None and max_keys > ceiling:
            raise BadInput(
                f"--max-keys {max_keys}: The policy's max_keys_ceiling is {ceiling}. Fix: plan in "
                f"waves of {counted(ceiling, 'key')}, or have the policy changed."
            )
        policy = policy.model_copy(update={"max_keys": max_keys})
    return policy if window is None else policy.with_window(window)


def new_collector(
    accounts: Accounts,
    history: AthenaHistory | None = None,
    *,
    step: Callable[[str], None] = lambda label: None,
    jobs: int | None = 1,
) -> Collector:
    """A collector on the event history or a table in Athena; `step` gets its progress.

    `jobs` is the number of processes; None: one for each usable core.
    """

    def progress(piece: str, keys: int) -> None:
        step(f"reading {piece.replace('_', ' ')}, {counted(keys, 'key')}")

    long = {} if history is None else history.sources()
    return Collector(
        accounts,
        progress=progress,
        sources={**SOURCES, **long},
        jobs=usable_cores() if jobs is None else jobs,
        notice=say,
    )


def worth_starting(jobs: int | None, keys: int) -> int:
    """The number of processes for one request a key: as given, or few for few keys."""
    return max(1, min(usable_cores(), keys // KEYS_EACH)) if jobs is None else jobs


def located(names: Iterable[Path | JournalName], accounts: Accounts) -> tuple[Location, ...]:
    """Where the journals are kept; those in S3 with the given credentials, not with a role's."""
    return tuple(one if isinstance(one, Path) else in_s3(one, accounts) for one in names)


def in_s3(name: JournalName, accounts: Accounts) -> S3Store:
    """A journal in S3, with the given credentials."""
    lock = threading.Lock()

    @cache
    def made() -> Any:
        return accounts.own_client("s3")

    def client() -> Any:
        with lock:
            return made()

    return S3Store(name, client, lambda: _own_caller(accounts))


def _own_caller(accounts: Accounts) -> str | None:
    try:
        return accounts.caller(accounts.own_account_region())
    except AccountUnavailable:
        return None


def journal_arguments(paths: Iterable[Path | JournalName | Location]) -> tuple[str, ...]:
    """The options that name these journals in a command to run next; none for the default one."""
    paths = tuple(paths)
    if paths == (DEFAULT_PATH,):
        return ()
    return tuple(part for path in paths for part in ("--journal", str(path)))


def caller_of(accounts: Accounts, keys: Sequence[KeyArn]) -> str | None:
    """The caller's ARN for the journal; None if it could not be read (the rows give the error)."""
    try:
        return accounts.caller(keys[0].account_region) if keys else None
    except AccountUnavailable:
        return None
