"""What counts as a line of code."""

from __future__ import annotations

from pathlib import Path

import code_size

MODULE = '''"""Docstring

of three lines."""

# A comment.
VALUE = 1  # 1
"""Docstring of the value."""

TEXT = """
no docstring
"""  # 2 to 4


def function() -> int:  # 5
    """Docstring."""
    return call(  # 6

        VALUE,  # 7
    )  # 8
'''


def test_blank_lines_comments_and_docstrings_are_no_code(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text(MODULE, encoding="utf-8")
    assert code_size.code_lines(module) == 8
