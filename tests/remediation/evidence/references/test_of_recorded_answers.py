"""The engine on answers made from recorded facts: all fields that were seen, and the fewest."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError

from keysweep.remediation.evidence.references.entries import Call, Entry, ReferenceList, compiled
from keysweep.remediation.evidence.references.entries import reference_list as shipped
from keysweep.remediation.evidence.references.index import Index, references_to
from keysweep.remediation.evidence.references.scan import scan_account, scan_region
from keysweep.remediation.models import KeyArn
from recorded_answers import make, table

ACCOUNT, REGION = "111122223333", "eu-west-1"
LIST = shipped()
ANSWERS = table()["answers"]
CURSORS = ("NextToken", "nextToken", "NextMarker", "Marker", "LastEvaluatedTableName")
"""Members that promise a further page."""
Answer = dict[str, Any]


def recorded(entry: Entry, call: Call) -> Answer:
    """What is recorded of a call; empty if nothing is."""
    found: Answer = ANSWERS.get(entry.service_of(call), {}).get(call.operation, {})
    return found


ENTRIES = [e for e in LIST.entries if all(recorded(e, call).get("fields") for call in e.walk())]
"""The entries of which each call was recorded."""


def label(entry: Entry) -> str:
    operations = "-".join(call.operation for call in entry.walk())
    return f"{entry.service}-{operations}-{LIST.entries.index(entry)}"


@dataclass
class Recorded:
    """Answers with the recorded fields; each field in a form in which it was seen."""

    entry: Entry
    full: bool
    connection: Any = None
    named: dict[str, str] = field(default_factory=dict)
    """Keys by the operation whose answer names them, at paths that an entry reads."""

    def answer(self, operation: str, _request: Answer) -> Answer:
        if operation == "DescribeRegions":
            return {"Regions": [{"RegionName": REGION}]}
        call = next(call for call in self.entry.walk() if call.operation == operation)
        client = self.connection.client(self.entry.service_of(call))
        shape = client.meta.service_model.operation_model(operation).output_shape
        absent = {*re.findall(r"\[\?(\w+)==`null`\]", call.items), *CURSORS}
        wanted: Answer = dict(re.findall(r"\[\?(\w+)=='([^']*)'\]", call.items))
        taken = "".join(expression for one in call.then for expression in one.take.values())
        wanted |= dict.fromkeys(re.findall(r"\[\?(\w+)!=`false`\]", taken), True)
        fields = recorded(self.entry, call)["fields"]
        made: Answer = make(shape, fields, full=self.full, absent=absent, wanted=wanted)
        for expression in call.keys:
            shown = compiled(call.items).search(made)
            for item in shown if isinstance(shown, list) else [shown]:
                for key in _texts(compiled(expression).search(item)):
                    if re.fullmatch(table()["forms"]["key-arn"], key):
                        self.named[key] = operation
        return made


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)


def scan(entry: Entry, connection: Any) -> Index:
    """The index of one entry."""
    only = ReferenceList(version=1, signs=LIST.signs, entries=(entry,))
    return (scan_region if entry.reach == "region" else scan_account)(connection, only)


@pytest.mark.parametrize("full", [True, False], ids=["all", "fewest"])
@pytest.mark.parametrize("entry", ENTRIES, ids=label)
def test_recorded_answers_are_read_without_a_gap(
    entry: Entry, full: bool, stubbed: Callable[..., Any]
) -> None:
    aws = Recorded(entry, full)
    connection = aws.connection = stubbed(aws.answer)
    index = scan(entry, connection)
    assert index.gaps == []
    found = {key for key in aws.named if references_to(KeyArn.parse(key), (), [index]).found}
    assert found == set(aws.named)
    called = {operation for _, operation, _ in connection.calls} - {"DescribeRegions"}
    untried = {one.rpartition(":")[2] for one in index.untried}
    assert called | untried == {call.operation for call in entry.walk()}
    assert not (full and untried)


def test_each_path_where_a_key_was_seen_is_read(stubbed: Callable[..., Any]) -> None:
    seen = {
        (service, operation)
        for service, operations in ANSWERS.items()
        for operation, one in operations.items()
        if any("key-arn" in forms for forms in one.get("fields", {}).values())
    }
    read = set()
    for entry in ENTRIES:
        aws = Recorded(entry, full=True)
        aws.connection = stubbed(aws.answer)
        scan(entry, aws.connection)
        named = set(aws.named.values())
        read |= {(entry.service_of(c), c.operation) for c in entry.walk() if c.operation in named}
    walked = {(e.service_of(c), c.operation) for e in ENTRIES for c in e.walk()}
    assert (seen & walked) - read == set()
    assert len(read) > 40


GONE = [
    (service, operation, error["code"], error["status"])
    for service, operations in ANSWERS.items()
    for operation, one in operations.items()
    for error in one.get("errors", ())
    if re.search(r"does not exist|not found|Not Exist|can't find|was not found", error["message"])
]


def _chains(entry: Entry, chain: tuple[Call, ...]) -> Iterator[tuple[Call, ...]]:
    yield chain
    for call in chain[-1].then:
        yield from _chains(entry, (*chain, call))


NESTED = {
    (entry.service_of(chain[-1]), chain[-1].operation): entry
    for entry in LIST.entries
    for chain in _chains(entry, (entry,))
    if len(chain) > 1 and all(recorded(entry, call).get("fields") for call in chain[:-1])
    if not chain[-1].batch
}
"""Entries that come to a call by calls that were recorded."""


@pytest.mark.parametrize(
    ("service", "operation", "code", "status"),
    [one for one in GONE if one[:2] in NESTED],
    ids=str,
)
def test_an_item_that_no_longer_exists_is_no_gap(
    service: str, operation: str, code: str, status: int, stubbed: Callable[..., Any]
) -> None:
    entry = NESTED[service, operation]
    aws = Recorded(entry, full=True)
    tried = []

    def answer(called: str, request: Answer) -> Answer:
        if called == operation:
            tried.append(called)
            raise ClientError(
                {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, called
            )
        return aws.answer(called, request)

    connection = aws.connection = stubbed(answer)
    assert [gap for gap in scan(entry, connection).gaps if gap.operation == operation] == []
    assert tried
