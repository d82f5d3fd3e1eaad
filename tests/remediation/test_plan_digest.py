"""The plan's digest: any edit of the document shows, and a field that came later does not."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dead_key import DEAD, plan_item, plan_of

from keysweep.remediation import planfile
from keysweep.remediation.errors import BadInput
from keysweep.remediation.models import Evidence, Unreadable
from keysweep.remediation.plan import Plan


@pytest.fixture
def path(tmp_path: Path) -> Path:
    plan = plan_of(plan_item(), plan_item())
    digest = planfile.digest_of(plan)
    planfile.save(plan.model_copy(update={"digest": digest}), tmp_path / "plan.json")
    return tmp_path / "plan.json"


def _document(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def _sign(document: dict[str, Any]) -> str:
    """The digest as its description says, computed over the whole document."""
    content = {name: value for name, value in document.items() if name != "digest"}
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(canonical.encode()).hexdigest()}"


def test_the_digest_is_over_the_canonical_form_of_the_whole_document(path: Path) -> None:
    assert _document(path)["digest"] == _sign(_document(path))
    assert len(planfile.load(path).items) == 2


def test_a_plan_of_an_earlier_keysweep_lacks_fields_and_is_read(path: Path) -> None:
    document = _document(path)
    for name in ("since", "limits", "code_looked_at"):
        del document[name]
    for item in document["items"]:
        del item["exceptions"]
        del item["evidence"]["use_attempts"]
    document["digest"] = _sign(document)
    path.write_text(json.dumps(document), encoding="utf-8")
    assert planfile.load(path).digest == document["digest"]


def _leaves(value: Any, connection: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(value, dict):
        return [leaf for name, one in value.items() for leaf in _leaves(one, (*connection, name))]
    if isinstance(value, list):
        return [
            leaf for number, one in enumerate(value) for leaf in _leaves(one, (*connection, number))
        ]
    return [connection]


def test_every_change_of_one_value_is_refused(path: Path) -> None:
    original = path.read_text(encoding="utf-8")
    connections = _leaves(json.loads(original))
    assert len(connections) > 90
    for connection in connections:
        document = json.loads(original)
        *way, last = connection
        inner = document
        for step in way:
            inner = inner[step]
        value = inner[last]
        inner[last] = (
            not value
            if isinstance(value, bool)
            else value + 1
            if isinstance(value, int | float)
            else "2020-01-01T00:00:00Z"
            if value is None or value[:2] == "20"
            else value + "x"
        )
        path.write_text(json.dumps(document), encoding="utf-8")
        with pytest.raises(BadInput, match="keysweep plan"):
            planfile.load(path)


def test_a_removed_and_an_added_field_are_refused(path: Path) -> None:
    original = path.read_text(encoding="utf-8")
    for change in (
        lambda document: document["items"].pop(),
        lambda document: document["items"][0].pop("exceptions"),
        lambda document: document.pop("limits"),
        lambda document: document.update(extra=1),
        lambda document: document["items"][0].update(reasons=[{"rule": "x", "message": "y"}]),
        lambda document: document.update(digest=""),
        lambda document: document.pop("digest"),
    ):
        document = json.loads(original)
        change(document)
        path.write_text(json.dumps(document), encoding="utf-8")
        with pytest.raises(BadInput, match="keysweep plan"):
            planfile.load(path)


BAD_FILES = {
    "cut off": lambda text: text[: len(text) // 2],
    "edited": lambda text: text.replace('"pending_window_days": 30', '"pending_window_days": 7'),
    "foreign": lambda text: "[]",
    "another version": lambda text: text.replace('"version": 1', '"version": 2', 1),
    "no digest": lambda text: text.replace('"digest"', '"digests"'),
    "empty": lambda text: "",
    "binary": lambda text: "\x00\x01\x02",
}


@pytest.mark.parametrize("mistake", BAD_FILES)
def test_a_file_that_is_not_a_plan_is_refused_with_one_message(mistake: str, path: Path) -> None:
    path.write_text(BAD_FILES[mistake](path.read_text("utf-8")), encoding="utf-8")
    with pytest.raises(BadInput, match="keysweep plan") as refused:
        planfile.load(path)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


OTHER_FILES = {
    "results without a record": lambda plan: b"[]",
    "a list that ends nowhere": lambda plan: b"[" * 20_000,
    "records on lines": lambda plan: b'{"status": "FAIL"}\n{"status": "FAIL"}\n',
    "a journal": lambda plan: b'{"line": "run"}\n{"line": "intent"}\n{"li',
    "a journal of one line": lambda plan: b'{"line": "run"}\n',
    "a number": lambda plan: b"42",
    "text": lambda plan: b"To schedule: 7 keys\n",
    "nothing": lambda plan: b"",
    "gzip": gzip.compress,
    "a ZIP archive": lambda plan: b"PK\x03\x04\x14\x00",
    "UTF-16": lambda plan: plan.decode().encode("utf-16"),
    "UTF-16 without a mark": lambda plan: plan.decode().encode("utf-16-le"),
    "a byte order mark": lambda plan: b"\xef\xbb\xbf" + plan,
    "binary": lambda plan: b"\x00\x01\x02",
}


@pytest.mark.parametrize("kind", OTHER_FILES)
def test_a_file_of_another_kind_is_not_taken_for_a_damaged_plan(kind: str, path: Path) -> None:
    path.write_bytes(OTHER_FILES[kind](path.read_bytes()))
    with pytest.raises(planfile.NotAPlan, match="keysweep plan") as refused:
        planfile.load(path)
    assert refused.value.exit_code == 2
    assert str(refused.value).startswith(f"{path}: ")
    assert "\n" not in str(refused.value)


DAMAGED = {
    "cut off": lambda plan: plan[: len(plan) // 2],
    "cut off after its first line": lambda plan: plan[:2],
    "another plan behind it": lambda plan: plan + plan,
    "one value edited": lambda plan: plan.replace(b'"pending_window_days": 30', b'"x": 30'),
    "a line removed": lambda plan: plan.replace(b'  "version": 1,\n', b""),
    "a comma removed": lambda plan: plan.replace(b'"version": 1,', b'"version": 1'),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_plan_is_not_taken_for_a_file_of_another_kind(damage: str, path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(DAMAGED[damage](whole))
    assert path.read_bytes() != whole
    with pytest.raises(BadInput, match="keysweep plan") as refused:
        planfile.load(path)
    assert not isinstance(refused.value, planfile.NotAPlan)


def test_a_pipe_is_refused_before_it_is_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(planfile.NotAPlan):
        planfile.load(tmp_path / "pipe")


def test_a_name_that_no_file_can_have_is_bad_input(tmp_path: Path) -> None:
    name = tmp_path / ("n" * 300)
    with pytest.raises(BadInput, match="nnn") as refused:
        planfile.load(name)
    assert refused.value.exit_code == 2
    assert planfile.set_aside(name) is None


def test_a_plan_is_written_in_parts_as_the_whole_document_would_be(path: Path) -> None:
    plan = planfile.load(path)
    for some in (Plan.model_validate({**dict(plan), "items": plan.items[:n]}) for n in (1, 2)):
        parts = list(planfile.json_parts(some))
        assert "".join(parts) == some.model_dump_json(indent=2) + "\n"
        assert len(parts) == 2 + 2 * len(some.items)
    none = Plan.model_validate({**dict(plan), "items": ()})
    assert "".join(planfile.json_parts(none)) == none.model_dump_json(indent=2) + "\n"


@pytest.mark.parametrize("permission", [None, "kms:ListResourceTags"])
def test_why_tags_are_unknown_is_not_read_back_as_two_tags(permission: str | None) -> None:
    unknown = Unreadable(unreadable="AccessDeniedException", permission=permission)
    evidence = DEAD.model_copy(update={"tags": unknown})
    assert Evidence.model_validate_json(evidence.model_dump_json()) == evidence


@pytest.mark.parametrize("text", ['{"a":' + "[" * 20_000, '{"items":' + '[{"a":' * 20_000])
def test_a_document_nested_deeper_than_any_plan_is_refused(text: str, path: Path) -> None:
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadInput, match="Nested"):
        planfile.load(path)


@pytest.mark.parametrize("field", ["created_at", "finding_time"])
def test_a_time_outside_of_the_calendar_is_an_edit(field: str, path: Path) -> None:
    document = _document(path)
    inside = document if field in document else document["items"][0]["evidence"]
    inside[field] = "0001-01-01T00:00:00+23:00"
    document["digest"] = _sign(document)
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(BadInput, match="years 1 to 9999"):
        planfile.load(path)


@pytest.mark.parametrize(
    ("field", "time"),
    [("created_at", "9999-12-31T23:59:59Z"), ("evidence_from", "0001-01-01T00:59:59Z")],
)
def test_a_plan_has_times_to_count_from(field: str, time: str, path: Path) -> None:
    document = {**_document(path), field: time}
    document["digest"] = _sign(document)
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(BadInput, match="years 2 to 9000"):
        planfile.load(path)


@pytest.mark.parametrize("half", [0xD800, 0xDFFF])
def test_half_a_character_is_an_edit(half: int, path: Path) -> None:
    document = {**_document(path), "history": chr(half)}
    document["digest"] = _sign(document)
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(BadInput, match=path.name):
        planfile.load(path)


def _first_item(text: str) -> str:
    return json.dumps(json.loads(text)["items"][0])


TWICE = {
    "items, the second as readers see it": (
        lambda text: text.replace('"items": [', f'"items": [{_first_item(text)}], "items": ['),
        "'items'",
    ),
    "items, one of them escaped": (
        lambda text: text.replace(
            '"items": [', f'"\\u0069tems": [{_first_item(text)}], "items": ['
        ),
        "'items'",
    ),
    "a benign policy first": (
        lambda text: text.replace('"policy": {', '"policy": {}, "policy": {'),
        "'policy'",
    ),
    "a number of the policy": (
        lambda text: text.replace('"max_keys": ', '"max_keys": 1, "max_keys": '),
        "'max_keys' in policy",
    ),
    "the digest": (lambda text: text.replace("{\n", '{"digest": "", ', 1), "'digest'"),
    "the verdict of the second item": (
        lambda text: '"verdict": "hold", "verdict": '.join(text.rsplit('"verdict": ', 1)),
        "'verdict' in items[2]",
    ),
    "a piece of an item's evidence": (
        lambda text: text.replace('"description": {', '"description": null, "description": {', 1),
        "'description' in items[1].evidence",
    ),
}


@pytest.mark.parametrize("case", TWICE)
def test_a_duplicate_name_is_refused_although_the_digest_matches(case: str, path: Path) -> None:
    change, words = TWICE[case]
    original = path.read_text(encoding="utf-8")
    path.write_text(change(original), encoding="utf-8")
    assert path.read_text(encoding="utf-8") != original
    with pytest.raises(BadInput) as refused:
        planfile.load(path)
    assert words in str(refused.value)
    assert refused.value.exit_code == 2


def test_items_that_are_no_list_are_refused_though_the_digest_fits(path: Path) -> None:
    document = _document(path)
    document["items"] = document["items"][:1]
    document["digest"] = _sign(document)
    document["items"] = {"item": document["items"][0]}
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(BadInput, match="items is not"):
        planfile.load(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text + "{}",
        lambda text: text + text,
        lambda text: text + "x",
        lambda text: "\ufeff" + text,
        lambda text: text.replace('"max_keys": ', '"max_keys": 1e999, "x": '),
        lambda text: text.replace('"max_keys": ', f'"max_keys": {"9" * 5000}, "x": '),
        lambda text: text.replace('"max_keys": ', '"max_keys": NaN, "x": '),
        lambda text: text.replace('"max_keys": ', '"max_keys": -Infinity, "x": '),
    ],
)
def test_a_plan_is_exactly_one_json_document(change: Callable[[str], str], path: Path) -> None:
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(BadInput, match="keysweep plan"):
        planfile.load(path)


def test_a_plan_that_was_set_aside_is_named_and_not_read(path: Path) -> None:
    moved = planfile.set_aside(path)
    assert moved is not None
    with pytest.raises(BadInput, match=f"{moved.name}.*keysweep plan"):
        planfile.load(path)
