"""The patch for Prowler itself, applied to a copy of the one installed here, and its own tests."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

CHECK = "kms_cmk_not_disabled"
PATCH = Path(__file__).parents[4] / "upstream/prowler" / f"{CHECK}.patch"
KMS = "prowler/providers/aws/services/kms"
TESTS = f"tests/providers/aws/services/kms/{CHECK}/{CHECK}_test.py"
FILES = {
    "prowler/changelog.d/kms-cmk-not-disabled.added.md",
    f"{KMS}/kms_service.py",
    f"{KMS}/{CHECK}/__init__.py",
    f"{KMS}/{CHECK}/{CHECK}.metadata.json",
    f"{KMS}/{CHECK}/{CHECK}.py",
    TESTS,
}


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def run(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python where `prowler` is the tree's, and no AWS configuration is the machine's."""
    keep = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return subprocess.run(
        [sys.executable, "-P", *arguments],
        cwd=tree,
        env={
            **keep,
            "PYTHONPATH": str(tree),
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prowler's repository as far as its wheel has it, with the patch applied."""
    folder = tmp_path_factory.mktemp("prowler")
    spec = find_spec("prowler")
    assert spec
    assert spec.submodule_search_locations
    shutil.copytree(next(iter(spec.submodule_search_locations)), folder / "prowler")
    git(folder, "init", "-q")
    git(folder, "apply", "--whitespace=error-all", str(PATCH))
    helpers = folder / "tests/providers/aws/utils.py"
    shutil.copyfile(Path(__file__).with_name("stand_in_utils.py"), helpers)
    return folder


def test_the_patch_touches_these_files_and_no_others(tmp_path: Path) -> None:
    numbers = git(tmp_path, "apply", "--numstat", str(PATCH))
    assert {line.split("\t")[2] for line in numbers.splitlines()} == FILES


def test_the_patch_names_no_other_product() -> None:
    assert "keysweep" not in PATCH.read_text("utf-8").lower()


@pytest.mark.sample
def test_prowler_takes_the_metadata_and_finds_the_check_among_its_own(tree: Path) -> None:
    asked = f"""
import json, logging, prowler
from prowler.lib.check.models import CheckMetadata, load_check_metadata
from prowler.lib.check.utils import recover_checks_from_provider
own = [path for name, path in recover_checks_from_provider("aws", "kms") if name == "{CHECK}"][0]
loaded = load_check_metadata(own + "/{CHECK}.metadata.json")
print(json.dumps([prowler.__file__, own, loaded.CheckID, loaded.RelatedTo]))
"""
    done = run(tree, "-c", asked)
    assert done.returncode == 0, done.stderr
    package, folder, check_id, related = json.loads(done.stdout.splitlines()[-1])
    assert Path(package) == tree / "prowler/__init__.py"
    assert Path(folder) == tree / KMS / CHECK
    assert check_id == CHECK
    own = {path.name for path in (tree / KMS).iterdir() if path.is_dir()}
    assert set(related) <= own


def test_the_changelog_entry_is_one_line_as_prowler_wants_it(tree: Path) -> None:
    [entry] = (tree / "prowler/changelog.d/kms-cmk-not-disabled.added.md").read_text().splitlines()
    assert entry.startswith(f"`{CHECK}` check for AWS provider")
    assert not entry.endswith(".")


@pytest.mark.sample
def test_the_tests_of_the_patch_pass_against_the_patched_prowler(
    tree: Path, tmp_path: Path
) -> None:
    report = tmp_path / "report.xml"
    done = run(tree, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", TESTS)
    assert done.returncode == 0, done.stdout
    cases = list(ET.parse(report).iter("testcase"))
    assert {case.get("name") for case in cases if not list(case)} == {
        "test_no_keys",
        "test_enabled_key",
        "test_disabled_key",
        "test_key_pending_deletion",
        "test_key_pending_import",
        "test_aws_managed_key",
        "test_keys_in_several_regions",
        "test_key_that_cannot_be_described",
        "test_key_whose_description_is_incomplete",
        "test_key_deleted_since_it_was_listed",
        "test_region_whose_keys_cannot_be_listed",
    }
