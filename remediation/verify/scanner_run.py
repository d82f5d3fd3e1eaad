"""Find and run a scanner, isolated from the user's settings.

That a scanner lists a check proves nothing: Prowler 5.30.0 to 5.37.0 lists checks of packages but
never runs them, and Checkov is silent about a folder that it cannot load. So each scanner runs as a
process on a sample that fails the checks, and its results are read. Home folder, AWS settings and
scanner settings are empty, so nothing of the user's is read or changed.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import site
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..escape import printable

_log: Final = logging.getLogger(__name__)

SECONDS: Final = 300
"""Time limit of one run. Prowler usually takes 20 seconds, Checkov 5."""

_SETTINGS = ("AWS_", "BC_", "BOTO_", "CHECKOV_", "CKV_", "PRISMA_", "PROWLER_")
_PYTHONS = ("python", "pypy")
_OTHER_SETTINGS = frozenset({"ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "LOG_LEVEL", "NO_PROXY"})


@dataclass(frozen=True)
class Verification:
    """Result for one scanner. `details` are sentences; `fix` is what to do, if anything."""

    scanner: str
    program: Path
    version: str
    passed: bool
    details: tuple[str, ...]
    fix: str = ""


@dataclass(frozen=True)
class Run:
    """A scanner's exit code and output. `code` is None if it was stopped after SECONDS."""

    code: int | None
    output: str
    errors: str

    def last_lines(self, lines: int = 5) -> str:
        """The last lines of its output, without terminal escapes."""
        written = [line.rstrip() for line in (self.output + "\n" + self.errors).splitlines()]
        return "\n".join(f"    | {harmless(line)}" for line in list(filter(None, written))[-lines:])

    def ended(self) -> str:
        """How it ended, as part of a sentence."""
        return f"was stopped after {SECONDS} s" if self.code is None else f"exit {self.code}"


def find(scanner: str, given: str | None) -> Path | None:
    """The scanner's program: the given one, or one on PATH, or one beside this Python."""
    beside = os.pathsep.join([os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent)])
    found = shutil.which(given or scanner, path=beside)
    return Path(found).absolute() if found else None


def interpreter(program: Path) -> Path | None:
    """The Python of a console script: named in its first line, or in the same folder.

    None if it is not a Python script, such as a wrapper in another language.
    """
    with program.open("rb") as file:
        start = file.read(1024)
    if not start.startswith(b"#!"):
        beside = program.resolve().with_name("python.exe" if os.name == "nt" else "python")
        return beside if beside.is_file() else None
    first, _, rest = os.fsdecode(start).partition("\n")
    # A path that is too long for the first line is run through a shell (pip, "distlib" launchers).
    long = re.match(r"""'''exec' (["']?)(.+?)\1 "\$0" """, rest)
    words = [long[2]] if long else first.removeprefix("#!").split()
    if words and Path(words[0]).name == "env":
        words = [word for word in words if Path(word).name.startswith(_PYTHONS)]
    named = words and Path(words[0]).name.startswith(_PYTHONS)
    found = shutil.which(words[0]) if named else None
    return Path(found) if found else None


def environment(home: Path, settings: Mapping[str, str]) -> dict[str, str]:
    """Environment variables for a run that does not read or change the user's settings.

    Packages that are installed for the user alone are still found.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.upper().startswith(_SETTINGS) and name.upper() not in _OTHER_SETTINGS
    }
    return {
        **kept,
        "HOME": str(home),
        "USERPROFILE": str(home),
        "PYTHONUSERBASE": site.getuserbase(),
        "NO_COLOR": "1",
        **settings,
    }


def run(
    command: Sequence[str | Path], folder: Path, variables: Mapping[str, str], given: str = ""
) -> Run:
    """Run a scanner, or its Python. Stops it after SECONDS."""
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=dict(variables),
            input=given,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        _log.debug("%s was stopped after %d s", command[0], SECONDS)
        return Run(None, _text(error.stdout), _text(error.stderr))
    except OSError as error:
        return Run(127, "", f"{command[0]}: {error.strerror}")
    _log.debug("%s ended with %d", command[0], done.returncode)
    return Run(done.returncode, done.stdout, done.stderr)


def harmless(text: str) -> str:
    """The text without colors, and with every other control character escaped."""
    return printable(re.sub(r"\x1b\[[0-9;]*m", "", text))


def _text(output: bytes | str | None) -> str:
    return output.decode("utf-8", "replace") if isinstance(output, bytes) else output or ""
