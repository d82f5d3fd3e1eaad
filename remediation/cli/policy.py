"""`keysweep policy`: check a decision policy and show its effect."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from .. import policy_file
from ..files import ascii_json
from ..policy_view import describe_policy
from ..report import tables
from .console import print_report
from .options import command, format_option


@command()
@click.argument(
    "policy_path",
    metavar="[FILE]",
    required=False,
    type=click.Path(path_type=Path, dir_okay=False),
)
@format_option("table", "json")
def policy(policy_path: Path | None, form: str) -> None:
    """Check a decision policy and show its values, its rules and the permissions they need.

    Example: keysweep policy retirement.yaml
    """
    view = describe_policy(policy_file.load(policy_path), datetime.now(UTC))
    if form == "json":
        click.echo(ascii_json(view.model_dump_json(indent=2)))
    else:
        print_report(tables.of_policy(view), form)
