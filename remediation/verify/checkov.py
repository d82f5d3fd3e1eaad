"""Proves that a Checkov loads both checks and that they fire: it scans a key that fails them."""

from __future__ import annotations

import json
import shlex
import tempfile
from pathlib import Path
from typing import Final

from . import scanner_run
from .scanner_run import Proof, Run

CHECKS: Final = frozenset({"CKV_KEYSWEEP_001", "CKV_KEYSWEEP_002"})

FAILING: Final = """\
resource "aws_kms_key" "keysweep_verify" {
  is_enabled              = false
  deletion_window_in_days = 5
}
"""
"""Terraform with a disabled key, and a waiting period that AWS does not take."""


def prove(program: Path, pack: Path, config: Path | None) -> Proof:
    """Prove the folder `pack` handed over by option, or the folders that `config` names.

    `config` is a `.checkov.yaml`; its relative paths start at the current folder, as Checkov
    takes them. Takes as long as a scan of Checkov's.
    """
    with tempfile.TemporaryDirectory(prefix="keysweep-verify-") as temporary:
        work = Path(temporary)
        code = work / "code"
        code.mkdir()
        (code / "main.tf").write_text(FAILING, encoding="utf-8")
        handed: list[str | Path] = ["--external-checks-dir", pack]
        if config:
            handed = ["--config-file", config]
        command: list[str | Path] = [
            program,
            *handed,
            "--directory",
            code,
            "--framework",
            "terraform",
        ]
        command += ["--output", "json", "--skip-download"]
        where = Path.cwd() if config else work
        done = scanner_run.run(command, where, scanner_run.environment(work, {}))
    version, fired = _fired(done)
    missing = sorted(CHECKS - fired)
    if missing:
        says = f"Checkov scanned a key that fails both checks ({done.ended()}), and did not run "
        says += f"{' and '.join(missing)}."
        return Proof(
            "checkov",
            program,
            version,
            proven=False,
            says=(says + f"\n{done.last_words()}" if done.errors.strip() else says,),
            mend=_mend(pack, config),
        )
    return Proof(
        "checkov",
        program,
        version,
        proven=True,
        says=(
            f"{' and '.join(sorted(CHECKS))} were run by this Checkov on a key that fails both.",
            f"Run them: {_command(pack, config)}",
        ),
    )


def _fired(done: Run) -> tuple[str, set[str]]:
    """Checkov's version, and which checks failed the key."""
    try:
        report = json.loads(done.output)
        failed = report.get("results", {}).get("failed_checks", [])
        version = report.get("summary", report).get("checkov_version", "")
        return str(version), {
            record["check_id"]
            for record in failed
            if record["resource"] == "aws_kms_key.keysweep_verify"
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        return "", set()


def _mend(pack: Path, config: Path | None) -> str:
    if config:
        return f"{config} must name this folder under external-checks-dir: {pack}"
    return (
        "Checkov 3.3.30 is known to load the folder; see what it says above, and whether "
        f"{pack} is whole"
    )


def _command(pack: Path, config: Path | None) -> str:
    handed = ["--config-file", str(config)] if config else ["--external-checks-dir", str(pack)]
    return shlex.join(["checkov", "--directory", ".", *handed])
