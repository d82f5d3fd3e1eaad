"""What the reference list's calls leave unsaid: an input that is absent may narrow an answer.

`optional_inputs.yaml` decides every input of every call. Here each is found in botocore's models,
so that a new entry, or a new botocore, names the inputs that are undecided.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from botocore.exceptions import DataNotFoundError
from botocore.model import OperationModel, Shape
from botocore.session import get_session

from keysweep.remediation.evidence.references.entries import Call, Entry, reference_list

SESSION: Final = get_session()
DECIDED: Final = yaml.safe_load(
    Path(__file__).with_name("optional_inputs.yaml").read_text(encoding="utf-8")
)
_DEFAULTS: Final = re.compile(
    r"default|(do not|don't|does not|doesn't|not) (specif|include|return|set|provide)|omit"
    r"|(aren't|isn't|are not|is not|not) (included|returned|listed)|only (returns|lists|includes)",
    re.IGNORECASE,
)
"""Words of a documentation that may say what happens without an input."""


def documentation(text: str | None) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html.unescape(text or "")).split())


def choices(shape: Shape) -> tuple[str, ...]:
    """The values that AWS names, of an input or of the items of one."""
    shape = shape.member if shape.type_name == "list" else shape
    return tuple(getattr(shape, "enum", ()))


@cache
def tokens(service: str, operation: str) -> frozenset[str]:
    """The inputs that botocore's paginator sets."""
    try:
        pages = SESSION.get_paginator_model(service).get_paginator(operation)
    except (ValueError, DataNotFoundError):
        return frozenset()
    sent = pages["input_token"]
    return frozenset([*(sent if isinstance(sent, list) else [sent]), pages.get("limit_key", "")])


@dataclass(frozen=True)
class Input:
    """An input of a call that the list makes."""

    name: str
    """`service.Operation.Input`."""
    shape: Shape
    paged: bool

    def is_of(self, kind: dict[str, Any]) -> bool:
        """Whether the kind decides it."""
        if self.shape.type_name == "boolean" or (choices(self.shape) and not kind.get("choice")):
            return False
        documented = _DEFAULTS.search(documentation(self.shape.documentation))
        if documented and not kind.get("defaults"):
            return False
        return bool(re.fullmatch(kind["names"], self.name.rpartition(".")[2]))


def model(entry: Entry, call: Call) -> OperationModel:
    return SESSION.get_service_model(entry.service_of(call)).operation_model(call.operation)


def sent(call: Call) -> set[str]:
    return {*call.params, *call.take, *call.same, *call.each}


def inputs(chosen: Callable[[Call, str], bool]) -> dict[str, Input]:
    """The chosen inputs of all calls, by name."""
    found = {}
    for entry, call in reference_list().calls():
        shape = model(entry, call).input_shape
        for name, member in (shape.members if shape else {}).items():
            if chosen(call, name):
                full = f"{entry.service_of(call)}.{call.operation}.{name}"
                paged = name in tokens(entry.service_of(call), call.operation)
                found[full] = Input(full, member, paged)
    return found


def lines(section: str) -> Iterator[str]:
    for group in DECIDED[section]:
        assert group["why"].strip()
        yield from group.get("inputs", group.get("operations", ()))


@cache
def unsent() -> dict[str, Input]:
    return inputs(lambda call, name: name not in sent(call))


@cache
def constants() -> dict[str, Input]:
    return inputs(lambda call, name: name in call.params)


@cache
def documented() -> dict[str, str]:
    """The documentation of each operation."""
    return {
        f"{entry.service_of(call)}.{call.operation}": documentation(
            model(entry, call).documentation
        )
        for entry, call in reference_list().calls()
    }


def undecided(found: Iterator[str], section: str) -> list[str]:
    return [one for one in found if not any(fnmatchcase(one, line) for line in lines(section))]


def test_every_input_that_is_not_sent_is_decided() -> None:
    """On failure: look the input up, send it where its absence narrows, or add its line."""
    open_ones = [
        name
        for name, one in unsent().items()
        if not one.paged and not any(one.is_of(kind) for kind in DECIDED["kinds"])
    ]
    missing = undecided(iter(open_ones), "unsent")
    assert {name: documentation(unsent()[name].shape.documentation)[:300] for name in missing} == {}


