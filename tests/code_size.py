"""Count lines of code, without blank lines, comments and docstrings; `make size` runs this.

`python tests/code_size.py FOLDER...` prints lines and modules per folder, and the largest modules.
"""

from __future__ import annotations

import ast
import sys
import tokenize
from pathlib import Path

LARGEST = 10
NO_CODE = {
    tokenize.COMMENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
    tokenize.INDENT,
    tokenize.NEWLINE,
    tokenize.NL,
}


def code_lines(path: Path) -> int:
    """Return how many lines of a module hold code; a string counts each line that it spans."""
    with tokenize.open(path) as file:
        source = file.read()
    with path.open("rb") as file:
        code = {
            line
            for token in tokenize.tokenize(file.readline)
            if token.type not in NO_CODE
            for line in range(token.start[0], token.end[0] + 1)
        }
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Expr(value=ast.Constant(value=str())):
                code -= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(code)


def main(folders: list[str]) -> None:
    """Print the table."""
    sizes: dict[Path, int] = {}
    for folder in folders:
        found = {path: code_lines(path) for path in Path(folder).rglob("*.py")}
        print(f"{sum(found.values()):7,}  {folder}, {len(found)} modules")
        sizes |= found
    print(f"{sum(sizes.values()):7,}  total, {len(sizes)} modules; the largest:")
    for path in sorted(sizes, key=lambda path: (-sizes[path], path))[:LARGEST]:
        print(f"{sizes[path]:7,}  {path}")


if __name__ == "__main__":
    main(sys.argv[1:])
