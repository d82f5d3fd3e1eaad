"""`keysweep index`: one page over the plans of many accounts."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import click

from .. import plan_index
from ..errors import BadInput
from ..files import demand_writable, write_private
from ..findings import expected_accounts
from ..report import page, tables
from ..report.html import html
from ..wording import counted
from . import DONE, INCOMPLETE
from .console import print_report, say
from .options import command, format_option, page_path


@command()
@click.argument("folder", metavar="FOLDER", type=click.Path(path_type=Path, exists=False))
@click.option(
    "--expect-accounts",
    "expected",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="File of account IDs that must have a plan, one a line or a JSON list.",
)
@click.option(
    "--html",
    "html_path",
    type=click.Path(path_type=Path, dir_okay=False),
    callback=page_path,
    metavar="FILE",
    help="Also write the index as one HTML file, without scripts. It links the report of each "
    "account, ACCOUNT.html beside the plan.",
)
@format_option("table", "markdown", about="Output format.")
def index(folder: Path, expected: Path | None, html_path: Path | None, form: str) -> int:
    """List the plans of many accounts, each in a file FOLDER/ACCOUNT.json. Makes no AWS call.

    Exits with 1 if a plan is missing or incomplete: no key of the account could be read, or records
    of its results could not be used.

    Example: keysweep index plans --expect-accounts accounts.txt --html index.html
    """
    awaited = frozenset() if expected is None else expected_accounts(expected)
    demand_writable(html_path)
    found = plan_index.read(folder, awaited)
    if html_path is not None:
        write_private(html_path, html(page.of_index(found, _link(folder, html_path))))
    print_report(tables.of_index(found), form)
    left = plan_index.incomplete(found)
    if left:
        names = ", ".join(one.account_id for one in left)
        say(f"{len(left)} of {counted(len(found), 'account')} have no complete plan: {names}.")
    return INCOMPLETE if left else DONE


def _link(folder: Path, html_path: Path) -> str:
    """The folder as a URL relative to the page: both may move together."""
    try:
        relative = folder.resolve().relative_to(html_path.resolve().parent)
    except ValueError as error:
        raise BadInput(
            f"{html_path} does not lie beside or above {folder}, whose reports it links. "
            "Fix: name a file there"
        ) from error
    return "" if relative == Path() else f"{quote(relative.as_posix())}/"
