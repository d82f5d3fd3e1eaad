"""The generated reference leaves nothing out."""

from __future__ import annotations

import click
import pytest
from doc_pages import PAGES

from keysweep.remediation.cli import keysweep
from keysweep.remediation.documents import schemas
from keysweep.remediation.policy import Policy

COMMANDS = keysweep.list_commands(click.Context(keysweep))


def page(name: str) -> str:
    return PAGES[f"docs/{name}.md"].read_text(encoding="utf-8")


def section(text: str, heading: str) -> str:
    return text.split(f"\n## {heading}\n")[1].split("\n## ", maxsplit=1)[0]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_a_command_is_there_with_its_meaning(name: str) -> None:
    told = section(page("commands"), name)
    listed = keysweep.get_command(click.Context(keysweep), name)
    with listed.make_context(name, [], resilient_parsing=True) as context:
        parameters = context.command.params
    for parameter in parameters:
        if isinstance(parameter, click.Option):
            assert f"{parameter.opts[0]}" in told
            assert parameter.help, parameter.name


def test_every_check_is_there() -> None:
    named = set(page("checks").split("\n## ")[1:])
    assert {part.partition("\n")[0] for part in named} == {
        *("kms_cmk_not_disabled", "kms_cmk_pending_deletion_not_used"),
        *("CKV_KEYSWEEP_001", "CKV_KEYSWEEP_002"),
    }


def test_every_value_of_the_policy_is_there_with_its_meaning() -> None:
    rows = {
        cells[1].strip("` "): cells[4].strip()
        for line in page("policy-file").splitlines()
        if len(cells := line.split("|")) == 6
    }
    assert set(Policy.model_fields) <= rows.keys()
    assert {name for name, meaning in rows.items() if not meaning} == set()


@pytest.mark.parametrize(
    ("name", "schema"), [("plan-file", "plan"), ("journal-file", "journal-line")]
)
def test_every_part_of_a_file_is_there(name: str, schema: str) -> None:
    parts = {part for part, what in schemas()[schema]["$defs"].items() if "properties" in what}
    assert {one.partition("\n")[0] for one in page(name).split("\n## ")[1:]} == parts
