"""What is installed: exactly the tracked files, nothing that moves another package."""

from __future__ import annotations

import configparser
import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest
import release

ROOT = Path(__file__).parents[2]


def test_the_wheel_holds_the_tracked_files_and_no_others(wheel: Path) -> None:
    assert release.files_of(wheel) == release.tracked_as_installed()


def test_the_distribution_requires_nothing_without_the_extra() -> None:
    required = importlib.metadata.requires("keysweep") or []
    assert {line for line in required if "extra ==" not in line} == set()


def test_every_prowler_entry_point_names_a_check_folder() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    lines = config["options.entry_points"]["prowler.checks.aws"].strip().splitlines()
    named = dict(line.replace(" ", "").split("=") for line in lines)
    folders = {path.parent.name for path in (ROOT / "checks/prowler").glob("*/*.metadata.json")}
    assert named == {name: f"keysweep.services.kms.{name}.{name}" for name in folders}


def _frozen(uv: str, python: Path) -> set[str]:
    done = subprocess.run(
        [uv, "pip", "freeze", "-p", str(python)], capture_output=True, text=True, check=True
    )
    return set(done.stdout.splitlines())


@pytest.mark.sample
def test_installing_the_pack_moves_nothing_in_prowlers_environment(
    wheel: Path, uv: str, tmp_path: Path
) -> None:
    python = tmp_path / "venv" / "bin" / "python"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    subprocess.run([uv, "venv", "-q", "-p", version, str(python.parents[1])], check=True)
    install = [uv, "pip", "install", "-q", "-p", str(python)]
    subprocess.run([*install, "prowler==5.46.0"], check=True)
    before = _frozen(uv, python)
    subprocess.run([*install, str(wheel)], check=True)
    after = _frozen(uv, python)
    assert before <= after
    assert {line.split("@")[0].strip() for line in after - before} == {"keysweep"}


def _bare(uv: str, wheel: Path, folder: Path) -> Path:
    python = folder / "venv" / "bin" / "python"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    subprocess.run([uv, "venv", "-q", "-p", version, str(python.parents[1])], check=True)
    subprocess.run([uv, "pip", "install", "-q", "-p", str(python), str(wheel)], check=True)
    return python.with_name("keysweep")


def test_without_its_libraries_the_command_names_what_to_install(
    wheel: Path, uv: str, tmp_path: Path
) -> None:
    keysweep = _bare(uv, wheel, tmp_path)
    for arguments in (["plan", "results.json"], ["--help"], []):
        done = subprocess.run([keysweep, *arguments], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("keysweep: ")
        assert done.stderr.endswith(" pipx install 'keysweep[remediation]'\n")
        assert done.stderr.count("\n") == 1


def test_without_its_libraries_the_command_knows_its_folders(
    wheel: Path, uv: str, tmp_path: Path
) -> None:
    keysweep = _bare(uv, wheel, tmp_path)
    done = subprocess.run([keysweep, "path", "prowler"], capture_output=True, text=True, check=True)
    folders = {path.name for path in Path(done.stdout.strip()).iterdir() if path.is_dir()}
    tracked = {path.name for path in (ROOT / "checks/prowler").iterdir() if path.is_dir()}
    assert folders - {"__pycache__"} == tracked - {"__pycache__"}
    wrong = subprocess.run([keysweep, "path", "nothing"], capture_output=True, check=False)
    assert wrong.returncode == 2
