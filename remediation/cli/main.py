"""The `keysweep` group: its commands, and the exit code of each error.

Nothing heavy is imported before a command is chosen, so that help and completion are fast.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from io import TextIOWrapper
from typing import Final

import click

from ..errors import INTERRUPTED, BadInput, KeysweepError
from . import DONE, INCOMPLETE
from .console import say
from .lazy_command import LazyCommand

COMMANDS: Final[Mapping[str, str]] = {
    "apply": "Schedule the deletions of a reviewed plan.",
    "cancel": "Cancel deletions: by journal, plan, results or key.",
    "doctor": "Show what cannot be read in accounts, why, and what to do.",
    "guard": "Find pending keys that something tries to use.",
    "index": "List the plans of many accounts on one page.",
    "journal": "Copy or rebuild a journal, or remove its lock in S3.",
    "mutelist": "Create a Prowler mutelist for intended deletions.",
    "path": "Print the folder of a scanner's checks, or of the policies.",
    "plan": "Evaluate the keys in scanner results and write a plan.",
    "policy": "Check a decision policy and show its effect.",
    "show": "Show a saved plan, without access to AWS.",
    "status": "Show the current state of the keys in a journal.",
    "verify": "Test that the installed scanners run the checks.",
}
"""Commands and their summaries; each is the attribute `NAME` of the module `NAME`."""


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code. Error messages go to standard error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # no name may end a report
    try:
        result = keysweep.main(args=list(arguments), prog_name="keysweep", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return BadInput.exit_code
    except click.ClickException as error:
        context = error.ctx if isinstance(error, click.UsageError) else None
        say(f"{error.format_message()} ({context.command_path if context else 'keysweep'} --help)")
        return BadInput.exit_code
    except click.Abort:
        say(INTERRUPTED)
        return INCOMPLETE
    except KeysweepError as error:
        say(str(error))
        return error.exit_code
    except OSError as error:
        # Files have errors of their own, so this is standard output.
        say(
            f"Standard output could not be written: {error.strerror}. "
            "The journal records what was changed in AWS."
        )
        sys.stdout = None  # else Python flushes it again at exit
        return INCOMPLETE
    except Exception as error:  # noqa: BLE001 - a broken library, before its command can answer
        from .. import diagnostics

        say(diagnostics.unexpected(error, arguments))
        return INCOMPLETE
    return int(result or DONE)


def _print_versions(context: click.Context, _parameter: click.Parameter, given: bool) -> None:
    if given and not context.resilient_parsing:
        from importlib.metadata import version  # a third of what --help takes

        python = ".".join(map(str, sys.version_info[:3]))
        click.echo(f"keysweep {version('keysweep')} (Python {python}, boto3 {version('boto3')})")
        context.exit()


@click.group(
    commands=[LazyCommand(name, summary) for name, summary in COMMANDS.items()],
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_versions,
    help="Show the versions of keysweep, Python and boto3.",
)
def keysweep() -> None:
    """Find disabled KMS keys you still pay for and delete them through a plan you review.

    \b
    prowler aws --checks kms_cmk_not_disabled --output-formats json-ocsf
    keysweep plan output/      # read-only
    keysweep apply plan.json   # asks first
    keysweep cancel --journal keysweep-journal.jsonl   # until the waiting period ends
    """
