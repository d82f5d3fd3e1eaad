"""Many accounts: plan, apply, status and cancel of 100,000 keys in 200 accounts.

Five Regions each; a policy that evaluates the state alone; no latency and no quotas, except
Keysweep's own in plan. Measures this program's own work, for about half an hour on one core.
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
"""Too long to be a part of every run."""


def measure(runs: int, quick: bool) -> list[Row]:
    """One run of each command; quick: a hundredth of the keys, in twenty account-Regions."""
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
    """What is measured with."""
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
