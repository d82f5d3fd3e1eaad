"""Checkov over Terraform files, with our checks and without.

Measures pairs of whole processes in alternating order, after one warm-up run, by CPU time, which
varies less than elapsed time on a busy machine. The cost of our checks is the median difference
within the pairs. It counts as more than noise only if all pairs have the same sign.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Final

from . import terraform
from .environments import program, version
from .process import Failed, run
from .table import Row, seconds

OURS: Final = "CKV_KEYSWEEP_001"
PEER: Final = "CKV_AWS_227"
"""Checkov's own check of disabled keys, for Terraform's `aws_kms_key` alone."""

_EMPTY_CHECKS: Final = """\
from checkov.common.models.enums import CheckCategories, CheckResult
from checkov.terraform.checks.resource.base_resource_check import BaseResourceCheck


class Empty(BaseResourceCheck):
    def __init__(self, check_id):
        super().__init__(
            name="Passes every key",
            id=check_id,
            categories=[CheckCategories.CONVENTION],
            supported_resources=["aws_kms_key"],
        )

    def scan_resource_conf(self, conf):
        return CheckResult.PASSED


for number in (1, 2):
    Empty(f"CKV_EMPTY_{number}")
"""
"""Cost of two checks without logic: Checkov's own work for their records."""


@dataclass(frozen=True)
class _Scan:
    """Options of a Checkov run, and the number of keys that each check must find."""

    arguments: Sequence[str | Path]
    finds: Mapping[str, int]

    def cpu(self, code: Path) -> float:
        """User and system time of one run, in seconds. Raises Failed unless it found the keys."""
        done = run(
            [
                program("checkov", "checkov"),
                *("--directory", code, "--framework", "terraform", "--skip-download"),
                *("--output", "json", "--quiet", "--compact", "--soft-fail"),
                *self.arguments,
            ],
            {"CHECKOV_RUN_SCA_PACKAGE_SCAN": "false", "LOG_LEVEL": "ERROR"},
        )
        report = json.loads(done.out[done.out.index("{") :])
        found = [one["check_id"] for one in report["results"]["failed_checks"]]
        if any(found.count(check) != keys for check, keys in self.finds.items()):
            raise Failed(f"Checkov {self.arguments} did not find {self.finds}")
        return done.cpu


def versions() -> dict[str, str]:
    """Versions of the measured programs."""
    return {
        "checkov": version("checkov", "checkov"),
        "keysweep": version("command", "keysweep"),
    }


def measure(runs: int, quick: bool) -> list[Row]:
    """Measure Checkov's checks with and without ours, with two empty ones, and each check alone."""
    files = 40 if quick else 1000
    pack = run([program("command", "keysweep"), "path", "checkov"]).out.strip()
    ours: Sequence[str | Path] = ("--external-checks-dir", pack)
    with tempfile.TemporaryDirectory() as folder:
        code = Path(folder, "code")
        empty = Path(folder, "empty")
        code.mkdir()
        empty.mkdir()
        (empty / "empty_checks.py").write_text(_EMPTY_CHECKS, encoding="utf-8")
        keys = terraform.write(code, files)
        everything = _Scan((), {PEER: keys, OURS: 0})
        with_ours = _Scan(ours, {PEER: keys, OURS: keys})
        with_empty = _Scan(("--external-checks-dir", empty), {PEER: keys, OURS: 0})
        peer_alone = _Scan(("--check", PEER), {PEER: keys})
        ours_alone = _Scan((*ours, "--check", OURS), {OURS: keys})
        return [
            # Checkov's own records of two more checks are no cost of ours: without a target.
            replace(
                _row(
                    "all checks with ours; peer: without", files, runs, with_ours, everything, code
                ),
                target="",
                met=None,
            ),
            _row(
                "all checks with ours; peer: with two that pass every key",
                *(files, runs, with_ours, with_empty, code),
            ),
            _row(f"{OURS} alone; peer: {PEER} alone", files, runs, ours_alone, peer_alone, code),
        ]


def _row(what: str, files: int, runs: int, ours: _Scan, peer: _Scan, code: Path) -> Row:
    _pair(ours, peer, code, swapped=False)
    pairs = [_pair(ours, peer, code, swapped=bool(number % 2)) for number in range(runs)]
    differences = sorted(one - other for one, other in pairs)
    theirs = [other for _, other in pairs]
    added = median(differences)
    distinct = differences[0] > 0 or differences[-1] < 0
    spread = max(theirs) - min(theirs)
    return Row(
        f"{what}: {'+' if added >= 0 else '-'}{seconds(abs(added))} CPU, pairs "
        f"{differences[0]:+.2f} to {differences[-1]:+.2f} s, run to run {spread:.2f} s",
        files,
        seconds(median(one for one, _ in pairs)),
        peer=seconds(median(theirs)),
        ratio=median(theirs) / median(one for one, _ in pairs),
        target="within noise",
        met=None if runs < 3 else not distinct,
    )


def _pair(ours: _Scan, peer: _Scan, code: Path, *, swapped: bool) -> tuple[float, float]:
    if swapped:
        theirs = peer.cpu(code)
        return ours.cpu(code), theirs
    return ours.cpu(code), peer.cpu(code)
