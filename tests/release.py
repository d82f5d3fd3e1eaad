"""What a release would upload, and whether it may: builds, checks, installs; uploads nothing.

`make dist` runs `python -P tests/release.py`. A release is a version in setup.cfg, the section of
CHANGELOG.md that says `## VERSION (YYYY-MM-DD)` on top, and the tag `vVERSION` of the commit.
"""

from __future__ import annotations

import configparser
import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]

INSTALLED_AS = {
    "checks/prowler": "keysweep/services/kms",
    "checks/checkov": "keysweep/checkov",
    "policies": "keysweep/policies",
    "remediation": "keysweep/remediation",
}
"""Where the wheel puts a folder of the repository."""

UNRELEASED = "Unreleased"


@dataclass(frozen=True)
class State:
    """What the repository says about a release."""

    version: str
    """Of setup.cfg."""
    section: str
    """The heading of CHANGELOG.md's top section, without the hashes."""
    tags_here: frozenset[str]
    """Version tags of the commit that is checked out."""
    tags: frozenset[str]
    """All version tags."""
    uncommitted: tuple[str, ...] = ()


def tracked_as_installed() -> set[str]:
    """Return the names that the tracked files have in the wheel."""
    names = set()
    for path in filter(None, _git("ls-files", "-z", *INSTALLED_AS).split("\0")):
        source = next(source for source in INSTALLED_AS if path.startswith(f"{source}/"))
        names.add(INSTALLED_AS[source] + path.removeprefix(source))
    return names


def files_of(wheel: Path) -> set[str]:
    """Return the names of the files in a wheel, without its own records."""
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def contradictions(state: State) -> list[str]:
    """Return a sentence for each thing that no commit may say, in a release or between two."""
    tag, found = f"v{state.version}", []
    heading = _heading(state.section)
    if heading is None:
        found.append(
            f"CHANGELOG.md's top section is '{state.section}'; "
            f"it has to be '{UNRELEASED}' or '{state.version} (YYYY-MM-DD)'"
        )
    elif heading not in {UNRELEASED, state.version}:
        found.append(f"CHANGELOG.md's top section is of {heading}, setup.cfg says {state.version}")
    if tag in state.tags - state.tags_here and heading == UNRELEASED:
        found.append(
            f"{state.version} is released ({tag} is an earlier commit): raise it in setup.cfg"
        )
    elif tag in state.tags - state.tags_here:
        found.append(f"the tag {tag} is another commit's")
    found += [
        f"the tag {other} is here, and setup.cfg says {state.version}"
        for other in sorted(state.tags_here - {tag})
    ]
    if state.tags_here and heading == UNRELEASED:
        found.append(f"the commit is tagged, and CHANGELOG.md's top section is '{UNRELEASED}'")
    return found


def left_to_do(state: State) -> list[str]:
    """Return what this commit lacks to be a release; nothing when it is one."""
    left = []
    if _heading(state.section) == UNRELEASED:
        left.append(
            f"in CHANGELOG.md name the top section '{state.version} (YYYY-MM-DD)' "
            f"instead of '{UNRELEASED}'"
        )
    if state.uncommitted:
        left.append(f"commit what differs: {', '.join(state.uncommitted)}")
    if f"v{state.version}" not in state.tags_here:
        left.append(f"tag the commit: git tag --annotate v{state.version}")
    return left


def read_state() -> State:
    """Read the repository."""
    config = configparser.ConfigParser()
    config.read(REPOSITORY / "setup.cfg", encoding="utf-8")
    changelog = (REPOSITORY / "CHANGELOG.md").read_text("utf-8")
    return State(
        version=config["metadata"]["version"],
        section=next(iter(re.findall(r"^## (.+)$", changelog, re.MULTILINE)), "nothing"),
        tags_here=_tags("--points-at", "HEAD"),
        tags=_tags(),
        uncommitted=tuple(
            line[3:] for line in _git("status", "--porcelain").splitlines() if line.strip()
        ),
    )


def _heading(section: str) -> str | None:
    found = re.fullmatch(rf"({UNRELEASED})|(\d\S*) \(\d{{4}}-\d\d-\d\d\)", section)
    return (found[1] or found[2]) if found else None


def _tags(*options: str) -> frozenset[str]:
    return frozenset(_git("tag", "--list", "v[0-9]*", *options).split())


def _git(*arguments: str) -> str:
    return _run("git", *arguments)


def _run(*command: str | Path) -> str:
    done = subprocess.run(
        command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, encoding="utf-8", check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed ({done.returncode})\n{done.stdout}")
    return done.stdout


def _build(folder: Path) -> list[Path]:
    """Build the sdist, and from it the wheel, since a leftover `build/` is in neither then."""
    shutil.rmtree(folder, ignore_errors=True)
    _run(sys.executable, "-m", "build", "--outdir", folder)
    built = sorted(folder.iterdir())
    _run(sys.executable, "-m", "twine", "check", "--strict", *built)
    return built


def _differences(wheel: Path) -> list[str]:
    held, tracked = files_of(wheel), tracked_as_installed()
    return [
        *(f"the wheel lacks {name}" for name in sorted(tracked - held)),
        *(f"the wheel holds {name}, which git does not track" for name in sorted(held - tracked)),
    ]


def _installed_version(wheel: Path) -> str:
    """Install the wheel as users do, in an environment of its own; return what it says."""
    with tempfile.TemporaryDirectory() as folder:
        _run(sys.executable, "-m", "venv", folder)
        programs = Path(folder) / "bin"
        install = [programs / "pip", "install", "--quiet", "--disable-pip-version-check"]
        _run(*install, f"{wheel}[remediation]")
        return _run(programs / "keysweep", "--version").strip()


def _say(title: str, lines: Iterable[str]) -> None:
    print(title, *(f"  {line}" for line in lines), sep="\n", flush=True)


def main() -> int:
    """Return 0 when what was built is whole and says one version, whether a release or not."""
    state = read_state()
    built = _build(REPOSITORY / "dist")
    [wheel] = [path for path in built if path.suffix == ".whl"]
    wrong = [*contradictions(state), *_differences(wheel)]
    says = _installed_version(wheel)
    if says.split()[:2] != ["keysweep", state.version]:
        wrong.append(f"installed, it says '{says}', and setup.cfg {state.version}")
    _say(
        "A release of this commit would upload (nothing is uploaded here):",
        (
            f"{path.name}  {path.stat().st_size} bytes  "
            f"sha256 {hashlib.sha256(path.read_bytes()).hexdigest()}"
            for path in built
        ),
    )
    _say("Installed with its libraries, it says:", [says])
    if wrong:
        _say("This must not be released:", wrong)
        return 1
    if left := left_to_do(state):
        _say(f"Before it is {state.version}:", left)
    else:
        print(f"This commit is {state.version}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