def test_every_constant_that_is_sent_is_decided() -> None:
    assert undecided(iter(constants()), "sent") == []


def test_every_operation_that_leaves_something_out_is_decided() -> None:
    telling = [name for name, text in documented().items() if _LEAVES_OUT.search(text)]
    assert undecided(iter(telling), "operations") == []


_LEAVES_OUT: Final = re.compile(
    r"by default|(does not|doesn't) (include|return|list)|only (returns|lists|includes)"
    r"|(aren't|isn't|are not|is not|not) (included|returned|listed)|returned only",
    re.IGNORECASE,
)


@pytest.mark.parametrize(
    ("section", "found"), [("unsent", unsent), ("sent", constants), ("operations", documented)]
)
def test_every_line_is_about_something(
    section: str, found: Callable[[], dict[str, object]]
) -> None:
    stale = [line for line in lines(section) if not any(fnmatchcase(o, line) for o in found())]
    assert stale == []
    assert len(set(lines(section))) == len(list(lines(section)))


@pytest.mark.parametrize("kind", DECIDED["kinds"], ids=lambda kind: str(kind["why"]))
def test_every_kind_decides_something(kind: dict[str, Any]) -> None:
    assert any(one.is_of(kind) for one in unsent().values())


def test_every_value_that_needs_a_call_of_its_own_is_sent_or_decided() -> None:
    for entry, call in reference_list().calls():
        for name, values in call.each.items():
            shape = model(entry, call).input_shape
            assert shape is not None
            full = f"{entry.service_of(call)}.{call.operation}.{name}"
            left = set(DECIDED["values"].get(full, {}).get("left_out", ()))
            assert set(values) | left == set(choices(shape.members[name])), full
            assert not set(values) & left


# --- what must be asked for -----------------------------------------------------------------------

ASKED_FOR = {
    ("ec2", "DescribeVolumes", "IncludeManagedResources", True),
    ("ec2", "DescribeLaunchTemplates", "IncludeManagedResources", True),
    ("ec2", "DescribeLaunchTemplateVersions", "IncludeManagedResources", True),
    ("ec2", "DescribeImages", "IncludeDeprecated", True),
    ("ec2", "DescribeImages", "IncludeDisabled", True),
    ("rds", "DescribeDBClusters", "IncludeShared", True),
    ("rds", "DescribeDBSnapshots", "IncludeShared", True),
    ("rds", "DescribeDBSnapshots", "SnapshotType", "awsbackup"),
    ("rds", "DescribeDBClusterSnapshots", "IncludeShared", True),
    ("secretsmanager", "ListSecrets", "IncludePlannedDeletion", True),
    ("secretsmanager", "ListSecretVersionIds", "IncludeDeprecated", True),
    ("ssm", "ListResourceDataSync", "SyncType", "SyncToDestination"),
}
"""Inputs without which an answer lacks something, by their documentation."""


@pytest.mark.parametrize("sent", sorted(ASKED_FOR, key=str), ids=str)
def test_what_an_answer_leaves_out_is_requested(sent: tuple[str, str, str, object]) -> None:
    service, operation, name, value = sent
    calls = [
        call
        for entry, call in reference_list().calls()
        if (entry.service_of(call), call.operation) == (service, operation)
    ]
    values = [call.params.get(name) for call in calls]
    assert value in values
    assert value is not True or set(values) <= {True} or operation == "DescribeDBSnapshots"


def test_all_that_can_be_managed_by_a_service_is_asked_for_with_it() -> None:
    hiding = {
        name for name in {**unsent(), **constants()} if name.endswith(".IncludeManagedResources")
    }
    assert hiding
    assert hiding <= set(constants())
    assert hiding.isdisjoint(unsent())


def test_all_kinds_of_db_snapshots_are_read() -> None:
    """Manual, automated and shared ones by one call, those of AWS Backup by another."""
    sent = [c.params for _, c in reference_list().calls() if c.operation == "DescribeDBSnapshots"]
    assert {one.get("SnapshotType") for one in sent} == {None, "awsbackup"}
