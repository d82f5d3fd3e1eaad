"""A large estate: plan, apply, status and cancel of 100,000 keys in 200 accounts.

Five Regions each; a policy that judges by state alone; no latency and no quotas, ours neither but
in plan. What is measured is this program's own work, on one core for about half an hour.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from .aws import Aws
from .environments import version
from .estate import Estate
from .process import Run
from .scene import STATE_ALONE, Scene
from .table import Row, seconds

ONLY_IF_ASKED = True
"""Too long to be a part of every run."""


def measure(runs: int, quick: bool) -> list[Row]:
    """One run of each command; quick: a hundredth of the keys, in twenty places."""
    del runs
    few, many = Estate(4, 5, 50), Estate(200, 5, 100)
    rows = []
    with Aws() as aws, tempfile.TemporaryDirectory() as name:
        estate = few if quick else many
        scene = Scene(aws, Path(name), estate)
        scene.policy(lifted=STATE_ALONE)
        rows.append(_row("plan", estate, scene, scene.plan()))
        assert scene.summary()["schedule"] == _keys(estate)
        rows.append(_row("apply", estate, scene, scene.apply(paced=False)))
        rows.append(_row("status", estate, scene, scene.status()))
        rows.append(_row("cancel", estate, scene, scene.cancel(paced=False)))
    return rows


def versions() -> dict[str, str]:
    """What is measured with."""
    return {"boto3": version("command", "boto3")}


def _keys(estate: Estate) -> int:
    return estate.accounts * estate.regions * estate.keys


def _row(what: str, estate: Estate, scene: Scene, taken: Run) -> Row:
    requests = sum(scene.counts.requests.values())
    keys = _keys(estate)
    print(f"  {what}: {taken.wall:.0f} s, {taken.rss:.0f} MB", flush=True)
    return Row(
        f"{what}, {estate.accounts} accounts x {estate.regions} Regions",
        keys,
        f"{seconds(taken.wall)}, CPU {seconds(taken.cpu)}, {taken.rss:,.0f} MB, {requests:,} "
        f"requests, {requests / taken.wall:,.0f}/s",
    )
