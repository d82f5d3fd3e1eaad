"""Cancel deletions of several journals, for `cancel` and `guard`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack

from .. import cancel as cancel_stage
from ..aws import Access, Accounts
from ..cancel import Batch
from ..interrupt import orderly
from ..journal import History, Journal, Location
from ..models import KeyResult, Outcome
from ..runner import Stop
from ..wording import counted
from .console import progress, say
from .setup import journal_arguments


def say_what_still_fails(
    results: Iterable[KeyResult], journals: Sequence[Journal], access: Access
) -> None:
    """Say that the keys are still Disabled, and how to enable one."""
    disabled = [one.key_arn for one in results if one.outcome is Outcome.CANCELLED]
    if not disabled:
        return
    named = str(disabled[0]) if len(disabled) == 1 else "ARN"
    journal = journal_arguments(one.path for one in journals)
    if len(journals) > 1:
        journal = ("--journal", "FILE")
    say(
        f"Disabled: applications still fail ({counted(len(disabled), 'key')}). Fix: for a key in "
        f"use, run: {access.command_line('cancel', '--key', named, *journal, '--enable')}"
    )


def cancel_batches(
    command: str,
    batches: Sequence[Batch],
    accounts: Accounts,
    stop: Stop,
    *,
    known: History,
    caller: str | None,
    protected_tag: str | None,
    enable: bool = False,
) -> tuple[tuple[KeyResult, ...], Sequence[Journal]]:
    """Cancel deletions; the results in order of the keys, and the journals that were written.

    `known` is what this run has read of the journals.
    """
    batches = [batch for batch in batches if batch.keys]
    follow_ups = cancel_stage.follow_ups(keep=protected_tag is not None, enable=enable)
    done: list[KeyResult] = []
    paths = [*dict.fromkeys(batch.journal for batch in batches)]
    journals: dict[Location, Journal] = {}
    with (
        orderly(stop, paths),  # also while the locks of journals are taken and released
        ExitStack() as opened,
        progress("cancelling", sum(len(batch.keys) for batch in batches)) as step,
    ):
        for path in paths:
            journals[path] = opened.enter_context(Journal(path, known=known))
        for path, journal in journals.items():
            count = sum(len(batch.keys) for batch in batches if batch.journal == path)
            journal.begin(
                accounts.clock.now(), command, caller=caller, follow_ups=follow_ups, keys=count
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
