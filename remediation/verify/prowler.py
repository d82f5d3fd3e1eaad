"""Proves that a Prowler runs the checks: by its own command, on an AWS made for this test.

What its versions do with packages of checks was run and seen; the table is in docs/prowler.md.
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
from .scanner_run import Proof, Run

CHECKS: Final = ("kms_cmk_not_disabled", "kms_cmk_pending_deletion_not_used")

KNOWS_PACKAGES: Final = (5, 30, 0)
RUNS_PACKAGES: Final = (5, 37, 1)
"""Between the two, Prowler lists the checks of packages and does not run them."""

OLDEST_TRIED: Final = (5, 10, 2)
"""The oldest Prowler that was seen to run the checks by `-x`."""

NO_FOLDER_WITH_CHECK: Final = ((5, 14, 0), (5, 14, 1))
"""In these `-x` does not go with `-c`."""

HEEDS_ENDPOINT: Final = (5, 30, 0)
"""Before, Prowler names AWS's own STS endpoint whatever AWS_ENDPOINT_URL says."""


@dataclass(frozen=True)
class Facts:
    """What Prowler's own Python tells: see `inside.look`."""

    version: str
    places: dict[str, str]
    holders: dict[str, str]
    packaged: list[str]
    regions: list[str]

    def held_by(self, holder: str) -> list[str]:
        """The ids in whose places among Prowler's own checks a check of this holder lies."""
        return [check for check, found in self.holders.items() if found == holder]

    @property
    def number(self) -> tuple[int, ...]:
        """The version's figures."""
        return tuple(int(figure) for figure in re.findall(r"\d+", self.version)[:3])


def prove(program: Path, pack: Path, folder: Path | None) -> Proof:
    """Prove the pack installed beside Prowler, or with `folder` the way of `prowler -x FOLDER`.

    `pack` is the folder to name where `-x` is advised. Takes as long as a scan of Prowler's,
    unless what is installed tells already that the check cannot run.
    """
    python = scanner_run.interpreter(program)
    facts = _look(python) if python else None
    if python is None or facts is None:
        said = f"{program} is no Python script of an environment that holds Prowler."
        cure = "name the script in Prowler's own environment with --prowler PATH"
        return Proof("prowler", program, "", proven=False, says=(said,), mend=cure)
    proven, says, mend = _hindered(facts, python, pack, folder) or _tried(
        program, facts, pack, folder
    )
    return Proof("prowler", program, facts.version, proven, says, mend)


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


def _hindered(facts: Facts, python: Path, pack: Path, folder: Path | None) -> _Outcome | None:
    """What is known to keep the check from running, before anything is run."""
    advised = f"or hand the folder over: {_command(pack)}"
    taken = facts.held_by("prowler")
    if taken:
        return _not(
            f"Prowler {facts.version} brings a check of its own named {_and(taken)}, which takes "
            "the place of ours, and which -x would destroy.",
            "do not use -x; look for a newer Keysweep, or uninstall it here",
        )
    if folder:
        return None
    copies = [facts.places[check] for check in facts.held_by("keysweep")]
    if copies:
        return _not(
            f"What a run with -x left behind, {_and(copies)}, is run in the place of what is "
            "installed.",
            f"delete it: {shlex.join(['rm', '-r', *copies])}",
        )
    if facts.number < KNOWS_PACKAGES:
        return _not(
            f"Prowler {facts.version} is too old: before 5.30.0 it does not look for checks in "
            "packages.",
            f"upgrade to 5.37.1 or later, {advised}",
        )
    missing = sorted(set(CHECKS) - set(facts.packaged))
    if missing:
        return _not(
            f"No package in this Prowler's environment brings {_and(missing)}: Keysweep is not "
            "installed there, or another version of it.",
            f"pipx inject prowler keysweep, or {shlex.quote(str(python))} -m pip install "
            f"--upgrade keysweep, {advised}",
        )
    return None


