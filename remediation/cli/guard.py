"""`keysweep guard`: watch the waiting period."""

from __future__ import annotations

from pathlib import Path

import click

from .. import cancel as cancel_stage
from .. import guard as guard_stage
from .. import journal as journal_stage
from .. import planfile
from .. import policy as policy_stage
from ..aws import Access, Accounts, ClientSettings
from ..files import ascii_json
from ..interrupt import at_once
from ..models import Outcome
from ..policy import MAX_WINDOW_DAYS
from ..report import tables
from ..work import Stop
from . import DONE, INCOMPLETE
from .cancellations import Batch, cancel_batches
from .console import confirm, exit_code_at_end, print_report, progress, say
from .options import (
    access_options,
    command,
    format_option,
    journal_option,
    policy_option,
    yes_option,
)
from .setup import caller_of, new_collector


@command()
@journal_option(many=True)
@click.option(
    "--all",
    "every",
    is_flag=True,
    help="Watch every key that is pending deletion, whoever scheduled it: in the own account, or "
    "in those named with --account.",
)
@click.option(
    "--region",
    "regions",
    multiple=True,
    metavar="NAME",
    help="Region to look in with --all; may be given again.  [default: the configured one]",
)
@click.option(
    "--plan",
    "plan_path",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The plan that was applied: any difference from it is a sign, and its policy judges.",
)
@policy_option()
@click.option(
    "--days",
    "near_days",
    type=click.IntRange(0, MAX_WINDOW_DAYS),
    default=guard_stage.NEAR_DAYS,
    show_default=True,
    metavar="N",
    help="Tell of keys that end within so many days.",
)
@click.option(
    "--cancel", "rescue", is_flag=True, help="Cancel the deletion of the keys that are wanted."
)
@click.option(
    "--keep",
    is_flag=True,
    help="With --cancel: tag them with the policy's protected tag, so that no plan schedules them "
    "again.",
)
@yes_option
@access_options
@format_option("table", "json")
def guard(
    journals: tuple[Path, ...],
    every: bool,
    regions: tuple[str, ...],
    plan_path: Path | None,
    policy_path: Path | None,
    near_days: int,
    rescue: bool,
    keep: bool,
    yes: bool,
    access: Access,
    form: str,
) -> int:
    """Watch the keys that wait for their deletion: does anybody want one after all?

    Looks at the keys that the journal scheduled, or with --all at every one that is pending.

    Exits with 1 when a key is wanted, rescued or not, and when something could not be looked at.
    Prints nothing when there is nothing to tell; with --format json, a line for each key.

    Example: keysweep guard --plan plan.json --cancel --keep --yes
    """
    if regions and not every:
        raise click.UsageError("--region goes with --all; a journal says its keys' Regions itself")
    if keep and not rescue:
        raise click.UsageError("--keep goes with --cancel")
    paths = journals or (journal_stage.DEFAULT_PATH,)
    if every and not journals and not journal_stage.exists(journal_stage.DEFAULT_PATH):
        read: tuple[Path, ...] = ()
    else:
        read = paths
    history = journal_stage.read(read)
    made = None if plan_path is None else planfile.load(plan_path)
    given = None if policy_path is None else policy_stage.load(policy_path)
    judged_by = guard_stage.policy_of(made, given, policy_stage.load())
    accounts = Accounts(access, ClientSettings(judged_by.quota_share))
    afterwards = cancel_stage.operations_after(keep=keep, enable=False)
    batches = cancel_stage.batches(read, afterwards)
    owed = {arn for arn, record in history.keys.items() if record.owed & afterwards}
    ours = {arn for chosen in batches.values() for arn in chosen}
    with at_once(), progress("looking at keys") as step:
        collector = new_collector(accounts, step=step)
        found = guard_stage.pending_keys(collector, regions, access.only) if every else ()
        rows = guard_stage.watch(
            history,
            sorted({*ours, *found}),
            collector,
            judged_by,
            plan=made,
            near_days=near_days,
        )
    wanted = {row.key_arn for row in rows if row.wanted}
    code = INCOMPLETE if wanted or history.problems or any(row.unread for row in rows) else DONE
    if rescue and (wanted or owed):
        to_do = wanted | owed
        caller = caller_of(accounts, sorted(to_do))
        confirm("Cancel the deletion of", sorted(to_do), accounts, yes=yes)
        chosen = [Batch(path, sorted(to_do & {*some}), True) for path, some in batches.items()]
        chosen.append(Batch(paths[0], sorted(wanted - ours), False))
        stop = Stop()
        done, written = cancel_batches(
            "guard",
            chosen,
            accounts,
            stop,
            caller=caller,
            protected_tag=judged_by.protected_tag if keep else None,
        )
        rows = guard_stage.with_rescues(rows, done)
        if any(one.outcome is Outcome.FAILED for one in done):
            code = INCOMPLETE
        code = exit_code_at_end(stop, written, code)
    if form == "json":
        for problem in history.problems:
            say(problem)
        for row in rows:
            click.echo(ascii_json(row.model_dump_json()))
    else:
        print_report(tables.of_guard(rows, history), form)
    return code
