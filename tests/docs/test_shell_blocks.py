"""Every shell block of the pages, typed into a shell as it stands.

`make test-docs` runs these, and `make test-sample` those of some pages.
"""

from __future__ import annotations

import pytest
from doc_pages import PAGES, Block, blocks
from doc_shell import absent, run

SECONDS = 1800
"""For a page: minutes on a free machine, and many times that on one that does other things too."""

START = {
    "README.md": "checkout",
    "docs/tutorial.md": "checkout",
    "examples/code/README.md": "checkout",
    "CONTRIBUTING.md": "fork",
    "docs/add-a-rule.md": "fork",
    "docs/add-a-source.md": "fork",
    "docs/add-a-key-reference.md": "fork",
    "docs/add-a-scanner-format.md": "fork",
}
"""Where a page's reader stands: in a checkout, or in one to work on with what `make dev` made; all
others in a repository of infrastructure code."""

BEFORE = {
    "docs/prowler.md": ["scan results"],
    "examples/code/README.md": ["scan results"],
    "docs/watch.md": ["scan results"],
    "docs/first-run.md": ["scan results"],
    "docs/diagnostics.md": ["scan results"],
    "docs/undo.md": ["scan results", "plan", "apply"],
    "docs/incident.md": ["scan results", "plan", "apply"],
    "docs/scheduling.md": ["scan results", "plan", "apply into a bucket"],
    "docs/security-hub.md": ["scan to Security Hub"],
}
"""What the reader of a page has done already."""

DONE = {
    "scan results": "prowler aws --checks kms_cmk_not_disabled --output-formats json-ocsf"
    " --output-directory results || [ $? -eq 3 ]",
    "plan": "keysweep plan results",
    "apply": "keysweep apply plan.json",
    "apply into a bucket": "aws s3 mb s3://audit-journal\n"
    "keysweep apply plan.json --journal s3://audit-journal/keysweep/",
    "scan to Security Hub": "prowler aws --checks kms_cmk_not_disabled --output-formats json-asff"
    " --output-directory sent || [ $? -eq 3 ]\n"
    "aws securityhub batch-import-findings --findings file://$(echo sent/*.asff.json)",
}

SAMPLE = {"README.md", "docs/undo.md"}
"""Pages that are run on every change."""

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
        pytest.param(
            page,
            (page, START.get(page, "scenario")),
            id=page,
            marks=() if page in SAMPLE else pytest.mark.slow,
        )
        for page in PAGES
        if _typed(page)
    ],
    indirect=["setting"],
)
def test_the_shell_blocks_of_a_page_run_as_written(page: str, setting) -> None:
    before = [Block("sh", f"{DONE[done]}\n", line=0) for done in BEFORE.get(page, ())]
    typed = [*before, *(block for block in _typed(page) if block.not_run is None)]
    shown = run(typed, setting.folder, setting.environment, SECONDS)
    assert shown.code == 0, f"{page}:{shown.last_line}: ended with {shown.code}\n{shown.text}"
    for block in blocks(page):
        if block.shown:
            missing = absent(block.text, shown.text)
            assert not missing, f"{page}:{block.line}: {missing[0]!r} is not in:\n{shown.text}"
