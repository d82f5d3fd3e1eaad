"""Every row of prowler_ways_in.yaml whose Prowler is at hand: scanned, listed and verified.

`make test-versions` has the pinned Prowler and older ones.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import prowler_ways
import pytest
from prowler_ways import CHECK, Row

from embedded_aws.process import EmbeddedAws
from keysweep.remediation.verify import prowler as verify_prowler

Variables = dict[str, str]

ACCOUNT = "111122223333"
PROWLERS = prowler_ways.at_hand()
ROWS = [row for row in prowler_ways.rows() if row.prowler in PROWLERS or not PROWLERS]
FOLDERS = {row.prowler: row for row in ROWS if row.way == "folder"}
FOLDER = subprocess.run(
    [sys.executable, "-P", "-m", "keysweep.remediation", "path", "prowler"],
    capture_output=True,
    text=True,
    encoding="utf-8",
    check=True,
).stdout.strip()

SCENARIO: dict[str, Any] = {
    "accounts": {
        ACCOUNT: {
            "regions": {
                "eu-west-1": {
                    "managed": ["ebs"],
                    "keys": [
                        {"name": "off", "state": "Disabled", "tags": {"team": "red"}},
                        {"name": "on"},
                        {"name": "going", "state": "PendingDeletion"},
                        {"name": "waiting", "state": "PendingImport", "origin": "EXTERNAL"},
                    ],
                },
                "eu-central-1": {"keys": [{"name": "off-far", "state": "Disabled"}]},
            }
        }
    }
}


@pytest.fixture(scope="module")
def aws() -> Iterator[EmbeddedAws]:
    with EmbeddedAws(SCENARIO) as server:
        yield server


@pytest.fixture
def variables(row: Row, aws: EmbeddedAws, tmp_path_factory: pytest.TempPathFactory) -> Variables:
    """The operator's environment; older Prowlers are led to the embedded AWS's STS as well."""
    settings = aws.process_environment(ACCOUNT, COLUMNS="160")
    if tuple(map(int, row.prowler.split("."))) < verify_prowler.USES_ENDPOINT_URL:
        leads = tmp_path_factory.mktemp("leads")
        source = Path(verify_prowler.__file__).with_name("sts_endpoint.py")
        (leads / "sitecustomize.py").write_text(source.read_text("utf-8"), encoding="utf-8")
        settings["PYTHONPATH"] = str(leads)
    return settings


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Row], Path]:
    """Return the Prowler for a row; where `-x` puts its copies, in an environment set apart."""
    apart: dict[tuple[str, str], Path] = {}

    def find(row: Row) -> Path:
        assert PROWLERS, "no prowler: run these tests with `make test-versions`"
        if row.way == "package":
            return PROWLERS[row.prowler]
        made = row.prowler, row.way
        if made not in apart:
            folder = tmp_path_factory.mktemp("-".join(made)) / "environment"
            prowler = PROWLERS[row.prowler]
            apart[made] = prowler_ways.set_apart(prowler, folder, pack=row.way == "both")
        return apart[made]

    return find


def each(chosen: Callable[[Row], bool]) -> pytest.MarkDecorator:
    """Parametrize over the rows at hand that are chosen."""
    return pytest.mark.parametrize("row", list(filter(chosen, ROWS)), ids=str)


def handed(row: Row) -> list[str]:
    return [] if row.way == "package" else ["-x", FOLDER]


def copies_in(prowler: Path) -> set[str]:
    """Checks of ours among Prowler's own."""
    services = prowler_ways.packages_of(prowler) / "prowler" / "providers" / "aws" / "services"
    return {path.name for path in (services / "kms").iterdir()} & set(verify_prowler.CHECKS)


def test_every_prowler_at_hand_has_rows() -> None:
    assert set(PROWLERS) == {row.prowler for row in ROWS}


