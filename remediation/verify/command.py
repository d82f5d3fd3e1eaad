"""`keysweep verify` itself: which scanners to ask, what to ask them, and how the answer is told.

Standard library only, as in the modules that do the asking.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from ..parameters import DIAGNOSTICS, Parameter
from ..paths import folder
from . import checkov, prowler
from .scanner_run import Proof, find

PROVEN, NOT_PROVEN, BAD_USAGE, STOPPED = 0, 1, 2, 130
"""Exit codes; BAD_USAGE also without a scanner, STOPPED is a shell's own."""

PARAMETERS: Final[tuple[Parameter, ...]] = (
    (
        ("scanner",),
        {
            "nargs": "?",
            "choices": ("prowler", "checkov"),
            "help": "default: those that are found",
        },
    ),
    *(
        (
            (f"--{name}",),
            {"metavar": "PATH", "help": f"the {name} to ask; default: the one on PATH"},
        )
        for name in ("prowler", "checkov")
    ),
    (
        ("-x", "--checks-folder"),
        {
            "nargs": "?",
            "const": "",
            "metavar": "FOLDER",
            "help": "prove `prowler aws -x FOLDER` instead of the installed package, as older "
            "Prowlers need it; default: the folder of `keysweep path prowler`",
        },
    ),
    (
        ("--config-file",),
        {
            "type": Path,
            "metavar": "FILE",
            "help": "prove the checks' folder that this .checkov.yaml names",
        },
    ),
    (("--format",), {"choices": ("table", "json"), "default": "table", "help": "how to print"}),
    *DIAGNOSTICS,
)

ABOUT: Final = (
    "Runs the scanner on something made for this purpose that fails the checks, and reads its "
    "results. No account and no settings of yours are used. "
    "Exit codes: 0 proven, 1 not proven (and what to do), 2 no scanner found, or bad usage."
)
EXAMPLE: Final = "keysweep verify prowler --prowler ~/.local/bin/prowler"
"""What the help says besides."""


def main(arguments: list[str]) -> int:
    """Prove what is asked; returns the exit code."""
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
        sys.stderr.write("keysweep: stopped; nothing is proven\n")
        return STOPPED


def _verify(options: argparse.Namespace) -> int:
    wanted = [options.scanner] if options.scanner else ["prowler", "checkov"]
    programs = {name: find(name, getattr(options, name)) for name in wanted}
    found = {name: program for name, program in programs.items() if program}
    demanded = [name for name in wanted if getattr(options, name) or options.scanner]
    absent = [name for name in demanded if name not in found] or ([] if found else wanted)
    if absent:
        programs_named = " or ".join(getattr(options, name) or name for name in absent)
        options_named = " or ".join(f"--{name} PATH" for name in absent)
        sys.stderr.write(
            f"keysweep: no {programs_named} to be run here; say where it is: {options_named}\n"
        )
        return BAD_USAGE
    checks_folder = options.checks_folder
    given = None if checks_folder is None else Path(checks_folder or folder("prowler")).absolute()
    named = (("-x", "folder of checks", given), ("--config-file", "file", options.config_file))
    for option, what, path in named:
        if path is not None and not path.exists():
            sys.stderr.write(
                f"keysweep: {path} does not exist; give an existing {what}, or leave {option} out\n"
            )
            return BAD_USAGE
    provers: dict[str, Callable[[Path], Proof]] = {
        "prowler": lambda program: prowler.prove(program, Path(folder("prowler")), given),
        "checkov": lambda program: checkov.prove(
            program, Path(folder("checkov")), options.config_file
        ),
    }
    proofs = []
    for name, program in found.items():
        if sys.stderr.isatty():
            sys.stderr.write(f"keysweep: asking {program}; this may take half a minute\n")
        proofs.append(provers[name](program))
    sys.stdout.write(_as_json(proofs) if options.format == "json" else _as_text(proofs))
    return PROVEN if all(proof.proven for proof in proofs) else NOT_PROVEN


def _as_text(proofs: list[Proof]) -> str:
    lines = []
    for proof in proofs:
        version = f" {proof.version}" if proof.version else ""
        outcome = "proven" if proof.proven else "NOT PROVEN"
        lines += [f"{proof.scanner}{version} ({proof.program}): {outcome}"]
        lines += [f"  {sentence}" for sentence in proof.says]
        lines += [f"  To mend: {proof.mend}"] if proof.mend else []
    return "\n".join(lines) + "\n"


def _as_json(proofs: list[Proof]) -> str:
    rows = [
        {
            "scanner": proof.scanner,
            "program": str(proof.program),
            "version": proof.version,
            "proven": proof.proven,
            "says": list(proof.says),
            "mend": proof.mend,
        }
        for proof in proofs
    ]
    return json.dumps({"results": rows}, indent=2) + "\n"
