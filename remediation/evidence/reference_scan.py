"""Runs the reference list against an account: the one engine for all services.

A call that AWS does not answer is a gap, never "nothing". Nothing is only: an empty answer, an error
that the list declares to mean it, or a service that does not exist in the Region.
"""

from __future__ import annotations

import itertools
import random
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import getproxies

import boto3
from botocore import xform_name
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError as NoConnection,
    HTTPClientError,
)

from ..aws import Place
from ..aws.failures import code_of
from ..errors import CutAnswer
from ..models import Gap, Reference
from .reference_index import Index, KeyName, key_name, key_names_within
from .reference_list import Call, Entry, ReferenceList, compiled
from .reference_shapes import next_page, problems

REGIONS_PERMISSION: Final = "ec2:DescribeRegions"
"""Needed for the entries that are asked in every Region."""

ENTRY_WORKERS: Final = 8
ITEM_WORKERS: Final = 12

PAUSES: Final = (1.0, 3.0, 9.0, 20.0)
"""Seconds to wait before a call that is still throttled after botocore's own retries."""

Failure = ClientError | BotoCoreError | CutAnswer
Params = Mapping[str, Any]


@dataclass(frozen=True)
class Item:
    """One item of an answer, as the calls below it need it."""

    value: Any
    sent: Params
    resource: str


@dataclass(frozen=True)
class Asked:
    """An entry in one Region."""

    entry: Entry
    region: str


def scan_region(place: Place, references: ReferenceList) -> Index:
    """Read all entries that are asked in the key's own Region."""
    return _scan(
        place,
        references,
        [Asked(entry, place.region) for entry in references.entries if entry.reach == "region"],
    )


def scan_account(place: Place, references: ReferenceList) -> Index:
    """Read what is not bound to the key's Region: global answers, and every Region's where an entry
    can name keys of another."""
    once = [Asked(entry, place.region) for entry in references.entries if entry.reach == "account"]
    everywhere = [entry for entry in references.entries if entry.reach == "every-region"]
    regions, gaps = _enabled_regions(place, everywhere)
    index = _scan(
        place,
        references,
        once + [Asked(entry, region) for entry in everywhere for region in regions],
    )
    index.gaps += gaps
    return index


def _enabled_regions(place: Place, entries: Sequence[Entry]) -> tuple[list[str], list[Gap]]:
    try:
        answer = place.client("ec2").describe_regions()
    except (ClientError, BotoCoreError, CutAnswer) as error:
        why = f"the account's Regions are not known: DescribeRegions {_said(error)}"
        permission = REGIONS_PERMISSION if _denied(error) else None
        services = dict.fromkeys(entry.service for entry in entries)
        return [place.region], [
            Gap(service=service, region=place.region, why=why, permission=permission)
            for service in services
        ]
    return sorted({place.region, *(region["RegionName"] for region in answer["Regions"])}), []


def _scan(place: Place, references: ReferenceList, asked: Iterable[Asked]) -> Index:
    index = Index()
    with ThreadPoolExecutor(ENTRY_WORKERS) as entries, ThreadPoolExecutor(ITEM_WORKERS) as items:
        readings = [_Reading(place, references, one, items) for one in asked]
        for reading in entries.map(_Reading.run, readings):
            for name, reference in reading.found:
                index.add(name, reference)
            index.gaps += reading.gaps()
            index.read += 1
    return index


