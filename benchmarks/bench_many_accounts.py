"""Many accounts: plan, apply, status and cancel of 100,000 keys in 200 accounts.

Each account has five Regions. The policy evaluates only the key state. Without latency and quotas,
except Keysweep's own in plan, so that it measures Keysweep's own work. Takes about half an hour on
one core.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from .aws import Aws
from .environments import version
from .process import Run
from .scenario import Scenario
from .scene import STATE_ALONE, Scene
from .table import Row, seconds

ONLY_IF_ASKED = True
"""It takes too long for every run."""


def measure(runs: int, quick: bool) -> list[Row]:
    """Run each command once. `quick`: 1 % of the keys, in twenty account-Regions."""
    del runs
    few, many = Scenario(4, 5, 50), Scenario(200, 5, 100)
    rows = []
    with Aws() as aws, tempfile.TemporaryDirectory() as name:
        scenario = few if quick else many
        scene = Scene(aws, Path(name), scenario)
        scene.policy(lifted=STATE_ALONE)
        rows.append(_row("plan", scenario, scene, scene.plan()))
        assert scene.summary()["schedule"] == _keys(scenario)
        rows.append(_row("apply", scenario, scene, scene.apply(paced=False)))
        rows.append(_row("status", scenario, scene, scene.status()))
        rows.append(_row("cancel", scenario, scene, scene.cancel(paced=False)))
    return rows


def versions() -> dict[str, str]:
    """Versions of the measured programs."""
    return {"boto3": version("command", "boto3")}


def _keys(scenario: Scenario) -> int:
    return scenario.accounts * scenario.regions * scenario.keys


def _row(what: str, scenario: Scenario, scene: Scene, taken: Run) -> Row:
    requests = sum(scene.counts.requests.values())
    keys = _keys(scenario)
    print(f"  {what}: {taken.wall:.0f} s, {taken.rss:.0f} MB", flush=True)
    return Row(
        f"{what}, {scenario.accounts} accounts x {scenario.regions} Regions",
        keys,
        f"{seconds(taken.wall)}, CPU {seconds(taken.cpu)}, {taken.rss:,.0f} MB, {requests:,} "
        f"requests, {requests / taken.wall:,.0f}/s",
    )
