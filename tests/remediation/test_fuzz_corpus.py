"""What the fuzzers found worth keeping, and some edits of it, without a fuzzer."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest

from fuzz.mutation import FORMS, mutator
from fuzz.targets import TARGETS
from keysweep.remediation import planfile

CORPUS = Path(__file__).parents[1] / "fuzz" / "corpus"
DOCUMENTS = sorted(path for path in CORPUS.glob("*/*"))
EDITS = 5


def _flipped(document: bytes, _most: int) -> bytes:
    """A byte less or another byte."""
    random = Random(len(document))
    at = random.randrange(len(document) + 1)
    return document[:at] + bytes([random.randrange(256)]) + document[at + 1 :]


def test_every_reader_has_documents() -> None:
    assert {path.parent.name for path in DOCUMENTS} == set(TARGETS) == set(FORMS)


@pytest.mark.parametrize("name", TARGETS)
def test_a_reader_raises_its_own_errors_alone(name: str) -> None:
    mutate = mutator(FORMS[name], _flipped)
    for path in DOCUMENTS:
        if path.parent.name == name:
            document = path.read_bytes()
            TARGETS[name](document)
            for seed in range(EDITS):
                TARGETS[name](mutate(document, 40_000, seed))


def test_an_edited_plan_has_the_digest_of_the_edit(tmp_path: Path) -> None:
    form = FORMS["plan"]
    plan = form.parse((CORPUS / "plan" / "2-keys.json").read_bytes())
    plan["policy"]["max_keys"] = 7
    (tmp_path / "plan.json").write_bytes(form.write(plan))
    assert planfile.load(tmp_path / "plan.json").policy.max_keys == 7
    assert json.loads(form.write(plan))["digest"] != plan["digest"]
