"""Verify that Checkov loads and runs both checks, by scanning a key that fails them."""

from __future__ import annotations

import json
import os
import re
import shlex
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ..escape import path_text, short
from . import scanner_run
from .scanner_run import Run, Verification

CHECKS: Final = frozenset({"CKV_KEYSWEEP_001", "CKV_KEYSWEEP_002"})

FAILING: Final = """\
resource "aws_kms_key" "keysweep_verify" {
  is_enabled              = false
  deletion_window_in_days = 5
}
"""
"""Terraform code with a disabled key, and a waiting period that AWS does not accept."""


def verify(program: Path, checks: Path, config: Path | None) -> Verification:
    """Verify the folder `checks` passed as an option, or the folders that `config` names.

    `config` is a `.checkov.yaml`. As in Checkov, its relative paths start at the current folder.
    """
    with tempfile.TemporaryDirectory(prefix="keysweep-verify-") as temporary:
        work = Path(temporary)
        code = work / "code"
        code.mkdir()
        (code / "main.tf").write_text(FAILING, encoding="utf-8")
        options: list[str | Path] = ["--external-checks-dir", checks]
        if config:
            options = ["--config-file", config]
        command: list[str | Path] = [
            program,
            *options,
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
        text = f"Checkov scanned a key that fails both checks ({done.ended()}), and did not run "
        text += f"{' and '.join(missing)}."
        return Verification(
            "checkov",
            program,
            version,
            passed=False,
            details=(f"{text}\n{done.last_lines()}" if done.errors.strip() else text,),
            fix=_fix(checks, config),
        )
    return Verification(
        "checkov",
        program,
        version,
        passed=True,
        details=(
            f"{' and '.join(sorted(CHECKS))} ran in this Checkov on a key that fails both.",
            f"Run them: {_command(checks, config)}",
            *_unread(Path.cwd()),
        ),
    )


def _unread(folder: Path) -> Iterator[str]:
    """Warn of code below a folder that Checkov 3.3.30 never opens."""
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if name.endswith((".tofu", ".tofu.json")):
                file = short(path_text(os.path.relpath(Path(parent, name), folder)))
                yield (
                    f"Warning: Checkov does not read .tofu files, such as {file}. Fix: also scan "
                    "the plan (tofu show -json)"
                )
                return


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


def _fix(checks: Path, config: Path | None) -> str:
    if config:
        for name in _named_folders(config.read_text(encoding="utf-8", errors="replace")):
            if not Path(name).exists():
                link = shlex.join(["ln", "-sfn", str(checks), name])
                return f"{name}, which {config} names, is not there. Run: {link}"
        return f"{config} must name this folder under external-checks-dir: {checks}"
    return (
        "Checkov 3.3.30 can load the folder. See its output above, and check that "
        f"{checks} is complete"
    )


def _named_folders(config: str) -> list[str]:
    """The folders under external-checks-dir; a YAML list of plain names, in either style."""
    lists = re.findall(
        r"^external-checks-dir:[ \t]*(\[[^\]]*\]|(?:#.*)?(?:\n[ \t]*-.*)+)", config, re.MULTILINE
    )
    plain = re.compile(r"""(?:^[ \t]*-[ \t]+|[\[,]\s*)["']?([^"'\s,\[\]#]+)""", re.MULTILINE)
    return [name for one in lists for name in plain.findall(one)]


def _command(checks: Path, config: Path | None) -> str:
    options = ["--config-file", str(config)] if config else ["--external-checks-dir", str(checks)]
    return shlex.join(["checkov", "--directory", ".", *options])
