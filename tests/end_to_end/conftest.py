"""Real Prowler and the real command as processes, against the embedded AWS."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import prowler_ways
import pytest
from prowler_ways import ScanResult
from scenarios import DATA, DEAD, SHOP

from embedded_aws.network import AT_ONCE
from embedded_aws.ordinary import row_of
from embedded_aws.process import EmbeddedAws

REGIONS = ("eu-west-1", "eu-central-1", "us-east-1")
TESTS = Path(__file__).resolve().parents[1]
CLOSED = row_of("kendra", "ListIndices").model_dump(
    include={"service", "operation", "code", "message"}
)

SCENARIO: dict[str, Any] = {
    "accounts": {
        SHOP: {
            "refused": ["absent"],
            "regions": {
                "eu-west-1": {
                    "managed": ["ebs"],
                    "keys": [
                        {"name": "dead-{n}", "count": 3, "aliases": ["alias/dead-{n}"], **DEAD},
                        {"name": "kept", "tags": {"keysweep:keep": "law"}, **DEAD},
                        {"name": "alive"},
                        {"name": "pending", "state": "PendingDeletion"},
                        {"name": "waiting", "state": "PendingImport", "origin": "EXTERNAL"},
                    ],
                },
                "eu-central-1": {"keys": [{"name": "dead-far", **DEAD}], "refusals": [CLOSED]},
                "us-east-1": {
                    "keys": [
                        {
                            "name": "primary",
                            "multi_region": True,
                            "replicas": {"eu-west-1": {"state": "Disabled"}},
                            **DEAD,
                        }
                    ]
                },
            },
        },
        DATA: {
            "refused": ["absent"],
            "roles": ["KeysweepOperator"],
            "regions": {
                "eu-west-1": {"keys": [{"name": "dead-other", **DEAD}, {"name": "alive-other"}]}
            },
        },
    }
}


@pytest.fixture(scope="session")
def prowler() -> Path:
    """The real scanner, in the environment that `make` builds first."""
    path = Path(os.environ.get("KEYSWEEP_PROWLER", ""))
    assert path.is_file(), "no prowler: run these tests with `make test`"
    return path


@pytest.fixture(scope="module")
def aws() -> Iterator[EmbeddedAws]:
    """The scenario above, for the tests of one module in their order."""
    with EmbeddedAws(SCENARIO) as server:
        yield server


def environment(aws: EmbeddedAws) -> dict[str, str]:
    """The operator of the shop's account, and nothing else of AWS."""
    return aws.process_environment(SHOP, COLUMNS="160", NO_COLOR="1")


@pytest.fixture(scope="module")
def scan(aws: EmbeddedAws, prowler: Path) -> Callable[..., ScanResult]:
    """Run the real `prowler aws` with these arguments, results into the folder."""

    def run(folder: Path, *arguments: str, formats: tuple[str, ...] = ("json-ocsf",)) -> ScanResult:
        options = [*arguments, "--region", *REGIONS]
        variables = environment(aws)
        return prowler_ways.scan(prowler, options, variables, folder, formats=formats, out=folder)

    return run


@pytest.fixture(scope="module")
def keysweep(aws: EmbeddedAws) -> Callable[..., Any]:
    """Run the real command in front of AWS's own hosts, of which some do not exist.

    Returns its exit code and the JSON on its standard output.
    """

    def run(folder: Path, *arguments: str) -> tuple[int, Any]:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "embedded_aws.network", *arguments, "--format", "json"],
            env={**environment(aws), "PYTHONPATH": str(TESTS), AT_ONCE: "1"},
            cwd=folder,
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
            timeout=300,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr

    return run
