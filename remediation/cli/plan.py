"""`keysweep plan`: evaluate the keys in scanner results and write a plan."""

from __future__ import annotations

import sys
from argparse import ArgumentError, ArgumentParser
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import click

from .. import attention, planfile, planner
from .. import journal as journal_stage
from ..aws import Access, Accounts, ClientSettings
from ..errors import BadInput, KeysweepError
from ..evidence.history.athena import AthenaHistory
from ..files import beginning, demand_writable, write_private
from ..findings import (
    expected_accounts,
    missing_accounts,
    read_results,
    results_of_keys,
)
from ..findings.s3 import S3Results
from ..iac import read_code
from ..interrupt import at_once
from ..journal import History, JournalName, Location
from ..journal.lines import BEGINNING
from ..lifecycle import is_pending
from ..models import KeyDescription
from ..plan import Plan
from ..policy import Policy
from ..policy_values import MAX_WINDOW_DAYS, MIN_WINDOW_DAYS
from ..report import csv_rows, page, tables
from ..report.html import html
from . import DONE, INCOMPLETE, next_steps
from .console import print_lines, print_parts, print_report, progress, say
from .options import (
    ALL_FORMATS,
    Command,
    access_options,
    command,
    format_option,
    html_option,
    jobs_option,
    journal_option,
    policy_option,
    usage_errors,
)
from .setup import journal_arguments, load_policy, located, new_collector

DEFAULT_OUT: Final = "plan.json"
STDOUT: Final = Path("-")


