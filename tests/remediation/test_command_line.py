"""Before a command runs: the list of commands, versions, completion, and what all that imports."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import click
import pytest

from keysweep.remediation import cli, commands, folders, pack, verify_command
from keysweep.remediation.commands.lazy import LazyCommand
from keysweep.remediation.commands.plain_command import PlainCommand

COMMAND = (sys.executable, "-P", "-m", "keysweep.remediation")

HEAVY = {"boto3", "botocore", "jinja2", "msgspec", "pydantic", "rich", "yaml"}


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        check=False,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
    )


def imported_by(*arguments: str) -> set[str]:
    """The top-level packages that a run imports."""
    told = run(*arguments, PYTHONPROFILEIMPORTTIME="1").stderr.splitlines()
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in told if "|" in line}


def completed(typed: str) -> set[str]:
    """What click's completion offers for the last word."""
    words = typed.split(" ")
    told = run(_KEYSWEEP_COMPLETE="bash_complete", COMP_WORDS=typed, COMP_CWORD=str(len(words) - 1))
    return {line.partition(",")[2] for line in told.stdout.splitlines()}


def test_the_help_lists_every_command_whole() -> None:
    listed = run("--help", COLUMNS="80").stdout.partition("Commands:\n")[2].splitlines()
    assert {tuple(line.strip().split(maxsplit=1)) for line in listed} == {*cli.COMMANDS.items()}
    assert {"path", "verify"} < {*cli.COMMANDS}


def test_every_command_has_a_module_and_every_module_of_a_command_is_listed() -> None:
    folder = Path(next(iter(commands.__path__)))
    names = {path.stem for path in folder.glob("*.py")}
    for name, command in cli.keysweep.commands.items():
        assert isinstance(command, LazyCommand)
        assert command.load().name == name
    with_a_command = {
        name
        for name in names
        for found in [getattr(__import__(f"{commands.__name__}.{name}", fromlist=["_"]), name, 0)]
        if isinstance(found, click.Command)
    }
    assert with_a_command == {*cli.COMMANDS}


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("nothing-like-this",)])
def test_nothing_heavy_is_imported_before_a_command_is_known(arguments: tuple[str, ...]) -> None:
    imported = imported_by(*arguments)
    assert "click" in imported
    assert not imported & HEAVY


def test_path_imports_no_library_and_no_scanner_s_proof() -> None:
    imported = imported_by("path", "prowler")
    assert "argparse" in imported
    assert not imported & {*HEAVY, "click", "subprocess", "http", "ssl"}


def test_the_versions_that_matter_are_shown() -> None:
    python = ".".join(map(str, sys.version_info[:3]))
    assert run("--version").stdout == (
        f"keysweep {version('keysweep')} (Python {python}, boto3 {version('boto3')})\n"
    )


COMPLETED = {
    "keysweep ": {*cli.COMMANDS},
    "keysweep pl": {"plan"},
    "keysweep path ": {*folders.FOLDERS},
    "keysweep plan --format ": {"table", "json", "markdown", "csv"},
    "keysweep verify --format ": {"table", "json"},
    "keysweep verify ": {"prowler", "checkov"},
    "keysweep verify --c": {"--checkov", "--checks-folder", "--config-file"},
}


@pytest.mark.parametrize(("typed", "offered"), COMPLETED.items(), ids=COMPLETED.keys())
def test_shells_complete_commands_options_and_choices(typed: str, offered: set[str]) -> None:
    assert completed(typed) == offered


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_for_a_shell_is_printed(shell: str) -> None:
    told = run(_KEYSWEEP_COMPLETE=f"{shell}_source")
    assert "_KEYSWEEP_COMPLETE=" + shell in told.stdout


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("path", pack.PATH_PARAMETERS), ("verify", verify_command.PARAMETERS)],
)
def test_what_shells_complete_is_what_argparse_takes(
    name: str, parameters: tuple[pack.Parameter, ...]
) -> None:
    parser = argparse.ArgumentParser()
    taken = {parser.add_argument(*names, **settings).dest for names, settings in parameters}
    command = PlainCommand(name, parameters)
    assert {parameter.name for parameter in command.params} == taken


def test_plain_commands_are_answered_beside_click_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["path", "checkov"]) == 0
    assert capsys.readouterr().out.strip() == folders.folder("checkov")
    assert cli.run(["path", "checkov", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"path": folders.folder("checkov")}
    with pytest.raises(SystemExit) as ended:
        cli.run(["verify", "--help"])
    assert ended.value.code == 0
    assert "usage: keysweep verify" in capsys.readouterr().out
