"""The table of supported versions is what the tests run and what `keysweep verify` requires."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import prowler_ways
import pytest

from keysweep.remediation.verify import prowler as verify_prowler

ROOT = Path(__file__).parents[2]
TOX = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["tox"]["env"]
ROW = re.compile(r"^\| (Prowler|Checkov) \| (.+) \| (\S+) \| (.+) \|$", re.MULTILINE)
TABLE = {
    f"{scanner}: {how}": (first, tried)
    for scanner, how, first, tried in ROW.findall((ROOT / "docs/install.md").read_text("utf-8"))
}
BESIDE = "Prowler: checks installed"
HANDED = "Prowler: checks loaded with `-x`"
READ = "Prowler: results"
CHECKOV = "Checkov: checks and results"


def tried(row: str) -> set[str]:
    return set(TABLE[row][1].replace("*", "").split(", "))


def pinned(scanner: str) -> str:
    text = (ROOT / f"tests/requirements-{scanner}.txt").read_text("utf-8")
    [version] = re.findall(rf"^{scanner}==(\S+)$", text, re.MULTILINE)
    return version


def environments(scanner: str) -> set[str]:
    """Return the older versions that tox has environments for, each with what it is named for."""
    named = {
        name.partition("-")[2]: settings["deps"][0]
        for name, settings in TOX.items()
        if re.fullmatch(rf"{scanner}-[\d.]+", name)
    }
    assert named == {version: f"{scanner}=={version}" for version in named}
    return set(named)


def as_text(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def test_the_table_has_these_rows() -> None:
    assert set(TABLE) == {BESIDE, HANDED, READ, CHECKOV}


@pytest.mark.parametrize("row", TABLE)
def test_bold_is_what_every_change_is_run_with(row: str) -> None:
    assert re.findall(r"\*\*(\S+)\*\*", TABLE[row][1]) == [pinned(row.partition(":")[0].lower())]


@pytest.mark.parametrize("row", TABLE)
def test_from_is_the_oldest_that_was_tried(row: str) -> None:
    assert TABLE[row][0] == min(tried(row), key=lambda text: tuple(map(int, text.split("."))))


@pytest.mark.parametrize(
    ("row", "way", "demanded"),
    [
        (BESIDE, "package", verify_prowler.RUNS_PACKAGES),
        (HANDED, "folder", verify_prowler.OLDEST_TRIED),
    ],
)
def test_prowlers_tried_are_those_that_report_every_key(
    row: str, way: str, demanded: tuple[int, ...]
) -> None:
    ways = [one for one in prowler_ways.rows() if one.way == way]
    assert tried(row) == {one.prowler for one in ways if one.reported == "all"}
    assert TABLE[row][0] == as_text(demanded)


def test_results_read_are_those_of_the_fixtures() -> None:
    names = [path.name for path in (ROOT / "tests/fixtures/results").glob("prowler-*")]
    assert tried(READ) == {re.findall(r"\d+\.\d+\.\d+", name)[0] for name in names}


def test_checkovs_tried_are_those_of_the_environments() -> None:
    assert tried(CHECKOV) == {pinned("checkov"), *environments("checkov")}


def test_every_prowler_with_an_environment_is_in_the_table_of_ways() -> None:
    ways = {row.prowler for row in prowler_ways.rows()}
    assert ways == {pinned("prowler"), *environments("prowler")}


@pytest.mark.parametrize("scanner", ["prowler", "checkov"])
def test_make_runs_every_older_environment(scanner: str) -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    [named] = re.findall(rf"^OLDER_{scanner.upper()}S := (.+)$", makefile, re.MULTILINE)
    assert set(named.split()) == {f"{scanner}-{version}" for version in environments(scanner)}
