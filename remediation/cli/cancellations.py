"""Cancellations that several commands make, each noted in its own journal."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from .. import cancel as cancel_stage
from ..aws import Accounts
from ..interrupt import orderly
from ..journal import Journal
from ..models import KeyArn, KeyResult
from ..work import Stop
from .console import progress


class Batch(NamedTuple):
    """Keys whose cancellation one journal takes down."""

    journal: Path
    keys: Sequence[KeyArn]
    only_ours: bool


def cancel_batches(
    command: str,
    batches: Sequence[Batch],
    accounts: Accounts,
    stop: Stop,
    *,
    caller: str | None,
    protected_tag: str | None,
    enable: bool = False,
) -> tuple[tuple[KeyResult, ...], Sequence[Journal]]:
    """Cancel deletions; the rows of the keys in their order, and the journals that were written."""
    batches = [batch for batch in batches if batch.keys]
    afterwards = cancel_stage.operations_after(keep=protected_tag is not None, enable=enable)
    done: list[KeyResult] = []
    journals: dict[Path, Journal] = {}
    with (
        ExitStack() as opened,
        orderly(stop),
        progress("cancelling", sum(len(batch.keys) for batch in batches)) as step,
    ):
        for path in dict.fromkeys(batch.journal for batch in batches):
            journals[path] = opened.enter_context(Journal(path))
        for path, journal in journals.items():
            count = sum(len(batch.keys) for batch in batches if batch.journal == path)
            journal.begin(
                accounts.clock.now(), command, caller=caller, afterwards=afterwards, keys=count
            )
        for batch in batches:
            done += cancel_stage.cancel(
                batch.keys,
                accounts,
                journals[batch.journal],
                only_ours=batch.only_ours,
                protected_tag=protected_tag,
                enable=enable,
                stop=stop,
                done=lambda result: step(None),
            )
    done.sort(key=lambda result: result.key_arn)
    return tuple(done), tuple(journals.values())
