"""Verify that Prowler runs the checks, by its own command on `fake_aws`.

How each version handles packages of checks is observed: see the table in docs/prowler.md.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from . import scanner_run
from .fake_aws import REGION, FakeAws
from .scanner_run import Run, Verification

CHECKS: Final = ("kms_cmk_not_disabled", "kms_cmk_pending_deletion_not_used")

KNOWS_PACKAGES: Final = (5, 30, 0)
RUNS_PACKAGES: Final = (5, 37, 1)
"""Between the two, Prowler lists the checks of packages but does not run them."""

OLDEST_TRIED: Final = (5, 10, 2)
"""The oldest Prowler that was tried with `-x`."""

_SCAN_ENDED: Final = (0, 3)
"""Exit codes of a scan that ran to its end: without and with failed findings."""

NO_FOLDER_WITH_CHECK: Final = ((5, 14, 0), (5, 14, 1))
"""Versions in which `-x` does not work with `-c`."""

USES_ENDPOINT_URL: Final = (5, 30, 0)
"""Older versions call AWS's own STS endpoint despite AWS_ENDPOINT_URL."""


@dataclass(frozen=True)
class Facts:
    """What Prowler's own Python reports: see `prowler_facts.facts`."""

    version: str
    folders: dict[str, str]
    holders: dict[str, str]
    packaged: list[str]
    regions: list[str]

    def held_by(self, holder: str) -> list[str]:
        """The ids for which Prowler's own folder holds a check of this holder."""
        return [check for check, found in self.holders.items() if found == holder]

    @property
    def number(self) -> tuple[int, ...]:
        """The version's numbers."""
        return tuple(int(figure) for figure in re.findall(r"\d+", self.version)[:3])


def verify(program: Path, checks: Path, folder: Path | None) -> Verification:
    """Verify the package installed beside Prowler, or with `folder`, `prowler -x FOLDER`.

    `checks` is the folder to name where `-x` is advised. Scans, unless what is installed already
    shows that the checks cannot run.
    """
    python = scanner_run.interpreter(program)
    facts = _look(python) if python else None
    if python is None or facts is None:
        why = f"{program} is not a Python script of an environment with Prowler."
        fix = "name the script in Prowler's own environment with --prowler PATH"
        return Verification("prowler", program, "", passed=False, details=(why,), fix=fix)
    passed, details, fix = _known_obstacle(facts, python, checks, folder) or _scanned(
        program, python, facts, checks, folder
    )
    return Verification("prowler", program, facts.version, passed, details, fix)


_Outcome = tuple[bool, tuple[str, ...], str]


def _look(python: Path) -> Facts | None:
    source = Path(__file__).with_name("prowler_facts.py").read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory(prefix="keysweep-verify-") as temporary:
        variables = scanner_run.environment(Path(temporary), {})
        done = scanner_run.run([python, "-", *CHECKS], Path(temporary), variables, source)
    try:
        answer = json.loads(done.output)
    except ValueError:
        return None
    return Facts(**answer) if answer else None


def _known_obstacle(
    facts: Facts, python: Path, checks: Path, folder: Path | None
) -> _Outcome | None:
    """A known reason why the checks cannot run, found without a scan."""
    advised = f"or pass the folder: {_command(checks)}"
    taken = facts.held_by("prowler")
    if taken:
        return _failed(
            f"Prowler {facts.version} has its own check named {_and(taken)}, which runs in place "
            "of Keysweep's, and which -x would delete.",
            "do not use -x; upgrade Keysweep, or uninstall it here",
        )
    if folder:
        return None
    copies = [facts.folders[check] for check in facts.held_by("keysweep")]
    if copies:
        return _failed(
            f"A run with -x left copies, {_and(copies)}, which run in place of the installed "
            "checks.",
            f"delete it: {shlex.join(['rm', '-r', *copies])}",
        )
    if facts.number < KNOWS_PACKAGES:
        return _failed(
            f"Prowler {facts.version} is too old: before 5.30.0 it does not look for checks in "
            "packages.",
            f"upgrade to 5.37.1 or later, {advised}",
        )
    missing = sorted(set(CHECKS) - set(facts.packaged))
    if missing:
        return _failed(
            f"No package in this Prowler's environment has {_and(missing)}: Keysweep is missing "
            "there, or another version is installed.",
            f"pipx inject prowler keysweep, or {shlex.quote(str(python))} -m pip install "
            f"--upgrade keysweep, {advised}",
        )
    return None


def _scanned(
    program: Path, python: Path, facts: Facts, checks: Path, folder: Path | None
) -> _Outcome:
    """Scan with the program, and evaluate its results alone."""
    with tempfile.TemporaryDirectory(prefix="keysweep-verify-") as temporary, FakeAws() as aws:
        done = _scan(program, facts, aws, Path(temporary), folder)
        found = _results(Path(temporary, "out"))
    left = [copy for copy in facts.folders.values() if folder and Path(copy).is_dir()]
    leftover = (f"The run left its copies: delete {_and(left)}.",) if left else ()
    expected = {
        CHECKS[0]: {aws.disabled: "FAIL", aws.enabled: "PASS", aws.pending: "PASS"},
        CHECKS[1]: {aws.pending: "FAIL"},
    }
    if done.code != 3 or found != expected:
        passed, details, fix = _broken_pack(facts, python, done, folder) or _failure(
            facts, done, found, checks, folder
        )
        return passed, details + leftover, fix
    details = (
        f"{CHECKS[0]} ran in this Prowler on three keys, and failed only the disabled one.",
        f"{CHECKS[1]} failed the key that is in use while pending deletion.",
        *leftover,
        *_left_out(facts),
        f"Run them: {_command(folder)}",
    )
    return True, details, ""


