"""The patches for Prowler itself, applied to a copy of the one installed here, and their tests.

Prowler's wheel has none of its tests and pages. A patch's change to them is left out when it is
applied, and what it adds to the tests of a service is run in a file of its own.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from prowler.lib.check.models import load_check_metadata
from prowler_guide import deviations

DISABLED, PENDING = CHECKS = ("kms_cmk_not_disabled", "kms_cmk_pending_deletion_not_used")
"""In the order in which the patches apply."""

PATCHES = {
    check: Path(__file__).parents[4] / "upstream/prowler" / f"{check}.patch" for check in CHECKS
}
SERVICES = "prowler/providers/aws/services"
KMS = f"{SERVICES}/kms"
TESTS = "tests/providers/aws/services"
SERVICE_TESTS = {
    f"{TESTS}/kms/kms_service_test.py": "kms_service.KMS",
    f"{TESTS}/cloudtrail/cloudtrail_service_test.py": "cloudtrail_service.Cloudtrail",
}
ABSENT = {
    *SERVICE_TESTS,
    ".github/workflows/sdk-tests.yml",
    "docs/developer-guide/unit-testing.mdx",
}
"""Changed files that Prowler's repository has and its wheel has not."""


def changelog(check: str) -> str:
    return f"prowler/changelog.d/{check.replace('_', '-')}.added.md"


def new_files(check: str) -> set[str]:
    """Return what each patch adds for its check."""
    return {
        changelog(check),
        f"{KMS}/{check}/__init__.py",
        f"{KMS}/{check}/{check}.metadata.json",
        f"{KMS}/{check}/{check}.py",
        f"{TESTS}/kms/{check}/{check}_test.py",
    }


FILES = {
    DISABLED: {
        *new_files(DISABLED),
        f"{KMS}/kms_service.py",
        f"{KMS}/lib/unreadable.py",
        f"{TESTS}/kms/kms_service_test.py",
    },
    PENDING: {
        *new_files(PENDING),
        *ABSENT,
        f"{KMS}/kms_service.py",
        f"{KMS}/lib/key_usage.py",
        f"{SERVICES}/cloudtrail/cloudtrail_service.py",
    },
}

each_check = pytest.mark.parametrize("check", CHECKS)


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def installed() -> Path:
    """Return the folder of the installed Prowler."""
    spec = find_spec("prowler")
    assert spec
    assert spec.submodule_search_locations
    return Path(next(iter(spec.submodule_search_locations)))


def apply_patches(folder: Path) -> None:
    git(folder, "init", "-q")
    left_out = [f"--exclude={path}" for path in sorted(ABSENT)]
    for patch in PATCHES.values():
        git(folder, "apply", "--whitespace=error-all", *left_out, str(patch))


def added(path: str) -> str:
    """Return the lines that the patches add to a file."""
    lines = []
    for patch in PATCHES.values():
        for section in re.split(r"^(?=diff --git )", patch.read_text("utf-8"), flags=re.MULTILINE):
            if section.startswith(f"diff --git a/{path} "):
                body = section.partition("\n@@")[2].splitlines()
                lines += [line[1:] for line in body if line.startswith("+")]
    return "\n".join(lines) + "\n"


def service_test(path: str) -> str:
    """Return the tests that the patches add for a service, as a file that stands alone."""
    imports, _, methods = added(path).partition("\n\n    ")
    module, service = SERVICE_TESTS[path].split(".")
    folder = module.removesuffix("_service")
    return f"""{imports}
from boto3 import client
from moto import mock_aws
from prowler.providers.aws.services.{folder}.{module} import {service}
from tests.providers.aws.utils import AWS_REGION_US_EAST_1, set_mocked_aws_provider


class Test_Service:
    {methods}"""


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
def patched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of Prowler that the patches change, with the patches applied."""
    folder = tmp_path_factory.mktemp("patched")
    for path in ("kms/kms_service.py", "cloudtrail/cloudtrail_service.py"):
        target = folder / SERVICES / path
        target.parent.mkdir(parents=True)
        shutil.copyfile(installed() / "providers/aws/services" / path, target)
    apply_patches(folder)
    return folder


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prowler's repository as far as its wheel has it, with the patches applied."""
    folder = tmp_path_factory.mktemp("prowler")
    shutil.copytree(installed(), folder / "prowler")
    apply_patches(folder)
    helpers = folder / "tests/providers/aws/utils.py"
    shutil.copyfile(Path(__file__).with_name("stand_in_utils.py"), helpers)
    for path in SERVICE_TESTS:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(service_test(path), encoding="utf-8")
    return folder


