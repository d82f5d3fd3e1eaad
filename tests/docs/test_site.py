"""The site as it was built: whole, and complete without the internet."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest
from doc_pages import ROOT

SITE = ROOT / "site"
LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}

pytestmark = pytest.mark.pages


class Loads(HTMLParser):
    """What a browser fetches by itself when it shows a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        target = dict(attrs).get(LOADED.get(tag, ""))
        if target is not None:
            self.found.append(target)


def built() -> list[Path]:
    pages = sorted(SITE.glob("*.html"))
    assert pages, "no site: run these tests with `make test-docs`"
    return pages


def test_every_page_is_built() -> None:
    assert {path.stem for path in (ROOT / "docs").glob("*.md")} <= {path.stem for path in built()}


def test_a_page_fetches_only_what_is_in_the_site() -> None:
    for page in built():
        loads = Loads()
        loads.feed(page.read_text(encoding="utf-8"))
        files = {target.partition("?")[0].partition("#")[0] for target in loads.found} - {""}
        missing = {file for file in files if not (page.parent / file).is_file()}
        assert not missing, page.name
