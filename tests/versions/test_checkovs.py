"""Every Checkov at hand passes `keysweep verify`, and its results name the same code.

`make test-versions` has the pinned Checkov and older ones.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from keysweep.remediation import paths
from keysweep.remediation.findings import is_plan_candidate, read_results

FIXTURES = Path(__file__).parents[1] / "checks" / "checkov" / "fixtures"
NAMED = os.environ.get("KEYSWEEP_CHECKOVS", "")
CHECKOVS = [Path(path).absolute() for path in NAMED.split(os.pathsep) if path]


@pytest.fixture(params=CHECKOVS or [None], ids=lambda path: path.parents[1].name if path else "")
def checkov(request: pytest.FixtureRequest) -> Path:
    """The real scanner, in the environment that `make` builds first."""
    assert request.param, "no checkov: run these tests with `make test-versions`"
    return request.param


def test_both_checks_pass(checkov: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-P", "-m", "keysweep.remediation", "verify", "checkov"]
    done = subprocess.run(
        [*command, "--checkov", checkov, "--format", "json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        timeout=300,
    )
    [result] = json.loads(done.stdout)["results"]
    assert result["passed"], result
    assert done.returncode == 0


@pytest.mark.parametrize("framework", ["terraform", "cloudformation"])
def test_what_fails_in_literals_makes_a_candidate(
    checkov: Path, tmp_path: Path, framework: str
) -> None:
    folder = FIXTURES / framework / "literals"
    command = [checkov, "--directory", folder, "--framework", framework]
    done = subprocess.run(
        [*command, "--external-checks-dir", paths.folder("checkov"), "--output", "json"],
        cwd=tmp_path,
        env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 1, done.stderr
    found = read_results(["-"], io.BytesIO(done.stdout))
    assert found.unusable == ()
    ours = {
        finding.code.address
        for finding in found.findings
        if finding.check_id == "CKV_KEYSWEEP_001" and is_plan_candidate(finding) and finding.code
    }
    failing = {address for address in ours if "fail" in address.lower()}
    assert failing
    assert ours == failing
