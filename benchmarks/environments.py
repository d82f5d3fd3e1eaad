"""The environments of Keysweep and the similar tools, which `make bench` creates."""

from __future__ import annotations

import os
import subprocess
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent

NAMES: Final = (
    *("command", "prowler", "checkov"),
    *("bench-custodian", "bench-awscli", "bench-readers", "bench-former"),
)


def program(environment: str, name: str) -> Path:
    """Path of a program in an environment below `.tox`, or below BENCH_ENVS."""
    folder = Path(os.environ.get("BENCH_ENVS", ROOT / ".tox"))
    found = folder / environment / "bin" / name
    if not found.exists():
        raise FileNotFoundError(f"{found} is missing; make bench makes it")
    return found


@cache
def version(environment: str, package: str) -> str:
    """Installed version of a package in an environment."""
    script = f"import importlib.metadata as m; print(m.version({package!r}))"
    answer = subprocess.run(
        [program(environment, "python"), "-P", "-c", script],
        capture_output=True,
        text=True,
        check=True,
    )
    return answer.stdout.strip()
