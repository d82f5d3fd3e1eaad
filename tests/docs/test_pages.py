"""The pages as they lie in the repository: links lead somewhere, blocks say what they are."""

from __future__ import annotations

import re
from urllib.parse import unquote

import pytest
from doc_pages import PAGES, ROOT, anchors, blocks, indented_blocks, links

LANGUAGES = {"sh", "text", "yaml", "json", "python", "dockerfile", "hcl", "mermaid"}
"""Shell is always `sh`, so that a block of it cannot pass as something that is not run."""

WORDS = {page: 900 if page == "README.md" else 1500 for page in PAGES}
"""How long a page may be that a person writes."""

GENERATED = {"docs/results.md", "docs/checkov-verdicts.md", "benchmarks/RESULTS.md"}
"""Pages that a program writes without saying so in their first line."""


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
def test_every_block_names_its_language(page: str) -> None:
    odd = {b.line: b.language for b in blocks(page) if not b.language.startswith("{")}
    assert {line: name for line, name in odd.items() if name not in LANGUAGES} == {}
    assert indented_blocks(page) == []


@pytest.mark.parametrize("page", PAGES)
def test_a_page_that_a_person_writes_is_short(page: str) -> None:
    text = PAGES[page].read_text(encoding="utf-8")
    if page not in GENERATED and not text.startswith("<!-- Generated"):
        assert len(re.findall(r"[^\s|]*\w[^\s|]*", text)) <= WORDS[page]


@pytest.mark.parametrize("page", PAGES)
def test_tests_that_a_page_names_exist(page: str) -> None:
    named = set(
        re.findall(r"`(?:tests/\S*/)?(test_\w+\.py)`", PAGES[page].read_text(encoding="utf-8"))
    )
    assert named <= {path.name for path in (ROOT / "tests").rglob("test_*.py")}
