"""From key ARNs to evidence: the sources, and the collector that asks them cheapest first.

A source is one module of this package with a `SOURCE`: the piece of `Evidence` that it fills, what
that costs, the IAM permissions it needs and a function that reads. Nothing is wired up elsewhere:
the registry finds the modules; order, laziness and the IAM documents derive from the declarations.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from pydantic import ValidationError

from ..aws import Accounts, Located, Place
from ..aws.failures import explain
from ..errors import AccountUnavailable, CutAnswer
from ..models import PIECES, Cost, Evidence, KeyArn, Unknown

Piece = Any
"""The value of one field of `Evidence`; the model checks it when it is put there."""


@dataclass(frozen=True)
class Source:
    """Where one piece of evidence comes from. Exactly one of `read_key`, `read_place` is given."""

    piece: str
    """The field of `Evidence` that this source fills."""
    cost: Cost
    permissions: tuple[str, ...]
    """IAM actions that the calls need."""
    read_key: Callable[[Place, Evidence], Piece] | None = None
    """Reads one key; an AWS error becomes `Unknown` for that key alone."""
    read_place: Callable[[Place, Sequence[Evidence]], Mapping[KeyArn, Piece]] | None = None
    """Reads all asked keys of one account and Region; an AWS error becomes `Unknown` for all."""
    at: Located | None = None
    """The one place that `read_place` asks about the keys of all places; by default their own."""
    after: tuple[str, ...] = ()
    """Pieces that must have been read before, since this source looks at them."""


def _discover() -> dict[str, Source]:
    found: dict[str, Source] = {}
    for module in pkgutil.iter_modules(__path__):
        source = getattr(importlib.import_module(f"{__name__}.{module.name}"), "SOURCE", None)
        if source is None:
            continue
        assert source.piece in PIECES, f"no such piece of evidence: {source.piece}"
        assert source.piece not in found, f"two sources fill {source.piece}"
        assert (source.read_key is None) != (source.read_place is None), source.piece
        found[source.piece] = source
    return found


SOURCES: Final = _discover()
"""The source of each piece, by the piece's name."""

Wanted = Callable[[Evidence], frozenset[str]]
"""Says which pieces are still wanted of a key; empty when nothing is."""

Progress = Callable[[str, int], None]
"""Told of each step: what is read now, and of how many keys."""


@dataclass
class Collector:
    """Reads evidence of many keys: account-Regions in parallel, and a few of the keys within.

    Each account-Region has threads of its own, so that a slow one keeps no other waiting.
    """

    accounts: Accounts
    place_workers: int = 16
    key_workers: int = 4
    progress: Progress = lambda _piece, _keys: None
    sources: Mapping[str, Source] = field(default_factory=lambda: SOURCES)
    """The source of each piece; another one than `SOURCES` where the user names one."""

    def collect(self, start: Iterable[Evidence], wanted: Wanted) -> dict[KeyArn, Evidence]:
        """Ask until nothing is wanted any more, always the cheapest wanted piece first."""
        all_evidence = {evidence.key_arn: evidence for evidence in start}
        with ThreadPoolExecutor(self.place_workers) as places:
            asked = list(all_evidence.values())
            while True:
                wants = {e.key_arn: pieces for e in asked if (pieces := self._ready(e, wanted))}
                if not wants:
                    return all_evidence
                piece = min(frozenset[str]().union(*wants.values()), key=self._order)
                chosen = [all_evidence[arn] for arn, pieces in wants.items() if piece in pieces]
                self.progress(piece, len(chosen))
                for updated in self._read(piece, chosen, places):
                    all_evidence[updated.key_arn] = updated
                asked = [all_evidence[arn] for arn in wants]

    def read_one(self, evidence: Evidence, pieces: Iterable[str]) -> Evidence:
        """Read these pieces of one key again, in this thread, whatever was known of them."""
        for piece in sorted(pieces, key=self._order):
            value = self._read_place(piece, [evidence]).get(evidence.key_arn)
            if value is None:
                value = Unknown(unknown="the source left this key out")
            evidence = _put(evidence, piece, value)
        return evidence

    def _read(self, piece: str, chosen: Sequence[Evidence], places: Executor) -> Iterable[Evidence]:
        source = self.sources.get(piece)
        groups: dict[Hashable, list[Evidence]] = {}
        for evidence in chosen:
            one_place = source is not None and source.at is not None
            groups.setdefault(None if one_place else evidence.key_arn.place, []).append(evidence)
        futures = [
            (group, places.submit(self._read_place, piece, group)) for group in groups.values()
        ]
        for group, future in futures:
            values = future.result()
            for evidence in group:
                value = values.get(evidence.key_arn)
                if value is None:
                    value = Unknown(unknown="the source left this key out")
                yield _put(evidence, piece, value)

    def _read_place(self, piece: str, group: Sequence[Evidence]) -> Mapping[KeyArn, Piece]:
        source = self.sources.get(piece)
        if source is None:
            return _all(group, Unknown(unknown="not read in this version"))
        try:
            place = self.accounts.place(source.at or group[0].key_arn)
        except AccountUnavailable as error:
            return _all(group, Unknown(unknown=str(error)))
        if source.read_place is not None:
            read_place = source.read_place
            values = _attempt(source, place, lambda: read_place(place, group))
            return _all(group, values) if isinstance(values, Unknown) else values
        assert source.read_key is not None
        read_key = source.read_key

        def read(evidence: Evidence) -> Piece:
            return _attempt(source, place, lambda: read_key(place, evidence))

        if len(group) == 1:
            return {group[0].key_arn: read(group[0])}
        with ThreadPoolExecutor(min(self.key_workers, len(group))) as keys:
            return dict(zip((e.key_arn for e in group), keys.map(read, group), strict=True))

    def _order(self, piece: str) -> tuple[int, str]:
        source = self.sources.get(piece)
        return (Cost.FREE if source is None else source.cost), piece

    def _ready(self, evidence: Evidence, wanted: Wanted) -> frozenset[str]:
        """The wanted pieces that can be read now, with what must be read before the others."""
        ready: set[str] = set()
        todo = list(wanted(evidence))
        while todo:
            piece = todo.pop()
            source = self.sources.get(piece)
            after = () if source is None else source.after
            before = [p for p in after if getattr(evidence, p) is None]
            if before:
                todo.extend(before)
            else:
                ready.add(piece)
        return frozenset(ready)


def _attempt(source: Source, place: Place, read: Callable[[], Piece]) -> Piece:
    """What a source reads, or why it could not: AWS's errors, and answers of another shape."""
    try:
        return read()
    except (ClientError, BotoCoreError, CutAnswer) as error:
        return explain(error, place, source.permissions)
    except (LookupError, TypeError, ValueError, AttributeError, ResponseParserError) as error:
        odd = f"{type(error).__name__}: {error}"
        return Unknown(
            unknown=f"AWS answered in account {place.account_id}, {place.region} in a way that is "
            f"not understood ({odd[:200]})"
        )


def _all(group: Sequence[Evidence], value: Unknown) -> dict[KeyArn, Piece]:
    return {evidence.key_arn: value for evidence in group}


def _put(evidence: Evidence, piece: str, value: Piece) -> Evidence:
    """The evidence with one more piece, checked by the model."""
    try:
        return Evidence.model_validate({**dict(evidence), piece: value})
    except ValidationError as error:
        odd = error.errors()[0]["msg"]
        unknown = Unknown(unknown=f"AWS's answer is not understood ({odd})")
        return evidence.model_copy(update={piece: unknown})
