"""Run a command as a process, and measure it from outside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final


@dataclass(frozen=True)
class Run:
    """Time and memory of one run, children included."""

    wall: float
    """Elapsed time, in seconds."""
    cpu: float
    """User and system time, in seconds."""
    rss: float
    """Peak memory of the largest process, in megabytes (10^6 bytes)."""
    code: int
    out: str
    """Standard output and standard error."""


class Failed(Exception):
    """A command did not do what was to be measured."""


LAUNCH: Final = Path(__file__).with_name("launch.py")

ENVIRONMENT: Final = ("HOME", "LANG", "PATH", "TMPDIR", "TZ")
"""Variables that a measured command inherits."""


def run(
    command: Sequence[str | Path],
    environment: Mapping[str, str] | None = None,
    *,
    cwd: Path | None = None,
    codes: Sequence[int] = (0,),
) -> Run:
    """Run a command to its end. Raises Failed if its exit code is not in `codes`."""
    kept = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
    with tempfile.TemporaryDirectory() as name, tempfile.TemporaryFile() as out:
        report = Path(name, "report.json")
        subprocess.run(
            [sys.executable, "-I", "-S", LAUNCH, report, *map(str, command)],
            env={**kept, **(environment or {})},
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            check=False,
        )
        out.seek(0)
        text = out.read().decode(errors="replace")
        if not report.exists():
            raise Failed(f"{command[0]} could not be run: {text[-2000:]}")
        taken = Run(**json.loads(report.read_text(encoding="ascii")), out=text)
    if taken.code not in codes:
        raise Failed(f"{command[0]} ended with {taken.code}: {text[-2000:]}")
    return taken


def interleaved(runs: int, *measured: Callable[[], Run]) -> list[list[Run]]:
    """Runs of each in alternation, so that changes of the machine's load affect both."""
    taken: list[list[Run]] = [[] for _ in measured]
    for _ in range(runs):
        for one, runs_of_one in zip(measured, taken, strict=True):
            runs_of_one.append(one())
    return taken


def middle(runs: Sequence[Run], figure: Callable[[Run], float]) -> float:
    """The median of a figure."""
    return median(map(figure, runs))
