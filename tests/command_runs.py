"""The command in this process: what users type, without the seconds that a process takes to start.

Each command is also run once as a process, in test_processes.py.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any
from unittest import mock

import click
import pytest
from botocore.retries.standard import ExponentialBackoff

from keysweep.remediation.aws import limiter
from keysweep.remediation.cli.lazy_command import LazyCommand
from keysweep.remediation.cli.main import keysweep
from keysweep.remediation.cli.main import run as run_cli
from keysweep.remediation.evidence.history import athena_query


@dataclass(frozen=True)
class Done:
    """What a run of the command left."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Standard output as JSON: it must hold nothing else."""
        return json.loads(self.out)


def every_command() -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """The words of each command, those of a group's one by one, and the command itself."""
    for name, listed in keysweep.commands.items():
        assert isinstance(listed, LazyCommand)
        command = listed.load()
        if isinstance(command, click.Group):
            yield from (((name, within), one) for within, one in command.commands.items())
        else:
            yield (name,), command


def run_here(
    arguments: Sequence[str | Path], folder: Path, environment: Mapping[str, str], stdin: str = ""
) -> Done:
    """Run the command in this process, with a folder, an environment and streams of its own.

    It starts no other process, unless the arguments or the environment ask for it.
    """
    with (
        contextlib.chdir(folder),
        mock.patch.dict(os.environ, {"KEYSWEEP_JOBS": "1", **environment}, clear=True),
        _streams(stdin) as (out, err),
    ):
        try:
            code = run_cli([*map(str, arguments)])
        except SystemExit as ended:  # commands that argparse answers
            code = int(ended.code or 0)
        return Done(code, _text(out), _text(err))


@contextlib.contextmanager
def _streams(stdin: str) -> Iterator[tuple[TextIOWrapper, TextIOWrapper]]:
    """Text streams over bytes, as a process has them; none is a terminal."""
    out, err = (TextIOWrapper(BytesIO(), encoding="utf-8") for _ in range(2))
    with (
        mock.patch("sys.stdin", TextIOWrapper(BytesIO(stdin.encode()), encoding="utf-8")),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        yield out, err


def _text(stream: TextIOWrapper) -> str:
    stream.seek(0)
    return stream.read()


def send_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait neither for AWS's quotas, between attempts nor for Athena: most of what a run waits for.

    The tests of tests/remediation/aws wait, since the waiting is theirs.
    """
    monkeypatch.setattr(limiter, "per_second", lambda _operation: 1e6)
    monkeypatch.setattr(athena_query, "FIRST_PAUSE", 0.001)
    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda _self, _context: 0.0)
