"""The log of a run: where it goes, what stands in it, and what never does."""

from __future__ import annotations

import json
import logging
import os
import pty
import re
import stat
import subprocess
import sys
import tempfile
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
import pytest
from botocore.exceptions import ClientError
from command_runs import every_command
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from embedded_aws.process import EmbeddedAws
from keysweep.remediation import diagnostics, planner, runner
from keysweep.remediation.cli import main
from keysweep.remediation.cli.lazy_command import LazyCommand
from keysweep.remediation.errors import BadInput, InvariantError
from keysweep.remediation.evidence import Collector, Source
from keysweep.remediation.models import Cost, Evidence, KeyArn

SHOP = "111122223333"
ROLE = ("--role-name", "KeysweepOperator")
RECORD = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (DEBUG|ERROR|CRITICAL) \S+ keysweep\.")
HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
LOG = logging.getLogger("keysweep.remediation.test")


CANARY = "canary"


def raising(error: Exception) -> None:
    """Raise the error."""
    raise error


def raised(error: Exception) -> Exception:
    """The error, with a traceback."""
    with suppress(type(error)):
        raising(error)
    return error


def records(text: str) -> list[str]:
    """The first lines of a log's records; what stands between them must be indented."""
    lines = text.split("\n")
    assert lines.pop() == ""
    assert all(RECORD.match(line) or line.startswith("    ") for line in lines)
    return [line for line in lines if not line.startswith(" ")]


def requests(text: str) -> list[str]:
    """The operations of the requests that a log has."""
    return re.findall(r"aws\.request_log: (\S+) account=", text)