@dataclass
class _Reading:
    """One entry being read in one Region: what it named, and what failed."""

    place: Place
    references: ReferenceList
    asked: Asked
    items: Executor
    found: list[tuple[KeyName, Reference]] = field(default_factory=list)
    failures: list[tuple[Call, Failure, str]] = field(default_factory=list)
    calls: dict[str, int] = field(default_factory=dict)
    problem: str | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _paces: dict[str, _Pace] = field(default_factory=dict)

    def run(self) -> _Reading:
        entry, region = self.asked.entry, self.asked.region
        try:
            client = self.place.client(entry.service, region=region)
        except BotoCoreError as error:
            self.problem = f"{_said(error)}; update boto3"
            return self
        if unknown := problems(entry, client.meta.service_model):
            self.problem = f"boto3 {boto3.__version__} is too old ({unknown[0]}); update boto3"
        elif not self._is_known_absent(client):
            self._call(entry, Item(None, {}, ""), self.items.map)
        return self

    def gaps(self) -> list[Gap]:
        """The failures, those alike told once with how many they are."""
        entry, region = self.asked.entry, self.asked.region
        if self.problem is not None:
            return [Gap(service=entry.service, region=region, why=self.problem)]
        alike: dict[tuple[str, str], list[tuple[Call, Failure, str]]] = {}
        for call, error, resource in self.failures:
            alike.setdefault((call.operation, code_of(error)), []).append((call, error, resource))
        gaps = []
        for failures in alike.values():
            call, error, resource = failures[0]
            why = f"{call.operation} {_said(error)}"
            if resource:
                why += f" for {len(failures)} of {self.calls[call.operation]}, such as {resource}"
            permission = entry.permission_of(call) if _denied(error) else None
            gaps.append(Gap(service=entry.service, region=region, why=why, permission=permission))
        return gaps

    # --- one call and those below it -----------------------------------------------------------

    def _call(self, call: Call, parent: Item, each: Callable[..., Iterator[None]]) -> None:
        """Make a call for one item of the call before, then the calls for each of its items."""
        for params in _requests(call, parent, self.place.account_id):
            region = _search(call.in_region, parent.value) or self.asked.region
            with self._lock:
                self.calls[call.operation] = self.calls.get(call.operation, 0) + 1
            items: list[Item] = []
            try:
                client = self.place.client(self.asked.entry.service, region=region)
                for answer in self._answers(client, call, params):
                    items += self._read(call, answer, params, parent, region)
                if call.batch and len(items) < len(parent.value):
                    raise CutAnswer(
                        f"{call.operation} answered for {len(items)} of {len(parent.value)} items"
                    )
            except (ClientError, BotoCoreError, CutAnswer) as error:
                if not self._means_nothing(call, error, nested=parent.value is not None):
                    with self._lock:
                        self.failures.append((call, error, parent.resource))
            for child in call.then:
                whole = Item([item.value for item in items], params, parent.resource)
                below = list(_batches(whole, child.batch)) if child.batch else items
                for _ in each(lambda item, child=child: self._call(child, item, map), below):
                    pass

    def _read(
        self, call: Call, answer: Any, params: Params, parent: Item, region: str
    ) -> list[Item]:
        shown = _search(call.items, answer)
        items = []
        for value in shown if isinstance(shown, list) else [shown]:
            if value is None:
                continue
            resource = str(_search(call.resource, value) or parent.resource or call.operation)
            items.append(Item(value, params, resource))
            for keys, names in ((call.keys, _one), (call.documents, key_names_within)):
                for expression in keys:
                    for text in _flat(_search(expression, value)):
                        for name in names(text):
                            reference = Reference(
                                service=self.asked.entry.service,
                                resource=resource,
                                region=region,
                                field=expression,
                            )
                            with self._lock:
                                self.found.append((name, reference))
        return items

    # --- getting answers -------------------------------------------------------------------------

    def _answers(self, client: Any, call: Call, params: Params) -> Iterator[Any]:
        """All pages of an answer; an error on any page passes through."""
        method = xform_name(call.operation)
        token = next_page(call, client.meta.service_model)
        if call.page is not None:
            send, take = call.page.send, call.page.take
        elif client.can_paginate(method):
            pages = iter(client.get_paginator(method).paginate(**params))
            while (page := self._patiently(call, lambda: next(pages, None))) is not None:
                yield page
            return
        elif token is not None:
            send, take = token
        else:
            yield self._patiently(call, lambda: getattr(client, method)(**params))
            return
        seen: set[str] = set()
        more: Params = {}
        while True:
            asked = {**params, **more}
            answer = self._patiently(call, lambda: getattr(client, method)(**asked))  # noqa: B023
            yield answer
            value = _search(take, answer)
            if not value:
                return
            if value in seen:
                raise CutAnswer(f"{call.operation} gave the same page token twice")
            seen.add(value)
            more = {send: value}

    def _patiently(self, call: Call, send: Callable[[], Any]) -> Any:
        """Send within the call's pace, and again later when it is throttled beyond botocore's own
        retries: many accounts share their quota with busy production."""
        for pause in (*PAUSES, None):
            self._pace(call)
            try:
                return send()
            except ClientError as error:
                if pause is None or not _throttled(error):
                    raise
                time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - no secret
        raise AssertionError("the last attempt returns or raises")

    def _pace(self, call: Call) -> None:
        if call.per_second is None:
            return
        with self._lock:
            pace = self._paces.setdefault(call.operation, _Pace(1 / call.per_second))
        pace.wait()

    # --- what errors mean ------------------------------------------------------------------------

    def _means_nothing(self, call: Call, error: Failure, *, nested: bool) -> bool:
        if not isinstance(error, ClientError):
            return isinstance(error, NoConnection | HTTPClientError) and self._is_absent(error)
        told = error.response.get("Error", {})
        code, message = str(told.get("Code", "")), str(told.get("Message", ""))
        if any(sign.shows(code, message) for sign in (*self.references.absent, *call.nothing)):
            return True
        return nested and code in self._vanished(call)

    def _vanished(self, call: Call) -> set[str]:
        """The errors by which this operation says that an item just listed is gone again."""
        client = self.place.client(self.asked.entry.service, region=self.asked.region)
        operation = client.meta.service_model.operation_model(call.operation)
        return {
            name
            for shape in operation.error_shapes
            for name in (shape.name, shape.error_code)
            if name and ("NotFound" in name or "DoesNotExist" in name or "NoSuch" in name)
        }

    def _is_known_absent(self, client: Any) -> bool:
        """Whether the service has no host in this Region, seen without a call and its retries."""
        host = urlsplit(client.meta.endpoint_url).hostname or ""
        return not self._is_offered() and not getproxies() and not _resolves(host)

    def _is_absent(self, error: Failure) -> bool:
        """Whether a failed connection means that there is no such service in this Region.

        botocore's list of Regions may be older than a launch, so a missing Region alone says
        nothing: it only tells a missing service from a broken network."""
        if self._is_offered():
            return False
        if self._offered_in():
            return True
        host = urlsplit(str(getattr(error, "kwargs", {}).get("endpoint_url", ""))).hostname
        return bool(host) and not _resolves(str(host))

    def _is_offered(self) -> bool:
        return self.asked.region in self._offered_in()

    def _offered_in(self) -> list[str]:
        regions: list[str] = self.place.session.get_available_regions(
            self.asked.entry.service, partition_name=self.place.partition
        )
        return regions


