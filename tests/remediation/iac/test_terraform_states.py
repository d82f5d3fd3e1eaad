"""States of Terraform in both forms, whole, odd and hostile."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keysweep.remediation.errors import BadInput
from keysweep.remediation.iac import terraform_states
from keysweep.remediation.iac.terraform_states import RESOURCE_TYPES, State, read_state

STATES = Path(__file__).parent / "states"
RAW = STATES / "v4.tfstate.json"
SHOWN = STATES / "shown.json"
BOTH = pytest.mark.parametrize("path", [RAW, SHOWN], ids=["state file", "terraform show -json"])

REPLICA = 'module.app["eu.west"].module.keys[0].aws_kms_replica_key.this["a.b[\\"c\\"]"]'
KEYS = {
    ("aws_kms_key.plain", "eu-west-1", "00000000-0000-4000-8000-000000000001", False),
    ("aws_kms_key.counted[0]", "eu-central-1", "00000000-0000-4000-8000-000000000002", False),
    ("aws_kms_key.counted[1]", None, "00000000-0000-4000-8000-000000000003", False),
    ("aws_kms_key.counted[0]", "eu-central-1", "00000000-0000-4000-8000-000000000004", True),
    (REPLICA, "us-east-1", "mrk-00000000000040008000000000000005", False),
    ("aws_kms_external_key.vendor", "eu-west-1", "00000000-0000-4000-8000-000000000006", False),
    ("awscc_kms_key.control", "eu-west-1", "00000000-0000-4000-8000-000000000007", False),
}

Document = dict[str, Any]


def keys_of(state: State) -> set[tuple[str, str | None, str | None, bool]]:
    return {
        (str(key.address), key.arn.region if key.arn else None, key.key_id, key.deposed)
        for key in state.keys
    }


@pytest.fixture
def read(tmp_path: Path) -> Callable[[object], State]:
    def write_and_read(document: object) -> State:
        path = tmp_path / "given.tfstate"
        path.write_text(
            document if isinstance(document, str) else json.dumps(document), encoding="utf-8"
        )
        return read_state(path)

    return write_and_read


def raw(**changes: Any) -> Document:
    document: Document = json.loads(RAW.read_text(encoding="utf-8"))
    return {**document, **changes}


def key_resource(**changes: Any) -> Document:
    return {**next(r for r in raw()["resources"] if r["name"] == "plain"), **changes}


def shown_module(**changes: Any) -> Document:
    document: Document = json.loads(SHOWN.read_text(encoding="utf-8"))
    document["values"]["root_module"].update(changes)
    return document


# --- what is read ------------------------------------------------------------------------------


@BOTH
def test_every_key_is_read_with_its_address(path: Path) -> None:
    state = read_state(path)
    assert keys_of(state) == KEYS
    assert not state.empty


@BOTH
def test_nothing_secret_is_kept(path: Path) -> None:
    assert "HUSH" in path.read_text(encoding="utf-8")
    assert "HUSH" not in repr(read_state(path))


@pytest.mark.parametrize("kind", sorted(RESOURCE_TYPES))
def test_every_kind_of_key_is_read(read, kind: str) -> None:
    state = read(raw(resources=[key_resource(type=kind)]))
    assert {str(key.address) for key in state.keys} == {f"{kind}.plain"}


@pytest.mark.parametrize(
    "document",
    [
        raw(resources=[]),
        raw(resources=[key_resource(instances=[])]),
        raw(resources=[key_resource(mode="data")]),
        {"format_version": "1.0"},
        {"format_version": "0.1", "terraform_version": "0.12.31"},
        {"format_version": "1.0", "values": {"outputs": {"a": {}}, "root_module": {}}},
        {
            "format_version": "1.0",
            "values": {"root_module": {"child_modules": [{"address": "module.a"}]}},
        },
        shown_module(
            resources=[
                {"address": "data.a.b", "mode": "data", "type": "a", "name": "b", "values": {}}
            ],
            child_modules=[],
        ),
    ],
)
def test_a_state_of_nothing_is_empty(read, document: object) -> None:
    state = read(document)
    assert state.empty
    assert state.keys == ()


def test_a_state_of_before_terraform_0_12_that_was_upgraded(read) -> None:
    arn = "arn:aws:kms:eu-west-1:111122223333:key/00000000-0000-4000-8000-000000000001"
    instance = {"schema_version": 0, "attributes_flat": {"arn": arn}}
    (key,) = read(raw(resources=[key_resource(instances=[instance])])).keys
    assert str(key.arn) == arn


def test_a_pipe_is_read(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    content = raw(resources=[key_resource()])
    with os.fdopen(writer, "w", encoding="utf-8") as stream:
        json.dump(content, stream)
    assert len(read_state(Path(f"/dev/fd/{reader}")).keys) == 1
    os.close(reader)


# --- what is refused ---------------------------------------------------------------------------

ARN = "arn:aws:kms:eu-west-1:111122223333:key/00000000-0000-4000-8000-000000000001"
INSTANCE = {"schema_version": 0, "attributes": {"arn": ARN}}
SHOWN_KEY = {
    "address": "aws_kms_key.a",
    "mode": "managed",
    "type": "aws_kms_key",
    "name": "a",
    "values": {"arn": ARN},
}

REFUSED: dict[str, tuple[object, str]] = {
    "cut off": (RAW.read_text(encoding="utf-8")[:900], "complete JSON document"),
    "empty": ("", "complete JSON document"),
    "not JSON": ("resource {}", "complete JSON document"),
    "deep": ("[" * 200_000, "complete JSON document"),
    "a list": ([], "is not a state"),
    "another document": ({"Records": []}, "neither format_version nor version"),
    "a plan": ({"format_version": "1.2", "planned_values": {}}, "is a plan"),
    "encrypted": ({"serial": 1, "encrypted_data": "HUSH"}, "tofu show -json"),
    "a plan that changes nothing": ({"format_version": "1.2", "prior_state": {}}, "is a plan"),
    "one resource": (
        {"format_version": "1.0", "resource": {"values": {"HUSH": 1}}, "diagnostics": []},
        "terraform state show -json",
    ),
    "validate": (
        {"format_version": "1.0", "valid": True, "error_count": 0, "diagnostics": []},
        "terraform validate -json",
    ),
    "provider schemas": (
        {"format_version": "1.0", "provider_schemas": {}},
        "terraform providers schema -json",
    ),
    "functions": ({"format_version": "1.0", "function_signatures": {}}, "metadata functions"),
    "modules": ({"format_version": "1.0", "modules": []}, "terraform modules -json"),
    "something newer": ({"format_version": "1.9", "HUSH": 1}, "no values"),
    "only checks": ({"format_version": "1.0", "checks": []}, "no values"),
    "values that are null": ({"format_version": "1.0", "values": None}, "values"),
    "values without a module": ({"format_version": "1.0", "values": {}}, "values.root_module"),
    "a module that is null": (
        {"format_version": "1.0", "values": {"root_module": None}},
        "values.root_module",
    ),
    "no outputs": ({}, "neither format_version nor version"),
    "outputs": ({"version": {"sensitive": False, "value": "HUSH"}}, "none of a state's fields"),
    "an output of an odd name": ({"format_version": {"value": "HUSH"}}, "format_version"),
    "the versions": ({"terraform_version": "1.9.8", "platform": "x"}, "neither format_version"),
    "a plan of keysweep": (
        {"version": 1, "digest": "sha256:1", "items": []},
        "none of a state's fields",
    ),
    "the manifest of a CDK app": (
        {"version": "36.0.0", "artifacts": {}},
        "none of a state's fields",
    ),
    "results of Checkov": ({"check_type": "terraform", "results": {}}, "neither format_version"),
    "resources twice": (
        RAW.read_text(encoding="utf-8").replace('"resources":', '"resources": [], "resources":', 1),
        "'resources'",
    ),
    "an attribute twice, escaped": (
        '{"format_version":"1.0","values":{"root_module":{"resources":[{"\\u0061rn":1,"arn":2}]}}}',
        "'arn' in values.root_module.resources[1]",
    ),
    "two documents": (RAW.read_text(encoding="utf-8") * 2, "complete JSON document"),
    "a newer form": ({"format_version": "2.0"}, "newer format"),
    "version 3": ({"version": 3, "modules": []}, "Terraform 0.12"),
    "the note about a backend": ({"version": 3, "backend": {"HUSH": 1}}, "terraform state pull"),
    "version 5": (raw(version=5), "version"),
    "version as text": (raw(version="4"), "version"),
    "no lineage": ({k: v for k, v in raw().items() if k != "lineage"}, "lineage"),
    "no resources": ({k: v for k, v in raw().items() if k != "resources"}, "resources"),
    "resources of another shape": (raw(resources={"HUSH": 1}), "resources"),
    "no instances": (raw(resources=[{"mode": "managed", "type": "t", "name": "n"}]), "instances"),
    "an index of no kind": (
        raw(resources=[key_resource(instances=[{**INSTANCE, "index_key": True}])]),
        "index_key",
    ),
    "a negative index": (
        raw(resources=[key_resource(instances=[{**INSTANCE, "index_key": -1}])]),
        "resource name",
    ),
    "half a letter": (
        '{"version":4,"serial":1,"lineage":"l","resources":[{"mode":"managed","type":"aws_kms_key",'
        '"name":"a","instances":[{"index_key":"\\ud800","attributes":{"arn":"' + ARN + '"}}]}]}',
        "resource name",
    ),
    "an odd name": (raw(resources=[key_resource(name="a b")]), "resource name"),
    "an odd module": (raw(resources=[key_resource(module="module")]), "invalid address"),
    "the ARN of something else": (
        raw(resources=[key_resource(instances=[{"attributes": {"arn": "arn:HUSH"}}])]),
        "aws_kms_key.plain has an arn",
    ),
    "an ARN that is no text": (
        raw(resources=[key_resource(instances=[{"attributes": {"arn": ["HUSH"]}}])]),
        "aws_kms_key.plain has an arn",
    ),
    "an id that is not the ARN's": (
        raw(resources=[key_resource(instances=[{"attributes": {"arn": ARN, "key_id": "HUSH"}}])]),
        "aws_kms_key.plain has a key_id",
    ),
    "one address twice": (
        raw(resources=[key_resource(), key_resource()]),
        "aws_kms_key.plain twice",
    ),
    "two addresses for one key": (
        shown_module(resources=[{**SHOWN_KEY, "name": "b"}]),
        "two different addresses",
    ),
    "a module in another than it says": (
        shown_module(
            child_modules=[{"address": "module.a", "child_modules": [{"address": "module.b"}]}]
        ),
        "a module whose address",
    ),
    "modules without an end": (
        '{"format_version":"1.0","values":{"root_module":'
        + '{"child_modules":[' * 600
        + "]}" * 600
        + "}}",
        "",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_an_incomplete_state_is_refused_with_one_message(read, case: str) -> None:
    document, words = REFUSED[case]
    with pytest.raises(BadInput) as refused:
        read(document)
    message = str(refused.value)
    assert words in message
    assert message.isprintable()
    assert "HUSH" not in message
    assert "given.tfstate: " in message


@pytest.mark.parametrize("path", ["absent.tfstate", "."])
def test_what_cannot_be_read_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(BadInput, match="could not be read"):
        read_state(tmp_path / path)


def test_a_state_larger_than_the_limit_is_refused(monkeypatch) -> None:
    monkeypatch.setattr(terraform_states, "MOST_BYTES", 1024 * 1024)
    with pytest.raises(BadInput, match="1 MiB"):
        read_state(Path("/dev/zero"))


BROKEN = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


@pytest.mark.parametrize("form", [RAW, SHOWN], ids=["state file", "terraform show -json"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_state_with_any_part_replaced_is_read_or_refused(read, form: Path, data) -> None:
    document = json.loads(form.read_text(encoding="utf-8"))
    node, steps = document, data.draw(st.integers(1, 6))
    for step in range(steps):
        connections = list(range(len(node))) if isinstance(node, list) else sorted(node)
        if not connections:
            break
        connection = data.draw(st.sampled_from(connections))
        if step == steps - 1 or not isinstance(node[connection], list | dict):
            node[connection] = data.draw(BROKEN)
            break
        node = node[connection]
    message = ""
    try:
        read(document)
    except BadInput as error:
        message = str(error)
    assert "HUSH" not in message
    assert message.isprintable()
