"""Options that several commands share."""

from __future__ import annotations

import logging
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial, wraps
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import click

from .. import diagnostics
from .. import journal as journal_stage
from ..access import SESSION_NAME, Access
from ..errors import BadInput, KeysweepError, Unexpected
from ..files import beginning
from ..journal.name import JournalName
from ..models import UNKNOWN
from ..parameters import DIAGNOSTICS
from .argparse_command import parameter

_log: Final = logging.getLogger(__name__)

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


ALL_FORMATS: Final = ("table", "json", "markdown", "csv")

_ENDINGS: Final = (KeysweepError, click.ClickException, click.Abort, click.exceptions.Exit, OSError)
"""Errors that `main` maps to exit codes."""


_URI: Final = re.compile("(?:s3|arn):|[a-z][a-z0-9+.-]*://", re.IGNORECASE)
"""Prefixes that are a mistake in the name of a file: a CI job would lose such a file unnoticed."""


def _variable(option: str) -> str:
    """The environment variable of an option: `KEYSWEEP_LOG_FILE` for `--log-file`."""
    return f"KEYSWEEP_{option.removeprefix('--').replace('-', '_').upper()}"


def _logging(context: click.Context, option: click.Parameter, value: Any) -> None:
    """Set up the log before other options are read."""
    if not value or context.resilient_parsing:
        return
    log = diagnostics.to_stderr() if option.name == "debug" else diagnostics.to_file(Path(value))
    context.with_resource(log)


class Command(click.Command):
    """A command with `--debug` and `--log-file`; it logs its start and end."""

    def __init__(self, *, params: list[click.Parameter], **settings: Any) -> None:
        log_options = [
            parameter(
                names,
                about,
                envvar=_variable(names[0]),
                show_envvar=True,
                is_eager=True,
                expose_value=False,
                callback=_logging,
            )
            for names, about in DIAGNOSTICS
        ]
        super().__init__(params=[*params, *log_options], **settings)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the options; on an error, close the log."""
        try:
            return super().parse_args(ctx, args)
        except BaseException:
            ctx.close()
            raise

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. Raises Unexpected after an error of Keysweep itself."""
        began = time.monotonic()
        if _log.isEnabledFor(logging.DEBUG):
            versions = version("keysweep"), ".".join(map(str, sys.version_info[:3]))
            _log.debug("%s: keysweep %s, Python %s", ctx.command_path, *versions)
        try:
            code = super().invoke(ctx)
        except _ENDINGS:
            _log.debug("ended after %.1f s", time.monotonic() - began, exc_info=True)
            raise
        except Exception as error:
            raise Unexpected(diagnostics.unexpected(error)) from error
        _log.debug("ended with %s after %.1f s", code or 0, time.monotonic() - began)
        return code


command = partial(click.command, cls=Command)
"""`click.command` for `Command`."""


def access_options(command: Decorated) -> Decorated:
    """Options for access to accounts, passed to the command as `access`.

    Each has an environment variable, for scheduled jobs.
    """

    @wraps(command)
    def with_access(
        *arguments: Any,
        profile: str | None,
        role_name: str | None,
        external_id: str | None,
        role_session_name: str,
        accounts: tuple[str, ...],
        regions: tuple[str, ...],
        **others: Any,
    ) -> Any:
        access = Access(
            profile,
            role_name,
            external_id,
            role_session_name,
            frozenset(accounts),
            frozenset(regions),
        )
        return command(*arguments, access=access, **others)

    for option in (
        profile_option,
        region_option,
        account_option,
        _access_option(
            "--role-session-name",
            metavar="NAME",
            default=SESSION_NAME,
            show_default=True,
            callback=_named(r"[\w+=,.@-]{2,64}", "2 to 64 letters, digits and +=,.@-_"),
            help="Name of the role's session, which CloudTrail shows.",
        ),
        _access_option("--external-id", metavar="ID", help="External ID that the role requires."),
        _access_option(
            "--role-name",
            metavar="NAME",
            callback=_named(r"[\w+=,.@/-]{1,576}", "a role name (with its path, not an ARN)"),
            help="Role to assume in the keys' accounts.",
        ),
    ):
        with_access = option(with_access)
    return cast(Decorated, with_access)


def _access_option(*names: str, **settings: Any) -> Callable[[Decorated], Decorated]:
    return click.option(*names, envvar=_variable(names[0]), show_envvar=True, **settings)


