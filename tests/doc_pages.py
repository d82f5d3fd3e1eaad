"""The pages that people read, and the blocks in them: what is typed, what is shown.

A shell block is a fence marked `sh`. What a test has to know of it stands in a comment before it,
which no reader sees:

* `<!-- exits: 3 -->`: its last command ends with this code, as the text says;
* `<!-- not run: why -->`: it is not run; `test_shell_blocks.py` lists every one.

A block marked `text` after `<!-- shown -->` is a part of what the page's commands print: its lines
appear there in this order; `...` stands for what is left out, and dates are those of the day.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parents[1]

PAGES = {
    path.relative_to(ROOT).as_posix(): path
    for path in sorted(
        (
            *ROOT.glob("*.md"),
            *ROOT.glob("docs/*.md"),
            *ROOT.glob("examples/**/*.md"),
            *ROOT.glob("benchmarks/*.md"),
            ROOT / "tests/embedded_aws/README.md",
        )
    )
}
"""What people read, by its path in the repository."""

_NOTE = re.compile(r"<!-- (exits|not run|shown)(?:: (.*?))? -->")


@dataclass(frozen=True)
class Block:
    """One fence of a page."""

    language: str
    text: str
    line: int
    """Of the fence, counted from 1."""
    exits: int = 0
    not_run: str | None = None
    shown: bool = False


def blocks(page: str) -> Iterator[Block]:
    """Every fenced block of a page, in order, with what the comment before it says."""
    note: re.Match[str] | None = None
    for token in _tokens(page):
        if token.type == "html_block":
            note = _NOTE.fullmatch(token.content.strip())
        elif token.type == "fence":
            assert token.map is not None
            kind, value = (note[1], note[2]) if note else ("", None)
            yield Block(
                language=token.info.strip(),
                text=token.content,
                line=token.map[0] + 1,
                exits=int(value) if kind == "exits" and value else 0,
                not_run=value if kind == "not run" else None,
                shown=kind == "shown",
            )
            note = None
        elif token.type != "list_item_open":
            note = None


def indented_blocks(page: str) -> list[int]:
    """Lines of code blocks that are no fences, so that nothing tells what they are."""
    return [token.map[0] + 1 for token in _tokens(page) if token.type == "code_block" and token.map]


def links(page: str) -> Iterator[tuple[int, str]]:
    """Every link and picture of a page: its line, and where it leads."""
    for token in _tokens(page):
        for child in token.children or ():
            for name in ("href", "src"):
                if target := child.attrGet(name):
                    yield (token.map or [0])[0] + 1, str(target)


def anchors(page: str) -> set[str]:
    """The anchors of a page's headings, as the forge makes them."""
    found: dict[str, int] = {}
    tokens = _tokens(page)
    names = set()
    for opening, text in pairwise(tokens):
        if opening.type == "heading_open":
            plain = "".join(child.content for child in text.children or ())
            slug = re.sub(r"[^\w\- ]", "", plain.strip().lower()).replace(" ", "-")
            count = found[slug] = found.get(slug, -1) + 1
            names.add(f"{slug}-{count}" if count else slug)
    return names


def _tokens(page: str) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(PAGES[page].read_text(encoding="utf-8"))
