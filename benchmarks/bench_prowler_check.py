"""The Prowler check beside Prowler's own kms_cmk_are_used, both through prowler aws -c.

One key in ten is disabled. Start-up is the time of the same command without keys.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Final

from .aws import Aws, Counts
from .environments import program, version
from .process import Run, run
from .scenario import REGIONS, Scenario
from .table import Row, seconds

LATENCY: Final = 0.04
OURS: Final = "kms_cmk_not_disabled"
THEIRS: Final = "kms_cmk_are_used"
DESCRIBE_QUOTA: Final = 2000
LONG: Final = 60.0
"""From this many seconds on, two runs are enough, because waiting for answers dominates."""


def measure(runs: int, quick: bool) -> list[Row]:
    """Measure the rows. `quick`: start-up and a hundred keys."""
    with Aws() as aws, tempfile.TemporaryDirectory() as name:
        scan = _Scan(aws, Path(name))
        for keys, own in ((0, runs), (100, runs)):
            for _ in range(own):
                scan.both(keys)
        rows = [scan.start_up(), *scan.rows(100)]
        if quick:
            return rows
        for number in range(runs):
            # A scan takes little more than its start, so both are measured side by side.
            scan.one(OURS, 0)
            scan.one(OURS, 1_000)
            if number < 2 or scan.wall(THEIRS, 1_000) < LONG:
                scan.one(THEIRS, 1_000)
        for _ in range(min(runs, 2)):
            scan.one(OURS, 10_000)
        rows += scan.rows(1_000, fifty=True)
        return [*rows, *scan.linear(1_000, 10_000)]


def versions() -> dict[str, str]:
    """Versions of the measured programs."""
    return {name: version("prowler", name) for name in ("prowler", "boto3")}


class _Scan:
    """Scans of both checks, by the number of keys."""

    def __init__(self, aws: Aws, folder: Path) -> None:
        self._aws = aws
        self._folder = folder
        self.runs: dict[tuple[str, int], list[Run]] = {}
        self.counts: dict[tuple[str, int], Counts] = {}

    def both(self, keys: int) -> None:
        """Scan with our check, then with Prowler's."""
        self.one(OURS, keys)
        self.one(THEIRS, keys)

    def one(self, check: str, keys: int) -> None:
        """Run one scan."""
        self._aws.set_up(Scenario(1, 1, keys, disabled_one_in=10), latency=LATENCY)
        words = ("aws", "-c", check, "-f", REGIONS[0], "-M", "json-ocsf", "-b")
        taken = run(
            [program("prowler", "prowler"), *words, "-o", self._folder / "output"],
            self._aws.environment(),
            cwd=self._folder,
            codes=(0, 3),
        )
        self.runs.setdefault((check, keys), []).append(taken)
        self.counts[check, keys] = self._aws.counts()
        print(f"  {check}, {keys} keys: {taken.wall:.1f} s", flush=True)

    def wall(self, check: str, keys: int) -> float:
        """Median time of the whole process in seconds; 0 without runs."""
        return self._median(check, keys, lambda one: one.wall)

    def after_start(self, check: str, keys: int) -> float:
        """Seconds more than the same command without keys."""
        return self.wall(check, keys) - self.wall(check, 0)

    def _median(self, check: str, keys: int, figure: Callable[[Run], float]) -> float:
        taken = self.runs.get((check, keys))
        return median(map(figure, taken)) if taken else 0.0

    def _figures(self, check: str, keys: int) -> str:
        cpu = self._median(check, keys, lambda one: one.cpu)
        rss = self._median(check, keys, lambda one: one.rss)
        requests = self.counts[check, keys].of("kms")
        return (
            f"{seconds(self.after_start(check, keys))}; whole {seconds(self.wall(check, keys))}, "
            f"CPU {seconds(cpu)}, {rss:.0f} MB, {requests:,} requests of KMS, "
            f"{len(self.runs[check, keys])} runs"
        )

    def start_up(self) -> Row:
        """Time of both checks without keys."""
        ours, theirs = self.wall(OURS, 0), self.wall(THEIRS, 0)
        return Row("scan without keys: start-up", 0, seconds(ours), seconds(theirs), theirs / ours)

    def rows(self, keys: int, *, fifty: bool = False) -> list[Row]:
        """Rows of the time after start-up and of the requests."""
        ratio = self.after_start(THEIRS, keys) / self.after_start(OURS, keys)
        return [
            Row(
                "scan at 40 ms an answer, beyond start-up",
                keys,
                self._figures(OURS, keys),
                self._figures(THEIRS, keys),
                ratio,
                "≥ 50" if fifty else "",
                ratio >= 50 if fifty else None,
            ),
            self._requests(keys),
        ]

    def _requests(self, keys: int) -> Row:
        disabled = keys // 10
        a_key = (self.counts[OURS, keys].of("kms") - disabled) / keys
        theirs = self.counts.get((THEIRS, keys))
        return Row(
            "requests a key, beside one a disabled key",
            keys,
            f"{a_key:.3f}",
            "" if theirs is None else f"{theirs.of('kms') / keys:.2f} in all",
            a_key,
            "≤ 1.05",
            a_key <= 1.05,
        )

    def linear(self, few: int, many: int) -> list[Row]:
        """Rows of the time for ten times the keys, and of keys read per second."""
        growth = self.after_start(OURS, many) / self.after_start(OURS, few) / (many / few)
        most = max(
            self.counts[OURS, keys].most_a_second.get("kms:DescribeKey", 0) for keys in (few, many)
        )
        return [
            Row(
                f"scan of {many // few} times the keys: time over {many // few} times the time",
                many,
                self._figures(OURS, many),
                "",
                growth,
                "≤ 1.10: linear",
                growth <= 1.1,
            ),
            self._requests(many),
            Row(
                "DescribeKey, most in one second",
                many,
                f"{most}/s",
                f"quota {DESCRIBE_QUOTA}/s",
                most / DESCRIBE_QUOTA,
                "≤ 0.25",
                most / DESCRIBE_QUOTA <= 0.25,
            ),
        ]
