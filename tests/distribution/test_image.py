"""The Dockerfile, followed in an empty folder: both environments, and what starts in them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from organization import FOLDER, instructions

ROOT = "/opt/"
"""Where the image has its environments; here a folder of the test's."""


class Image:
    """What the instructions make below a folder."""

    def __init__(self, folder: Path, **arguments: str) -> None:
        self.folder = folder
        self.entry_point: list[str] = []
        kept = {k: v for k, v in os.environ.items() if k.startswith(("PIP_", "UV_"))}
        self._environment = {
            **kept,
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
            "PIP_COMPILE": "0",  # of Prowler's 67,000 modules, few are imported
        }
        for name, given in instructions():
            self._follow(name, given, arguments)

    def run(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run a command with the image's environment."""
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
            timeout=1200,
        )

    def _follow(self, name: str, given: str, arguments: dict[str, str]) -> None:
        given = given.replace(ROOT, f"{self.folder}/")
        if name == "ARG":
            argument, _, default = given.partition("=")
            self._environment[argument] = arguments.get(argument, default)
        elif name == "RUN":
            done = self.run(["/bin/sh", "-c", given])
            assert done.returncode == 0, f"{given}\n{done.stdout}{done.stderr}"
        elif name == "COPY":
            source, target = given.split()
            shutil.copy(FOLDER / source, target)
        elif name == "ENV":
            self._environment |= dict(one.split("=", 1) for one in given.split())
        elif name == "ENTRYPOINT":
            self.entry_point = json.loads(given)
        else:
            assert name in {"FROM", "USER"}


@pytest.mark.slow
def test_the_image_runs_both_programs_and_each_has_its_environment(
    wheel: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "opt"
    folder.mkdir()
    image = Image(folder, KEYSWEEP=str(wheel))
    assert {path.name for path in folder.iterdir()} == {"keysweep", "prowler", "task.py"}
    image._environment |= {"AWS_REGION": "us-east-1"}
    start = [*image.entry_point, "--to", "s3://amzn-s3-demo-bucket/run/"]
    shown = image.run([*start, "keysweep", "--version"])
    assert shown.returncode == 0, shown.stderr
    assert wheel.name.split("-")[1] in shown.stdout
    checks = image.run([*start, "prowler", "aws", "--list-checks"])
    assert checks.returncode == 0, checks.stderr
    assert "kms_cmk_not_disabled" in checks.stdout
    both = [folder / name / "bin" / "python" for name in ("keysweep", "prowler")]
    imported = [image.run([str(one), "-P", "-c", "import boto3, prowler"]) for one in both]
    assert [one.returncode for one in imported] == [1, 0]
    assert image.run([*start, "keysweep", "index", "nowhere"]).returncode == 2
