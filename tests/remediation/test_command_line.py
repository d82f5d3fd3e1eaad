"""Before a command runs: the list of commands, versions, completion, and what all that imports."""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import click
import pytest
from command_runs import Done, every_command, run_here

from keysweep.remediation import cli, paths, standalone
from keysweep.remediation.cli import main
from keysweep.remediation.cli.argparse_command import ArgparseCommand
from keysweep.remediation.cli.lazy_command import LazyCommand
from keysweep.remediation.verify import command as verify_command

COMMAND = (sys.executable, "-P", "-m", "keysweep.remediation")

PLAIN = {"path": standalone.PATH_PARAMETERS, "verify": verify_command.PARAMETERS}
"""Commands that argparse answers, and what it gets."""

HEAVY = {"boto3", "botocore", "jinja2", "msgspec", "pydantic", "rich", "yaml"}


def run(*arguments: str, **variables: str) -> Done:
    """Run the command in this process."""
    return run_here(arguments, Path.cwd(), {**os.environ, **variables})


def modules_imported_by(*arguments: str) -> set[str]:
    """The modules that a process imports."""
    done = subprocess.run(
        [*COMMAND, *arguments],
        check=False,
        env={**os.environ, "PYTHONPROFILEIMPORTTIME": "1"},
        capture_output=True,
        text=True,
    )
    lines = done.stderr.splitlines()
    return {line.rpartition("|")[2].strip() for line in lines if "|" in line}


def imported_by(*arguments: str) -> set[str]:
    """The top-level packages that a process imports."""
    return {name.partition(".")[0] for name in modules_imported_by(*arguments)}


def completed(typed: str) -> set[str]:
    """What click's completion offers for the last word."""
    words = typed.split(" ")
    done = run(_KEYSWEEP_COMPLETE="bash_complete", COMP_WORDS=typed, COMP_CWORD=str(len(words) - 1))
    return {line.partition(",")[2] for line in done.out.splitlines()}


def test_the_help_lists_every_command_whole() -> None:
    listed = run("--help", COLUMNS="80").out.partition("Commands:\n")[2].splitlines()
    assert {tuple(line.strip().split(maxsplit=1)) for line in listed} == {*main.COMMANDS.items()}
    assert {"path", "verify"} < {*main.COMMANDS}


def test_every_command_has_a_module_and_every_module_of_a_command_is_listed() -> None:
    folder = Path(next(iter(cli.__path__)))
    names = {path.stem for path in folder.glob("*.py")}
    for name, command in main.keysweep.commands.items():
        assert isinstance(command, LazyCommand)
        assert command.load().name == name
    with_a_command = {
        name
        for name in names
        for found in [getattr(__import__(f"{cli.__name__}.{name}", fromlist=["_"]), name, 0)]
        if isinstance(found, click.Command)
    }
    assert with_a_command == {*main.COMMANDS}


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("nothing-like-this",)])
def test_nothing_heavy_is_imported_before_a_command_is_known(arguments: tuple[str, ...]) -> None:
    imported = imported_by(*arguments)
    assert "click" in imported
    assert not imported & HEAVY


@pytest.mark.parametrize("arguments", [("policy",), ("path", "prowler"), ("verify", "--help")])
def test_commands_that_make_no_aws_call_import_no_boto3(arguments: tuple[str, ...]) -> None:
    imported = imported_by(*arguments)
    assert "keysweep" in imported
    assert "boto3" not in imported


def test_policy_imports_of_botocore_its_errors_alone() -> None:
    from_a_client = {"botocore.client", "botocore.model", "botocore.parsers", "botocore.session"}
    assert not from_a_client & modules_imported_by("policy")


def test_path_imports_no_library_and_no_scanner_s_proof() -> None:
    imported = imported_by("path", "prowler")
    assert "argparse" in imported
    assert not imported & {*HEAVY, "click", "subprocess", "http", "ssl"}


def test_the_versions_that_matter_are_shown() -> None:
    python = ".".join(map(str, sys.version_info[:3]))
    assert run("--version").out == (
        f"keysweep {version('keysweep')} (Python {python}, boto3 {version('boto3')})\n"
    )


