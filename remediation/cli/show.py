"""`keysweep show`: a saved plan in any format, and its digest. Makes no AWS call."""

from __future__ import annotations

from pathlib import Path

import click

from .. import planfile
from ..files import demand_writable, write_private
from ..report import csv_rows, page, tables
from ..report.html import html
from ..wording import counted
from . import DONE
from .console import print_parts, print_report, say
from .options import (
    ALL_FORMATS,
    account_option,
    command,
    format_option,
    html_option,
    owner_option,
    region_option,
)


@command()
@click.argument("plan_path", metavar="PLAN", type=click.Path(path_type=Path, dir_okay=False))
@owner_option
@account_option
@region_option
@html_option
@format_option(*ALL_FORMATS)
def show(
    plan_path: Path,
    owners: tuple[str, ...],
    accounts: tuple[str, ...],
    regions: tuple[str, ...],
    html_path: Path | None,
    form: str,
) -> int:
    """Show a saved plan and its digest. Makes no AWS call.

    With --owner, --account or --region, shows that part of the plan. Its JSON is not a plan that
    can be applied.

    Example: keysweep show plan.json --owner payments
    """
    whole = planfile.load(plan_path)
    demand_writable(html_path)
    made = whole.part(owners, accounts, regions)
    part = ""
    if made is not whole:
        limits = ", ".join((*owners, *accounts, *regions))
        part = f"{len(made.items)} of {counted(len(whole.items), 'key')}: {limits}"
    if html_path is not None:
        write_private(html_path, html(page.of_plan(made, part)))
    if form == "json":
        print_parts(planfile.json_parts(made))
    elif form == "csv":
        say(f"Digest: {made.digest}")
        print_parts(csv_rows.of_plan(made))
    else:
        print_report(tables.of_plan(made, part=part), form)
    return DONE
