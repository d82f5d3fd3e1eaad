"""What is installed beside Prowler, asked by Prowler's own loader: a bad pack breaks every scan."""

from __future__ import annotations

import ast
import importlib.metadata
import logging
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
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
def test_the_check_can_be_made_and_says_the_same_of_itself(entry: EntryPoint) -> None:
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


@each_check
def test_the_folder_suits_the_option_x_too(entry: EntryPoint) -> None:
    """`-x` copies each folder beside it into Prowler: one module, an empty package, metadata."""
    files = {path.name for path in folder(entry).iterdir()} - {"__pycache__"}
    assert files == {"__init__.py", f"{entry.name}.py", f"{entry.name}.metadata.json"}
    assert (folder(entry) / "__init__.py").read_text("utf-8") == ""
    beside = {path.name for path in folder(entry).parent.iterdir()}
    assert beside == set(IDS)


@each_check
def test_the_module_imports_nothing_but_what_every_prowler_has(entry: EntryPoint) -> None:
    tree = ast.parse((folder(entry) / f"{entry.name}.py").read_text("utf-8"))
    imported = {
        name.partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [node.module or "."]
            if isinstance(node, ast.ImportFrom)
            else [a.name for a in node.names]
        )
    }
    assert imported - set(sys.stdlib_module_names) == {"botocore", "prowler"}


def test_the_distribution_asks_for_no_other_package() -> None:
    required = importlib.metadata.requires("keysweep") or []
    assert {line for line in required if "extra ==" not in line} == set()
