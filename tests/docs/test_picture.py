"""The picture in CONTRIBUTING.md is what the code imports, and the code imports one way."""

from __future__ import annotations

from graphlib import TopologicalSorter

from doc_pages import ROOT
from way_of_a_key import CODE, PICTURE, STAGES, drawn, imports


def test_the_stages_import_one_way() -> None:
    order = list(TopologicalSorter(imports()).static_order())  # raises on a circle
    assert set(order) == set(STAGES)


def test_the_picture_is_current() -> None:
    assert PICTURE.read_text(encoding="utf-8") == drawn(imports()), (
        "draw it anew: python -P tests/way_of_a_key.py"
    )


def test_every_stage_of_the_picture_exists_and_is_described() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for stage in STAGES:
        assert (CODE / stage / "__init__.py").is_file() or (CODE / f"{stage}.py").is_file()
        assert f"**{stage}**" in text, stage
