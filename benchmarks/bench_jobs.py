"""Processes for whole accounts: one and two jobs, and what a request costs.

`python -m benchmarks --only jobs` measures on a machine that does nothing else.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from .aws import Aws
from .environments import version
from .process import Run, middle
from .scenario import Scenario
from .scene import STATE_ALONE, Scene
from .table import Row, seconds

LATENCY: Final = 0.02
MOST_RUNS: Final = 2
UNPACED: Final = ("alias-moved", *(rule for rule in STATE_ALONE if rule != "in-use"))
"""Rules that are lifted so that the processor binds, and not CloudTrail's quota."""

WORKER_MB: Final = 250


def measure(runs: int, quick: bool) -> list[Row]:
    """CPU binds without quotas; with them, twenty account-Regions take as long as one."""
    runs = min(runs, MOST_RUNS)
    keys = 2 if quick else 20
    many = Scenario(4, 2, keys) if quick else Scenario(16, 5, keys)
    rows = []
    with Aws() as aws:
        free = [Measured(aws, many, jobs) for jobs in (1, 2)]
        paced = [
            Measured(aws, scenario, 2, quotas=True)
            for scenario in (Scenario(1, 1, 5 * keys), Scenario(4, 5, 5 * keys))
        ]
        for _ in range(runs):
            for one in (*free, *paced):
                one.plan()
        former = Measured(aws, many, None)
        alone = [Measured(aws, Scenario(1, 1, 1), jobs) for jobs in (1, None)]
        for one in (former, *alone):
            one.plan()
        rows.append(_faster(*free))
        rows.append(_memory(free[1]))
        rows.append(_request(free[0], former, *alone))
        rows.append(_twenty(*paced))
    return rows


def versions() -> dict[str, str]:
    """What is measured with."""
    return {"boto3": version("command", "boto3")}


@dataclass
class Measured:
    """Plans of one scenario by so many processes."""

    aws: Aws
    scenario: Scenario
    jobs: int | None
    """None: the version before worker processes."""
    quotas: bool = False
    runs: list[Run] = field(default_factory=list)
    requests: int = 0

    def plan(self) -> None:
        """Make the plan once more."""
        with tempfile.TemporaryDirectory() as name:
            version = "bench-former" if self.jobs is None else "command"
            scene = Scene(self.aws, Path(name), self.scenario, latency=LATENCY, environment=version)
            scene.policy(lifted=() if self.quotas else UNPACED)
            run = scene.plan(quotas=self.quotas, jobs=self.jobs)
            scheduled = scene.summary()["schedule"]
        assert scheduled == self.keys, f"{scheduled} of {self.keys}"
        self.runs.append(run)
        self.requests = sum(scene.counts.requests.values())
        jobs = "before jobs" if self.jobs is None else f"{self.jobs} jobs"
        print(f"  {self.keys} keys, {jobs}: {self.figures()}", flush=True)

    @property
    def keys(self) -> int:
        """Keys of all account-Regions."""
        return self.scenario.accounts * self.scenario.regions * self.scenario.keys

    @property
    def wall(self) -> float:
        """Seconds."""
        return middle(self.runs, lambda run: run.wall)

    @property
    def cpu(self) -> float:
        """Seconds of all processes."""
        return middle(self.runs, lambda run: run.cpu)

    @property
    def rss(self) -> float:
        """Megabytes of the largest process."""
        return max(run.rss for run in self.runs)

    def figures(self) -> str:
        """All of it."""
        return (
            f"{seconds(self.wall)}, CPU {seconds(self.cpu)}, {self.rss:.0f} MB, "
            f"{self.requests:,} requests"
        )


def _faster(one: Measured, two: Measured) -> Row:
    ratio = one.wall / two.wall
    account_regions = one.scenario.accounts * one.scenario.regions
    return Row(
        f"plan of {account_regions} account-Regions, scan and state: two jobs",
        one.keys,
        two.figures(),
        f"one: {one.figures()}",
        ratio,
        "≥ 1.7 times as fast as one",
        ratio >= 1.7,
    )


def _memory(two: Measured) -> Row:
    return Row(
        "memory of the largest process",
        two.keys,
        f"{two.rss:.0f} MB",
        "",
        two.rss / WORKER_MB,
        f"≤ {WORKER_MB} MB",
        two.rss <= WORKER_MB,
    )


def _request(many: Measured, former: Measured, alone: Measured, former_alone: Measured) -> Row:
    each = _one_more(many, alone)
    before = _one_more(former, former_alone)
    return Row(
        "CPU of one more request of one process; peer: before worker processes and shared clients",
        many.requests,
        f"{each:.2f} ms; of the plan {seconds(many.cpu)}",
        f"{before:.2f} ms; of the plan {seconds(former.cpu)}",
        each / before,
        "≤ 0.50",
        each <= before / 2,
    )


def _one_more(many: Measured, alone: Measured) -> float:
    """Milliseconds of CPU of a request, without start and models."""
    return (many.cpu - alone.cpu) / (many.requests - alone.requests) * 1000


def _twenty(one: Measured, twenty: Measured) -> Row:
    ratio = twenty.wall / one.wall
    return Row(
        "plan of twenty account-Regions with quotas, two jobs",
        twenty.keys,
        twenty.figures(),
        f"one: {one.figures()}",
        ratio,
        "≤ 1.10 of one's time",
        ratio <= 1.1,
    )