@each(lambda row: True)
def test_a_scan_reports_what_the_table_says(
    row: Row,
    aws: EmbeddedAws,
    program: Callable[[Row], Path],
    variables: Variables,
    tmp_path: Path,
) -> None:
    prowler = program(row)
    # Prowler's own checks of the chosen service are none of this test's.
    options = [*handed(row), *row.options, "--excluded-checks", "kms_cmk_are_used"]
    options += ["--region", "eu-west-1", "eu-central-1"]
    left = prowler_ways.scan(prowler, options, variables, tmp_path)
    assert left.code == row.exit, left.text
    disabled = {key["arn"] for key in aws.keys(state="Disabled")}
    failed = {arn for arn, status in left.statuses().items() if status == "FAIL"}
    assert failed == (disabled if row.reported == "all" else set()), left.text
    assert left.checks() <= {CHECK}
    assert copies_in(prowler) == set(), "Prowler left its copy of a check behind"


@each(lambda row: row.lists is not None)
def test_a_listing_names_the_check_or_not(
    row: Row, program: Callable[[Row], Path], variables: Variables, tmp_path: Path
) -> None:
    options = [*handed(row), "--list-checks", "--service", "kms", "--severity", "low"]
    left = prowler_ways.scan(program(row), options, variables, tmp_path)
    assert left.code == 0, left.text
    assert (f"[{CHECK}]" in left.text) == row.lists


def verify(prowler: Path, home: Path, *options: str) -> tuple[int, dict[str, Any]]:
    """Run `keysweep verify prowler` as a process with a home folder of its own."""
    command = [sys.executable, "-P", "-m", "keysweep.remediation", "verify", "prowler"]
    home.mkdir()
    done = subprocess.run(
        [*command, "--prowler", str(prowler), "--format", "json", *options],
        cwd=home,
        env={**os.environ, "HOME": str(home)},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        timeout=400,
    )
    [result] = json.loads(done.stdout)["results"]
    return done.returncode, result


@each(lambda row: row.verify is not None)
def test_verify_prints_what_the_scan_found(
    row: Row, program: Callable[[Row], Path], tmp_path: Path
) -> None:
    prowler = program(row)
    home = tmp_path / "home"
    code, result = verify(prowler, home, *handed(row))
    assert result["version"] == row.prowler
    assert result["passed"] == (row.reported == "all") == (row.verify == "passed"), result
    assert code == (0 if result["passed"] else 1)
    assert result["passed"] or row.verify in result["details"][0]
    assert result["passed"] or f"-x {FOLDER}" in result["fix"]
    assert copies_in(prowler) == set()
    assert list(home.iterdir()) == [], "it writes to the user's folders"


@each(lambda row: row.way == "package" and row.verify == "passed")
def test_verify_names_the_fix_for_metadata_that_ends_every_run(row: Row, tmp_path: Path) -> None:
    prowler = prowler_ways.set_apart(PROWLERS[row.prowler], tmp_path / "environment", pack=True)
    pack = prowler_ways.packages_of(prowler) / "keysweep"
    shared = pack.resolve()
    pack.unlink()
    shutil.copytree(shared, pack)
    [file] = pack.rglob(f"{CHECK}.metadata.json")
    declared = json.loads(file.read_text("utf-8"))
    file.write_text(json.dumps({**declared, "Categories": None}), encoding="utf-8")
    code, result = verify(prowler, tmp_path / "home")
    assert code == 1
    assert CHECK in result["details"][0]
    assert "pip uninstall keysweep" in result["fix"]


@pytest.mark.parametrize("row", FOLDERS.values(), ids=str)
def test_copies_that_a_killed_run_left_behind_still_run(
    row: Row,
    aws: EmbeddedAws,
    program: Callable[[Row], Path],
    variables: Variables,
    tmp_path: Path,
) -> None:
    """Prowler counts each module beside a check as a check, and looks for its metadata."""
    prowler = program(row)
    kms = prowler_ways.packages_of(prowler) / "prowler/providers/aws/services/kms"
    for check in verify_prowler.CHECKS:
        shutil.copytree(Path(FOLDER, check), kms / check)
    try:
        options = ["-c", *verify_prowler.CHECKS, "--region", "eu-west-1"]
        left = prowler_ways.scan(prowler, options, variables, tmp_path)
    finally:
        for check in verify_prowler.CHECKS:
            shutil.rmtree(kms / check)
    assert left.code == 3, left.text
    assert left.checks() == set(verify_prowler.CHECKS)


def test_the_table_in_the_documentation_is_current() -> None:
    assert len(set(prowler_ways.page())) == 1, (
        "docs/prowler.md is out of date: run python -P tests/prowler_ways.py"
    )
