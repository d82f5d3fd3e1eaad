"""`keysweep cancel`: undo, until the waiting period ends."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping
from pathlib import Path

import click

from .. import cancel as cancel_stage
from .. import journal as journal_stage
from .. import planfile
from ..aws import Access, Accounts, ClientSettings, select
from ..cancel import Batch
from ..findings import Results, candidates, is_cancel_candidate, named_keys, read_results
from ..findings.s3 import S3Results
from ..journal import JournalName, Location
from ..models import KeyArn
from ..plan import Plan
from ..report.confirmation import rows_to_cancel
from ..report.view import identified
from ..runner import Stop
from . import DONE, INCOMPLETE
from .cancellations import cancel_batches, say_what_still_fails
from .console import confirm, exit_code_at_end, print_results, say
from .options import (
    access_options,
    command,
    format_option,
    journal_option,
    policy_option,
    usage_errors,
    yes_option,
)
from .setup import caller_of, journal_arguments, load_policy, located


@command()
@click.argument("results", nargs=-1, metavar="[RESULTS...]")
@journal_option(
    many=True,
    use="Alone: the journal to undo, without a default; repeatable. With RESULTS, --plan or --key: "
    "the journal to write to.",
)
@click.option(
    "--plan",
    "plan_path",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Cancel the deletion of the keys that this plan schedules.",
)
@click.option(
    "--key",
    "keys",
    multiple=True,
    metavar="ARN",
    help="Cancel the deletion of this key; @FILE: the keys of a file, one ARN a line; repeatable.",
)
@click.option(
    "--keep",
    is_flag=True,
    help="Add the policy's protected tag, so that no plan schedules the keys again.",
)
@policy_option(use="Decision policy, whose protected tag --keep sets.")
@click.option(
    "--enable",
    is_flag=True,
    help="Also enable the keys; otherwise, they stay Disabled.",
)
@yes_option
@access_options
@format_option("table", "json")
def cancel(
    results: tuple[str, ...],
    journals: tuple[Path | JournalName, ...],
    plan_path: Path | None,
    keys: tuple[str, ...],
    keep: bool,
    policy_path: Path | None,
    enable: bool,
    yes: bool,
    access: Access,
    form: str,
) -> int:
    """Cancel deletions: those of a journal, a plan, scanner RESULTS, or single keys.

    --journal alone cancels the deletions that the journal began, and no others. With RESULTS,
    --plan or --key, --journal is the one to write to. These also cancel deletions that someone else
    requested. Lists the keys and asks for confirmation first.

    Example: keysweep cancel --journal keysweep-journal.jsonl
    """
    ways = [bool(results), plan_path is not None, bool(keys)]
    if sum(ways) > 1 or not (any(ways) or journals):
        raise click.UsageError(
            "give one of RESULTS, --plan, --key, or --journal alone, for example: "
            f"keysweep cancel --journal {journal_stage.DEFAULT_PATH}"
        )
    if any(ways) and len(journals) > 1:
        raise click.UsageError("give one --journal to write to")
    made = planfile.load(plan_path) if plan_path is not None else None
    policy = made.policy if made is not None and policy_path is None else load_policy(policy_path)
    accounts = Accounts(access, ClientSettings(policy.quota_share))
    found = read_results(results, sys.stdin.buffer, S3Results(accounts).find) if results else None
    unusable = _say_problems(found)
    locations = located(journals, accounts)
    batches: Mapping[Location, Collection[KeyArn]]
    if any(ways):
        path = locations[0] if locations else journal_stage.DEFAULT_PATH
        batches = {path: _chosen(found, made, keys)}
        history = journal_stage.read([path] if journal_stage.exists(path) else [])
    else:
        history = journal_stage.read(locations)
        batches = cancel_stage.batches(history, cancel_stage.follow_ups(keep=keep, enable=enable))
    for problem in history.problems:
        say(problem)
    selected = select(accounts, sorted(arn for chosen in batches.values() for arn in chosen))
    ordered = selected.keys
    for note in selected.notes:
        say(note)
    if not ordered:
        return max(print_results(form, ()), INCOMPLETE if unusable else DONE)
    caller = caller_of(accounts, ordered)
    confirm(
        "Cancel the deletion of",
        ordered,
        lambda: rows_to_cancel(
            ordered,
            history.keys,
            {} if made is None else made.by_key,
            cancel_stage.deletion_dates(ordered, accounts),
        ),
        yes=yes,
        listing=_listing(access, plan_path, journals, any_way=any(ways)),
    )
    chosen = [
        Batch(path, sorted(filter(accounts.admits, some)), not any(ways))
        for path, some in batches.items()
    ]
    stop = Stop()
    done, written = cancel_batches(
        "cancel",
        chosen,
        accounts,
        stop,
        known=history,
        caller=caller,
        protected_tag=policy.protected_tag if keep else None,
        enable=enable,
    )
    done = identified(done, {} if made is None else made.by_key, history.keys)
    code = max(print_results(form, done), INCOMPLETE if unusable else DONE)
    if not enable:
        say_what_still_fails(done, written, access)
    return exit_code_at_end(stop, written, code)


def _listing(
    access: Access,
    plan_path: Path | None,
    journals: tuple[Path | JournalName, ...],
    *,
    any_way: bool,
) -> str:
    """The command that lists the keys; empty for RESULTS and --key."""
    if plan_path is not None:
        return access.command_line("show", plan_path)
    return "" if any_way else access.command_line("status", *journal_arguments(journals))


def _chosen(found: Results | None, made: Plan | None, keys: tuple[str, ...]) -> Collection[KeyArn]:
    """The keys from RESULTS, the plan or --key."""
    if found is not None:
        return candidates(found.findings, is_cancel_candidate)
    if made is not None:
        return frozenset(item.key_arn for item in made.chosen)
    with usage_errors():
        return named_keys(keys)


def _say_problems(found: Results | None) -> bool:
    """Print the warnings of the results; whether records were unusable."""
    if found is None:
        return False
    for sentence in found.warnings:
        say(sentence)
    for bad in found.unusable:
        say(f"{bad.source}, {bad.position}: {bad.problem}; the record was ignored")
    return bool(found.unusable)