class _Pace:
    """Spaces calls evenly, for all threads together."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._next = 0.0
        self._lock = threading.Lock()

    def wait(self) -> None:
        with self._lock:
            now = time.monotonic()
            start = max(now, self._next)
            self._next = start + self._seconds
        time.sleep(start - now)


# --- requests --------------------------------------------------------------------------------------


def _requests(call: Call, parent: Item, account_id: str) -> Iterator[dict[str, Any]]:
    params: dict[str, Any] = {name: _constant(v, account_id) for name, v in call.params.items()}
    params |= {name: parent.sent[name] for name in call.same}
    for name, expression in call.take.items():
        value = (
            [part for item in parent.value if (part := _search(expression, item)) is not None]
            if call.batch
            else _search(expression, parent.value)
        )
        if value is None:  # an optional parameter that this item does not have
            continue
        params[name] = value
    for values in itertools.product(*call.each.values()):
        yield {**params, **dict(zip(call.each, values, strict=True))}


def _constant(value: Any, account_id: str) -> Any:
    return account_id if value == "{account}" else value


def _batches(whole: Item, size: int) -> Iterator[Item]:
    for start in range(0, len(whole.value), size):
        yield Item(whole.value[start : start + size], whole.sent, whole.resource)


def _search(expression: str | None, value: Any) -> Any:
    return None if expression is None else compiled(expression).search(value)


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for one in value:
            yield from _flat(one)
    else:
        yield value


def _one(value: object) -> Iterator[KeyName]:
    if (name := key_name(value)) is not None:
        yield name


# --- errors ----------------------------------------------------------------------------------------


def _denied(error: Failure) -> bool:
    code = code_of(error)
    return isinstance(error, ClientError) and any(
        word in code for word in ("AccessDenied", "Unauthorized", "NotAuthorized", "Forbidden")
    ) or code in {"AuthorizationError", "AuthorizationErrorException"}


def _throttled(error: ClientError) -> bool:
    code = code_of(error)
    return "hrottl" in code or code in {
        "TooManyRequestsException",
        "RequestLimitExceeded",
        "RateExceeded",
        "SlowDown",
        "LimitExceededException",
    }


def _said(error: Failure) -> str:
    if isinstance(error, ClientError):
        return f"{'was denied' if _denied(error) else 'failed'} ({code_of(error)})"
    return f"failed ({' '.join(str(error).split())[:300]})"


@cache
def _resolves(host: str) -> bool:
    """Whether a host name exists. A resolver that does not answer leaves it open: then it does."""
    try:
        socket.getaddrinfo(host, 443)
    except socket.gaierror as error:
        return error.errno not in {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", None)}
    return True
