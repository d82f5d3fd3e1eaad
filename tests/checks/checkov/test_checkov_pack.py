"""What Checkov asks of a folder of external checks, and says nothing about when it is not so."""

from __future__ import annotations

import ast
import sys

import pytest
from checkov.cloudformation.runner import Runner as CloudFormationRunner
from checkov.runner_filter import RunnerFilter
from checkov.serverless.runner import Runner as ServerlessRunner
from checkov.terraform.runner import Runner as TerraformRunner
from checkov.yaml_doc.runner import Runner as YamlRunner
from checkov_cases import CHECKS, STATE, WINDOW

DEFINITIONS = (
    ast.Import,
    ast.ImportFrom,
    ast.Assign,
    ast.AnnAssign,
    ast.ClassDef,
    ast.FunctionDef,
    ast.Try,
)
MODULES = sorted(CHECKS.glob("[a-z]*.py"))
HELPERS = {"keysweep_verdicts", "terraform_expressions", "terraform_hcl", "terraform_settled"}


def test_the_folder_is_flat_and_holds_modules_only() -> None:
    """A folder below would be a package of its own, and YAML or JSON would be read as policies."""
    found = {path.name for path in CHECKS.iterdir() if path.name != "__pycache__"}
    assert found == {"__init__.py", *(module.name for module in MODULES)}
    assert (CHECKS / "__init__.py").read_bytes() == b""


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.stem)
def test_a_module_imports_only_checkov_the_standard_library_and_its_helpers(module) -> None:
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "Checkov runs each file as a module of its own"
            names = [node.module]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            root = name.partition(".")[0]
            assert root in {"checkov", *HELPERS, *sys.stdlib_module_names}


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.stem)
def test_a_module_only_registers_when_it_is_imported(module) -> None:
    """Checkov runs every module once per framework: all that happens is definitions and checks."""
    for node in ast.parse(module.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            assert node.value.func.id.endswith("Check")
        elif isinstance(node, ast.Expr):
            assert isinstance(node.value, ast.Constant)
        else:
            assert isinstance(node, DEFINITIONS)


def scan(runner, folder):
    return runner.run(
        root_folder=str(folder),
        external_checks_dir=[str(CHECKS)],
        runner_filter=RunnerFilter(checks=[STATE, WINDOW]),
    )


def test_broken_files_are_reported_by_checkov_and_hide_nothing(tmp_path) -> None:
    (tmp_path / "broken.tf").write_text('resource "aws_kms_key" "broken" {', encoding="utf-8")
    (tmp_path / "whole.tf").write_text(
        'resource "aws_kms_key" "whole" { is_enabled = false }', encoding="utf-8"
    )
    report = scan(TerraformRunner(), tmp_path)
    assert {record.resource for record in report.failed_checks} == {"aws_kms_key.whole"}
    assert report.parsing_errors == [str(tmp_path / "broken.tf")]


def test_a_broken_template_gives_no_record(tmp_path) -> None:
    (tmp_path / "broken.yaml").write_text(
        "Resources:\n  Key:\n    Type: AWS::KMS::Key\n    Properties: {Enabled: false",
        encoding="utf-8",
    )
    report = scan(CloudFormationRunner(), tmp_path)
    assert report.get_all_records() == []
    assert report.parsing_errors == [str(tmp_path / "broken.yaml")]


def test_roots_that_share_addresses_are_distinguished(tmp_path) -> None:
    """Two root modules, one address, the same lines: only the second one's value is known."""
    key = 'resource "aws_kms_key" "main" { is_enabled = var.stage == "prod" ? true : false }\n'
    for root, default in (("a", ""), ("b", 'default = "dev"')):
        (tmp_path / root).mkdir()
        (tmp_path / root / "main.tf").write_text(
            f'{key}variable "stage" {{ {default} }}\n', encoding="utf-8"
        )
    failed = [r for r in scan(TerraformRunner(), tmp_path).failed_checks if r.check_id == STATE]
    assert [(record.file_path, record.resource) for record in failed] == [
        ("/b/main.tf", "aws_kms_key.main")
    ]


def test_a_list_of_files_in_a_serverless_service_is_read(tmp_path) -> None:
    (tmp_path / "serverless.yml").write_text(
        "service: a\nprovider:\n  name: aws\nresources:\n  - Outputs: {}\n  - ${file(keys.yml)}\n",
        encoding="utf-8",
    )
    (tmp_path / "keys.yml").write_text(
        "Resources:\n  Key:\n    Type: AWS::KMS::Key\n    Properties: {Enabled: false}\n",
        encoding="utf-8",
    )
    report = scan(ServerlessRunner(), tmp_path)
    (failed,) = (record for record in report.failed_checks if record.check_id == STATE)
    assert failed.check_result["evaluated_keys"] == ["resources/Resources/Key/Properties/Enabled"]
    assert failed.file_path == "/serverless.yml"


def test_a_record_of_pulumi_names_its_key(tmp_path) -> None:
    (tmp_path / "Pulumi.yaml").write_text(
        "resources:\n  archive:\n    type: aws:kms:Key\n    properties: {isEnabled: false}\n",
        encoding="utf-8",
    )
    report = scan(YamlRunner(), tmp_path)
    (failed,) = (record for record in report.failed_checks if record.check_id == STATE)
    assert f".archive.{STATE}[" in failed.resource


@pytest.mark.parametrize(
    "text",
    ["resources: 5\n", "resources: [{a: 1}, b, 5]\n", "- 5\n- [1]\n", "resources:\n  a: [1, 2]\n"],
)
def test_a_file_that_is_not_executable_does_not_end_the_scan(tmp_path, text: str) -> None:
    (tmp_path / "a.yaml").write_text(text, encoding="utf-8")
    assert scan(YamlRunner(), tmp_path).get_all_records() == []
