"""Try the newest scanners, and the command with its oldest and newest libraries; say what broke.

`make newest` runs `python -P tests/newest.py`: one line for each, and exit code 1 when something
broke. Each is installed anew in a tox environment of its own: a scanner with the pack beside it,
the command with the oldest libraries that setup.cfg admits, then with the newest of the index.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).parents[1]
TOOLS = REPOSITORY / ".venv/bin"
SCANNERS = ("prowler", "checkov")
LIBRARIES = ("oldest", "newest")
LIBRARY_TESTS = (
    "tests/remediation/aws",
    "tests/remediation/report",
    "tests/remediation/test_command_line.py",
    "tests/remediation/test_loop.py",
    "tests/remediation/test_policy_file.py",
)
"""What touches boto3, click, pydantic and rich."""
SHOWN = 5
"""Largest number of failed tests to name; the rest are counted."""


class Tried(NamedTuple):
    """What became of one scanner."""

    version: str
    broke: list[str]


def pinned(scanner: str) -> str:
    """Return the version that every change is run with."""
    text = (REPOSITORY / f"tests/requirements-{scanner}.txt").read_text("utf-8")
    return re.findall(rf"^{scanner}==(\S+)$", text, re.MULTILINE)[0]


def attempt(scanner: str) -> Tried:
    """Install the newest, let `keysweep verify` prove it, and run the checks' tests beside it."""
    listed = _run(
        TOOLS / "uv",
        "pip",
        "compile",
        "-q",
        "--no-deps",
        "--no-header",
        "--no-annotate",
        "-",
        say=scanner,
    )
    version = listed.stdout.strip().removeprefix(f"{scanner}==")
    if listed.returncode:
        return Tried("", [f"the index does not tell its versions: {_last_line(listed.stderr)}"])
    environment = f"{scanner}-newest"
    tox = [TOOLS / "tox", "run", "-q", "-r", "--notest", "-e", environment]
    made = _run(*tox, KEYSWEEP_NEWEST=f"=={version}")
    if made.returncode:
        return Tried(version, [f"cannot be installed: {_last_line(made.stderr or made.stdout)}"])
    programs = REPOSITORY / ".tox" / environment / "bin"
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    answer = _run(programs / "keysweep", "verify", scanner, "--format", "json", PATH=path)
    try:
        [result] = json.loads(answer.stdout)["results"]
    except (ValueError, KeyError):
        broke = [f"keysweep verify failed: {_last_line(answer.stderr)}"]
    else:
        broke = [] if result["passed"] else [f"keysweep verify: {' '.join(result['details'])}"]
    return Tried(version, broke + failed_tests([f"tests/checks/{scanner}"], programs, PATH=path))


def attempt_libraries(age: str) -> Tried:
    """Install the command with libraries of this age, and run the tests that touch them."""
    environment = f"libraries-{age}"
    made = _run(TOOLS / "tox", "run", "-q", "-r", "-e", environment, "--", "--version")
    if made.returncode:
        return Tried("", [f"cannot be installed: {_last_line(made.stderr or made.stdout)}"])
    programs = REPOSITORY / ".tox" / environment / "bin"
    listed = _run(programs / "python", "-P", "-c", _VERSIONS)
    broke = failed_tests(LIBRARY_TESTS, programs) + new_members(programs)
    return Tried(listed.stdout.strip(), broke)


def new_members(programs: Path) -> list[str]:
    """Name the members of AWS's answers that name a key and are new in the installed botocore."""
    folder = str(REPOSITORY / "docs/generate")
    done = _run(programs / "python", "-P", "-m", "ledger", PYTHONPATH=folder)
    members = done.stdout.splitlines()
    if done.returncode not in {0, 1} or (done.returncode and not members):
        return [f"the ledger cannot be run: {_last_line(done.stdout + done.stderr)}"]
    return [f"neither read nor left out: {member}" for member in members]


_VERSIONS = """
from importlib.metadata import version
print(", ".join(f"{name} {version(name)}" for name in ("boto3", "click", "pydantic", "rich")))
"""


def failed_tests(tests: Iterable[str], programs: Path, **variables: str) -> list[str]:
    """Return one sentence about the tests that failed; none when all passed."""
    report = programs.parent / "report.xml"
    report.unlink(missing_ok=True)
    pytest = [programs / "python", "-P", "-m", "pytest", "-q", *tests]
    done = _run(*pytest, f"--junitxml={report}", **variables)
    if done.returncode not in {0, 1} or not report.is_file():
        return [f"its tests cannot be run: {_last_line(done.stdout + done.stderr)}"]
    return failures(report.read_text("utf-8"))


def failures(report: str) -> list[str]:
    """Tell a JUnit report's failed tests in one sentence; nothing when none failed."""
    cases = list(ET.fromstring(report).iter("testcase"))
    names = [
        case.get("name", "")
        for case in cases
        if case.find("failure") is not None or case.find("error") is not None
    ]
    if not names:
        return []
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return [f"{len(names)} of {len(cases)} tests: {', '.join(names[:SHOWN])}{more}"]


def line(scanner: str, known: str, tried: Tried) -> str:
    """Return the line about one scanner; `known` is the version that CI tests on every change."""
    name = f"{scanner.capitalize()} {tried.version}".rstrip()
    if tried.broke:
        return f"{name}: broke: {'; '.join(tried.broke)}"
    if tried.version == known:
        return f"{name}: works; it is the one that every change is run with"
    return (
        f"{name}: works; every change is run with {known} still (tests/requirements-{scanner}.txt)"
    )


def _run(
    *command: str | Path, say: str | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=REPOSITORY,
        env={**os.environ, **variables},
        input=say,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it printed nothing"


def main() -> int:
    """Try each scanner, and return the exit code."""
    broke = False
    for scanner in SCANNERS:
        tried = attempt(scanner)
        print(line(scanner, pinned(scanner), tried), flush=True)
        broke = broke or bool(tried.broke)
    for age in LIBRARIES:
        tried = attempt_libraries(age)
        print(f"{age} libraries ({tried.version}): {'; '.join(tried.broke) or 'work'}", flush=True)
        broke = broke or bool(tried.broke)
    return int(broke)


if __name__ == "__main__":
    sys.exit(main())