def _named(
    pattern: str, expected: str
) -> Callable[[click.Context, click.Parameter, str | None], str | None]:
    """A check of a name by AWS's pattern ("AssumeRole", AWS STS API Reference)."""

    def check(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(pattern, value, re.ASCII):
            raise click.BadParameter(f"{value!r} is not {expected}", context, parameter)
        return value

    return check


def _account_ids(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[str, ...]:
    for value in values:
        if not re.fullmatch("[0-9]{12}", value, re.ASCII):
            raise click.BadParameter(f"{value!r} is not a 12-digit account ID", context, parameter)
    return values


profile_option = _access_option(
    "--profile", metavar="NAME", help="Profile of the AWS configuration to use."
)


region_option = _access_option(
    "--region",
    "regions",
    multiple=True,
    metavar="NAME",
    help="Limit the run to keys of this Region; repeatable.",
)


account_option = _access_option(
    "--account",
    "accounts",
    multiple=True,
    metavar="ID",
    callback=_account_ids,
    help="Limit the run to this account; repeatable.",
)


owner_option = click.option(
    "--owner",
    "owners",
    multiple=True,
    metavar="NAME",
    help="Limit the run to keys of this owner, as the plan names it; repeatable. "
    f"{UNKNOWN} is for keys without an owner.",
)


class FormatOption(click.Option):
    """`--format`. Its variable is for all commands: one without that format keeps its default."""

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        """The variable's value, unless only other commands have this format."""
        value = super().resolve_envvar_value(ctx)
        offered = isinstance(self.type, click.Choice) and value in self.type.choices
        return value if offered or value not in {*ALL_FORMATS, "yaml"} else None


def format_option(
    *names: str, about: str = "Output format; with json, standard output holds nothing else."
) -> Callable[[Decorated], Decorated]:
    """`--format` with these formats; the first is the default."""
    return click.option(
        "--format",
        "form",
        cls=FormatOption,
        type=click.Choice(names),
        default=names[0],
        show_default=True,
        envvar=_variable("--format"),
        show_envvar=True,
        help=about,
    )


def journal_name(
    context: click.Context, parameter: click.Parameter, value: str | tuple[str, ...] | None
) -> Path | JournalName | tuple[Path | JournalName, ...] | None:
    """The file, or the journal in S3, of each value of a parameter."""
    if value is None:
        return None
    try:
        return _journal(value) if isinstance(value, str) else tuple(map(_journal, value))
    except BadInput as error:
        raise click.BadParameter(str(error), context, parameter) from error


def _journal(value: str) -> Path | JournalName:
    return JournalName.parse(value) if _URI.match(value) else Path(value)


def journal_option(
    *, many: bool = False, use: str = "", default: str = str(journal_stage.DEFAULT_PATH)
) -> Callable[[Decorated], Decorated]:
    use = use or f"Journal: a file, or s3://BUCKET/PREFIX/{'; repeatable' if many else ''}."
    return click.option(
        "--journal",
        "journals" if many else "journal_path",
        multiple=many,
        type=click.Path(dir_okay=False),
        callback=journal_name,
        metavar="FILE|S3URI",
        help=f"{use}  [default: {default}]",
    )


jobs_option = click.option(
    "--jobs",
    type=click.IntRange(1),
    metavar="N",
    envvar=_variable("--jobs"),
    show_envvar=True,
    help="Number of processes; each reads whole accounts.  [default: one for each usable core]",
)


@contextmanager
def usage_errors() -> Iterator[None]:
    """Name the command's help in the error for an unusable value."""
    try:
        yield
    except BadInput as error:
        raise click.UsageError(str(error)) from error


def policy_option(
    *, beside_a_plan: bool = True, use: str = "Decision policy."
) -> Callable[[Decorated], Decorated]:
    plans = "the plan's, or "
    default = f"{plans if beside_a_plan else ''}the built-in policy"
    return click.option(
        "--policy",
        "policy_path",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help=f"{use}  [default: {default}]",
    )


def page_path(
    context: click.Context, parameter: click.Parameter, value: Path | None
) -> Path | None:
    """A file for a page, which replaces no file of another kind, such as a plan or a journal."""
    if value is not None and (begins := beginning(value)) and not begins.startswith(b"<"):
        raise click.BadParameter(
            f"{value} exists and is not an HTML page. Fix: name another file", context, parameter
        )
    return value


html_option = click.option(
    "--html",
    "html_path",
    type=click.Path(path_type=Path, dir_okay=False),
    callback=page_path,
    metavar="FILE",
    help="Also write the report as one HTML file, without scripts.",
)


yes_option = click.option(
    "--yes", is_flag=True, help="Do not ask for confirmation; required without a terminal."
)