COMPLETED = {
    "keysweep ": {*main.COMMANDS},
    "keysweep pl": {"plan"},
    "keysweep path ": {*paths.FOLDERS},
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
    script = run(_KEYSWEEP_COMPLETE=f"{shell}_source")
    assert "_KEYSWEEP_COMPLETE=" + shell in script.out


def test_bash_itself_completes_with_the_script(tmp_path: Path) -> None:
    program = tmp_path / "keysweep"
    program.write_text(f'#!/bin/sh\nexec {shlex.join(COMMAND)} "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    typed = """
        eval "$(_KEYSWEEP_COMPLETE=bash_source keysweep)"
        complete -p keysweep | grep -o -- "-F [a-z_]*"
        COMP_WORDS=(keysweep plan --f); COMP_CWORD=2
        _keysweep_completion keysweep && echo "${COMPREPLY[@]}"
    """
    done = subprocess.run(
        ["bash", "--norc", "-c", typed],
        env={**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines() == ["-F _keysweep_completion", "--format"], done.stderr


@pytest.mark.parametrize(
    ("words", "command"), [pytest.param(*one, id=" ".join(one[0])) for one in every_command()]
)
def test_every_help_has_an_example_that_can_be_typed(
    words: tuple[str, ...], command: click.Command
) -> None:
    shown = " ".join(run(*words, "--help", COLUMNS="80").out.split())
    example = re.search(r"[Ee]xample: (.+?)(?= Options:|$)", shown)
    assert example, shown
    typed = re.search(rf"keysweep {' '.join(words)}\b([^)\"]*)", example[1])
    assert typed, example[1]
    arguments = shlex.split(typed[1])
    if isinstance(command, ArgparseCommand):
        parser = argparse.ArgumentParser(exit_on_error=False)
        for names, settings in PLAIN[words[0]]:
            parser.add_argument(*names, **settings)
        parser.parse_args(arguments)
    else:
        command.make_context(words[-1], arguments)


ACCESS = {
    "KEYSWEEP_ACCOUNT": "111122223333 444455556666",
    "KEYSWEEP_EXTERNAL_ID": "external",
    "KEYSWEEP_PROFILE": "audit",
    "KEYSWEEP_ROLE_NAME": "KeysweepOperator",
    "KEYSWEEP_ROLE_SESSION_NAME": "nightly",
}


@pytest.mark.parametrize("name", ["apply", "cancel", "guard", "mutelist", "plan", "status"])
def test_access_can_stand_in_the_environment(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    command = main.keysweep.commands[name]
    assert isinstance(command, LazyCommand)
    for variable, value in ACCESS.items():
        monkeypatch.setenv(variable, value)
    given = ["results"] if name in {"apply", "plan"} else []
    taken = command.load().make_context(name, [*given, "--role-name", "Typed"]).params
    assert (taken["role_name"], taken["external_id"]) == ("Typed", "external")
    assert taken["accounts"] == ("111122223333", "444455556666")
    assert (taken["profile"], taken["role_session_name"]) == ("audit", "nightly")


def test_a_bad_value_in_the_environment_is_bad_usage() -> None:
    done = run("status", KEYSWEEP_ACCOUNT="shop")
    assert done.code == 2
    assert "KEYSWEEP_ACCOUNT" in done.err


@pytest.mark.parametrize(
    ("arguments", "ending"),
    [
        (["plan"], "(keysweep plan --help)"),
        (["plan", "x", "--nothing"], "(keysweep plan --help)"),
        (["guard", "--keep"], "(keysweep guard --help)"),
        (["--nothing"], "(keysweep --help)"),
        (["nothing"], "(keysweep --help)"),
        (["cancel"], "cancel --journal keysweep-journal.jsonl (keysweep cancel --help)"),
        (["cancel", "--key", "x", "--plan", "x"], "(keysweep cancel --help)"),
        (["cancel", "x", "--journal", "a", "--journal", "b"], "(keysweep cancel --help)"),
        (["cancel", "--key", "alias/x"], " AWS (keysweep cancel --help)"),
    ],
)
def test_bad_usage_leads_to_the_help_of_its_command(
    arguments: list[str], ending: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("keysweep: ")
    assert error.rstrip().endswith(ending)
    assert error.count("\n") == 1


def test_policy_shows_what_a_file_amounts_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text("version: 1\npending_window_days: 14\n", encoding="utf-8")
    assert main.run(["policy", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "pending_window_days" in shown
    assert "protected-tag" in shown
    assert main.run(["policy", str(path), "--format", "json"]) == 0
    view = json.loads(capsys.readouterr().out)
    (value,) = [value for value in view["values"] if value["name"] == "pending_window_days"]
    assert (value["value"], value["default"]) == (14, 30)
    path.write_text("version: 1\npending_window_days: 31\n", encoding="utf-8")
    assert main.run(["policy", str(path)]) == 2
    assert "policy.yaml:2: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "parameters"),
    PLAIN.items(),
)
def test_what_shells_complete_is_what_argparse_takes(
    name: str, parameters: tuple[standalone.Parameter, ...]
) -> None:
    parser = argparse.ArgumentParser()
    taken = {parser.add_argument(*names, **settings).dest for names, settings in parameters}
    command = ArgparseCommand(name, parameters, "About it.", f"keysweep {name}")
    assert {parameter.name for parameter in command.params} == taken


def test_plain_commands_are_answered_beside_click_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["path", "checkov"]) == 0
    assert capsys.readouterr().out.strip() == paths.folder("checkov")
    assert main.run(["path", "checkov", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"path": paths.folder("checkov")}
    with pytest.raises(SystemExit) as ended:
        main.run(["verify", "--help"])
    assert ended.value.code == 0
    assert "usage: keysweep verify" in capsys.readouterr().out
