"""Start-up: CPU beyond a bare Python.

No command is faster than `python -c pass` in the same environment, so that time is subtracted, also
from the scanners and tools that are listed for comparison.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from .environments import program, version
from .process import interleaved, middle, run
from .table import Row, seconds

OURS_A_RUN: Final = 5
"""Starts of Keysweep in each run. They are short, so many of them cost little and reduce noise."""


class _Peer(NamedTuple):
    environment: str
    package: str
    command: tuple[str, ...]


_PEERS: Final = (
    _Peer("bench-awscli", "awscli", ("aws", "--version")),
    _Peer("bench-custodian", "c7n", ("custodian", "--help")),
    _Peer("checkov", "checkov", ("checkov", "--help")),
    _Peer("prowler", "prowler", ("prowler", "--help")),
)

_TARGETS: Final = (
    (("--help",), 0.150),
    (("path", "prowler"), 0.080),
    (("--version",), None),
    (("verify", "--help"), None),
    (("plan", "--help"), None),
)
"""Commands of Keysweep, and the seconds of CPU time that each may take."""


def versions() -> dict[str, str]:
    """Versions of the measured programs."""
    return {"keysweep": version("command", "keysweep"), "click": version("command", "click")} | {
        peer.package: version(peer.environment, peer.package) for peer in _PEERS
    }


def measure(runs: int, quick: bool) -> list[Row]:
    """Median CPU time of each, minus the median of bare Python, started in alternation."""
    ours = program("command", "keysweep")
    bare, *taken = _cpu(
        runs * OURS_A_RUN,
        (program("command", "python"), "-c", "pass"),
        *((ours, *arguments) for arguments, _ in _TARGETS),
    )
    rows = []
    for (arguments, most), cpu in zip(_TARGETS, taken, strict=True):
        beyond = cpu - bare
        rows.append(
            Row(
                f"`keysweep {' '.join(arguments)}`",
                None,
                seconds(beyond),
                peer=f"bare Python {seconds(bare)}",
                target="" if most is None else f"<= {seconds(most)}",
                met=None if most is None else beyond <= most,
            )
        )
    shortest = taken[0] - bare
    for peer in () if quick else _PEERS:
        name, *arguments = peer.command
        python = program(peer.environment, "python")
        bare_peer, cpu = _cpu(
            runs, (python, "-c", "pass"), (program(peer.environment, name), *arguments)
        )
        theirs = cpu - bare_peer
        rows.append(
            Row(
                f"`keysweep --help` beside `{' '.join(peer.command)}`",
                None,
                seconds(shortest),
                peer=seconds(theirs),
                ratio=theirs / shortest,
            )
        )
    return rows


def _cpu(runs: int, *commands: Sequence[str | Path]) -> list[float]:
    """Median CPU seconds of each command, run in alternation. The first round is a warm-up."""
    started = [lambda command=command: run(command, codes=(0,)) for command in commands]
    for start in started:
        start()
    return [middle(taken, lambda one: one.cpu) for taken in interleaved(runs, *started)]
