"""Read one entry of the reference list in one Region: all pages, items and follow-up calls.

A call without an answer is a coverage gap. "Nothing" is only an empty answer, an error that the
list declares to mean it, an item that no longer exists, or a service that is absent from the
Region, which is recorded with its evidence.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore import xform_name
from botocore.exceptions import BotoCoreError, ClientError
from botocore.model import StructureShape
from botocore.parsers import ResponseParserError

from ...aws import Connection
from ...aws.answers import Answer, answer_of
from ...aws.failures import verb
from ...errors import TruncatedResponse
from ...models import MANY_MESSAGES, CoverageGap, Reference
from .absence import Absent, Doubt, Witnesses
from .entries import Call, Entry, ReferenceList, compiled
from .index import KeyName, key_name, key_names_within
from .shapes import Compared, next_page

if TYPE_CHECKING:
    from botocore.model import ServiceModel, Shape

Params = Mapping[str, Any]
Each = Callable[[Callable[["Item"], None], Iterable["Item"]], Iterable[None]]

FAILURES: Final = (
    ClientError,
    BotoCoreError,
    TruncatedResponse,
    ResponseParserError,
    LookupError,
    TypeError,
    ValueError,  # JMESPath's errors are these
    AttributeError,
)
"""AWS errors, and answers of an unexpected shape."""

MOST_MESSAGES: Final = 20
"""How many messages of one operation and code become coverage gaps of their own."""


@dataclass(frozen=True)
class Item:
    """One item of an answer, as its follow-up calls need it."""

    value: Any
    sent: Params
    """Parameters of the call that returned it."""
    resource: str
    batched: tuple[Item, ...] = ()
    """The items of a batch, whose values are then a list."""


_START: Final = Item(None, {}, "")


@dataclass(frozen=True)
class _Failed:
    call: Call
    answer: Answer
    resource: str
    region: str
    doubt: Doubt | None = None
    """Why the service does not count as absent."""
    shows: str = ""
    """What AWS did show, as a verb and its object."""


@dataclass
class Reading:
    """Reads an entry, and collects the names of keys and the failures."""

    connection: Connection
    references: ReferenceList
    entry: Entry
    region: str
    witnesses: Witnesses
    items: Executor
    """Makes the calls that follow an item."""
    compared: Compared
    """Entries that were compared with botocore's models in this run."""
    sample: bool = False
    """Whether to read only the first page of a listing, and its first item."""
    absent: Absent | None = None
    """Set if the Region lacks the service, by its host or by its answer."""
    _answered: bool = False
    """Whether the service has returned a page, so that it is not absent."""
    found: list[tuple[KeyName, Reference]] = field(default_factory=list)
    _no_host: Doubt | None = None
    """Why the service does not count as absent, although its host does not exist."""
    _failures: list[_Failed] = field(default_factory=list)
    _calls: dict[str, int] = field(default_factory=dict)
    _clients: dict[tuple[str, str], Any] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self) -> Reading:
        """Read everything. Failures become coverage gaps."""
        try:
            client = self._client(self.entry)
            if unknown := self.compared.problems(self.entry, self._model):
                raise TruncatedResponse(f"boto3 {boto3.__version__} is too old: {unknown[0]}")
            params = next(_requests(self.entry, _START, self.connection.account_id))
            with self.connection.acting():
                answer = self.witnesses.by_host(
                    self.connection, self.references, self.entry, params, client
                )
            if isinstance(answer, Absent):
                self.absent = answer
                return self
            self._no_host = answer
            self._call(self.entry, _START, each=self.items.map)
        except FAILURES as error:
            self._failures.append(_Failed(self.entry, answer_of(error), "", self.region))
        return self

    def untried(self) -> set[str]:
        """Calls that were not made, because there was no item or an earlier call failed."""
        if self.absent is not None:
            return set()
        calls = [call for call in self.entry.walk() if call.operation not in self._calls]
        return {f"{self.entry.service_of(call)}:{call.operation}" for call in calls}

    def gaps(self) -> list[CoverageGap]:
        """The failures as coverage gaps. Equal answers are counted."""
        alike: dict[tuple[str, str, str], dict[str, list[_Failed]]] = {}
        for failed in self._failures:
            call = failed.call.operation, failed.region, failed.answer.code
            messages = alike.setdefault(call, {})
            messages.setdefault(failed.answer.message, []).append(failed)
        gaps: list[CoverageGap] = []
        for messages in alike.values():
            if len(messages) <= MOST_MESSAGES:
                gaps += map(self._gap, messages.values())
            else:
                gaps.append(
                    self._gap([_without_message(one) for m in messages.values() for one in m])
                )
        return gaps

    def _gap(self, failures: list[_Failed]) -> CoverageGap:
        first = min(failures, key=lambda failed: failed.resource)  # the same one in each run
        answer, doubt = first.answer, first.doubt
        answer_class = answer.answer_class
        permission = self.entry.permission_of(first.call) if answer.lacks_action else None
        why = f"{first.call.operation} {first.shows or verb(answer_class)}"
        if first.resource:
            of = self._calls[first.call.operation]
            why += f" for {len(failures)} of {of}, such as {first.resource}"
        if doubt is None and answer_class == "network" and not first.resource:
            doubt = self._no_host
            why += "; its host does not exist" if doubt else ""
        if doubt is not None:
            why += f"; {doubt.why}"
            if doubt.permission is not None:
                answer_class, permission = "permission", doubt.permission
        return CoverageGap(
            service=self.entry.service_of(first.call),
            region=first.region,
            operation=first.call.operation,
            code=answer.code,
            message=answer.message,
            answer_class=answer_class,
            why=f"{why}: {answer}",
            permission=permission,
            every_region=self.entry.reach == "every-region",
        )

    # --- a call, and those below it ---------------------------------------------------------------

    def _call(self, call: Call, parent: Item, *, each: Each) -> None:
        """Make a call for one item of the previous call, then the calls for each of its items.

        `each` runs the first level of follow-up calls in parallel. Deeper ones run one by one in
        their item's thread.
        """
        for params in _requests(call, parent, self.connection.account_id):
            items = self._ask(call, parent, params)
            for child in call.then:
                tried = items[:1] if self.sample else items
                below = _batches(tried, params, child.batch) if child.batch else tried
                for _ in each(partial(self._call, child, each=map), below):
                    pass

    def _ask(self, call: Call, parent: Item, params: Params) -> list[Item]:
        """Items of all pages, or of those before a failure, which is recorded."""
        items: list[Item] = []
        not_found: set[Any] = set()
        with self._lock:
            self._calls[call.operation] = self._calls.get(call.operation, 0) + 1
        region = self.region
        try:
            region = _search(call.in_region, parent.value) or region
            client = self._client(call, region)
            with self.connection.acting():
                for answer in _pages(client, call, params):
                    self._answered = True
                    items += self._read(call, answer, params, parent, region)
                    not_found.update(_flat(_search(call.not_found, answer)))
                    if self.sample:
                        break
            _demand_all(call, items, not_found, params)
            if call.hides and items:
                hidden = Answer("KeysNotShown", call.hides, "unclear")
                shows = f"shows {len(items):,}, such as {items[0].resource}"
                with self._lock:
                    self._failures.append(
                        _Failed(call, hidden, parent.resource, region, shows=shows)
                    )
        except FAILURES as error:
            if len(parent.batched) > 1 and self._says_gone(call, error):
                return self._ask_one_by_one(call, parent)
            self._fail(call, error, parent, params, region)
        return items

    def _ask_one_by_one(self, call: Call, parent: Item) -> list[Item]:
        """Items of a batch of which at least one no longer exists."""
        return [
            item
            for one in _batches(parent.batched, parent.sent, 1)
            for params in _requests(call, one, self.connection.account_id)
            for item in self._ask(call, one, params)
        ]

    def _fail(
        self, call: Call, error: Exception, parent: Item, params: Params, region: str
    ) -> None:
        """Record a failure, unless it shows that there is nothing to read."""
        alone = not call.batch or all(len(params[name]) == 1 for name in call.take)
        if self._means_nothing(call, error, of_one=alone and parent is not _START):
            return
        names = tuple(str(params[name]) for name in (*call.take, *call.same) if name in params)
        answer = answer_of(error, (*names, parent.resource))
        doubt = None
        if (
            parent is _START
            and not self._answered
            and (sign := self.references.sign(self.entry, answer))
        ):
            seen = self.witnesses.by_answer(
                self.connection, self.references, self.entry, self.region, sign, answer
            )
            if isinstance(seen, Absent):
                self.absent = seen
                return
            answer, doubt = replace(answer, answer_class=sign.meaning), seen
        with self._lock:
            self._failures.append(_Failed(call, answer, parent.resource, region, doubt))

    def _read(
        self, call: Call, answer: Any, params: Params, parent: Item, region: str
    ) -> list[Item]:
        """Items of a page. Records the keys that they name."""
        shown = _search(call.items, answer)
        items = []
        for value in shown if isinstance(shown, list) else [shown]:
            if value is None:
                continue
            resource = str(_search(call.resource, value) or parent.resource or call.operation)
            items.append(Item(value, params, resource))
            named = [
                (
                    name,
                    Reference(
                        service=self.entry.service_of(call),
                        resource=resource,
                        region=region,
                        field=expression,
                    ),
                )
                for expression, name in _key_names(call, value)
            ]
            with self._lock:
                self.found += named
        return items

    def _client(self, call: Call, region: str | None = None) -> Any:
        target = self.entry.service_of(call), region or self.region
        with self._lock:
            if target not in self._clients:
                self._clients[target] = self.connection.client(target[0], region=target[1])
            return self._clients[target]

    def _model(self, call: Call) -> ServiceModel:
        model: ServiceModel = self._client(call).meta.service_model
        return model

    # --- what errors mean -------------------------------------------------------------------------

    def _means_nothing(self, call: Call, error: Exception, *, of_one: bool) -> bool:
        if isinstance(error, ClientError) and answer_of(error).code in call.nothing:
            return True
        return of_one and self._says_gone(call, error)

    def _says_gone(self, call: Call, error: Exception) -> bool:
        """Whether an error says that an item that was just listed no longer exists."""
        if not isinstance(error, ClientError):
            return False
        answered: Mapping[str, Any] = {**error.response.get("Error", {})}
        code, message = answered.get("Code"), str(answered.get("Message"))
        return code in gone(self._model(call), call) or any(
            code == one.code and one.text in message for one in call.gone
        )