@each_check
def test_the_patch_touches_these_files_and_no_others(tmp_path: Path, check: str) -> None:
    numbers = git(tmp_path, "apply", "--numstat", str(PATCHES[check]))
    assert {line.split("\t")[2] for line in numbers.splitlines()} == FILES[check]


@each_check
def test_the_patch_names_no_other_product(check: str) -> None:
    assert "keysweep" not in PATCHES[check].read_text("utf-8").lower()


@each_check
def test_prowlers_model_and_guide_take_the_metadata(patched: Path, check: str) -> None:
    path = patched / KMS / check / f"{check}.metadata.json"
    loaded = load_check_metadata(str(path))
    assert loaded.CheckID == check
    metadata = json.loads(path.read_text("utf-8"))
    assert deviations(metadata) == set()
    url = metadata["Remediation"]["Recommendation"]["Url"]
    assert url == f"https://hub.prowler.com/check/{check}"


def test_the_example_is_a_key_that_passes(patched: Path) -> None:
    path = patched / KMS / DISABLED / f"{DISABLED}.metadata.json"
    code = json.loads(path.read_text("utf-8"))["Remediation"]["Code"]
    assert "Enabled: true" in code["NativeIaC"]
    assert "is_enabled = true" in code["Terraform"]


@pytest.mark.sample
def test_prowler_finds_the_checks_among_its_own(tree: Path) -> None:
    script = """
import json, prowler
from prowler.lib.check.models import CheckMetadata
from prowler.lib.check.utils import recover_checks_from_provider
own = {}
for name, path in recover_checks_from_provider("aws", "kms"):
    own.setdefault(name, path)
related = [one.RelatedTo for name, one in CheckMetadata.get_bulk("aws").items() if name in own]
print(json.dumps([prowler.__file__, own, sum(related, [])]))
"""
    done = run(tree, "-c", script)
    assert done.returncode == 0, done.stderr
    package, own, related = json.loads(done.stdout.splitlines()[-1])
    assert Path(package) == tree / "prowler/__init__.py"
    assert {check: Path(own[check]) for check in CHECKS} == {
        check: tree / KMS / check for check in CHECKS
    }
    assert set(related) <= set(own)


@each_check
def test_the_changelog_entry_is_one_line_as_prowler_wants_it(check: str) -> None:
    [entry] = added(changelog(check)).splitlines()
    assert entry.startswith(f"`{check}` check for AWS provider")
    assert not entry.endswith(".")


@pytest.mark.sample
def test_the_tests_of_the_patches_pass_against_the_patched_prowler(
    tree: Path, tmp_path: Path
) -> None:
    report = tmp_path / "report.xml"
    done = run(tree, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", TESTS)
    assert done.returncode == 0, done.stdout
    cases = [case for case in ET.parse(report).iter("testcase") if not list(case)]
    passed = {(case.get("name") or "").partition("[")[0] for case in cases}
    assert passed == set(re.findall(r"^\+ {4}def (test_\w+)", all_patches(), re.MULTILINE))
    assert {
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
        "test_list_keys_failure_records_error_of_region",
        "test_describe_key_failure_records_error_of_key",
        "test_key_without_events",
        "test_key_used_after_its_deletion_was_scheduled",
        "test_events_that_cannot_be_read",
        "test_lookup_resource_events_page",
    } <= passed


def all_patches() -> str:
    return "".join(patch.read_text("utf-8") for patch in PATCHES.values())