def logged(write: Callable[[], None]) -> str:
    """What a log has after `write`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "log")
        with diagnostics.to_file(path):
            write()
        return path.read_bytes().decode("utf-8")


# --- what a record looks like --------------------------------------------------------------------


@given(st.text())
def test_a_record_of_any_text_is_one_line(text: str) -> None:
    log = logged(lambda: LOG.info("%s", text))
    (line,) = log.split("\n")[:-1]
    assert not {c for c in line if unicodedata.category(c) in HIDDEN}


@given(st.text())
def test_a_traceback_forges_no_record(text: str) -> None:
    error = raised(RuntimeError(text))
    log = logged(lambda: LOG.error("%s", text, exc_info=error))
    assert len(records(log)) == 1
    assert not {c for c in log if c != "\n" and unicodedata.category(c) in HIDDEN}


def test_a_traceback_has_the_frames_of_every_cause() -> None:
    def second() -> None:
        try:
            raising(InvariantError("the first"))
        except InvariantError as error:
            raise TypeError("the second") from error

    with pytest.raises(TypeError) as caught:
        second()
    log = logged(lambda: LOG.error("both", exc_info=caught.value))
    order = ["in raising", "InvariantError: the first", "in test_a", "TypeError: the second"]
    connections = [log.index(words) for words in order]
    assert connections == sorted(connections)


def _invalid() -> ValidationError:
    try:
        TypeAdapter(int).validate_python(CANARY)
    except ValidationError as error:
        return error
    raise AssertionError


@pytest.mark.parametrize(
    "error",
    [
        ValueError(CANARY),
        _invalid(),
        ClientError({"Error": {"Code": "X", "Message": CANARY}}, "DescribeKey"),
    ],
    ids=["ValueError", "ValidationError", "ClientError"],
)
def test_a_message_that_may_quote_what_was_read_is_left_out(error: Exception) -> None:
    outer = InvariantError("outer")
    outer.__cause__ = raised(error)
    log = logged(lambda: LOG.error("", exc_info=raised(outer)))
    assert type(error).__name__ in log
    assert "InvariantError: outer" in log
    assert CANARY not in log


# --- where it goes -------------------------------------------------------------------------------


def test_a_file_is_private_and_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "log"
    for number in range(2):
        with diagnostics.to_file(path):
            LOG.debug("number %d", number)
        LOG.debug("no log is set up")
    assert [line[-8:] for line in records(path.read_text("utf-8"))] == ["number 0", "number 1"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "kind", ["link", "dangling", "folder", "pipe", "plan", "journal", "absent"]
)
def test_a_file_that_is_not_a_log_is_refused_and_left_alone(kind: str, tmp_path: Path) -> None:
    path, other = tmp_path / "log", tmp_path / "other"
    content = {"plan": '{\n  "version": 1\n}\n', "journal": '{"at": "2026-01-01T00:00:00Z"}\n'}
    if kind == "link":
        other.touch()
    if kind in {"link", "dangling"}:
        path.symlink_to(other)
    elif kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "absent":
        path = tmp_path / "none" / "log"
    else:
        path.write_text(content[kind], "utf-8")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(BadInput, match=str(path)), diagnostics.to_file(path):
        pass
    assert sorted(tmp_path.iterdir()) == before
    assert kind not in content or path.read_text("utf-8") == content[kind]
    assert kind != "link" or other.read_bytes() == b""


def test_a_log_that_fails_is_reported_once_and_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(_descriptor: int, _data: bytes) -> int:
        raise OSError(28, "No space left on device")

    with diagnostics.to_file(tmp_path / "log"):
        monkeypatch.setattr(os, "write", full)
        LOG.debug("one")
        LOG.debug("two")
        monkeypatch.undo()
        LOG.debug("three")
    assert capsys.readouterr().err.count("\n") == 1
    assert len(records((tmp_path / "log").read_text("utf-8"))) == 1


def test_warnings_of_a_run_without_a_log_go_nowhere(capfd: pytest.CaptureFixture[str]) -> None:
    code = (
        "import logging; import keysweep.remediation.cli.options; "
        "logging.getLogger('keysweep.remediation.runner').error('lost')"
    )
    subprocess.run([sys.executable, "-P", "-c", code], check=True)
    assert capfd.readouterr().err == ""


# --- every command -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command", [pytest.param(one, id=" ".join(words)) for words, one in every_command()]
)
def test_every_command_takes_the_options(command: click.Command) -> None:
    taken = {option for parameter in command.params for option in parameter.opts}
    assert {"--debug", "--log-file"} <= taken


@pytest.mark.parametrize("variable", [False, True])
@pytest.mark.parametrize("command", [("path", "prowler"), ("policy",)])
def test_a_file_that_cannot_be_written_is_bad_input(
    command: tuple[str, ...], variable: bool, keysweep_process: Callable[..., Any]
) -> None:
    if variable:
        done = keysweep_process(*command, KEYSWEEP_LOG_FILE="/nowhere/log")
    else:
        done = keysweep_process(*command, "--log-file", "/nowhere/log")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("keysweep: /nowhere/log: ")
    assert done.err.count("\n") == 1


def test_verify_logs_the_programs_that_it_runs(
    keysweep_process: Callable[..., Any], tmp_path: Path
) -> None:
    scanner = tmp_path / "checkov"
    scanner.write_text("#!/bin/sh\nexit 7\n", "utf-8")
    scanner.chmod(0o755)
    done = keysweep_process("verify", "checkov", "--checkov", scanner, KEYSWEEP_DEBUG="1")
    assert any(f"{scanner} ended with 7" in line for line in done.err.splitlines())


def test_a_log_that_cannot_be_opened_ends_the_run_before_any_call(
    aws: EmbeddedAws, keysweep: Callable[..., Any], results: Callable[..., Path]
) -> None:
    before = len(aws.calls())
    done = keysweep("plan", results(), "--log-file", "/nowhere/log")
    assert done.code == 2
    assert len(aws.calls()) == before


# --- a run ---------------------------------------------------------------------------------------


def test_every_request_of_a_run_is_in_the_file(
    aws: EmbeddedAws,
    keysweep: Callable[..., Any],
    results: Callable[..., Path],
    state_only: Path,
    tmp_path: Path,
) -> None:
    aws.fault("throttle", operation="ListGrants", times=2)
    before = len(aws.calls())
    log = ("--log-file", "run.log")
    planned = keysweep("plan", results(), "--policy", state_only, *ROLE, *log)
    applied = keysweep("apply", "plan.json", "--yes", *ROLE, KEYSWEEP_LOG_FILE="run.log")
    assert (planned.code, planned.err, applied.code) == (0, "", 0)
    text = (tmp_path / "run.log").read_text("utf-8")
    records(text)
    made = [f"{call['service']}:{call['operation']}" for call in aws.calls()[before:]]
    assert sorted(requests(text)) == sorted(made)
    assert made.count("kms:ScheduleKeyDeletion") == 5


def test_no_secret_and_no_content_is_in_a_log(
    aws: EmbeddedAws, keysweep: Callable[..., Any], results: Callable[..., Path], state_only: Path
) -> None:
    access = (*ROLE, "--external-id", "external-canary", "--debug")
    runs = [keysweep("plan", results(), "--policy", state_only, *access)]
    runs.append(
        keysweep("apply", "plan.json", "--yes", *access, "--ticket", "t-canary", "--format", "json")
    )
    log = "".join(done.err for done in runs)
    assert "sts:AssumeRole" in log
    assert "kms:ScheduleKeyDeletion" in log
    environment = aws.environment(SHOP)
    secrets = {"external-canary", "t-canary", "keysweep:keep", "Signature", "alias/dead-1"}
    secrets |= {environment["AWS_SECRET_ACCESS_KEY"], environment["AWS_ACCESS_KEY_ID"], "ASIA"}
    assert {secret for secret in secrets if secret in log} == set()
    assert "botocore" not in log


@pytest.fixture
def surprise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `plan` meet an error of its own."""

    def build(*_arguments: object, **_named: object) -> None:
        raise RuntimeError("surprise")

    monkeypatch.setattr(planner, "build", build)


