"""The command line: one table of commands, each in a module of its own, and how a run ends.

Nothing heavy is imported before a command is known, so that help and completion answer at once.
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
    "apply": "Schedule the deletions that a reviewed plan lists.",
    "cancel": "Cancel deletions: of a journal, a plan, results or single keys.",
    "guard": "Watch the waiting period: does anybody want a key after all?",
    "mutelist": "Make a Prowler mutelist for the deletions that are intended.",
    "path": "Print the folder to hand to the scanner.",
    "plan": "Judge the keys that scanners name; write a plan to review.",
    "policy": "Check a decision policy, and show what it amounts to.",
    "status": "Show what became of the journal's keys: pending, saved, drifted.",
    "verify": "Prove that the scanners here run the checks.",
}
"""What the list of commands says of each; the module `NAME` has it as `NAME`."""


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
        # Files that we read and write raise errors of our own: what is left is standard output.
        say(f"the output could not be written ({error.strerror}); the journal has what was done")
        sys.stdout = None  # nothing is left to be flushed at the end
        return INCOMPLETE
    except Exception as error:  # noqa: BLE001 - a broken library, before its command can answer
        from .. import diagnostics

        say(diagnostics.unexpected(error, arguments))
        return INCOMPLETE
    return int(result or DONE)


def _print_versions(context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
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
    help="Show the versions of keysweep, Python and boto3; verify shows the scanners'.",
)
def keysweep() -> None:
    """Retire disabled AWS KMS keys by a reviewed plan that holds what may still be needed.

    \b
    prowler aws --checks kms_cmk_not_disabled --output-formats json-ocsf
    keysweep plan output/      # looks: nothing is changed
    keysweep apply plan.json   # asks, then schedules what the plan lists
    keysweep cancel --journal keysweep-journal.jsonl   # undoes it, while it can be undone
    """
