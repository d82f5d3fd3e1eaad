"""The ways in that users copy: the pre-commit hook, the configuration file, the workflow."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from checkov_cases import REPOSITORY, STATE, WINDOW

EXAMPLES = REPOSITORY / "examples" / "checkov"
SCRIPTS = Path(sys.executable).parent

FAILING = 'resource "aws_kms_key" "archive" {\n  is_enabled              = false\n'
FAILING += "  deletion_window_in_days = 5\n}\n"
PASSING = 'resource "aws_kms_key" "archive" {\n  description = "archive"\n}\n'


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A repository of infrastructure code with one key that both checks fail."""
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "main.tf").write_text(FAILING, encoding="utf-8")
    return folder


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run in the environment of the tests, with a home that holds no configuration."""
    path = os.pathsep.join([str(SCRIPTS), os.environ["PATH"]])
    return subprocess.run(
        command,
        cwd=cwd,
        env={
            **os.environ,
            "PATH": path,
            "HOME": str(cwd.parent),
            "PRE_COMMIT_HOME": str(cwd.parent / "pre-commit"),
        },
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )


@pytest.mark.sample
def test_the_hook_fails_on_a_disabled_key_and_passes_without_one(code: Path) -> None:
    """Run by pre-commit, as it stands in the manifest; only its environment is not built anew."""
    manifest = REPOSITORY / ".pre-commit-hooks.yaml"
    valid = run("pre-commit", "validate-manifest", manifest, cwd=code)
    assert valid.returncode == 0, valid.stderr
    (hook,) = yaml.safe_load(manifest.read_text(encoding="utf-8"))
    assert hook.pop("additional_dependencies") == ["checkov==3.3.30"]
    assert hook.pop("language") == "python"
    config = {"repos": [{"repo": "local", "hooks": [{**hook, "language": "system"}]}]}
    (code / ".pre-commit-config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    run("git", "init", "-q", cwd=code)

    def commit_hook() -> subprocess.CompletedProcess[str]:
        run("git", "add", ".", cwd=code)
        return run("pre-commit", "run", "--color", "never", cwd=code)

    failing = commit_hook()
    assert failing.returncode == 1, failing.stdout + failing.stderr
    assert set(re.findall(r"^Check: (\w+): ", failing.stdout, re.MULTILINE)) == {STATE, WINDOW}
    (code / "main.tf").write_text(PASSING, encoding="utf-8")
    passing = commit_hook()
    assert passing.returncode == 0, passing.stdout + passing.stderr
    assert "Passed" in passing.stdout
    assert ".tofu" not in passing.stdout
    (code / "keys.tofu").touch()
    warned = commit_hook()
    assert warned.returncode == 0, warned.stdout + warned.stderr
    assert "keys.tofu is not read" in warned.stdout


def test_the_example_of_a_using_repository_names_the_hook() -> None:
    text = (EXAMPLES / "pre-commit-config.yaml").read_text(encoding="utf-8")
    (repository,) = yaml.safe_load(text)["repos"]
    manifest = yaml.safe_load((REPOSITORY / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    assert {hook["id"] for hook in repository["hooks"]} == {hook["id"] for hook in manifest}


@pytest.mark.sample
def test_the_configuration_file_loads_the_checks_through_its_link(code: Path) -> None:
    text = (EXAMPLES / ".checkov.yaml").read_text(encoding="utf-8")
    (code / ".checkov.yaml").write_text(text, encoding="utf-8")
    (link,) = [line.lstrip("# ") for line in text.splitlines() if line.startswith("#   ln ")]
    assert run("sh", "-c", link, cwd=code).returncode == 0
    finished = run("checkov", "--directory", ".", "--output", "json", cwd=code)
    assert finished.returncode == 1, finished.stderr
    assert failed_ids(json.loads(finished.stdout)) == {STATE, WINDOW}


@pytest.mark.sample
def test_the_scan_of_the_workflow_leaves_the_results_that_its_next_steps_take(code: Path) -> None:
    workflow = yaml.safe_load((EXAMPLES / "workflow.yaml").read_text(encoding="utf-8"))
    steps = {step["name"]: step for step in workflow["jobs"]["checkov"]["steps"] if "name" in step}
    finished = run("bash", "-e", "-c", steps["Scan"]["run"], cwd=code)
    assert finished.returncode == 1, finished.stderr
    kept = code / steps["Keep the results"]["with"]["path"]
    assert failed_ids(json.loads(kept.read_text(encoding="utf-8"))) == {STATE, WINDOW}
    shown = code / steps["Show the findings beside the code"]["with"]["sarif_file"]
    (sarif,) = json.loads(shown.read_text(encoding="utf-8"))["runs"]
    assert {result["ruleId"] for result in sarif["results"]} == {STATE, WINDOW}


def failed_ids(reports: list[dict] | dict) -> set[str]:
    """The ids of the failures, in one report or in one for each framework."""
    return {
        record["check_id"]
        for report in (reports if isinstance(reports, list) else [reports])
        for record in report.get("results", {}).get("failed_checks", [])
    }
