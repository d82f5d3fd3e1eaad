"""`keysweep doctor`: what cannot be read in accounts as they are."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import click

from .. import policy_file
from ..aws import Access, Accounts, ClientSettings, select
from ..doctor import decisions
from ..doctor.findings import Examination, examination
from ..doctor.probe import Probe
from ..errors import BadInput
from ..evidence.references.checked import checked_with, newer
from ..evidence.references.entries import reference_list
from ..files import ascii_json, demand_writable, exists
from ..findings import candidates, is_plan_candidate, read_results
from ..findings.s3 import S3Results
from ..interrupt import at_once
from ..models import AccountRegion, KeyArn
from ..report.examination import of_examination
from ..wording import counted
from . import DONE, INCOMPLETE
from .console import print_report, progress, say
from .options import access_options, command, format_option, jobs_option, policy_option
from .setup import new_collector


@command()
@click.argument("results", nargs=-1, metavar="[RESULTS...]")
@policy_option(beside_a_plan=False)
@click.option(
    "--policy-out",
    "policy_out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the policy of --policy to a new file, with the exceptions to decide, commented "
    "out.",
)
@jobs_option
@access_options
@format_option("table", "json")
def doctor(
    results: tuple[str, ...],
    policy_path: Path | None,
    policy_out: Path | None,
    jobs: int | None,
    access: Access,
    form: str,
) -> int:
    """Show what cannot be read in each account-Region, why, and what to do. Changes nothing in AWS.

    Tries each first call that plan would make, and each follow-up call for the first item of its
    listing, in the account-Regions of RESULTS, or of --account and --region.

    Exits with 1 if an answer would hold keys. 0 does not promise that every follow-up call works.

    Example: keysweep doctor output/ --policy retirement.yaml --policy-out decided.yaml
    """
    if policy_out is not None:
        if policy_path is None:
            raise click.UsageError("--policy-out needs --policy: the file to extend")
        if exists(policy_out):
            raise BadInput(f"{policy_out} exists already. Fix: name a file that does not exist")
        demand_writable(policy_out)
    if not results and not access.regions:
        raise click.UsageError("give RESULTS, or --region and perhaps --account")
    policy = policy_file.load(policy_path)
    accounts = Accounts(access, ClientSettings(policy.quota_share))
    keys = _of_results(results, accounts) if results else _named(accounts)
    with at_once(), progress("trying calls", len(keys)) as step:
        probe = Probe(new_collector(accounts, jobs=jobs), policy, done=lambda _: step(None))
        found = examination(probe.run(keys), policy, accounts.clock.now())
    if warning := newer(reference_list()):
        say(warning)
    if form == "json":
        click.echo(ascii_json(found.model_dump_json(indent=2)))
    else:
        print_report(of_examination(found), form)
        click.echo(checked_with(reference_list()))
        _print_blocks(found)
    if policy_out is not None and policy_path is not None:
        number = decisions.extend(policy_path, policy_out, found)
        say(f"{policy_out}: {counted(number, 'exception')} to decide, commented out.")
    return INCOMPLETE if found.holds_keys else DONE


def _of_results(
    results: tuple[str, ...], accounts: Accounts
) -> Mapping[AccountRegion, KeyArn | None]:
    """The account-Regions of the candidates, each with one of them."""
    found = read_results(results, sys.stdin.buffer, S3Results(accounts).find)
    for warning in found.warnings:
        say(warning)
    selected = select(accounts, candidates(found.findings, is_plan_candidate))
    return {arn.account_region: arn for arn in sorted(selected.keys, reverse=True)}


def _named(accounts: Accounts) -> Mapping[AccountRegion, KeyArn | None]:
    """The Regions named, in the accounts named or the session's own."""
    access = accounts.access
    own = [accounts.own_account_region(region) for region in sorted(access.regions)]
    return {
        AccountRegion(one.partition, account_id, one.region): None
        for one in own
        for account_id in access.only or {one.account_id}
    }


def _print_blocks(found: Examination) -> None:
    """The exceptions to decide, and the IAM statement, to copy."""
    for name in ("closed_regions", "coverage_exceptions"):
        if entries := getattr(found, name):
            click.echo(
                f"\nTo decide, in the policy:\n\n{name}:\n{decisions.block(entries)}", nl=False
            )
    if found.iam_actions:
        click.echo(f"\nTo add to the role's policy:\n\n{decisions.statement(found.iam_actions)}")
