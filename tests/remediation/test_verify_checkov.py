"""`keysweep verify checkov`: both checks load and fire in the Checkov at hand, a real one."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from keysweep.remediation import paths, standalone
from keysweep.remediation.verify import checkov as verify_checkov

EXAMPLE = Path(__file__).parents[2] / "examples" / "checkov" / ".checkov.yaml"
BOTH = "CKV_KEYSWEEP_001 and CKV_KEYSWEEP_002"


@pytest.fixture(scope="session")
def checkov() -> Path:
    """The real scanner, in the environment that `make` builds first."""
    path = Path(os.environ.get("KEYSWEEP_CHECKOV", ""))
    assert path.is_file(), "no checkov: run these tests with `make test`"
    return path


def ask(
    capsys: pytest.CaptureFixture[str], checkov: Path, *options: str
) -> tuple[int, dict[str, Any]]:
    """Run the command; returns the exit code and the one result."""
    arguments = ["verify", "checkov", "--checkov", str(checkov), "--format", "json"]
    code = standalone.main([*arguments, *options])
    [result] = json.loads(capsys.readouterr().out)["results"]
    assert (code == 0) == result["passed"] == (result["fix"] == "")
    return code, result


def test_both_checks_fire_whatever_the_users_own_settings_are(
    checkov: Path,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / ".checkov.yaml").write_text("skip-check: [CKV_KEYSWEEP_001]\n", encoding="utf-8")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CKV_FRAMEWORK", "ansible")
    monkeypatch.chdir(tmp_path)
    code, result = ask(capsys, checkov)
    assert code == 0, result
    assert result["version"] == "3.3.30"
    assert result["details"][0].startswith(BOTH)
    assert f"--external-checks-dir {paths.folder('checkov')}" in result["details"][1]


@pytest.mark.sample
def test_a_configuration_file_passes_or_fails_with_a_fix(
    checkov: Path,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The example needs a link, which is easily forgotten, and then Checkov says nothing."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "checkov.yaml").write_text(EXAMPLE.read_text("utf-8"), encoding="utf-8")
    code, result = ask(capsys, checkov, "--config-file", "checkov.yaml")
    assert code == 1
    assert f"did not run {BOTH}" in result["details"][0]
    assert paths.folder("checkov") in result["fix"]
    (tmp_path / ".keysweep").symlink_to(paths.folder("checkov"))
    code, result = ask(capsys, checkov, "--config-file", "checkov.yaml")
    assert code == 0
    assert "--config-file checkov.yaml" in result["details"][1]


def test_code_that_checkov_does_not_read_is_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = tmp_path / "code" / "prod"
    code.mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "code")
    checkov = made(
        tmp_path / "checkov", [{"check_id": one, "resource": KEY} for one in (ONE, OTHER)]
    )
    (code / "main.tf").touch()
    (tmp_path / "code" / ".terraform").mkdir()
    (tmp_path / "code" / ".terraform" / "main.tofu").touch()
    assert len(ask(capsys, checkov)[1]["details"]) == 2
    (code / "keys.tofu").touch()
    done, result = ask(capsys, checkov)
    assert done == 0
    assert f"{Path('prod', 'keys.tofu')}. Fix: " in result["details"][2]


def made(path: Path, failed: list[dict[str, str]], **report: Any) -> Path:
    """A Checkov that reports this."""
    text = json.dumps({"results": {"failed_checks": failed}, **report})
    path.write_text(f"#!/bin/sh\ncat <<'END'\n{text}\nEND\nexit 1\n", encoding="utf-8")
    path.chmod(0o755)
    return path


KEY = "aws_kms_key.keysweep_verify"
ONE, OTHER = sorted(verify_checkov.CHECKS)
DOES_NOT_PROVE: dict[str, list[dict[str, str]]] = {
    "nothing": [],
    "one of two": [{"check_id": ONE, "resource": KEY}],
    "another key": [{"check_id": one, "resource": "aws_kms_key.x"} for one in (ONE, OTHER)],
    "other checks": [{"check_id": "CKV_AWS_227", "resource": KEY}],
    "records without resource": [{"check_id": ONE}],
}


@pytest.mark.parametrize("failed", DOES_NOT_PROVE.values(), ids=DOES_NOT_PROVE.keys())
def test_verify_fails_unless_both_checks_report_the_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], failed: list[dict[str, str]]
) -> None:
    code, result = ask(capsys, made(tmp_path / "checkov", failed))
    assert code == 1
    assert OTHER in result["details"][0]


@pytest.mark.parametrize("output", ["", "[]", "null", "no JSON", '{"passed": 0}'])
def test_a_checkov_without_a_report_fails_verify(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], output: str
) -> None:
    checkov = made(tmp_path / "checkov", [])
    checkov.write_text(f"#!/bin/sh\necho '{output}'\necho Sorry >&2\n", encoding="utf-8")
    code, result = ask(capsys, checkov)
    assert code == 1
    assert f"did not run {BOTH}" in result["details"][0]
    assert "    | Sorry" in result["details"][0]


@pytest.mark.parametrize(
    "folders",
    [
        "external-checks-dir:\n  - .keysweep\ncheck:\n  - CKV_KEYSWEEP_001\n",
        "external-checks-dir: ['.keysweep', other]\n",
        'check: [x]\nexternal-checks-dir: # ours\n- other\n- ".keysweep"\n',
    ],
)
def test_a_missing_or_dangling_link_comes_with_its_command(
    folders: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other").mkdir()
    (tmp_path / "c.yaml").write_text(folders, encoding="utf-8")
    checkov = made(tmp_path / "checkov", [])
    link = f"ln -sfn {paths.folder('checkov')} .keysweep"
    for target in (None, "nowhere"):
        if target is not None:
            (tmp_path / ".keysweep").symlink_to(target)
        _, result = ask(capsys, checkov, "--config-file", "c.yaml")
        assert result["fix"].endswith(link)
    (tmp_path / ".keysweep").unlink()
    (tmp_path / ".keysweep").mkdir()
    _, result = ask(capsys, checkov, "--config-file", "c.yaml")
    assert "ln -sfn" not in result["fix"]
