"""`keysweep apply`: schedule the deletions of a plan."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

import click

from .. import alarms, planfile
from .. import apply as apply_stage
from .. import journal as journal_stage
from ..aws import Access, Accounts, ClientSettings, select
from ..errors import BadInput, Refused
from ..files import demand_writable, locked, write_private
from ..interrupt import orderly
from ..journal import Journal, JournalName
from ..models import KeyArn, KeyResult, Outcome
from ..plan import Plan
from ..report import page
from ..report.confirmation import rows_to_schedule
from ..report.html import html
from ..report.view import identified
from ..runner import Stop
from ..wording import counted
from . import INCOMPLETE, next_steps
from .console import confirm, exit_code_at_end, print_lines, print_results, progress, say
from .options import (
    ALL_FORMATS,
    access_options,
    command,
    format_option,
    html_option,
    journal_option,
    owner_option,
    yes_option,
)
from .setup import caller_of, located, new_collector


def _digest(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """The digest as plans write it; the prefix may be left out."""
    if value is None:
        return None
    text = value.strip().lower().removeprefix("sha256:")
    if not re.fullmatch("[0-9a-f]{64}", text, re.ASCII):
        raise click.BadParameter(f"{value!r} is not a SHA-256 digest", context, parameter)
    return f"sha256:{text}"


@command()
@click.argument("plan_path", metavar="PLAN", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--digest",
    metavar="SHA",
    callback=_digest,
    help="Digest of the approved plan; any other plan is refused.",
)
@owner_option
@journal_option()
@click.option("--ticket", metavar="TEXT", help="Change ticket to record in the journal.")
@click.option("--approved-by", metavar="TEXT", help="Approver to record in the journal.")
@yes_option
@html_option
@access_options
@format_option(*ALL_FORMATS)
def apply(
    plan_path: Path,
    digest: str | None,
    owners: tuple[str, ...],
    journal_path: Path | JournalName | None,
    ticket: str | None,
    approved_by: str | None,
    yes: bool,
    html_path: Path | None,
    access: Access,
    form: str,
) -> int:
    """Schedule the deletion of the keys in PLAN that have not changed since the review.

    Lists the keys and asks for confirmation first. --owner, --account and --region limit the run
    to a part of the plan. A rerun finishes what is left and schedules nothing twice.

    Example: keysweep apply plan.json --ticket OPS-1234
    """
    whole = planfile.load(plan_path)
    if digest is not None:
        whole.refuse_other(digest)
    whole.refuse_too_many()
    made = whole.part(owners)
    if left_out := len(whole.chosen) - len(made.chosen):
        say(f"Left out by --owner: {counted(left_out, 'key')}.")
    demand_writable(html_path)
    accounts = Accounts(access, ClientSettings(made.policy.quota_share))
    (path,) = located([journal_path or journal_stage.DEFAULT_PATH], accounts)
    history = journal_stage.read_undamaged(path)
    selected = select(accounts, [item.key_arn for item in made.chosen])
    chosen = selected.keys
    for note in selected.notes:
        say(note)
    caller = caller_of(accounts, chosen)
    if not any(arn in made.by_key for arn in history.left_open(made.digest)):
        apply_stage.refuse_expired(made, accounts.clock)
    if not chosen:
        _saved(html_path, lambda: page.of_results((), made, accounts.clock.now()))
        return print_results(form, ())
    to_do = apply_stage.to_do(made, history, accounts.clock.now())
    if left := [arn for arn in to_do if accounts.admits(arn)]:
        _require_alarms(made, left, accounts)
        confirm(
            "Schedule the deletion of",
            left,
            lambda: rows_to_schedule(made.chosen, {*left}.__contains__, accounts.clock.now()),
            yes=yes,
            listing=access.command_line("show", plan_path),
        )
    stop = Stop()
    with (
        locked(plan_path, "Another keysweep is applying this plan"),
        orderly(stop, [path]),  # also while the lock of the journal is taken and released
        Journal(path, known=history) as journal,
        progress("scheduling", len(chosen)) as step,
    ):
        journal.begin(
            accounts.clock.now(),
            "apply",
            plan_digest=made.digest,
            caller=caller,
            ticket=ticket,
            approved_by=approved_by,
            exceptions=made.exceptions,
            owners=owners,
            accounts=access.only,
            regions=access.regions,
            keys=len(chosen),
        )
        results = apply_stage.apply(
            made,
            new_collector(accounts),
            journal,
            stop=stop,
            done=lambda result: step(None),
        )
    results = identified(results, made.by_key, {})
    code = exit_code_at_end(stop, [journal], print_results(form, results))
    if not _saved(html_path, lambda: page.of_results(results, made, accounts.clock.now())):
        code = INCOMPLETE
    if form == "table":
        print_lines(next_steps.after_apply(whole, results, plan_path, path, access))
    if not (stop.requested or made.policy.require_alarm):
        _say_without_alarm(results, accounts)
    return code


def _say_without_alarm(results: Iterable[KeyResult], accounts: Accounts) -> None:
    scheduled = [row.key_arn for row in results if row.outcome is Outcome.SCHEDULED]
    for note in alarms.notes(scheduled, accounts):
        say(note)


def _require_alarms(made: Plan, keys: list[KeyArn], accounts: Accounts) -> None:
    """Raises Refused where the policy requires an alarm and none was found."""
    if made.policy.require_alarm and (missing := alarms.notes(keys, accounts)):
        raise Refused(f"The policy requires an alarm (require_alarm). {' '.join(missing)}")


def _saved(path: Path | None, make: Callable[[], page.Page]) -> bool:
    """Write the page; False, with a message, if that failed after AWS was changed."""
    if path is not None:
        try:
            write_private(path, html(make()))
        except BadInput as error:
            say(str(error))
            return False
    return True
