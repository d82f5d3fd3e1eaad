"""Invariants raise; none is an `assert`, which `python -O` leaves out."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from keysweep.remediation.errors import InvariantError, demand, present

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(path for name in ("checks", "remediation") for path in (ROOT / name).rglob("*.py"))


def test_no_module_that_is_shipped_asserts() -> None:
    assert {path.parent.name for path in MODULES} >= {"remediation", "evidence", "checkov"}
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Assert)
        or (
            isinstance(node, ast.Raise)
            and any(isinstance(n, ast.Name) and n.id == "AssertionError" for n in ast.walk(node))
        )
    ]
    assert found == []


def test_an_invariant_that_does_not_hold_raises() -> None:
    demand(True, "holds")
    assert present(0, "a number") == 0
    with pytest.raises(InvariantError, match="does not hold"):
        demand(False, "does not hold")
    with pytest.raises(InvariantError, match="a number is missing"):
        present(None, "a number")
