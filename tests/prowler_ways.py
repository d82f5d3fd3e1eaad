"""The Prowlers at hand, the table of ways in, and what a run of one of them left.

`python -P tests/prowler_ways.py` writes the table in docs/prowler.md anew.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).parents[1]
DATA = REPOSITORY / "tests" / "versions" / "prowler_ways_in.yaml"
PAGE = REPOSITORY / "docs" / "prowler.md"
BEGIN, END = "<!-- ways in -->\n", "<!-- /ways in -->\n"

CHECK = "kms_cmk_not_disabled"


@dataclass(frozen=True)
class Row:
    """One row of the data file, which explains the fields."""

    prowler: str
    way: str
    options: tuple[str, ...]
    exit: int
    reported: str
    lists: bool | None = None
    verify: str | None = None

    def __str__(self) -> str:
        return "-".join((self.prowler, self.way, *(word.lstrip("-") for word in self.options)))


def rows() -> list[Row]:
    """Read the data file; unknown fields are errors."""
    loaded = yaml.safe_load(DATA.read_text(encoding="utf-8"))
    return [Row(**{**row, "options": tuple(row["options"])}) for row in loaded]


def table() -> str:
    """Return the rows as Markdown."""
    ways = {
        "package": "installed",
        "folder": "`-x`",
        "both": "installed and `-x`",
    }
    reported = {"all": "every disabled key", "none": "**nothing**"}
    verified = {None: "", "passed": "passed"}
    lines = [
        "| Prowler | checks | options | exit code | reported | `keysweep verify prowler` |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows():
        listed = ", but listed" if row.lists and row.reported == "none" else ""
        cells = [row.prowler, ways[row.way], f"`{' '.join(row.options)}`", str(row.exit)]
        cells += [reported[row.reported] + listed, verified.get(row.verify, f'"{row.verify}"')]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def page() -> tuple[str, str]:
    """Return the page as it is, and as it should be."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return text, before + BEGIN + table() + END + after


def at_hand() -> dict[str, Path]:
    """Return the Prowlers that tox made, by version: KEYSWEEP_PROWLERS, their programs."""
    named = os.environ.get("KEYSWEEP_PROWLERS", "")
    paths = [Path(path).absolute() for path in named.split(os.pathsep) if path]
    return {version_of(path): path for path in paths}


def packages_of(prowler: Path) -> Path:
    """Return the site-packages of a Prowler's environment."""
    [found] = prowler.parents[1].glob("lib/python3*/site-packages")
    return found


def version_of(prowler: Path) -> str:
    """Return a Prowler's version, from what is installed."""
    [found] = packages_of(prowler).glob("prowler-*.dist-info")
    return found.name.removeprefix("prowler-").removesuffix(".dist-info")


def set_apart(prowler: Path, folder: Path, *, pack: bool) -> Path:
    """Make an environment with the same Prowler, with Keysweep or without; return its program.

    Prowler's files are linked one by one, since `-x` adds some of its own; all else is shared.
    """
    absent = ("__pycache__",) if pack else ("__pycache__", "keysweep")
    python = prowler.with_name("python")
    subprocess.run([python, "-m", "venv", "--without-pip", folder], check=True)
    program = folder / "bin" / "prowler"
    packages = packages_of(program)
    for entry in packages_of(prowler).iterdir():
        if entry.name == "prowler":
            shutil.copytree(entry, packages / entry.name, copy_function=_link)
        elif not entry.name.startswith(absent):
            (packages / entry.name).symlink_to(entry)
    script = prowler.read_text(encoding="utf-8").partition("\n")[2]
    program.write_text(f"#!{program.with_name('python')}\n{script}", encoding="utf-8")
    program.chmod(0o755)
    return program


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # on another file system
        shutil.copy2(source, target)


@dataclass(frozen=True)
class ScanResult:
    """A run of Prowler: exit code, output, the records of all its OCSF files, and their folder."""

    code: int
    text: str
    records: list[dict[str, Any]]
    folder: Path

    def statuses(self, check: str = CHECK) -> dict[str, str]:
        """Return a check's statuses by ARN; muted ones end in "/muted". Each ARN comes once."""
        found: dict[str, str] = {}
        for record in self.records:
            if record["metadata"]["event_code"] == check:
                arn = record["resources"][0]["uid"]
                assert arn not in found, f"{arn} is reported twice"
                muted = "/muted" if record["status"] == "Suppressed" else ""
                found[arn] = record["status_code"] + muted
        return found

    def checks(self) -> set[str]:
        """Return the ids of the checks that reported anything."""
        return {record["metadata"]["event_code"] for record in self.records}


def scan(
    prowler: Path,
    options: Sequence[str | Path],
    variables: Mapping[str, str],
    folder: Path,
    *,
    formats: Iterable[str] = ("json-ocsf",),
    out: Path | None = None,
) -> ScanResult:
    """Run `prowler aws` with these options in a folder; its results go to `out` below it."""
    out = out or folder / "out"
    command = [prowler, "aws", *options, "--no-banner", "--no-color"]
    if "--list-checks" not in options:
        command += ["--output-formats", *formats, "--output-directory", out]
    done = subprocess.run(
        command,
        env=dict(variables),
        cwd=folder,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        timeout=300,
    )
    records = [
        record
        for path in sorted(out.glob("*.ocsf.json"))
        for record in json.loads(path.read_text(encoding="utf-8"))
    ]
    return ScanResult(done.returncode, done.stdout + done.stderr, records, out)


if __name__ == "__main__":
    PAGE.write_text(page()[1], encoding="utf-8")