@pytest.mark.usefixtures("surprise")
def test_an_unexpected_error_is_one_message_that_names_its_traceback(
    aws: EmbeddedAws, keysweep: Callable[..., Any], results: Callable[..., Path], tmp_path: Path
) -> None:
    done = keysweep("plan", results())
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
    assert "--debug" in done.err
    assert "RuntimeError: surprise" in done.err

    done = keysweep("plan", results(), "--log-file", "run.log")
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert "run.log" in done.err
    text = (tmp_path / "run.log").read_text("utf-8")
    assert "in build" in text
    assert "builtins.RuntimeError: surprise" in text

    done = keysweep("plan", results(), "--debug")
    log, _, sentence = done.err.rstrip("\n").rpartition("\n")
    assert "in build" in log
    assert " CRITICAL " in log
    assert sentence.startswith("keysweep: ")


@pytest.mark.parametrize("debug", [False, True])
def test_a_broken_library_gives_one_message(
    debug: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def load(_command: LazyCommand) -> click.Command:
        raise ImportError("no module of that name")

    monkeypatch.setattr(LazyCommand, "load", load)
    assert main.run(["policy", *["--debug"] * debug]) == 1
    error = capsys.readouterr().err
    assert ("in load" in error) is debug
    assert error.splitlines()[-1].startswith("keysweep: ")
    assert debug or error.count("\n") == 1


def test_the_error_of_one_key_keeps_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    class Item:
        key_arn = KeyArn.parse(
            f"arn:aws:kms:eu-west-1:{SHOP}:key/{'0' * 8}-0000-0000-0000-{'0' * 12}"
        )

    def fails(_item: Item) -> str:
        raise RuntimeError("surprise")

    rows = runner.each_key([Item()], fails, lambda _arn, why: why)
    assert "RuntimeError: surprise" in rows[0]
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.exc_info is not None
    assert record.exc_info[0] is RuntimeError


def test_an_answer_that_is_not_understood_keeps_its_traceback(
    aws: EmbeddedAws, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from keysweep.remediation.aws import Accounts

    for name, value in aws.environment(SHOP).items():
        monkeypatch.setenv(name, value)
    caplog.set_level(logging.DEBUG, "keysweep")

    def reads(_place: object, _evidence: Evidence) -> object:
        raise LookupError("Member")

    source = Source("tags", Cost.FREE, (), read_key=reads)
    arn = KeyArn.parse(aws.key_arn(SHOP, "eu-west-1", "alive"))
    Collector(Accounts(), sources={"tags": source}).read_one(Evidence(key_arn=arn), ["tags"])
    (record,) = [record for record in caplog.records if record.exc_info]
    assert record.exc_info is not None
    assert record.exc_info[0] is LookupError


# --- a process -----------------------------------------------------------------------------------


def _at_a_terminal(folder: Path, environment: dict[str, str], *arguments: str) -> tuple[int, str]:
    """Exit code of a process, and what its terminal got on standard error."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "keysweep.remediation", *arguments],
        cwd=folder,
        env={**environment, "TERM": "xterm", "COLUMNS": "160"},
        stdout=subprocess.PIPE,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b"".join(_chunks(ours))
    os.close(ours)
    process.communicate(timeout=120)
    return process.returncode, shown.decode().replace("\r\n", "\n")


def _chunks(terminal: int) -> Iterator[bytes]:
    try:
        while data := os.read(terminal, 65536):
            yield data
    except OSError:  # Linux's word for the end of a terminal
        return


@pytest.mark.sample
def test_log_and_progress_bar_never_mix_on_a_terminal(
    aws: EmbeddedAws,
    as_operator: Callable[..., dict[str, str]],
    results: Callable[..., Path],
    state_only: Path,
    tmp_path: Path,
) -> None:
    arguments = ("plan", results().name, "--policy", state_only.name, *ROLE, "--format", "json")
    code, bar = _at_a_terminal(tmp_path, as_operator(), *arguments)
    assert (code, "\x1b" in bar) == (0, True)
    code, log = _at_a_terminal(tmp_path, as_operator(), *arguments, "--debug")
    assert (code, "\x1b" in log) == (0, False)
    assert records(log)
    assert "kms:DescribeKey" in requests(log)
    assert json.loads((tmp_path / "plan.json").read_text("utf-8"))["version"] == 1
