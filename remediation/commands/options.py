"""Options that several commands share."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import click

from .. import journal as journal_stage
from ..aws import Access
from ..aws.accounts import SESSION_NAME

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


ALL_FORMATS: Final = ("table", "json", "markdown", "csv")


def access_options(command: Decorated) -> Decorated:
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
            help="Work in this account alone; may be given again.",
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


def format_option(*names: str) -> Callable[[Decorated], Decorated]:
    return click.option(
        "--format",
        "form",
        type=click.Choice(names),
        default="table",
        show_default=True,
        help="How to print; with json, standard output carries nothing else.",
    )


def journal_option(*, many: bool = False, use: str = "") -> Callable[[Decorated], Decorated]:
    use = use or f"The journal{'; may be given again' if many else ''}."
    return click.option(
        "--journal",
        "journals" if many else "journal_path",
        multiple=many,
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help=f"{use}  [default: {journal_stage.DEFAULT_PATH}]",
    )


def policy_option(
    *, beside_a_plan: bool = True, use: str = "Decision policy."
) -> Callable[[Decorated], Decorated]:
    plans = "the plan's, or "
    default = f"{plans if beside_a_plan else ''}the one that keysweep ships"
    return click.option(
        "--policy",
        "policy_path",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help=f"{use}  [default: {default}]",
    )


html_option = click.option(
    "--html",
    "html_path",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Also write the report as a page for a browser: one file, without scripts.",
)


yes_option = click.option("--yes", is_flag=True, help="Do not ask; needed without a terminal.")
