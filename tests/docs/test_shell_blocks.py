"""Every shell block of the pages, typed into a shell as it stands; `make test-docs` runs these."""

from __future__ import annotations

import pytest
from doc_pages import PAGES, Block, blocks
from doc_shell import absent, run

SECONDS = 900

CHECKOUT = frozenset(
    {
        "README.md",
        "CONTRIBUTING.md",
        "docs/tutorial.md",
        "docs/add-a-rule.md",
        "docs/add-a-key-reference.md",
        "docs/add-a-scanner-format.md",
    }
)
"""Pages whose reader stands in a checkout; the others' has a repository of infrastructure code."""

NOT_RUN: frozenset[tuple[str, str]] = frozenset()
"""Page and first line of every block that says of itself that it is not run."""


def _typed(page: str) -> list[Block]:
    return [block for block in blocks(page) if block.language == "sh"]


def test_no_block_is_left_out_but_these() -> None:
    left_out = {
        (page, block.text.partition("\n")[0])
        for page in PAGES
        for block in blocks(page)
        if block.not_run is not None
    }
    assert left_out == NOT_RUN


@pytest.mark.pages
@pytest.mark.parametrize(
    ("page", "setting"),
    [
        pytest.param(page, (page, "checkout" if page in CHECKOUT else "estate"), id=page)
        for page in PAGES
        if _typed(page)
    ],
    indirect=["setting"],
)
def test_a_page_does_what_it_says(page: str, setting) -> None:
    typed = [block for block in _typed(page) if block.not_run is None]
    shown = run(typed, setting.folder, setting.environment, SECONDS)
    assert shown.code == 0, f"{page}:{shown.last_line}: ended with {shown.code}\n{shown.text}"
    for block in blocks(page):
        if block.shown:
            missing = absent(block.text, shown.text)
            assert not missing, f"{page}:{block.line}: {missing[0]!r} is not in:\n{shown.text}"
