"""The generated reference leaves nothing out."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any

import click
import pytest
from command_runs import every_command
from doc_pages import PAGES

from documents.pages import output_schema
from documents.schema_page import tables
from documents.schemas import schemas
from keysweep.remediation.evidence.references.entries import reference_list
from keysweep.remediation.models import FindingStatus, Outcome, VerdictKind
from keysweep.remediation.policy import Policy


def page(name: str) -> str:
    return PAGES[f"docs/{name}.md"].read_text(encoding="utf-8")


def section(text: str, heading: str) -> str:
    return text.split(f"\n## {heading}\n")[1].split("\n## ", maxsplit=1)[0]


@pytest.mark.parametrize(
    ("name", "command"), [(" ".join(words), command) for words, command in every_command()]
)
def test_every_option_of_a_command_is_there_with_its_meaning(
    name: str, command: click.Command
) -> None:
    documented = section(page("commands"), name)
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert f"{parameter.opts[0]}" in documented
            assert parameter.help, parameter.name


def test_every_check_is_there() -> None:
    named = set(page("checks").split("\n## ")[1:])
    assert {part.partition("\n")[0] for part in named} == {
        *("kms_cmk_not_disabled", "kms_cmk_pending_deletion_not_used"),
        *("CKV_KEYSWEEP_001", "CKV_KEYSWEEP_002"),
    }


EXPLAINED = ("policy-file", "plan-file", "journal-file", "output")


@functools.cache
def explained() -> Mapping[str, Any]:
    """The schema that each page explains."""
    made = schemas()
    return {
        "policy-file": made["policy"],
        "plan-file": made["plan"],
        "journal-file": made["journal-line"],
        "output": output_schema(),
    }


HEADS = {("name", "type", "default", "meaning"), ("value", "meaning")}


def meanings(text: str) -> dict[tuple[str, str], str]:
    """What the tables of a page say, by the heading that a table stands under and the name."""
    found: dict[tuple[str, str], str] = {}
    for part in re.split(r"^#+ ", text, flags=re.MULTILINE):
        rows = [
            tuple(cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1])
            for line in part.splitlines()
            if line.startswith("|")
        ]
        if rows and rows[0] in HEADS:
            heading = part.partition("\n")[0]
            found |= {(heading, row[0].strip("`")): row[-1] for row in rows[2:]}
    return found


def test_every_value_of_the_policy_is_there() -> None:
    assert set(Policy.model_fields) <= {name for _, name in meanings(page("policy-file"))}


@pytest.mark.parametrize("name", EXPLAINED)
def test_no_value_of_a_file_lacks_its_meaning(name: str) -> None:
    found = meanings(page(name))
    assert {where for where, meaning in found.items() if not meaning} == set()
    assert found


@pytest.mark.parametrize("name", EXPLAINED)
def test_every_value_of_a_part_is_in_its_table(name: str) -> None:
    text = page(name)
    found = meanings(text)
    for part, what in explained()[name]["$defs"].items():
        if f"\n## {part}\n" in text:
            values = {*what.get("properties", ()), *what.get("enum", ())}
            assert {value for heading, value in found if heading == part} == values


def test_a_value_without_docstring_is_seen_to_lack_its_meaning() -> None:
    schema = {
        "properties": {"digest": {"type": "string"}, "bare": {"type": "string"}},
        "$defs": {
            "VerdictKind": {"type": "string", "enum": ["hold", "dither"]},
            "Hold": {"properties": {"why_now": {"$ref": "#/$defs/VerdictKind"}}},
        },
        "items": {"$ref": "#/$defs/Hold"},
    }
    found = meanings(f"# A plan\n\n{tables(schema, 'Plan')}")
    assert {where for where, meaning in found.items() if not meaning} == {
        ("A plan", "bare"),
        ("Hold", "why_now"),
        ("VerdictKind", "dither"),
    }
    assert found.keys() >= {("A plan", "digest"), ("VerdictKind", "hold")}


@pytest.mark.parametrize("name", EXPLAINED)
def test_every_part_of_a_file_is_there(name: str) -> None:
    parts = {
        part
        for part, what in explained()[name]["$defs"].items()
        if "properties" in what or "enum" in what
    }
    if name == "plan-file":
        parts -= {"Policy", *explained()["policy-file"]["$defs"]}
    if name == "journal-file":
        parts |= {"In S3"}
    assert {one.partition("\n")[0] for one in page(name).split("\n## ")[1:]} == parts


def test_the_plans_policy_is_explained_in_one_place() -> None:
    assert "| `policy` | [Policy](policy-file.md) |" in page("plan-file")


@pytest.mark.parametrize(
    ("name", "words"),
    [("plan-file", VerdictKind), ("plan-file", FindingStatus), ("output", Outcome)],
)
def test_the_words_of_a_value_are_explained_one_by_one(
    name: str, words: type[VerdictKind | FindingStatus | Outcome]
) -> None:
    found = meanings(section(page(name), words.__name__).join((f"# {words.__name__}\n", "")))
    assert {value for _, value in found} == {word.value for word in words}
    assert len(set(found.values())) == len(words)
    assert f"](#{words.__name__.lower()}) |" in page(name)


def test_the_services_that_are_read_in_every_region_are_named_where_regions_are_closed() -> None:
    (chapter,) = (part for part in page("many-accounts").split("\n## ") if "Regions closed" in part)
    everywhere = {
        entry.service for entry in reference_list().entries if entry.reach == "every-region"
    }
    sentences = [set(re.findall(r"`([a-z0-9-]+)`", one)) for one in re.split(r"\.\s", chapter)]
    assert everywhere in sentences