def _without_message(failed: _Failed) -> _Failed:
    """A failure whose message is one of too many. No exception for one of them applies to it."""
    return replace(failed, answer=Answer(failed.answer.code, MANY_MESSAGES, "unclear"))


def _requests(call: Call, parent: Item, account_id: str) -> Iterator[dict[str, Any]]:
    """Parameters of each request that a call needs for one item."""
    params = {name: _constant(value, account_id) for name, value in call.params.items()}
    params |= {name: parent.sent[name] for name in call.same}
    for name, expression in call.take.items():
        if call.batch:
            taken = (_flat(_search(expression, item)) for item in parent.value)
            params[name] = list(dict.fromkeys(itertools.chain.from_iterable(taken)))
            if not params[name]:
                return  # without any, AWS would answer with all there are
        elif (value := _search(expression, parent.value)) is not None:
            params[name] = value  # leave out an optional parameter that the item lacks
    for values in itertools.product(*call.each.values()):
        yield {**params, **dict(zip(call.each, values, strict=True))}


def _constant(value: Any, account_id: str) -> Any:
    """A constant of the list, with the account id filled in."""
    if isinstance(value, list):
        return [_constant(one, account_id) for one in value]
    return account_id if value == "{account}" else value


def _batches(items: Sequence[Item], sent: Params, size: int) -> Iterator[Item]:
    """Groups of items, each as one item whose value is the list of theirs."""
    for start in range(0, len(items), size):
        some = tuple(items[start : start + size])
        yield Item([item.value for item in some], sent, some[0].resource, some)


