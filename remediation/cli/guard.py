"""`keysweep guard`: watch the waiting period."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import click

from .. import cancel as cancel_stage
from .. import guard as guard_stage
from .. import journal as journal_stage
from .. import planfile, policy_file
from ..aws import Access, Accounts, ClientSettings, select
from ..cancel import Batch
from ..errors import AccessRefused, KeysweepError, Refused
from ..files import ascii_json
from ..guard import GuardRow
from ..interrupt import at_once
from ..journal import Journal, JournalFailed, JournalName, JournalUnusable, Location
from ..lifecycle import NEAR_DAYS
from ..models import KeyArn, KeyResult, Outcome, PlanItem
from ..policy_values import MAX_WINDOW_DAYS
from ..report import tables
from ..report.confirmation import rows_to_cancel
from ..report.view import identified
from ..runner import Stop
from . import DONE, INCOMPLETE
from .cancellations import cancel_batches, say_what_still_fails
from .console import confirm, exit_code_at_end, print_report, progress, say
from .options import (
    access_options,
    command,
    format_option,
    jobs_option,
    journal_option,
    policy_option,
    yes_option,
)
from .setup import caller_of, journal_arguments, located, new_collector


@command()
@journal_option(many=True)
@click.option(
    "--all",
    "every",
    is_flag=True,
    help="Watch every key that is pending deletion, not only those of the journal: in the "
    "session's own account or those given with --account, and in the configured Region or those "
    "given with --region.",
)
@click.option(
    "--plan",
    "plan_path",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The applied plan: any difference from its review is a sign of use, and its policy "
    "applies.",
)
@policy_option()
@click.option(
    "--days",
    "near_days",
    type=click.IntRange(0, MAX_WINDOW_DAYS),
    default=NEAR_DAYS,
    show_default=True,
    metavar="N",
    help="Report every key with a deletion date within N days.",
)
@click.option("--cancel", "cancels", is_flag=True, help="Cancel the deletion of keys in use.")
@click.option(
    "--keep",
    is_flag=True,
    help="With --cancel: add the policy's protected tag, so that no plan schedules the keys again.",
)
@yes_option
@jobs_option
@access_options
@format_option("table", "json")
def guard(
    journals: tuple[Path | JournalName, ...],
    every: bool,
    plan_path: Path | None,
    policy_path: Path | None,
    near_days: int,
    cancels: bool,
    keep: bool,
    yes: bool,
    jobs: int | None,
    access: Access,
    form: str,
) -> int:
    """Check whether something tries to use keys that are pending deletion. Run it every day.

    Reads the keys that the journal scheduled or, with --all, every key pending deletion. Changes
    nothing in AWS without --cancel.

    Exits with 1 if a key is in use, restored or not, or if something could not be read. Prints the
    keys that need attention, and how many were checked; with --format json, one line for each key.
    The journal records each check. status and plan name pending keys that nothing has checked for
    3 days.

    Example: keysweep guard --plan plan.json --cancel --keep --yes
    """
    if keep and not cancels:
        raise click.UsageError("--keep needs --cancel")
    default = journal_stage.DEFAULT_PATH
    absent = every and not journals and not journal_stage.exists(default)
    plan = None if plan_path is None else planfile.load(plan_path)
    given = None if policy_path is None else policy_file.load(policy_path)
    policy = guard_stage.policy_of(plan, given, policy_file.load())
    # With --all, --region says what to list: the journal's keys are watched wherever they are.
    limits = replace(access, regions=frozenset()) if every else access
    accounts = Accounts(limits, ClientSettings(policy.quota_share))
    locations = located(journals, accounts)
    history = journal_stage.read(() if absent else locations or (default,))
    follow_ups = cancel_stage.follow_ups(keep=keep, enable=False)
    batches = cancel_stage.batches(history, follow_ups)
    with at_once(), progress("reading keys") as step:
        collector = new_collector(accounts, step=step, jobs=jobs)
        regions = sorted(access.regions)
        pending = guard_stage.pending_keys(collector, regions, access.only) if every else ()
        recorded = {arn for some in batches.values() for arn in some}
        if every:  # a run that was killed may have restored keys of no journal
            recorded |= {arn for arn, one in history.keys.items() if one.open_cancellations}
        selected = select(accounts, sorted({*pending, *recorded}), named=() if every else recorded)
        keys = selected.keys
        rows = guard_stage.watch(history, keys, collector, policy, plan=plan, near_days=near_days)
    code = INCOMPLETE if guard_stage.needs_attention(rows, history) else DONE
    for note in selected.notes:
        say(note)
    _record(rows, batches, accounts)
    other = locations[0] if locations else default
    planned = {} if plan is None else plan.by_key
    chosen = guard_stage.to_cancel(rows, history, batches, follow_ups, other) if cancels else ()
    options = (
        *journal_arguments(journals),
        *(("--plan", plan_path) if plan_path is not None else ()),
        *(("--policy", policy_path) if policy_path is not None else ()),
        *(("--all",) if every else ()),
        *access.limits,
    )
    restore = access.command_line("guard", *options, "--cancel")
    if chosen:
        tag = policy.protected_tag if keep else None
        rows, code = _cancel(
            rows,
            chosen,
            accounts,
            history,
            planned,
            tag,
            yes=yes,
            code=code,
            listing=access.command_line("guard", *options)
            if plan_path is None
            else access.command_line("show", plan_path),
            found=lambda: _print(rows, history, form, restore),
        )
    _print(rows, history, form, restore)
    return code


def _record(
    rows: tuple[GuardRow, ...], batches: Mapping[Location, Collection[KeyArn]], accounts: Accounts
) -> None:
    """Write this check to the journals of its keys; says if that failed, since it is done."""
    checked = guard_stage.checked(rows)
    for path, keys in batches.items():
        if not (found := sorted(checked & {*keys})):
            continue
        until = [row.checked_until for row in rows if row.checked_until is not None]
        now = accounts.clock.now()
        caller = caller_of(accounts, found)
        try:
            with Journal(path) as journal:
                journal.look(now, found, min(until, default=now), caller=caller)
            if journal.left_behind is not None:
                say(journal.left_behind)
            continue
        except JournalUnusable as error:
            why = f"{path}: The journal cannot be written: {error.why}"
        except (JournalFailed, AccessRefused, Refused) as error:
            why = str(error)
        say(f"This check is not in the journal, so status does not count it. {why}")


def _cancel(
    rows: tuple[GuardRow, ...],
    batches: Sequence[Batch],
    accounts: Accounts,
    history: journal_stage.History,
    planned: Mapping[KeyArn, PlanItem],
    protected_tag: str | None,
    *,
    yes: bool,
    code: int,
    listing: str,
    found: Callable[[], None],
) -> tuple[tuple[GuardRow, ...], int]:
    """Cancel deletions after confirmation; the rows with their results, and the exit code.

    `found` prints the rows if the cancellation is refused: which keys are in use still counts.
    """
    keys = sorted(arn for batch in batches for arn in batch.keys)
    caller = caller_of(accounts, keys)
    aliases = {row.key_arn: row.alias for row in rows}
    dates = {row.key_arn: row.deletion_date for row in rows}
    stop = Stop()
    try:
        confirm(
            "Cancel the deletion of",
            keys,
            lambda: rows_to_cancel(keys, history.keys, planned, dates, aliases),
            yes=yes,
            listing=listing,
        )
        cancelled, written, failures = _cancel_each(
            batches, accounts, stop, history, caller, protected_tag
        )
    except KeysweepError:
        found()
        raise
    for failure in failures:
        say(str(failure))
        code = INCOMPLETE
    done = identified(sorted(cancelled, key=lambda one: one.key_arn), planned, history.keys)
    if any(one.outcome is Outcome.FAILED for one in done):
        code = INCOMPLETE
    say_what_still_fails(done, written, accounts.access)
    return guard_stage.with_cancellations(rows, done), exit_code_at_end(stop, written, code)


def _cancel_each(
    batches: Sequence[Batch],
    accounts: Accounts,
    stop: Stop,
    history: journal_stage.History,
    caller: str | None,
    protected_tag: str | None,
) -> tuple[list[KeyResult], list[Journal], list[KeysweepError]]:
    """Cancel the deletions of each journal by itself: a lock holds up those of no other.

    Raises the first error if no journal could be written.
    """
    results: list[KeyResult] = []
    written: list[Journal] = []
    failures: list[KeysweepError] = []
    for path in dict.fromkeys(batch.journal for batch in batches):
        try:
            some, journals = cancel_batches(
                "guard",
                [batch for batch in batches if batch.journal == path],
                accounts,
                stop,
                known=history,
                caller=caller,
                protected_tag=protected_tag,
            )
        except KeysweepError as error:
            failures.append(error)
        else:
            results += some
            written += journals
    if failures and not written:
        raise failures[0]
    return results, written, failures


def _print(
    rows: tuple[GuardRow, ...], history: journal_stage.History, form: str, restore: str
) -> None:
    if form == "json":
        for problem in history.problems:
            say(problem)
        say(tables.guard_summary(rows))
        for row in rows:
            click.echo(ascii_json(row.model_dump_json()))
    else:
        print_report(tables.of_guard(rows, history, restore), form)
