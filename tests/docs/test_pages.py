"""The pages as they lie in the repository: links lead somewhere, blocks say what they are."""

from __future__ import annotations

from urllib.parse import unquote

import pytest
from doc_pages import PAGES, ROOT, anchors, blocks, indented_blocks, links

LANGUAGES = {"sh", "text", "yaml", "json", "python", "dockerfile", "hcl", "mermaid"}
"""Shell is always `sh`, so that a block of it cannot pass as something that is not run."""


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    broken = []
    for line, target in links(page):
        if target.startswith(("https://", "http://", "mailto:")):
            continue
        path, _, anchor = unquote(target).partition("#")
        file = (PAGES[page].parent / path).resolve() if path else PAGES[page]
        if not file.exists() or not file.is_relative_to(ROOT):
            broken.append(f"{page}:{line}: {target}")
        elif anchor and anchor not in anchors(file.relative_to(ROOT).as_posix()):
            broken.append(f"{page}:{line}: no heading {anchor}")
    assert not broken


@pytest.mark.parametrize("page", PAGES)
def test_every_block_says_what_it_is(page: str) -> None:
    odd = {b.line: b.language for b in blocks(page) if not b.language.startswith("{")}
    assert {line: name for line, name in odd.items() if name not in LANGUAGES} == {}
    assert indented_blocks(page) == []
