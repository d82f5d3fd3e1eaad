"""Runs a command as a whole process, and measures it from outside."""

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
    """What one run took, its children included."""

    wall: float
    """Seconds."""
    cpu: float
    """Seconds of user and system time."""
    rss: float
    """Megabytes (10^6 bytes) that the largest process held at most."""
    code: int
    out: str
    """Standard output and standard error."""


class Failed(Exception):
    """A command did not do what is to be measured."""


LAUNCH: Final = Path(__file__).with_name("launch.py")

ENVIRONMENT: Final = ("HOME", "LANG", "PATH", "TMPDIR", "TZ")
"""Variables that a measured command gets from ours."""


def run(
    command: Sequence[str | Path],
    environment: Mapping[str, str] | None = None,
    *,
    cwd: Path | None = None,
    codes: Sequence[int] = (0,),
) -> Run:
    """Run a command to its end. Raises Failed when it ends with another code than `codes`."""
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
    """The runs of each: ours, peer, ours, peer, so that what changes with time hits both."""
    taken: list[list[Run]] = [[] for _ in measured]
    for _ in range(runs):
        for one, runs_of_one in zip(measured, taken, strict=True):
            runs_of_one.append(one())
    return taken


def middle(runs: Sequence[Run], figure: Callable[[Run], float]) -> float:
    """The median of a figure."""
    return median(map(figure, runs))
