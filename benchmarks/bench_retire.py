"""Retiring keys: apply beside Cloud Custodian, and beside a loop of the AWS CLI.

The policy evaluates only the key state, as Custodian's does. AWS's and Keysweep's rate limits are
off.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Final

from .aws import Aws, Counts
from .environments import program, version
from .process import Run, interleaved, middle, run
from .scenario import REGIONS, Scenario
from .scene import STATE_ALONE, Scene
from .table import Row, seconds

LATENCY: Final = 0.03

CUSTODIAN: Final = """\
policies:
  - name: retire
    resource: aws.kms-key
    filters:
      - KeyState: Disabled
    actions:
      - type: schedule-deletion
        days: 30
"""

LOOP: Final = """\
set -eu
for key in $("$AWS" kms list-keys --query 'Keys[].KeyId' --output text); do
  state=$("$AWS" kms describe-key --key-id "$key" --query KeyMetadata.KeyState --output text)
  if [ "$state" = Disabled ]; then
    "$AWS" kms schedule-key-deletion --key-id "$key" --pending-window-in-days 30 >/dev/null
  fi
done
"""


def measure(runs: int, quick: bool) -> list[Row]:
    """Measure the rows. `quick`: twelve keys."""
    with Aws() as aws:
        rows = [_custodian(aws, 12 if quick else 120, runs)]
        rows.append(_loop(aws, 3 if quick else 20, min(runs, 2)))
    return rows


def versions() -> dict[str, str]:
    """Versions of the measured programs."""
    return {
        "c7n": version("bench-custodian", "c7n"),
        "awscli": version("bench-awscli", "awscli"),
        "boto3": version("command", "boto3"),
    }


class _Beside:
    """Apply and a similar tool on the same keys."""

    def __init__(self, aws: Aws, folder: Path, keys: int) -> None:
        self._aws = aws
        self._folder = folder
        self.keys = keys
        self._scenario = Scenario(1, 1, keys)
        self._scene = Scene(aws, folder, self._scenario, latency=LATENCY)
        self._scene.policy(lifted=STATE_ALONE)
        self._scene.plan()
        self.ours = Counts({}, {}, {}, 0)
        self.theirs = self.ours

    def apply(self) -> Run:
        """Run Keysweep's apply."""
        taken = self._scene.apply(paced=False)
        self.ours = self._scene.counts
        return self._all_scheduled("keysweep apply", taken, self.ours)

    def custodian(self) -> Run:
        """Run Cloud Custodian, which also lists and describes the keys."""
        policy = self._folder / "custodian.yaml"
        policy.write_text(CUSTODIAN, encoding="utf-8")
        command: list[str | Path] = [program("bench-custodian", "custodian"), "run"]
        command += ["--output-dir", "out", "--cache-period", "0", "-r", REGIONS[0], policy]
        return self._peer("custodian", command)

    def loop(self) -> Run:
        """Run a loop of the AWS CLI."""
        return self._peer("aws", ["/bin/sh", "-c", LOOP])

    def _peer(self, name: str, command: list[str | Path]) -> Run:
        self._aws.set_up(self._scenario, latency=LATENCY)
        environment = {**self._aws.environment(), "AWS": str(program("bench-awscli", "aws"))}
        taken = run(command, environment, cwd=self._folder)
        self.theirs = self._aws.counts()
        return self._all_scheduled(name, taken, self.theirs)

    def _all_scheduled(self, name: str, taken: Run, counts: Counts) -> Run:
        assert counts.requests["kms:ScheduleKeyDeletion"] == self.keys, taken.out
        print(f"  {name}, {self.keys} keys: {taken.wall:.1f} s", flush=True)
        return taken


def _figures(runs: list[Run], counts: Counts) -> str:
    return (
        f"{seconds(middle(runs, lambda one: one.wall))}, "
        f"CPU {seconds(middle(runs, lambda one: one.cpu))}, "
        f"{middle(runs, lambda one: one.rss):.0f} MB, {sum(counts.requests.values()):,} requests, "
        f"{counts.most_in_flight} in flight"
    )


def _ratio(theirs: list[Run], ours: list[Run]) -> float:
    return middle(theirs, lambda one: one.wall) / middle(ours, lambda one: one.wall)


def _custodian(aws: Aws, keys: int, runs: int) -> Row:
    with tempfile.TemporaryDirectory() as name:
        beside = _Beside(aws, Path(name), keys)
        ours, theirs = interleaved(runs, beside.apply, beside.custodian)
    ratio = _ratio(theirs, ours)
    a_key = beside.ours.of("kms") / keys
    listed = beside.ours.requests.get("kms:ListKeys", 0)
    return Row(
        "apply beside custodian run, 30 ms an answer, whole processes",
        keys,
        f"{_figures(ours, beside.ours)}: {a_key:.2f} of KMS a key, {listed} listings",
        _figures(theirs, beside.theirs),
        ratio,
        "≥ 5, and 2 requests a key without a listing",
        ratio >= 5 and a_key <= 2 and not listed,
    )


def _loop(aws: Aws, keys: int, runs: int) -> Row:
    with tempfile.TemporaryDirectory() as name:
        beside = _Beside(aws, Path(name), keys)
        ours, theirs = interleaved(runs, beside.apply, beside.loop)
    return Row(
        "apply beside a loop of the AWS CLI, 30 ms an answer, whole processes",
        keys,
        _figures(ours, beside.ours),
        _figures(theirs, beside.theirs),
        _ratio(theirs, ours),
    )