def _pages(client: Any, call: Call, params: Params) -> Iterator[Any]:
    """All pages of an answer. An error on any page passes through."""
    method = xform_name(call.operation)
    if call.page is None and client.can_paginate(method):
        yield from client.get_paginator(method).paginate(**params)
        return
    if call.page is not None:
        send, take = call.page.send, call.page.take
    else:
        send, take = next_page(call, client.meta.service_model) or ("", "`null`")
    cursor: Any = None
    while True:
        answer = getattr(client, method)(**params, **({send: cursor} if cursor else {}))
        yield answer
        before, cursor = cursor, _search(take, answer)
        if not cursor:
            return
        if cursor == before:
            raise TruncatedResponse(f"{call.operation} returned the same page token twice")


def _demand_all(call: Call, items: list[Item], not_found: set[Any], params: Params) -> None:
    """Raise TruncatedResponse if a batch call leaves out an item, whose key would be missed."""
    taken = [params[name] for name in call.take] if call.batch else []
    expected = [value for values in taken for value in values if value not in not_found]
    if len(items) < len(expected):
        raise TruncatedResponse(f"the answer has {len(items)} of {len(expected)} items")


def _key_names(call: Call, item: Any) -> Iterator[tuple[str, KeyName]]:
    for expression in call.keys:
        for value in _flat(_search(expression, item)):
            if (name := key_name(value)) is not None:
                yield expression, name
    for expression in call.documents:
        for text in _flat(_search(expression, item)):
            for name in key_names_within(text):
                yield expression, name


def _search(expression: str | None, value: Any) -> Any:
    return None if expression is None else compiled(expression).search(value)


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for one in value:
            yield from _flat(one)
    else:
        yield value


def gone(model: ServiceModel, call: Call) -> frozenset[str]:
    """Error codes which AWS's model declares, and which mean that an item that was just listed no
    longer exists.

    Where the model of an operation lacks any, as for EC2 Image Builder, the service's general one
    counts. Errors about a key are not among them: the item exists, and its key does not.
    """
    own = _not_found(model.operation_model(call.operation).error_shapes)
    return own or (_not_found(model.error_shapes) & _GENERAL if call.take else frozenset())


def _not_found(shapes: Iterable[Shape]) -> frozenset[str]:
    structures = (shape for shape in shapes if isinstance(shape, StructureShape))
    names = {name for shape in structures for name in (shape.name, shape.error_code) if name}
    words = ("NotFound", "DoesNotExist", "NoSuch")
    return frozenset(
        name
        for name in names
        if any(word in name for word in words) and not any(word in name for word in _OF_KEYS)
    )


_OF_KEYS: Final = ("Key", "KMS", "Kms")

_GENERAL: Final = {"ResourceNotFoundException", "ResourceNotFound"}
