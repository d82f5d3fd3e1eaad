"""Every entry of the reference list run by the engine, on answers made from the service's model.

What moto cannot create is tried here: requests are built and checked by botocore, answers have the
shape that AWS declares, come in two pages wherever the operation pages, and name a key of their own
at every path that the entry claims.
"""

from __future__ import annotations

import datetime as dt
import itertools
import re
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
import yaml
from botocore import xform_name
from botocore.exceptions import ClientError
from botocore.model import Shape

from keysweep.remediation.evidence.references.entries import Call, Entry, ReferenceList, compiled
from keysweep.remediation.evidence.references.entries import reference_list as shipped
from keysweep.remediation.evidence.references.index import Index, references_to
from keysweep.remediation.evidence.references.reading import gone
from keysweep.remediation.evidence.references.scan import scan_account, scan_region
from keysweep.remediation.evidence.references.shapes import next_page
from keysweep.remediation.models import Evidence, KeyArn
from keysweep.remediation.policy import Policy
from keysweep.remediation.rules.in_use import RULE
from ledger.accounts import FILE
from ledger.finder import Member

ACCOUNT, REGION = "111122223333", "eu-west-1"
LIST = shipped()


# --- answers made from the model ------------------------------------------------------------------

Answer = dict[str, Any]

_CURSORS = frozenset({"token", "marker", "cursor", "position"})


class Maker:
    """Makes whole answers in which no two texts are alike, so that each is recognized."""

    def __init__(self, map_keys: Iterable[str]) -> None:
        self._number = itertools.count(1)
        self._map_keys = tuple(map_keys)

    def answer(self, shape: Shape, within: tuple[str, ...] = ()) -> Any:
        """A value of a shape, without page tokens; a structure within itself ends there."""
        kind = shape.type_name
        if getattr(shape, "is_document_type", False):
            return {"KmsARN": self._text(shape)}
        if kind == "structure":
            if shape.name in within:
                return {}
            return {
                name: self.answer(member, (*within, shape.name))
                for name, member in shape.members.items()
                if within or not is_cursor(name)
            }
        if kind == "list":
            return [self.answer(shape.member, within)]
        if kind == "map":
            names = getattr(shape.key, "enum", None) or self._map_keys
            return {name: self.answer(shape.value, within) for name in names}
        if kind == "string":
            return self._text(shape)
        if kind == "timestamp":
            return dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
        return {"boolean": False, "blob": b"x", "float": 1.0, "double": 1.0}.get(kind, 1)

    def _text(self, shape: Shape) -> str:
        text = f"x{next(self._number):05d}-{shape.name}"
        if shape.metadata.get("pattern", "").startswith("arn:aws.*:kinesis:"):
            # botocore takes the host from this ARN.
            return f"arn:aws:kinesis:{REGION}:{ACCOUNT}:channel/{text}"
        return text.ljust(shape.metadata.get("min", 0), "x")


def is_cursor(name: str) -> bool:
    """Whether a member of an answer says where the next page begins."""
    lower = name.lower()
    return lower.endswith(tuple(_CURSORS)) or lower.startswith("lastevaluated")


