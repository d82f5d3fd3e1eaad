"""Settings of the documentation site: `make docs` builds it, and takes a warning for an error."""

from __future__ import annotations

import re
from configparser import ConfigParser
from pathlib import Path

from sphinx.application import Sphinx

_distribution = ConfigParser()
_distribution.read(Path(__file__).parents[1] / "setup.cfg", encoding="utf-8")

project = "Keysweep"
author = _distribution["metadata"]["author"]
version = release = _distribution["metadata"]["version"]
copyright = author  # noqa: A001 - Sphinx's name

extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns: list[str] = []
nitpicky = True

# Anchors as the forge makes them, so that the same links work in both places.
myst_heading_anchors = 3
myst_links_external_new_tab = False

# Pages that stand in the root of the repository, and what shows them on the site.
_TWINS = {
    "(../CONTRIBUTING.md": "(contributing.md",
    "(../CHANGELOG.md": "(changelog.md",
    "(../SECURITY.md": "(security.md",
    "(../README.md": "(index.md",
}


def _lead_to_twins(_app: Sphinx, _page: str, source: list[str]) -> None:
    for outside, inside in _TWINS.items():
        source[0] = source[0].replace(outside, inside)
    # Other pages out there are handed over as files.
    source[0] = re.sub(r"\]\((\.\./[^)#]+\.md)\)", r"](path:\1)", source[0])


def setup(app: Sphinx) -> None:
    """Lead links out of `docs` to the pages of the site that show the same."""
    app.connect("source-read", _lead_to_twins)


html_theme = "furo"
html_title = f"Keysweep {version}"
html_static_path = ["_static"]
html_css_files = ["keysweep.css"]
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
html_theme_options = {
    "light_css_variables": {"font-stack": "system-ui, sans-serif"},
    "navigation_with_keys": True,
}
