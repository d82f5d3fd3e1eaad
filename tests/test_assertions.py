"""Assertions compare ids, codes and numbers, so that a message can be reworded in one file."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
SENTENCE = re.compile(r"(?<![\w.-])(?:[A-Za-z][a-z']*[,;:]? ){4}[A-Za-z][a-z']*(?![\w-])")
"""Five words in a row."""


def compared(tree: ast.AST) -> Iterator[ast.expr]:
    """What asserts and `pytest.raises(match=...)` compare with, not the messages of asserts."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert):
            yield node.test
        elif isinstance(node, ast.keyword) and node.arg == "match":
            yield node.value


def sentences(text: str) -> list[str]:
    """Sentences that a module's assertions compare with, as `LINE: TEXT`."""
    return [
        f"{part.lineno}: {part.value}"
        for expression in compared(ast.parse(text))
        for part in ast.walk(expression)
        if isinstance(part, ast.Constant)
        and isinstance(part.value, str)
        and SENTENCE.search(part.value)
    ]


def test_no_assertion_repeats_a_sentence() -> None:
    """The tests of the embedded AWS are exempt: they compare with AWS's own messages."""
    modules = [
        path
        for path in sorted(TESTS.rglob("*.py"))
        if "test_embedded_aws" not in path.relative_to(TESTS).parts
    ]
    assert len(modules) > 100
    found = {path.name: sentences(path.read_text(encoding="utf-8")) for path in modules}
    assert {name: lines for name, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("assert 'the key is in use' in row", 1),
        ("assert row == f'{key}: the key is in use'", 1),
        ("pytest.raises(BadInput, match='the key is in use')", 1),
        ("assert row, 'the key is in use'", 0),
        ("assert 'the key is pending' in row", 0),
        ("assert 'key-1 is in use (2026-01-01) by alice' in row", 0),
        ("assert 'removed { from = aws_kms_key.a lifecycle {' in fix", 0),
    ],
)
def test_five_words_are_a_sentence(line: str, found: int) -> None:
    assert len(sentences(line)) == found
