"""The commands, thin: parse, call, print. What they do is in the stages beside this module."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import wraps
from importlib.metadata import version
from io import TextIOWrapper
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar, cast

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from . import apply as apply_stage
from . import cancel as cancel_stage
from . import guard as guard_stage
from . import journal as journal_stage
from . import mutelist as mutelist_stage
from . import pack
from . import plan as plan_stage
from . import policy as policy_stage
from . import status as status_stage
from .aws import Access, Accounts, Manners
from .aws.accounts import SESSION_NAME
from .errors import AccountUnavailable, BadInput, KeysweepError, Refused
from .evidence import SOURCES, Collector
from .evidence.lake import StoreArn, lake_sources
from .files import ascii_json, demand_writable, locked, write_private
from .findings import Results, nominated, nominates_cancel, read_results
from .iac import look_at
from .interrupt import at_once, orderly
from .journal import Journal
from .models import KeyArn, KeyResult, Outcome
from .policy import MAX_WINDOW_DAYS, MIN_WINDOW_DAYS, Policy
from .policy_view import describe_policy
from .report import page, render, tables
from .report.html import html
from .report.neutral import plain
from .work import Stop

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

DONE: Final = 0
LEFT: Final = 1

_NOT_DONE: Final = frozenset({Outcome.FAILED})


def run(arguments: Sequence[str]) -> int:
    """Run one command; returns its exit code. Errors for people go to standard error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name must not stop a report
    try:
        result = keysweep.main(args=list(arguments), prog_name="keysweep", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return BadInput.exit_code
    except click.ClickException as error:
        _say(f"{error.format_message()} (keysweep --help)")
        return BadInput.exit_code
    except click.Abort:
        _say("interrupted; nothing more was done")
        return LEFT
    except KeysweepError as error:
        _say(str(error))
        return error.exit_code
    except OSError as error:
        # Files that we read and write raise errors of our own: what is left is standard output.
        _say(f"the output could not be written ({error.strerror}); the journal has what was done")
        sys.stdout = None  # nothing is left to be flushed at the end
        return LEFT
    return int(result or DONE)


def _say(sentence: str) -> None:
    click.echo(f"keysweep: {plain(sentence)}", err=True)


# --- options that several commands share -------------------------------------------------------


def _access_options(command: Decorated) -> Decorated:
    """The options about accounts; the command gets them together, as `access`."""

    @wraps(command)
    def with_access(
        *arguments: Any,
        profile: str | None,
        role_name: str | None,
        external_id: str | None,
        role_session_name: str,
        accounts: tuple[str, ...],
        **others: Any,
    ) -> Any:
        access = Access(profile, role_name, external_id, role_session_name, frozenset(accounts))
        return command(*arguments, access=access, **others)

    for option in (
        click.option("--profile", metavar="NAME", help="Profile of the AWS configuration to use."),
        click.option(
            "--account",
            "accounts",
            multiple=True,
            metavar="ID",
            callback=_account_ids,
            help="Touch no account but this one; may be given again.",
        ),
        click.option(
            "--role-session-name",
            metavar="NAME",
            default=SESSION_NAME,
            show_default=True,
            callback=_named(r"[\w+=,.@-]{2,64}", "2 to 64 letters, digits and +=,.@-_"),
            help="Name of the role's session, which CloudTrail shows.",
        ),
        click.option("--external-id", metavar="ID", help="External id that the role asks for."),
        click.option(
            "--role-name",
            metavar="NAME",
            callback=_named(r"[\w+=,.@/-]{1,576}", "the role's name, with its path, and no ARN"),
            help="Role to assume in the keys' accounts.",
        ),
    ):
        with_access = option(with_access)
    return cast(Decorated, with_access)


def _named(
    pattern: str, wanted: str
) -> Callable[[click.Context, click.Parameter, str | None], str | None]:
    """A check of a name by AWS's pattern ("AssumeRole", AWS STS API Reference)."""

    def check(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(pattern, value, re.ASCII):
            raise click.BadParameter(f"{value!r} is not {wanted}", context, parameter)
        return value

    return check


def _account_ids(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[str, ...]:
    for value in values:
        if not re.fullmatch("[0-9]{12}", value, re.ASCII):
            raise click.BadParameter(f"{value!r} is no account id of 12 digits", context, parameter)
    return values


def _format_option(*names: str) -> Callable[[Decorated], Decorated]:
    return click.option(
        "--format",
        "form",
        type=click.Choice(names),
        default="table",
        show_default=True,
        help="How to print; with json, standard output carries nothing else.",
    )


def _journal_option(*, many: bool = False) -> Callable[[Decorated], Decorated]:
    again = "; may be given again" if many else ""
    return click.option(
        "--journal",
        "journals" if many else "journal_path",
        multiple=many,
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help=f"The journal{again}.  [default: {journal_stage.DEFAULT_PATH}]",
    )


_policy_option = click.option(
    "--policy",
    "policy_path",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Decision policy.  [default: the plan's, or the one that keysweep ships]",
)

_html_option = click.option(
    "--html",
    "html_path",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Also write the report as a page for a browser: one file, without scripts.",
)

_yes_option = click.option("--yes", is_flag=True, help="Do not ask; needed without a terminal.")

ALL_FORMATS: Final = ("table", "json", "markdown", "csv")


# --- commands ----------------------------------------------------------------------------------


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(version("keysweep"), prog_name="keysweep")
def keysweep() -> None:
    """Retire disabled AWS KMS keys without losing one that something still needs.

    \b
    prowler aws -c kms_cmk_not_disabled -M json-ocsf
    keysweep plan output/            look: nothing is changed
    keysweep apply plan.json         schedules what the plan lists
    keysweep cancel --journal FILE   undo, until the waiting period ends
    """


@keysweep.command()
@click.argument("results", nargs=-1, required=True, metavar="RESULTS...")
@_policy_option
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default="plan.json",
    show_default=True,
    metavar="FILE",
    help="Where to write the plan.",
)
@click.option(
    "--pending-window-days",
    type=click.IntRange(MIN_WINDOW_DAYS, MAX_WINDOW_DAYS),
    metavar="N",
    help="Waiting period before a key is deleted, 7 to 30 days.",
)
@click.option(
    "--max-keys", type=click.IntRange(0), metavar="N", help="Most keys to schedule at once."
)
@click.option(
    "--tfstate",
    "states",
    multiple=True,
    metavar="[DIR=]FILE",
    help="Terraform's state of the root folder DIR: what terraform show -json prints, or the state "
    "file; may be given again.",
)
@click.option(
    "--cfn-stack",
    "stacks",
    multiple=True,
    metavar="[TEMPLATE=]NAME[@REGION]",
    help="CloudFormation's stack, by name or ARN; may be given again.",
)
@click.option(
    "--cloudtrail-lake",
    metavar="ARN",
    help="Event data store to ask for history and use, instead of the 90 days that CloudTrail "
    "always keeps.",
)
@click.option(
    "--since",
    "since_path",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="PLAN",
    help="Earlier plan: show the keys that are new, gone or judged otherwise.",
)
@click.option("--explain", is_flag=True, help="Ask everything, of keys that are held already too.")
@_html_option
@_access_options
@_format_option(*ALL_FORMATS)
def plan(
    results: tuple[str, ...],
    policy_path: Path | None,
    out: Path,
    pending_window_days: int | None,
    max_keys: int | None,
    states: tuple[str, ...],
    stacks: tuple[str, ...],
    cloudtrail_lake: str | None,
    since_path: Path | None,
    explain: bool,
    html_path: Path | None,
    access: Access,
    form: str,
) -> int:
    """Judge the keys that scanner RESULTS name, and write a plan to review.

    RESULTS are files or folders of Prowler's and Checkov's JSON, or - for standard input. Checkov's
    findings lead to keys by the states and stacks that are given. Changes nothing.

    Example: keysweep plan output/ --out plan.json
    """
    policy = _policy(policy_path, pending_window_days, max_keys)
    since = plan_stage.load(since_path) if since_path is not None else None
    demand_writable(html_path)
    found = read_results(results, sys.stdin.buffer)
    with at_once(), _progress("reading evidence") as step:
        accounts = Accounts(access, Manners(policy.quota_share))
        code = look_at(states, stacks, accounts)
        collector = _collector(accounts, cloudtrail_lake)
        collector.progress = lambda piece, keys: step(
            f"reading {piece.replace('_', ' ')}, {keys} keys"
        )
        made = plan_stage.build(
            found,
            policy,
            collector,
            explain=explain,
            code=code,
            cloudtrail_lake=cloudtrail_lake,
            since=since,
        )
    plan_stage.save(made, out)
    if html_path is not None:
        write_private(html_path, html(page.of_plan(made)))
    if form == "json":
        click.echo(plan_stage.to_json(made), nl=False)
    else:
        _print(tables.of_plan(made, every_key=form == "csv"), form)
        if form == "table":
            click.echo(plain(f"The plan is in {out}; review it, then: keysweep apply {out}"))
    made.refuse_too_many()
    return LEFT if made.unusable else DONE


def _collector(accounts: Accounts, cloudtrail_lake: str | None) -> Collector:
    """Asks the event history, or the given event data store."""
    if cloudtrail_lake is None:
        return Collector(accounts)
    return Collector(accounts, sources={**SOURCES, **lake_sources(StoreArn.parse(cloudtrail_lake))})


def _policy(path: Path | None, window: int | None = None, max_keys: int | None = None) -> Policy:
    policy = policy_stage.load(path)
    if max_keys is not None:
        policy = policy.model_copy(update={"max_keys": max_keys})
    return policy if window is None else policy.with_window(window)


@keysweep.command()
@click.argument("plan_path", metavar="PLAN", type=click.Path(path_type=Path, dir_okay=False))
@_journal_option()
@click.option("--ticket", metavar="TEXT", help="Change ticket, for the journal.")
@click.option("--approved-by", metavar="TEXT", help="Who approved it, for the journal.")
@_yes_option
@_html_option
@_access_options
@_format_option(*ALL_FORMATS)
def apply(
    plan_path: Path,
    journal_path: Path | None,
    ticket: str | None,
    approved_by: str | None,
    yes: bool,
    html_path: Path | None,
    access: Access,
    form: str,
) -> int:
    """Schedule the deletion of the keys that PLAN lists, if they are still as reviewed.

    Running it again finishes what was left, and never doubles anything.

    Example: keysweep apply plan.json --ticket OPS-1234
    """
    made = plan_stage.load(plan_path)
    made.refuse_too_many()
    demand_writable(html_path)
    accounts = Accounts(access, Manners(made.policy.quota_share))
    chosen = [item.key_arn for item in made.chosen()]
    caller = _caller(accounts, chosen)
    path = journal_path or journal_stage.DEFAULT_PATH
    if not _left_open(made, path):
        apply_stage.refuse_expired(made, accounts.clock.now())
    if not chosen:
        _saved(html_path, page.of_results((), made, accounts.clock.now()))
        return _report(form, ())
    _confirm("Schedule the deletion of", chosen, accounts, yes=yes)
    stop = Stop()
    with (
        locked(plan_path, "another keysweep is applying this plan"),
        Journal(path) as journal,
        orderly(stop),
        _progress("scheduling", len(chosen)) as step,
    ):
        journal.begin(
            accounts.clock.now(),
            "apply",
            plan_digest=made.digest,
            caller=caller,
            ticket=ticket,
            approved_by=approved_by,
            keys=len(chosen),
        )
        results = apply_stage.apply(
            made,
            _collector(accounts, made.cloudtrail_lake),
            journal,
            stop=stop,
            done=lambda result: step(None),
        )
    again = f"keysweep apply {plan_path} --journal {path}"
    code = _stopped(stop, [journal], again, _report(form, results))
    return code if _saved(html_path, page.of_results(results, made, accounts.clock.now())) else LEFT


def _saved(path: Path | None, shown: page.Page) -> bool:
    """Write the page after AWS was changed: trouble is told, and is no bad input any more."""
    if path is not None:
        try:
            write_private(path, html(shown))
        except BadInput as error:
            _say(str(error))
            return False
    return True


def _left_open(made: plan_stage.Plan, path: Path) -> bool:
    """Whether an earlier run of this plan left something to settle, even after its expiry."""
    return path.exists() and bool(journal_stage.read([path]).left_open(made.digest))


def _stopped(stop: Stop, journals: Iterable[Journal], again: str, code: int) -> int:
    """The exit code, after saying why the run ended early and what does the rest."""
    for journal in journals:
        if journal.failure is not None:
            stop.ask(f"{journal.path}: the journal cannot be written: {journal.failure}")
    if not stop.asked:
        return code
    _say(f"{stop.reason}; what is left is done by: {again}")
    return LEFT


@keysweep.command()
@click.argument("results", nargs=-1, metavar="[RESULTS...]")
@_journal_option(many=True)
@click.option(
    "--plan",
    "plan_path",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Cancel for the keys that this plan schedules.",
)
@click.option("--key", "keys", multiple=True, metavar="ARN", help="Cancel for this key.")
@click.option("--keep", is_flag=True, help="Tag the keys so that they are not planned again.")
@_policy_option
@click.option("--enable", is_flag=True, help="Enable the keys afterwards; else they stay Disabled.")
@_yes_option
@_access_options
@_format_option("table", "json")
def cancel(
    results: tuple[str, ...],
    journals: tuple[Path, ...],
    plan_path: Path | None,
    keys: tuple[str, ...],
    keep: bool,
    policy_path: Path | None,
    enable: bool,
    yes: bool,
    access: Access,
    form: str,
) -> int:
    """Cancel deletions: those of a journal, of a plan, of scanner RESULTS, or of single keys.

    Example: keysweep cancel --journal keysweep-journal.jsonl
    """
    ways = [bool(results), plan_path is not None, bool(keys)]
    if sum(ways) > 1 or not (any(ways) or journals):
        raise click.UsageError("give one of RESULTS, --plan, --key, or --journal alone")
    if any(ways) and len(journals) > 1:
        raise click.UsageError("give one --journal to write to")
    found = read_results(results, sys.stdin.buffer) if results else None
    unusable = _told(found)
    made = plan_stage.load(plan_path) if plan_path is not None else None
    policy = made.policy if made is not None and policy_path is None else _policy(policy_path)
    batches: Mapping[Path, Collection[KeyArn]]
    if any(ways):
        path = journals[0] if journals else journal_stage.DEFAULT_PATH
        batches = {path: _chosen(found, made, keys)}
    else:
        batches = cancel_stage.batches(journals, cancelled_too=keep or enable)
    ordered = sorted(arn for chosen in batches.values() for arn in chosen)
    if not ordered:
        return max(_report(form, ()), LEFT if unusable else DONE)
    accounts = Accounts(access, Manners(policy.quota_share))
    caller = _caller(accounts, ordered)
    _confirm("Cancel the deletion of", ordered, accounts, yes=yes)
    chosen = [_Batch(path, sorted(some), not any(ways)) for path, some in batches.items()]
    stop = Stop()
    done, written = _carry_out(
        "cancel",
        chosen,
        accounts,
        stop,
        caller=caller,
        protected_tag=policy.protected_tag if keep else None,
        enable=enable,
    )
    code = max(_report(form, done), LEFT if unusable else DONE)
    return _stopped(stop, written, "the same command", code)


class _Batch(NamedTuple):
    """Keys whose cancellation one journal takes down."""

    journal: Path
    keys: Sequence[KeyArn]
    only_ours: bool


def _carry_out(
    command: str,
    batches: Sequence[_Batch],
    accounts: Accounts,
    stop: Stop,
    *,
    caller: str | None,
    protected_tag: str | None,
    enable: bool = False,
) -> tuple[tuple[KeyResult, ...], Sequence[Journal]]:
    """Cancel deletions; the rows of the keys in their order, and the journals that were written."""
    batches = [batch for batch in batches if batch.keys]
    done: list[KeyResult] = []
    journals: dict[Path, Journal] = {}
    with (
        ExitStack() as opened,
        orderly(stop),
        _progress("cancelling", sum(len(batch.keys) for batch in batches)) as step,
    ):
        for path in dict.fromkeys(batch.journal for batch in batches):
            journals[path] = opened.enter_context(Journal(path))
        for path, journal in journals.items():
            count = sum(len(batch.keys) for batch in batches if batch.journal == path)
            journal.begin(accounts.clock.now(), command, caller=caller, keys=count)
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


def _chosen(
    found: Results | None, made: plan_stage.Plan | None, keys: tuple[str, ...]
) -> Collection[KeyArn]:
    """The keys that the user named in one of three ways."""
    if found is not None:
        return nominated(found.findings, nominates_cancel)
    if made is not None:
        return plan_stage.key_arns(made)
    return {_key_arn(text) for text in keys}


def _told(found: Results | None) -> bool:
    """Say what a person has to know of the results; whether records were unusable."""
    if found is None:
        return False
    for sentence in found.warnings:
        _say(sentence)
    for bad in found.unusable:
        _say(f"{bad.source}, {bad.place}: {bad.problem}; this record was not used")
    return bool(found.unusable)


def _key_arn(text: str) -> KeyArn:
    try:
        return KeyArn.parse(text)
    except ValueError as error:
        raise click.UsageError(
            f"--key: {error}; give the ARN that the plan or AWS shows"
        ) from error


@keysweep.command()
@_journal_option(many=True)
@_html_option
@_access_options
@_format_option(*ALL_FORMATS)
def status(
    journals: tuple[Path, ...],
    html_path: Path | None,
    access: Access,
    form: str,
) -> int:
    """Show what the journal's keys are now: pending until when, saved, drifted.

    Example: keysweep status
    """
    history = journal_stage.read(journals or [journal_stage.DEFAULT_PATH])
    demand_writable(html_path)
    accounts = Accounts(access)
    with at_once(), _progress("reading keys"):
        now = status_stage.status(history, accounts)
    if html_path is not None:
        write_private(html_path, html(page.of_status(now, accounts.clock.now())))
    if form == "json":
        click.echo(ascii_json(now.model_dump_json(indent=2)))
    else:
        _print(tables.of_status(now, every_key=form == "csv"), form)
    unsure = now.problems or any(row.state == "unknown" for row in now.rows)
    return LEFT if unsure else DONE


@keysweep.command()
@_journal_option(many=True)
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
@_policy_option
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
@click.option("--keep", is_flag=True, help="With --cancel: tag them against the next plan.")
@_yes_option
@_access_options
@_format_option("table", "json")
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

    Exits with 1 when a key is wanted, rescued or not, and when something could not be looked at.
    Prints nothing when there is nothing to tell; with --format json, a line for each key.

    Example: keysweep guard --plan plan.json --cancel --keep --yes
    """
    if regions and not every:
        raise click.UsageError("--region goes with --all; a journal says its keys' Regions itself")
    if keep and not rescue:
        raise click.UsageError("--keep goes with --cancel")
    paths = journals or (journal_stage.DEFAULT_PATH,)
    if every and not journals and not journal_stage.DEFAULT_PATH.exists():
        read: tuple[Path, ...] = ()
    else:
        read = paths
    history = journal_stage.read(read)
    made = None if plan_path is None else plan_stage.load(plan_path)
    given = None if policy_path is None else policy_stage.load(policy_path)
    judged_by = guard_stage.policy_of(made, given, policy_stage.load())
    accounts = Accounts(access, Manners(judged_by.quota_share))
    batches = cancel_stage.batches(read)
    ours = {arn for chosen in batches.values() for arn in chosen}
    with at_once(), _progress("looking at keys") as step:
        collector = Collector(accounts)
        collector.progress = lambda piece, keys: step(
            f"reading {piece.replace('_', ' ')}, {keys} keys"
        )
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
    code = LEFT if wanted or history.problems or any(row.unread for row in rows) else DONE
    if rescue and wanted:
        caller = _caller(accounts, sorted(wanted))
        _confirm("Cancel the deletion of", sorted(wanted), accounts, yes=yes)
        chosen = [_Batch(path, sorted(wanted & {*some}), True) for path, some in batches.items()]
        chosen.append(_Batch(paths[0], sorted(wanted - ours), False))
        stop = Stop()
        done, written = _carry_out(
            "guard",
            chosen,
            accounts,
            stop,
            caller=caller,
            protected_tag=judged_by.protected_tag if keep else None,
        )
        rows = guard_stage.with_rescues(rows, done)
        code = _stopped(stop, written, "the same command", code)
    if form == "json":
        for row in rows:
            click.echo(ascii_json(row.model_dump_json()))
    else:
        _print(tables.of_guard(rows, history), form)
    return code


@keysweep.command()
@_journal_option(many=True)
@click.option(
    "--merge",
    "existing",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="A mutelist to add to; its own entries stay, its comments do not.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Where to write it.  [default: standard output]",
)
@_access_options
def mutelist(
    journals: tuple[Path, ...], existing: Path | None, out: Path | None, access: Access
) -> int:
    """Make a Prowler mutelist for the deletions of the journal that are still pending.

    Mutes kms_cmk_not_deleted_unintentionally for these keys alone. Prowler's --fixer heeds no
    mutelist: never run it with that check while keys are waiting.

    Example: keysweep mutelist --merge mutelist.yaml --out mutelist.yaml
    """
    history = journal_stage.read(journals or [journal_stage.DEFAULT_PATH])
    before = None if existing is None else mutelist_stage.load(existing)
    with at_once(), _progress("reading keys"):
        now = status_stage.status(history, Accounts(access))
    pending = mutelist_stage.intended(now)
    text = mutelist_stage.to_yaml(mutelist_stage.merged(pending, history.keys, before))
    if existing is not None and mutelist_stage.has_comments(existing):
        _say(f"the comments of {existing} are not kept")
    if out is None:
        click.echo(text, nl=False)
    else:
        write_private(out, text)
    unread = [row for row in now.rows if row.state == "unknown"]
    for row in unread:
        _say(f"{row.key_arn}: not muted, since it cannot be read: {row.drift}")
    return LEFT if unread else DONE


@keysweep.command()
@click.argument(
    "policy_path",
    metavar="[FILE]",
    required=False,
    type=click.Path(path_type=Path, dir_okay=False),
)
@_format_option("table", "json")
def policy(policy_path: Path | None, form: str) -> None:
    """Check a decision policy, and show what it amounts to: values, rules and what they need.

    Example: keysweep policy retirement.yaml
    """
    view = describe_policy(policy_stage.load(policy_path), datetime.now(UTC))
    if form == "json":
        click.echo(ascii_json(view.model_dump_json(indent=2)))
    else:
        _print(tables.of_policy(view), form)


@keysweep.command()
@click.argument("part", type=click.Choice(sorted(pack.FOLDERS)))
def path(part: str) -> None:
    """Print the folder to hand to the scanner.

    Example: prowler aws -x "$(keysweep path prowler)"
    """
    click.echo(pack.folder(part))


# --- printing and asking -----------------------------------------------------------------------


def _caller(accounts: Accounts, keys: Sequence[KeyArn]) -> str | None:
    """Who the given credentials are; unusable ones become the rows of the keys."""
    try:
        return accounts.caller(keys[0]) if keys else None
    except AccountUnavailable:
        return None


def _confirm(what: str, keys: Sequence[KeyArn], accounts: Accounts, *, yes: bool) -> None:
    counts = Counter(arn.account_id for arn in keys if accounts.admits(arn))
    told = ", ".join(f"{count} in account {account}" for account, count in sorted(counts.items()))
    question = f"{what} {counts.total()} keys ({told or 'none in the accounts named'})?"
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise BadInput(f"{question} There is no terminal to ask on: add --yes; nothing was done")
    if not click.confirm(question, err=True):
        raise Refused("you said no; nothing was done")


def _report(form: str, results: tuple[KeyResult, ...]) -> int:
    if form == "json":
        document = {
            "results": [result.model_dump(mode="json") for result in results],
            "summary": dict(Counter(result.outcome.value for result in results)),
        }
        click.echo(json.dumps(document, indent=2))
    else:
        _print(tables.of_results(results, every_key=form == "csv"), form)
    return LEFT if any(result.outcome in _NOT_DONE for result in results) else DONE


def _print(report: tables.Report, form: str) -> None:
    if form == "markdown":
        click.echo(render.markdown(report), nl=False)
    elif form == "csv":
        click.echo(render.comma_separated(report), nl=False)
    else:
        render.terminal(report, sys.stdout)


@contextmanager
def _progress(what: str, total: int | None = None) -> Iterator[Callable[[str | None], None]]:
    """A bar on standard error, on a terminal only; a call is a step, or says what is done now."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task(what, total=total)

        def step(words: str | None) -> None:
            if words is None:
                bar.advance(task)
            else:
                bar.update(task, description=words)

        yield step
