"""Where the pages' commands run: a checkout or a repository of code, and the scenario of the demo.

What a reader has installed is really there: the scanners, the command, AWS's command line, pipx and
uv. Packages come from the package index, and Keysweep itself from the wheel under test.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from doc_pages import ROOT, blocks

from embedded_aws.process import EmbeddedAws

SHOP = "111122223333"
STAND_INS = Path(__file__).with_name("stand_ins")


@dataclass(frozen=True)
class Setting:
    """The folder that a page's commands start in, and their environment."""

    folder: Path
    environment: dict[str, str]
    aws: EmbeddedAws


def _program(variable: str) -> Path:
    path = Path(os.environ.get(variable, ""))
    assert path.is_file(), f"no {variable}: run these tests with `make test-docs`"
    return path


@pytest.fixture(scope="session")
def wheels() -> Path:
    """The folder with the wheel under test, and no other."""
    wheels = [Path(p) for p in os.environ.get("TOX_PACKAGE", "").split(os.pathsep) if p]
    assert wheels, "no wheel was built: run these tests with `make test-docs`"
    return wheels[0].parent


@pytest.fixture(scope="session")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prowler's runs so far: the same command on the same scenario is scanned once."""
    return tmp_path_factory.mktemp("scans")


@pytest.fixture(scope="session")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the programs that pages name, for PATH."""
    folder = tmp_path_factory.mktemp("commands")
    programs = {
        "checkov": _program("KEYSWEEP_CHECKOV"),
        "keysweep": Path(sys.executable).with_name("keysweep"),
        "pytest": Path(sys.executable).with_name("pytest"),
        "uv": _program("KEYSWEEP_UV"),
        "aws": _program("KEYSWEEP_AWS"),
        "pipx": _program("KEYSWEEP_AWS").with_name("pipx"),
        **{path.name: path for path in STAND_INS.iterdir() if path.suffix != ".py"},
    }
    for name, path in programs.items():
        (folder / name).symlink_to(path)
    prowler = _program("KEYSWEEP_PROWLER")
    once = (STAND_INS / "prowler_once.py").read_text(encoding="utf-8")
    (folder / "prowler").write_text(f"#!{prowler.with_name('python')}\n{once}", encoding="utf-8")
    (folder / "prowler").chmod(0o755)
    return folder


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory, wheels: Path) -> dict[str, str]:
    """A home in which installers find the wheel under test, with a virtual environment."""
    home = tmp_path_factory.mktemp("installed")
    uv = _program("KEYSWEEP_UV")
    cache = subprocess.run([uv, "cache", "dir"], capture_output=True, text=True, check=True)
    environment = {
        "HOME": str(home),
        "PIPX_HOME": str(home / "pipx"),
        "PIPX_BIN_DIR": str(home / "bin"),
        "PIPX_DEFAULT_BACKEND": "uv",
        "PIP_FIND_LINKS": str(wheels),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "UV_CACHE_DIR": cache.stdout.strip(),
        "UV_FIND_LINKS": str(wheels),
        "UV_TOOL_DIR": str(home / "tools"),
        "UV_TOOL_BIN_DIR": str(home / "tools" / "bin"),
    }
    subprocess.run([uv, "venv", "-q", "--seed", home / "venv"], check=True)
    return environment


@pytest.fixture(scope="session")
def scanners_by_pipx(installed: dict[str, str], commands: Path) -> None:
    """The scanners as pipx has installed them, for those who inject something into them."""
    path = os.pathsep.join([str(commands), os.environ["PATH"]])
    for scanner in ("prowler", "checkov"):
        pinned = (ROOT / "tests" / f"requirements-{scanner}.txt").read_text(encoding="utf-8")
        [package] = re.findall(rf"^{scanner}==\S+$", pinned, re.MULTILINE)
        subprocess.run(
            ["pipx", "install", "-q", package],
            env={**os.environ, **installed, "PATH": path},
            check=True,
        )


@pytest.fixture(scope="session")
def fork(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A contributor's checkout, with the environment that CONTRIBUTING.md begins with."""
    folder = tmp_path_factory.mktemp("fork") / "keysweep"
    _check_out(folder)
    for command in (
        ("git", "init", "-q"),
        ("git", "add", "."),
        ("git", "-c", "user.name=n", "-c", "user.email=n@localhost", "commit", "-q", "-m", "all"),
        ("make", "dev"),
    ):
        subprocess.run(command, cwd=folder, check=True, env=_without_tox())
    return folder


def _without_tox() -> dict[str, str]:
    """The environment of a user who does not run these tests."""
    ours = ("AWS_", "KEYSWEEP_", "TOX", "VIRTUAL_ENV", "PYTEST", "MAKE", "MFLAGS")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


@pytest.fixture
def setting(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    commands: Path,
    scans: Path,
    installed: dict[str, str],
) -> Iterator[Setting]:
    """A checkout, or the folder of a user who has Keysweep installed and their own code."""
    page, start = request.param
    folder = request.getfixturevalue("fork") if start == "fork" else tmp_path / "page"
    if any("pipx" in block.text for block in blocks(page)):
        request.getfixturevalue("scanners_by_pipx")
    if start == "checkout":
        _check_out(folder)
    elif start == "scenario":
        shutil.copytree(ROOT / "examples" / "code", folder)
        shutil.copytree(ROOT / "examples" / "states", folder / "states")
        shutil.copytree(ROOT / "examples" / "checkov", folder, dirs_exist_ok=True)
        subprocess.run(["git", "init", "-q", folder], check=True)
    with EmbeddedAws(ROOT / "examples" / "scenario.yaml") as aws:
        environment = {
            **_without_tox(),
            **installed,
            **aws.environment(SHOP),
            "PATH": os.pathsep.join(
                [str(commands), f"{installed['HOME']}/venv/bin", os.environ["PATH"]]
            ),
            "PYTHONSAFEPATH": "1",
            "DOCS_ENDPOINT": aws.endpoint,
            "DOCS_SCANS": str(scans),
            "DOCS_PROWLER": str(_program("KEYSWEEP_PROWLER")),
        }
        if start == "checkout":
            # The environments are built: what tox would do has been done by `make test-docs`.
            environment["MAKEFLAGS"] = " -- TOX=true"
        yield Setting(folder, environment, aws)


def _check_out(folder: Path) -> None:
    """The tracked files as they are now, beside the environments that are built already."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.decode()
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)  # make looks at the times
    # Folders of the page's own, so that nothing that it does reaches the environments it runs in.
    for name in (".tox/command", ".tox/prowler", ".tox/checkov", ".venv/bin"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).symlink_to(ROOT / name)
    (folder / ".venv" / ".ready").touch()