def _scan(program: Path, facts: Facts, aws: FakeAws, work: Path, folder: Path | None) -> Run:
    settings = aws.variables()
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        settings[name] = os.devnull
    if facts.number < USES_ENDPOINT_URL:
        patch = Path(__file__).with_name("sts_endpoint.py").read_text(encoding="utf-8")
        Path(work, "sitecustomize.py").write_text(patch, encoding="utf-8")
        paths = [str(work), os.environ.get("PYTHONPATH", "")]
        settings["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    options: list[str | Path] = ["-x", folder] if folder else []
    command = [program, "aws", *options, "-c", *CHECKS]
    command += ["--region", REGION, "-M", "json-ocsf", "-o", str(work / "out")]
    command += ["--no-banner", "--no-color"]
    return scanner_run.run(command, work, scanner_run.environment(work, settings))


def _results(folder: Path) -> dict[str, dict[str, str]]:
    """Status by check and ARN; empty if there are no readable records."""
    found: dict[str, dict[str, str]] = {}
    try:
        for path in folder.glob("*.ocsf.json"):
            for record in json.loads(path.read_text(encoding="utf-8")):
                statuses = found.setdefault(record["metadata"]["event_code"], {})
                statuses[record["resources"][0]["uid"]] = record["status_code"]
    except (ValueError, KeyError, TypeError, IndexError):
        return {}
    return found


def _broken_pack(facts: Facts, python: Path, done: Run, folder: Path | None) -> _Outcome | None:
    """Metadata of Keysweep that ends the run: a field that this Prowler refuses, or no file."""
    written = done.output + done.errors
    named = [check for check in CHECKS if f"{check}.metadata.json" in written]
    if not named or done.code in (None, *_SCAN_ENDED):
        return None
    refused = f"Prowler {facts.version} cannot load the metadata of {_and(named)}"
    if folder:
        return _failed(
            f"{refused}, so every run with -x ends there ({done.ended()}).\n{done.last_lines()}",
            "upgrade Prowler and Keysweep, and scan without -x until this passes",
        )
    pip = f"{shlex.quote(str(python))} -m pip"
    return _failed(
        f"{refused}. Prowler loads all metadata first, so every `prowler aws` run in this "
        f"environment ends there ({done.ended()}), whichever checks it names.\n{done.last_lines()}",
        f"{pip} uninstall keysweep (or pipx uninject prowler keysweep), and Prowler runs again; "
        f"then upgrade Prowler, {pip} install keysweep, and verify again",
    )


def _failure(
    facts: Facts,
    done: Run,
    found: dict[str, dict[str, str]],
    checks: Path,
    folder: Path | None,
) -> _Outcome:
    """Why the scan did not report what it should, if known."""
    reported = [f"{check}: {_and(sorted(found[check].values()))}" for check in sorted(found)]
    happened = f"Prowler scanned keys that fail both checks ({done.ended()}) and reported "
    happened += f"{'; '.join(reported) or 'nothing'}."
    if not folder and KNOWS_PACKAGES <= facts.number < RUNS_PACKAGES:
        return _failed(
            f"Prowler {facts.version} is too old and only lists the checks: from 5.30.0 to 5.37.0 "
            'it never runs checks of packages, and ends with exit 0 and "no findings".',
            f"upgrade to 5.37.1 or later, or pass the folder: {_command(checks)}",
            happened,
        )
    if folder and facts.number in NO_FOLDER_WITH_CHECK:
        return _failed(
            f"In Prowler {facts.version}, -x does not work with -c.",
            "upgrade, or omit -c",
            happened,
        )
    if folder and facts.number < OLDEST_TRIED:
        return _failed(
            f"Prowler {facts.version} is older than 5.10.2, the oldest tested with -x.",
            "upgrade",
            happened,
        )
    return _failed(f"{happened}\n{done.last_lines()}", "see Prowler's output above")


def _failed(detail: str, fix: str, *more: str) -> _Outcome:
    return False, (detail, *more), fix


def _left_out(facts: Facts) -> tuple[str, ...]:
    """Regions that Prowler skips by default. Its environment variable overrides its file."""
    stated = os.environ.get("PROWLER_AWS_DISALLOWED_REGIONS", "").split(",")
    regions = sorted(filter(None, map(str.strip, stated))) or facts.regions
    if not regions:
        return ()
    return (
        f"Scans skip {_and(regions)}, even with --region. If you have keys there, change "
        "disallowed_regions in a configuration file (--config-file).",
    )


def _and(words: list[str]) -> str:
    return " and ".join(map(scanner_run.harmless, words))


def _command(folder: Path | None) -> str:
    options = ["-x", str(folder)] if folder else []
    return shlex.join(["prowler", "aws", *options, "-c", *CHECKS])
