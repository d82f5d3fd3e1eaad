"""Near AWS's quotas: plan, apply and cancel, in one and in twenty account-Regions."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Final

from .aws import Aws
from .environments import version
from .process import Run
from .scenario import Scenario
from .scene import STATE_ALONE, Scene
from .table import Row, seconds

LATENCY: Final = 0.02
SHARE: Final = 0.8
"""The default of the decision policy."""
NEAR: Final = 0.95
"""A share that allows 90 % of the whole quota."""
MOST_RUNS: Final = 2
"""With this many keys the rate limit decides, not the machine, and a run takes a minute."""


def measure(runs: int, quick: bool) -> list[Row]:
    """Measure the rows. `quick`: a tenth of the keys, so that start-up has too much weight."""
    runs = min(runs, MOST_RUNS)
    part = 10 if quick else 1
    one, twenty = (1, 1), (4, 5)
    rows = []
    with Aws() as aws:
        plans = {p: _Measured(aws, p, 100 // part, SHARE) for p in (one, twenty)}
        for _ in range(runs):
            for measured in plans.values():
                measured.plan()
        rows += _both("plan, all rules, share 0.8", plans[one], plans[twenty])
        thorough = _Measured(
            aws, one, 540 // part, SHARE, exceptions=("use-attempted", "used-recently")
        )
        thorough.prepare()
        for _ in range(runs):
            thorough.apply()
        rows.append(thorough.near_floor("apply, all rules but those of last use, share 0.8"))
        writes = {
            p: _Measured(aws, p, 450 // part, NEAR, exceptions=STATE_ALONE) for p in (one, twenty)
        }
        for measured in writes.values():
            measured.prepare()
        for _ in range(runs):
            for measured in writes.values():
                measured.apply()
        rows += _both("apply, state alone, share 0.95", writes[one], writes[twenty])
        rows.append(writes[one].rate("apply", 15))
        undone = {
            p: _Measured(aws, p, 150 // part, NEAR, exceptions=STATE_ALONE) for p in (one, twenty)
        }
        for measured in undone.values():
            measured.prepare()
        for _ in range(runs):
            for measured in undone.values():
                measured.apply(count=False, quotas=False)
                measured.cancel()
        rows += _both("cancel, share 0.95", undone[one], undone[twenty])
        rows.append(undone[one].rate("cancel", 5))
        rows.append(_mostly_held(aws, 400 // part))
    return rows


def versions() -> dict[str, str]:
    """Versions of the measured programs."""
    return {"boto3": version("command", "boto3")}


class _Measured:
    """Several runs of one command on one scenario with AWS's quotas."""

    def __init__(
        self,
        aws: Aws,
        connections: tuple[int, int],
        keys: int,
        share: float,
        *,
        exceptions: tuple[str, ...] = (),
    ) -> None:
        self.keys = keys
        self.connections = connections
        self.share = share
        self.runs: list[Run] = []
        self.throttled = 0
        self.floor = 0.0
        self._kept = tempfile.TemporaryDirectory()
        scenario = Scenario(*connections, keys)
        self.scene = Scene(aws, Path(self._kept.name), scenario, latency=LATENCY)
        self.scene.policy(lifted=exceptions, share=share)

    def prepare(self) -> None:
        """Make the plan to apply."""
        self.scene.plan()
        assert self.scene.summary()["schedule"] == self.total

    @property
    def total(self) -> int:
        """Number of keys in all account-Regions."""
        return self.keys * self.connections[0] * self.connections[1]

    def plan(self) -> None:
        """Measure a plan."""
        self._take(lambda: self.scene.plan(quotas=True))
        assert self.scene.summary()["schedule"] == self.total

    def apply(self, *, count: bool = True, quotas: bool = True) -> None:
        """Measure apply, or only run it."""
        if count:
            self._take(lambda: self.scene.apply(quotas=quotas))
            assert self.scene.counts.requests["kms:ScheduleKeyDeletion"] == self.total
        else:
            self.scene.apply(quotas=quotas, paced=quotas)

    def cancel(self) -> None:
        """Measure cancel."""
        self._take(lambda: self.scene.cancel(quotas=True))
        assert self.scene.counts.requests["kms:CancelKeyDeletion"] == self.total

    def _take(self, command: Callable[[], Run]) -> None:
        self.runs.append(command())
        self.throttled += sum(self.scene.counts.throttled.values())
        self.floor = self.scene.floor(self.share)
        print(
            f"  {self.total} keys: {self.runs[-1].wall:.1f} s, floor {self.floor:.1f} s", flush=True
        )

    @property
    def wall(self) -> float:
        """Time of the whole process, in seconds."""
        return median(run.wall for run in self.runs)

    def figures(self) -> str:
        """Rows of Keysweep's time and requests."""
        run = self.runs[-1]
        requests = sum(self.scene.counts.requests.values())
        return (
            f"{seconds(self.wall)}, CPU {seconds(run.cpu)}, {run.rss:.0f} MB, "
            f"{requests:,} requests, {self.throttled} throttled"
        )

    def near_floor(self, what: str) -> Row:
        """Row that compares the time with the minimum that the quotas allow."""
        part = self.floor / self.wall
        return Row(
            f"{what}: one account-Region",
            self.total,
            self.figures(),
            f"floor {seconds(self.floor)}",
            part,
            "≥ 0.90 of the floor, none throttled",
            part >= 0.9 and self.throttled == 0,
        )

    def rate(self, what: str, quota: float) -> Row:
        """Row of the share of AWS's quota that is used."""
        rate = self.total / self.wall
        return Row(
            f"{what}: keys a second, start-up included",
            self.total,
            f"{rate:.2f}/s",
            f"quota {quota:.0f}/s",
            rate / quota,
            "≥ 0.90 of the quota",
            rate / quota >= 0.9,
        )


def _both(what: str, one: _Measured, twenty: _Measured) -> list[Row]:
    longer = twenty.wall / one.wall
    return [
        one.near_floor(what),
        Row(
            f"{what}: twenty account-Regions",
            twenty.total,
            twenty.figures(),
            f"one: {seconds(one.wall)}",
            longer,
            "≤ 1.10 of one's time, none throttled",
            longer <= 1.1 and twenty.throttled == 0,
        ),
    ]


def _mostly_held(aws: Aws, keys: int) -> Row:
    """Measure a plan in which 19 of 20 keys have the protecting tag."""
    with tempfile.TemporaryDirectory() as name:
        scene = Scene(aws, Path(name), Scenario(1, 1, keys, kept=19), latency=LATENCY)
        scene.policy()
        scene.plan(quotas=True)
        requests = scene.counts.requests
        # All of LookupEvents but the 9 lookups by event name, which are made once.
        expensive = requests["kms:GetKeyLastUsage"] + requests["cloudtrail:LookupEvents"] - 9
        held = scene.summary()["hold"]
    part = expensive / (2 * keys)
    return Row(
        "plan where cheap rules hold 95 % of the keys: expensive calls",
        keys,
        f"{expensive} of GetKeyLastUsage and LookupEvents by key, {held} keys held",
        f"{2 * keys} without rules before them",
        part,
        "≤ 0.05",
        part <= 0.05,
    )
