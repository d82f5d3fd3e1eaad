"""What is installed beside Prowler, asked by Prowler's own loader: a bad pack breaks every scan."""

from __future__ import annotations

import ast
import importlib.metadata
import json
import logging
import pkgutil
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from prowler.lib.check import models
from prowler.lib.check.check import _resolve_check_module
from prowler.lib.check.models import Check, CheckMetadata, load_check_metadata
from prowler.lib.check.utils import recover_checks_from_provider

GROUP = "prowler.checks.aws"
ENTRIES = sorted(
    (
        entry
        for entry in importlib.metadata.distribution("keysweep").entry_points
        if entry.group == GROUP
    ),
    key=lambda entry: entry.name,
)
IDS = [entry.name for entry in ENTRIES]

each_check = pytest.mark.parametrize("entry", ENTRIES, ids=IDS)


def folder(entry: EntryPoint) -> Path:
    """Return the installed folder of a check, as Prowler finds it."""
    folders = dict(recover_checks_from_provider("aws", "kms"))
    return Path(folders[entry.name])


def test_no_other_distribution_brings_these_ids() -> None:
    everywhere = [entry.name for entry in importlib.metadata.entry_points(group=GROUP)]
    assert (
        sorted(set(everywhere) & set(IDS))
        == sorted(IDS)
        == [
            "kms_cmk_not_disabled",
            "kms_cmk_pending_deletion_not_used",
        ]
    )
    assert len(everywhere) == len(set(everywhere))


@each_check
def test_prowler_resolves_the_id_to_the_installed_module(entry: EntryPoint) -> None:
    """By its own resolver, so that nothing of Prowler's, nor a left-over copy, is run instead."""
    module = _resolve_check_module("aws", "kms", entry.name)
    assert module.__name__ == entry.value
    assert module is entry.load()
    assert Path(module.__file__).parent == folder(entry)


@each_check
def test_the_check_loads_with_the_same_metadata(entry: EntryPoint) -> None:
    check = getattr(_resolve_check_module("aws", "kms", entry.name), entry.name)()
    assert isinstance(check, Check)
    installed = folder(entry) / f"{entry.name}.metadata.json"
    assert CheckMetadata(**check.dict()) == load_check_metadata(str(installed))
    assert check.CheckID == entry.name
    assert check.ServiceName == "kms"


def test_prowler_loads_every_metadata_without_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        bulk = CheckMetadata.get_bulk("aws")
    assert set(IDS) <= set(bulk)
    assert [record.getMessage() for record in caplog.records] == []


@pytest.mark.parametrize("categories", [["cost"], None], ids=["refused field", "no file"])
@each_check
def test_prowler_names_the_file_whose_metadata_ends_every_run(
    entry: EntryPoint,
    categories: list[str] | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`keysweep verify prowler` names the cure by the file's name in Prowler's words."""
    name = f"{entry.name}.metadata.json"
    if categories:
        declared = json.loads((folder(entry) / name).read_text("utf-8"))
        (tmp_path / name).write_text(json.dumps({**declared, "Categories": categories}))
    monkeypatch.setattr(
        models, "recover_checks_from_provider", lambda _: [(entry.name, str(tmp_path))]
    )
    logged: list[str] = []
    monkeypatch.setattr(models.logger, "critical", logged.append)
    with pytest.raises((ValueError, FileNotFoundError)) as raised:
        CheckMetadata.get_bulk("aws")
    assert name in "".join([*logged, str(raised.value)])


@each_check
def test_prowler_takes_nothing_beside_the_check_for_a_check(entry: EntryPoint) -> None:
    """`-x` copies the folder into Prowler, which then counts every module of a package there."""
    seen = [module.name for module in pkgutil.walk_packages([str(folder(entry))])]
    assert seen == [entry.name]
    assert (folder(entry) / "__init__.py").read_text("utf-8") == ""
    assert (folder(entry) / f"{entry.name}.metadata.json").is_file()
    beside = {path.name for path in folder(entry).parent.iterdir()}
    assert beside == set(IDS)


@each_check
def test_modules_import_the_checks_themselves_and_what_every_prowler_has(
    entry: EntryPoint,
) -> None:
    """Relative imports stay inside the copy, or the package, that the check is run from."""
    checks = folder(entry).parent
    for path in folder(entry).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"), feature_version=(3, 9))):
            if isinstance(node, ast.ImportFrom) and node.level:
                target = path.parents[node.level - 1] / (node.module or "").replace(".", "/")
                assert target.with_suffix(".py").is_file()
                assert target.is_relative_to(checks)
            elif isinstance(node, ast.Import | ast.ImportFrom):
                absolute = isinstance(node, ast.ImportFrom)
                names = [node.module or ""] if absolute else [alias.name for alias in node.names]
                roots = {name.partition(".")[0] for name in names}
                assert roots <= {"botocore", "prowler", *sys.stdlib_module_names}


def test_the_distribution_requires_no_other_package() -> None:
    required = importlib.metadata.requires("keysweep") or []
    assert {line for line in required if "extra ==" not in line} == set()
