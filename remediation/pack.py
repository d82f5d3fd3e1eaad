"""Where the pack lies, and whether the scanners run it: `keysweep path` and `keysweep verify`.

Standard library only: both are answered in a scanner's environment too.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from . import verify, verify_checkov, verify_prowler

FOLDERS: Final = {
    "checkov": "keysweep.checkov",
    "prowler": "keysweep.services.kms",
    "policies": "keysweep.policies",
}
"""What `keysweep path` knows, and the installed package that holds it."""

PROVEN, NOT_PROVEN, BAD_USAGE, STOPPED = 0, 1, 2, 130
"""Exit codes of `keysweep verify`; BAD_USAGE also without a scanner, STOPPED is a shell's own."""


def folder(name: str) -> str:
    """The installed folder to hand to a scanner."""
    spec = importlib.util.find_spec(FOLDERS[name])
    if spec is None or not spec.submodule_search_locations:
        sys.exit(f"keysweep: {FOLDERS[name]} is not installed; reinstall keysweep")
    return next(iter(spec.submodule_search_locations))


def main(arguments: list[str]) -> int:
    """Answer `path` or `verify`; returns the exit code."""
    options = _parser().parse_args(arguments)
    if options.command == "path":
        sys.stdout.write(folder(options.part) + "\n")
        return 0
    try:
        return _verify(options)
    except KeyboardInterrupt:
        sys.stderr.write("keysweep: stopped; nothing is proven\n")
        return STOPPED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="keysweep")
    commands = parser.add_subparsers(dest="command", required=True)
    path = commands.add_parser("path", help="folder to hand to the scanner")
    path.add_argument("part", choices=sorted(FOLDERS))
    verify_parser = commands.add_parser(
        "verify",
        help="prove that the scanners here run the checks",
        description="Runs the scanner on something made for this purpose that fails the checks, "
        "and reads its results. No account and no settings of yours are used. "
        "Exit codes: 0 proven, 1 not proven (and what to do), 2 no scanner found, or bad usage.",
    )
    verify_parser.add_argument(
        "scanner", nargs="?", choices=("prowler", "checkov"), help="default: those that are found"
    )
    for name in ("prowler", "checkov"):
        verify_parser.add_argument(
            f"--{name}", metavar="PATH", help=f"the {name} to ask; default: the one on PATH"
        )
    verify_parser.add_argument(
        *("-x", "--checks-folder"),
        nargs="?",
        const="",
        metavar="FOLDER",
        help="prove `prowler aws -x FOLDER` instead of the installed package, as older Prowlers "
        "need it; default: the folder of `keysweep path prowler`",
    )
    verify_parser.add_argument(
        "--config-file",
        metavar="FILE",
        type=Path,
        help="prove the checks' folder that this .checkov.yaml names",
    )
    verify_parser.add_argument("--format", choices=("table", "json"), default="table")
    return parser


def _verify(options: argparse.Namespace) -> int:
    wanted = [options.scanner] if options.scanner else ["prowler", "checkov"]
    programs = {name: verify.find(name, getattr(options, name)) for name in wanted}
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
    for path in filter(None, (given, options.config_file)):
        if not path.exists():
            sys.stderr.write(f"keysweep: {path} does not exist\n")
            return BAD_USAGE
    provers: dict[str, Callable[[Path], verify.Proof]] = {
        "prowler": lambda program: verify_prowler.prove(program, Path(folder("prowler")), given),
        "checkov": lambda program: verify_checkov.prove(
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


def _as_text(proofs: list[verify.Proof]) -> str:
    lines = []
    for proof in proofs:
        version = f" {proof.version}" if proof.version else ""
        outcome = "proven" if proof.proven else "NOT PROVEN"
        lines += [f"{proof.scanner}{version} ({proof.program}): {outcome}"]
        lines += [f"  {sentence}" for sentence in proof.says]
        lines += [f"  To mend: {proof.mend}"] if proof.mend else []
    return "\n".join(lines) + "\n"


def _as_json(proofs: list[verify.Proof]) -> str:
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
