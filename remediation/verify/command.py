"""`keysweep verify`: parse the command line, verify each scanner, print the results."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from ..parameters import DIAGNOSTICS, Parameter
from ..paths import folder
from . import checkov, prowler
from .scanner_run import Verification, find

PASSED, FAILED, BAD_USAGE, STOPPED = 0, 1, 2, 130
"""Exit codes. BAD_USAGE also if no scanner is found; STOPPED as in shells."""

PARAMETERS: Final[tuple[Parameter, ...]] = (
    (
        ("scanner",),
        {
            "nargs": "?",
            "choices": ("prowler", "checkov"),
            "help": "Scanner to verify. Default: every scanner found.",
        },
    ),
    *(
        (
            (f"--{name}",),
            {"metavar": "PATH", "help": f"The {name} to verify. Default: the one on PATH."},
        )
        for name in ("prowler", "checkov")
    ),
    (
        ("-x", "--checks-folder"),
        {
            "nargs": "?",
            "const": "",
            "metavar": "FOLDER",
            "help": "Verify `prowler aws -x FOLDER` instead of the installed package, for older "
            "Prowlers. Default: the folder of `keysweep path prowler`.",
        },
    ),
    (
        ("--config-file",),
        {
            "type": Path,
            "metavar": "FILE",
            "help": "Verify the folder of checks that this .checkov.yaml names.",
        },
    ),
    (("--format",), {"choices": ("table", "json"), "default": "table", "help": "Output format."}),
    *DIAGNOSTICS,
)

ABOUT: Final = (
    "Verify that a scanner runs the checks: scan a sample that fails them, and read the results. "
    "Uses none of your accounts and settings. "
    "Exit codes: 0 passed, 1 failed (with what to do), 2 no scanner found, or bad usage."
)
EXAMPLE: Final = "keysweep verify prowler --prowler ~/.local/bin/prowler"
"""Texts of the help."""


def main(arguments: list[str]) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="keysweep verify",
        description=ABOUT,
        epilog=f"example: {EXAMPLE}",
    )
    for names, settings in PARAMETERS:
        parser.add_argument(*names, **settings)
    options = parser.parse_args(arguments)
    try:
        return _verify(options)
    except KeyboardInterrupt:
        sys.stderr.write("keysweep: Interrupted. Nothing was verified.\n")
        return STOPPED


def _verify(options: argparse.Namespace) -> int:
    names = [options.scanner] if options.scanner else ["prowler", "checkov"]
    programs = {name: find(name, getattr(options, name)) for name in names}
    found = {name: program for name, program in programs.items() if program}
    required = [name for name in names if getattr(options, name) or options.scanner]
    absent = [name for name in required if name not in found] or ([] if found else names)
    if absent:
        programs_named = " or ".join(getattr(options, name) or name for name in absent)
        options_named = " or ".join(f"--{name} PATH" for name in absent)
        sys.stderr.write(
            f"keysweep: {programs_named} not found. Fix: name its path with {options_named}\n"
        )
        return BAD_USAGE
    checks_folder = options.checks_folder
    given = None if checks_folder is None else Path(checks_folder or folder("prowler")).absolute()
    named = (
        ("-x", "folder of checks", os.path.isdir, given),
        ("--config-file", "file", os.path.isfile, options.config_file),
    )
    for option, what, is_there, path in named:
        if path is not None and not is_there(path):
            sys.stderr.write(
                f"keysweep: {path} not found. Fix: give an existing {what}, or omit {option}\n"
            )
            return BAD_USAGE
    verifiers: dict[str, Callable[[Path], Verification]] = {
        "prowler": lambda program: prowler.verify(program, Path(folder("prowler")), given),
        "checkov": lambda program: checkov.verify(
            program, Path(folder("checkov")), options.config_file
        ),
    }
    verifications = []
    for name, program in found.items():
        if sys.stderr.isatty():
            sys.stderr.write(f"keysweep: Running {program}. This may take half a minute.\n")
        verifications.append(verifiers[name](program))
    sys.stdout.write(
        _as_json(verifications) if options.format == "json" else _as_table(verifications)
    )
    return PASSED if all(one.passed for one in verifications) else FAILED


def _as_table(verifications: list[Verification]) -> str:
    lines = []
    for one in verifications:
        version = f" {one.version}" if one.version else ""
        outcome = "passed" if one.passed else "FAILED"
        lines += [f"{one.scanner}{version} ({one.program}): {outcome}"]
        lines += [f"  {sentence}" for sentence in one.details]
        lines += [f"  Fix: {one.fix}"] if one.fix else []
    return "\n".join(lines) + "\n"


def _as_json(verifications: list[Verification]) -> str:
    rows = [
        {
            "scanner": one.scanner,
            "program": str(one.program),
            "version": one.version,
            "passed": one.passed,
            "details": list(one.details),
            "fix": one.fix,
        }
        for one in verifications
    ]
    return json.dumps({"results": rows}, indent=2) + "\n"