def _tried(program: Path, facts: Facts, pack: Path, folder: Path | None) -> _Outcome:
    """Scan with the program, and judge by its results alone."""
    with tempfile.TemporaryDirectory(prefix="keysweep-verify-") as temporary, FakeAws() as aws:
        done = _scan(program, facts, aws, Path(temporary), folder)
        found = _results(Path(temporary, "out"))
    left = [place for place in facts.places.values() if folder and Path(place).is_dir()]
    behind = (f"The run left its copies behind: delete {_and(left)}.",) if left else ()
    expected = {
        CHECKS[0]: {aws.disabled: "FAIL", aws.enabled: "PASS", aws.pending: "PASS"},
        CHECKS[1]: {aws.pending: "FAIL"},
    }
    if done.code != 3 or found != expected:
        proven, says, mend = _failed(facts, done, found, pack, folder)
        return proven, says + behind, mend
    says = (
        f"{CHECKS[0]} was run by this Prowler on three keys, and failed the disabled one alone.",
        f"{CHECKS[1]} failed the key that somebody tried to use while it is pending deletion.",
        *behind,
        *_left_out(facts),
        f"Run them: {_command(folder)}",
    )
    return True, says, ""


def _scan(program: Path, facts: Facts, aws: FakeAws, work: Path, folder: Path | None) -> Run:
    settings = aws.variables()
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        settings[name] = os.devnull
    if facts.number < HEEDS_ENDPOINT:
        mend = Path(__file__).with_name("sts_endpoint.py").read_text(encoding="utf-8")
        Path(work, "sitecustomize.py").write_text(mend, encoding="utf-8")
        paths = [str(work), os.environ.get("PYTHONPATH", "")]
        settings["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    handed: list[str | Path] = ["-x", folder] if folder else []
    command = [program, "aws", *handed, "-c", *CHECKS]
    command += ["--region", REGION, "-M", "json-ocsf", "-o", str(work / "out")]
    command += ["--no-banner", "--no-color"]
    return scanner_run.run(command, work, scanner_run.environment(work, settings))


def _results(folder: Path) -> dict[str, dict[str, str]]:
    """Status by check and ARN; empty when there are no records to be read."""
    found: dict[str, dict[str, str]] = {}
    try:
        for path in folder.glob("*.ocsf.json"):
            for record in json.loads(path.read_text(encoding="utf-8")):
                statuses = found.setdefault(record["metadata"]["event_code"], {})
                statuses[record["resources"][0]["uid"]] = record["status_code"]
    except (ValueError, KeyError, TypeError, IndexError):
        return {}
    return found


def _failed(
    facts: Facts,
    done: Run,
    found: dict[str, dict[str, str]],
    pack: Path,
    folder: Path | None,
) -> _Outcome:
    """Why the scan did not report what it should, as far as it is known."""
    reported = [f"{check}: {_and(sorted(found[check].values()))}" for check in sorted(found)]
    happened = f"Prowler scanned keys that fail both checks ({done.ended()}) and reported "
    happened += f"{'; '.join(reported) or 'nothing'}."
    if not folder and KNOWS_PACKAGES <= facts.number < RUNS_PACKAGES:
        return _not(
            f"Prowler {facts.version} is too old and only lists the checks: from 5.30.0 to 5.37.0 "
            'it never runs checks of packages, and ends with exit 0 and "no findings".',
            f"upgrade to 5.37.1 or later, or hand the folder over: {_command(pack)}",
            happened,
        )
    if folder and facts.number in NO_FOLDER_WITH_CHECK:
        return _not(
            f"In Prowler {facts.version} -x does not go with -c.",
            "upgrade, or leave -c away",
            happened,
        )
    if folder and facts.number < OLDEST_TRIED:
        return _not(
            f"Prowler {facts.version} is older than 5.10.2, the oldest that -x was tried with.",
            "upgrade",
            happened,
        )
    return _not(f"{happened}\n{done.last_words()}", "see what Prowler says above")


def _not(says: str, mend: str, *more: str) -> _Outcome:
    return False, (says, *more), mend


def _left_out(facts: Facts) -> tuple[str, ...]:
    """The Regions that a scan leaves out unasked: Prowler's environment goes before its file."""
    stated = os.environ.get("PROWLER_AWS_DISALLOWED_REGIONS", "").split(",")
    regions = sorted(filter(None, map(str.strip, stated))) or facts.regions
    if not regions:
        return ()
    return (
        f"Scans leave out {_and(regions)}, even when --region names "
        "them. If keys are there, give a configuration with other disallowed_regions "
        "(--config-file).",
    )


def _and(words: list[str]) -> str:
    return " and ".join(map(scanner_run.harmless, words))


def _command(folder: Path | None) -> str:
    handed = ["-x", str(folder)] if folder else []
    return shlex.join(["prowler", "aws", *handed, "-c", *CHECKS])