class PlanCommand(Command):
    """`plan`, which sets a former plan aside also if its options cannot be used."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        out = _out_of(args)
        try:
            return super().parse_args(ctx, args)
        except click.exceptions.NoArgsIsHelpError:
            raise
        except (click.UsageError, KeysweepError):
            if not ctx.resilient_parsing:
                _set_aside(out)
            raise


def _out_of(arguments: Sequence[str]) -> Path:
    """The value of `--out`, from arguments that may not be valid."""
    parser = ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--out", default=DEFAULT_OUT)
    with suppress(ArgumentError):
        return Path(parser.parse_known_args(arguments)[0].out)
    return Path(DEFAULT_OUT)


@command(cls=PlanCommand)
@click.argument("results", nargs=-1, metavar="[RESULTS...]")
@click.option(
    "--key",
    "keys",
    multiple=True,
    metavar="ARN",
    help="Evaluate this key, without scanner results; @FILE: the keys of a file, one ARN a line; "
    "repeatable.",
)
@journal_option(
    many=True,
    use="Journal to look through for pending keys that nothing has checked for 3 days, or that "
    "will be deleted within 3 days; the run names them; repeatable.",
    default="the one in the current folder, if any",
)
@policy_option(beside_a_plan=False)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=DEFAULT_OUT,
    show_default=True,
    metavar="FILE",
    help="Where to write the plan. A former plan is moved to FILE.previous, and stays there if the "
    "run fails. -: standard output, instead of the report.",
)
@click.option(
    "--expect-accounts",
    "expected",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="File of account IDs, one a line or a JSON list, of which RESULTS must have records. The "
    "run names those that are missing, and exits with 1.",
)
@click.option(
    "--pending-window-days",
    type=click.IntRange(MIN_WINDOW_DAYS, MAX_WINDOW_DAYS),
    metavar="N",
    help="Waiting period in days.  [default: the policy's]",
)
@click.option(
    "--max-keys",
    type=click.IntRange(0),
    metavar="N",
    help="Maximum number of keys to schedule, the longest disabled first; the others wait for the "
    "next plan.  [default: the policy's]",
)
@click.option(
    "--tfstate",
    "states",
    multiple=True,
    metavar="[DIR=]FILE",
    help="Terraform state of the root module in DIR: the state file, or the output of terraform "
    "show -json. DIR is a folder on this machine, or relative to the folder that Checkov scanned "
    "(the default). Example: terraform/prod=prod.json; repeatable.",
)
@click.option(
    "--cfn-stack",
    "stacks",
    multiple=True,
    metavar="[TEMPLATE=]NAME[@REGION]",
    help="CloudFormation stack, by name or ARN. TEMPLATE is its template file as Checkov names it; "
    "give it if several templates have the same logical ID. Example: "
    "infra/keys.yaml=shop@eu-west-1; repeatable.",
)
@click.option(
    "--history",
    "history_name",
    metavar="athena:WORKGROUP/DATABASE.TABLE",
    help="Athena table of a trail's log files. Reads history and use of the policy's history_days "
    "from it, instead of the 90 days of CloudTrail's event history.",
)
@click.option(
    "--since",
    "since_path",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="PLAN",
    help="Earlier plan to compare with: show keys that are new, gone, or have another verdict.",
)
@click.option(
    "--explain",
    is_flag=True,
    help="Read all evidence and list all reasons, even for keys that are already on hold (slower).",
)
@html_option
@jobs_option
@access_options
@format_option(*ALL_FORMATS)
def plan(
    results: tuple[str, ...],
    keys: tuple[str, ...],
    journals: tuple[Path | JournalName, ...],
    policy_path: Path | None,
    out: Path,
    expected: Path | None,
    pending_window_days: int | None,
    max_keys: int | None,
    states: tuple[str, ...],
    stacks: tuple[str, ...],
    history_name: str | None,
    since_path: Path | None,
    explain: bool,
    html_path: Path | None,
    jobs: int | None,
    access: Access,
    form: str,
) -> int:
    """Evaluate the keys in scanner RESULTS, or those named with --key, and write a plan to review.
    Changes nothing in AWS.

    RESULTS are files or folders of Prowler and Checkov JSON, s3://bucket/prefix from Prowler's
    --output-bucket (the newest run of each account), or - for standard input. Checkov findings
    are matched to keys with the Terraform states and CloudFormation stacks that you give.

    Exits with 1 if records or whole accounts could not be read, if expected accounts are missing,
    or if keys pending deletion need attention. The plan is written all the same.

    Example: keysweep plan output/ --out plan.json
    """
    former = _set_aside(out)
    if bool(results) == bool(keys):
        raise click.UsageError("give either RESULTS or --key, for example: keysweep plan output/")
    if keys and expected is not None:
        raise click.UsageError("--expect-accounts needs RESULTS")
    awaited = frozenset() if expected is None else expected_accounts(expected)
    with usage_errors():
        named = results_of_keys(keys) if keys else None
    if since_path == out and former is not None:
        since_path = former
    policy = load_policy(policy_path, pending_window_days, max_keys)
    since = planfile.load(since_path) if since_path is not None else None
    _demand_files(out, html_path)
    accounts = Accounts(access, ClientSettings(policy.quota_share))
    journal = _journals(located(journals, accounts))
    history = _athena(history_name, policy, accounts)
    found = named or read_results(results, sys.stdin.buffer, S3Results(accounts).find)
    with at_once(), progress("reading evidence") as step:
        code = read_code(states, stacks, accounts)
        collector = new_collector(accounts, history, step=step, jobs=jobs)
        made = planner.build(
            found,
            policy,
            collector,
            explain=explain,
            code=code,
            history=history,
            since=since,
        )
    if out != STDOUT:
        planfile.save(made, out)
    if former is not None:
        former.unlink(missing_ok=True)
    if html_path is not None:
        write_private(html_path, html(page.of_plan(made)))
    _print(made, "json" if out == STDOUT else form)
    if out != STDOUT and form == "table":
        print_lines(next_steps.after_plan(made, found.findings, results, out, access))
    missing = missing_accounts(awaited, found.findings)
    if missing:
        say(f"The results have no key of these expected accounts: {', '.join(missing)}.")
    check = access.command_line("guard", *journal_arguments(journals))
    unattended = _say_unattended(journal, made, accounts, check)
    left = (made.unusable, made.unread_accounts, missing, unattended)
    return INCOMPLETE if any(left) else DONE


def _set_aside(out: Path) -> Path | None:
    """Move the former plan. Raises BadInput for a file that is no plan, such as a journal."""
    if out == STDOUT:
        return None
    begins = beginning(out)
    if begins and (not begins.startswith(b"{") or begins.startswith(BEGINNING)):
        raise BadInput(f"{out} exists and is not a plan. Fix: choose another --out")
    return planfile.set_aside(out)


def _demand_files(out: Path, html_path: Path | None) -> None:
    """Raise before hours of work if the plan or the page cannot be written."""
    if html_path == out:
        raise click.UsageError("--out and --html name the same file")
    demand_writable(html_path)
    demand_writable(None if out == STDOUT else out)


def _print(made: Plan, form: str) -> None:
    if form in {"json", "csv"}:
        for sentence in made.unread_accounts:
            say(sentence)
    if form == "json":
        print_parts(planfile.json_parts(made))
    elif form == "csv":
        print_parts(csv_rows.of_plan(made))
    else:
        print_report(tables.of_plan(made), form)


def _athena(name: str | None, policy: Policy, accounts: Accounts) -> AthenaHistory | None:
    """The table of `--history`, with a message about what its queries may scan."""
    if name is None:
        return None
    history = AthenaHistory.open(accounts, name, policy.history_days)
    say(
        f"Athena workgroup {history.name.workgroup} cancels a query that scans more than "
        f"{history.cutoff:,} bytes (BytesScannedCutoffPerQuery)."
    )
    return history


def _journals(journals: tuple[Location, ...]) -> History:
    default = journal_stage.DEFAULT_PATH
    return journal_stage.read(journals or filter(journal_stage.exists, (default,)))


def _say_unattended(history: History, made: Plan, accounts: Accounts, check: str) -> bool:
    """Name the journals' pending keys that need a person; whether there is one, or damage.

    Only the plan's own evidence says that a deletion was cancelled outside the journals.
    """
    restored = {
        item.key_arn
        for item in made.items
        if isinstance(seen := item.evidence.description, KeyDescription) and not is_pending(seen)
    }
    waiting = attention.of_journals(history, accounts.clock.now(), known_otherwise=restored)
    found = (*history.problems, *attention.sentences(waiting, check))
    for sentence in found:
        say(sentence)
    return bool(found)