def texts(value: Any) -> Iterator[str]:
    """Every text within a value that an expression found."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for one in value if isinstance(value, list) else value.values():
            yield from texts(one)


def replace(answer: Any, wanted: set[str], value: str) -> Any:
    """The answer with a value instead of certain texts."""
    if isinstance(answer, dict):
        return {name: replace(one, wanted, value) for name, one in answer.items()}
    if isinstance(answer, list):
        return [replace(one, wanted, value) for one in answer]
    return value if isinstance(answer, str) and answer in wanted else answer


def set_everywhere(answer: Any, name: str, value: Any) -> Any:
    """The answer with each member of that name set, or left out when the value is None."""
    if isinstance(answer, dict):
        kept = {n: set_everywhere(v, name, value) for n, v in answer.items() if n != name}
        return {**kept, name: value} if name in answer and value is not None else kept
    if isinstance(answer, list):
        return [set_everywhere(one, name, value) for one in answer]
    return answer


# --- one entry as AWS would answer it -------------------------------------------------------------


def label(entry: Entry) -> str:
    operations = [call.operation for call in entry.walk()]
    return f"{entry.service}-{'-'.join(operations)}-{LIST.entries.index(entry)}"


def new_key() -> str:
    return f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{uuid.uuid4()}"


@dataclass
class Aws:
    """Answers for one entry; notes which key it named where."""

    entry: Entry
    connection: Any = None
    named: set[tuple[str, str]] = field(default_factory=set)
    unnamed: set[str] = field(default_factory=set)
    first_pages: set[str] = field(default_factory=set)
    last_pages: set[str] = field(default_factory=set)
    regions: tuple[str, ...] = (REGION, "us-east-1")

    def __post_init__(self) -> None:
        self._calls = {call.operation: call for call in self.entry.walk()}
        last_names = {key.rpartition(".")[2] for call in self.entry.walk() for key in call.keys}
        self._maker = Maker(sorted(last_names) or ["some"])

    def answer(self, operation: str, request: Answer) -> Answer:
        if operation == "DescribeRegions":
            return {"Regions": [{"RegionName": region} for region in self.regions]}
        call = self._calls[operation]
        client = self.connection.client(self.entry.service_of(call))
        shape = client.meta.service_model.operation_model(operation).output_shape
        answer = self._maker.answer(shape)
        taken = (one for below in call.then for one in below.take.values())
        for expression in (call.items, *call.documents, *taken):
            for member, wanted in _wanted_by_filters(expression):
                answer = set_everywhere(answer, member, wanted)
        if call.batch is not None:
            answer = self._as_many_as_asked(call, answer, request)
        cursor = _cursor(client, call)
        if cursor is not None and not set(cursor.send) & set(request):
            self.first_pages.add(operation)
            return cursor.more(answer)
        if cursor is not None:
            self.last_pages.add(operation)
        return self._name_keys(call, answer)

    def sends(self, call: Call, request: Answer) -> bool:
        """Whether a request has the constants of a call."""
        constants = {n: v for n, v in call.params.items() if "{account}" not in str(v)}
        return all(request.get(name) == value for name, value in constants.items())

    def _as_many_as_asked(self, call: Call, answer: Answer, request: Answer) -> Answer:
        identifiers = request[next(iter(call.take))]
        assert len(identifiers) <= (call.batch or 0)
        member = call.items.removesuffix("[]")
        return {**answer, member: answer[member] * len(identifiers)}

    def _name_keys(self, call: Call, answer: Answer) -> Answer:
        for expression in (*call.keys, *call.documents):
            key = new_key()
            found = {
                text
                for item in _items(call, answer)
                for text in texts(compiled(expression).search(item))
            }
            if fresh := {text for text in found if re.match(r"x\d{5}-", text)}:
                text = f'{{"kmsKeyId": "{key}"}}' if expression in call.documents else key
                answer = replace(answer, fresh, text)
            elif not found:
                self.unnamed.add(expression)
        for expression in (*call.keys, *call.documents):
            for item in _items(call, answer):
                for text in texts(compiled(expression).search(item)):
                    if match := re.search(r"arn:aws:kms:[^\"]+", text):
                        self.named.add((match.group(), expression))
        return answer


def _items(call: Call, answer: Answer) -> list[Any]:
    shown = compiled(call.items).search(answer)
    return shown if isinstance(shown, list) else [shown]


def _wanted_by_filters(expression: str) -> Iterator[tuple[str, str | bool | None]]:
    """Members that a filter compares, with the value that passes: made-up ones never do."""
    for member in re.findall(r"\[\?(\w+)(?:!=`false`)?\]", expression):
        yield member, True
    for member, text in re.findall(r"\[\?(\w+)==(?:'([^']*)'|`null`)\]", expression):
        yield member, text or None


@dataclass(frozen=True)
class Cursor:
    """How an operation pages."""

    send: tuple[str, ...]
    take: tuple[str, ...]
    flag: str | None

    def more(self, answer: Answer) -> Answer:
        """The answer as a page with another to come."""
        more = {**answer, **dict.fromkeys(self.take, "next-page".ljust(40, "x"))}
        return {**more, self.flag: True} if self.flag else more


def _cursor(client: Any, call: Call) -> Cursor | None:
    method = xform_name(call.operation)
    if call.page is not None:
        return Cursor((call.page.send,), (), call.page.take.partition(" ")[0])
    if client.can_paginate(method):
        config = client.get_paginator(method)._pagination_cfg
        sent, taken = (
            tuple(config[name]) if isinstance(config[name], list) else (config[name],)
            for name in ("input_token", "output_token")
        )
        return Cursor(sent, taken, config.get("more_results"))
    if tokens := next_page(call, client.meta.service_model):
        return Cursor((tokens[0],), (tokens[1],), None)
    return None


@pytest.mark.parametrize("entry", [e for e in LIST.entries if e.hides], ids=label)
def test_a_listing_that_hides_keys_is_a_gap_unless_it_is_empty(
    entry: Entry, stubbed: Callable[..., Any]
) -> None:
    aws = Aws(entry)
    connection = aws.connection = stubbed(aws.answer)
    only = ReferenceList(version=1, signs=LIST.signs, entries=(entry,))
    (gap,) = scan_region(connection, only).gaps
    assert entry.hides is not None
    assert entry.hides in gap.why
    assert scan_region(stubbed(lambda *_: {}), only).gaps == []


@pytest.mark.parametrize("entry", [e for e in LIST.entries if not e.hides], ids=label)
def test_each_path_that_an_entry_claims_is_read(entry: Entry, stubbed: Callable[..., Any]) -> None:
    aws = Aws(entry)
    connection = aws.connection = stubbed(aws.answer)
    only = ReferenceList(version=1, signs=LIST.signs, entries=(entry,))
    scan = scan_region if entry.reach == "region" else scan_account
    index = scan(connection, only)
    assert index.gaps == []
    found = {
        (key, ref.field)
        for key, _ in aws.named
        for ref in references_to(KeyArn.parse(key), (), [index]).found
        if ref.service in {entry.service_of(call) for call in entry.walk()} and ref.resource
    }
    assert found == aws.named
    claimed = {one for call in entry.walk() for one in (*call.keys, *call.documents)}
    assert {expression for _, expression in aws.named} == claimed
    assert aws.unnamed == set()
    called = {operation for _, operation, _ in connection.calls} - {"DescribeRegions"}
    assert called == {call.operation for call in entry.walk()}
    assert aws.first_pages == aws.last_pages


# --- items that no longer exist -------------------------------------------------------------------


def with_answer(
    stubbed: Callable[..., Any], entry: Entry, call: Call, answer: Callable[[Answer], Answer]
) -> list[str]:
    """The codes of the gaps of a call that is answered so, and all before it as ever."""
    aws = Aws(entry)

    def reply(operation: str, request: Answer) -> Answer:
        applies = operation == call.operation and set(call.take) <= set(request)
        return answer(request) if applies else aws.answer(operation, request)

    connection = aws.connection = stubbed(reply)
    only = ReferenceList(version=1, signs=LIST.signs, entries=(entry,))
    index = (scan_region if entry.reach == "region" else scan_account)(connection, only)
    assert call.operation in {operation for _, operation, _ in connection.calls}
    return [gap.code for gap in index.gaps if gap.operation == call.operation]


def refuse(code: str, message: str = "") -> Callable[[Answer], Answer]:
    def answer(_request: Answer) -> Answer:
        raise ClientError({"Error": {"Code": code, "Message": message}}, "Op")

    return answer


NO_SIGN = {
    # Not about an item: a subscription has a registration of keys, even an empty one.
    "quicksight:DescribeKeyRegistration",
    # The same answer if the snapshot of an image is another account's.
    "ec2:DescribeSnapshots",
    # Named in the answer, not by an error.
    "codecommit:BatchGetRepositories",
}
"""Calls of which no error says that the item is gone."""


@pytest.mark.parametrize("entry", [e for e in LIST.entries if e.then], ids=label)
def test_an_item_that_no_longer_exists_is_no_gap(entry: Entry, stubbed: Callable[..., Any]) -> None:
    connection = stubbed(None)
    for call in (one for one in entry.walk() if one is not entry):
        service = entry.service_of(call)
        declared = gone(connection.client(service).meta.service_model, call)
        errors = [(code, "") for code in (*declared, *call.nothing)]
        errors += [(one.code, f"Error: {one.text}.") for one in call.gone]
        assert bool(errors) == (f"{service}:{call.operation}" not in NO_SIGN)
        for code, message in errors:
            assert with_answer(stubbed, entry, call, refuse(code, message)) == []
        for code in {one.code for one in call.gone}:
            assert set(with_answer(stubbed, entry, call, refuse(code, "Another."))) == {code}


@pytest.mark.parametrize(
    ("entry", "call"),
    [(e, call) for e in LIST.entries for call in e.walk() if call.not_found],
    ids=lambda one: one.operation,
)
def test_what_a_batch_names_as_not_found_is_no_gap(
    entry: Entry, call: Call, stubbed: Callable[..., Any]
) -> None:
    (taken,) = call.take

    def missing(named: Callable[[list[str]], list[str]], request: Answer) -> Answer:
        names: Any = named(request[taken])
        expression = str(call.not_found)
        if found := re.fullmatch(r"(\w+)\[\?(\w+)=='(\w+)'\]\.(\w+)", expression):
            member, reason, value, name = found.groups()
            return {member: [{reason: value, name: one} for one in names]}
        return {expression: names}

    assert with_answer(stubbed, entry, call, partial(missing, list)) == []
    others = partial(missing, lambda names: [f"other-{one}" for one in names])
    assert with_answer(stubbed, entry, call, others) == ["TruncatedResponse"]


# --- an environment of the resources that are not rare --------------------------------------------


def tiered() -> tuple[Entry, ...]:
    """The entries about kinds of tier 1 and 2, which the ledger found unread."""
    tiers = yaml.safe_load(FILE.with_name("tiers.yaml").read_text(encoding="utf-8"))
    kinds = {
        (service, kind)
        for tier in (1, 2)
        for service, named in tiers[tier].items()
        for kind in named
    }
    return tuple(
        entry
        for entry in LIST.entries
        if any(
            (entry.service_of(call), Member("", call.operation, "").kind) in kinds
            for call in entry.walk()
        )
    )


def answer_of(resources: list[Aws], service: str, operation: str, request: Answer) -> Answer:
    """The answer of the resource that a request is about."""
    for aws in resources:
        for call in aws.entry.walk():
            named = (aws.entry.service_of(call), call.operation)
            if named == (service, operation) and aws.sends(call, request):
                return aws.answer(operation, request)
    assert operation == "DescribeRegions"
    return {"Regions": [{"RegionName": REGION}]}


def test_every_key_of_a_resource_that_is_not_rare_is_held(stubbed: Callable[..., Any]) -> None:
    entries = tiered()
    assert len(entries) > 80
    resources = [Aws(entry) for entry in entries]
    environment = stubbed(None, services=partial(answer_of, resources))
    for aws in resources:
        aws.connection = environment
    whole = ReferenceList(version=1, signs=LIST.signs, entries=entries)
    indexes = [scan(environment, whole) for scan in (scan_region, scan_account)]
    assert [gap for index in indexes for gap in index.gaps] == []
    keys = {key for aws in resources for key, _ in aws.named}
    assert len(keys) > 150
    free = {key for key in keys if not held(key, indexes)}
    assert free == set()
    assert not held(new_key(), indexes)
    for aws in resources:
        claimed = {one for call in aws.entry.walk() for one in (*call.keys, *call.documents)}
        assert {expression for _, expression in aws.named} == claimed


def held(key: str, indexes: list[Index]) -> bool:
    """Whether the rule `in-use` holds a key."""
    arn = KeyArn.parse(key)
    evidence = Evidence(key_arn=arn, references=references_to(arn, (), indexes))
    return bool(list(RULE.check(evidence, Policy(), dt.datetime(2026, 1, 1, tzinfo=dt.UTC))))
