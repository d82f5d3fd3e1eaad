"""Index of the resources that name keys, and of the coverage gaps.

A field can have a key id, key ARN, alias name or alias ARN ("Key identifiers (KeyId)", AWS KMS
Developer Guide). All keys of a multi-Region set share one id, so all of them match.
"""

from __future__ import annotations

import itertools
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Final
from urllib.parse import unquote

from ...models import (
    Absences,
    AbsentService,
    CoverageGap,
    KeyArn,
    Reference,
    References,
    Unreadable,
)
from .absence import Absent

_ID: Final = r"(?:mrk-[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
_ALIAS: Final = r"alias/[A-Za-z0-9:/_-]+"
"""Pattern of an alias ("CreateAlias", AWS KMS API Reference)."""
_NAME: Final = re.compile(
    r"(?:arn:aws[a-z-]*:kms:(?P<region>[a-z0-9-]+):(?P<account>[0-9]{12}):)?"
    rf"(?:(?:key/)?(?P<id>{_ID})|(?P<alias>{_ALIAS}))",
    re.ASCII | re.IGNORECASE,
)
_WITHIN: Final = re.compile(rf"(?<![0-9A-Za-z]){_NAME.pattern}(?![0-9A-Za-z])", _NAME.flags)
_ESCAPE: Final = re.compile(r"\\+(?:u(?P<code>[0-9a-f]{4})|(?P<sign>.))", re.IGNORECASE | re.DOTALL)
_BLANKS: Final = frozenset("bfnrt")

MOST_ALIKE: Final = 20
"""How many references of one service, Region and field to list for a key."""


@dataclass(frozen=True, slots=True)
class KeyName:
    """A name of a key. Exactly one of id and alias is set."""

    id: str | None
    alias: str | None
    region: str | None
    account_id: str | None


def key_name(value: object) -> KeyName | None:
    """Parse a field's value. None: it names no key, or an AWS managed key (`alias/aws/`)."""
    match = _NAME.fullmatch(value.strip()) if isinstance(value, str) else None
    return None if match is None else _named(match)


def key_names_within(document: object) -> Iterator[KeyName]:
    """All keys that a document names: a text, such as a JSON policy, or its parsed form.

    IAM sends policies URL-encoded, and boto3 parses those that it can.
    """
    if isinstance(document, dict | list):
        document = json.dumps(document, default=str)
    if not isinstance(document, str):
        return
    texts = dict.fromkeys((document, _unescaped(document), unquote(document)))
    for match in itertools.chain.from_iterable(map(_WITHIN.finditer, texts)):
        name = _named(match)
        while name is not None:
            yield name
            # A colon can be part of the alias, or follow it, as in `alias/shop: decrypt`.
            shorter, colon, _ = (name.alias or "").rpartition(":")
            name = replace(name, alias=shorter) if colon else None


def _unescaped(text: str) -> str:
    """The text without JSON escapes, which are doubled in nested documents."""
    if "\\" not in text:
        return ""
    return _ESCAPE.sub(
        lambda match: (
            chr(int(match["code"], 16))
            if match["code"]
            else " "
            if match["sign"] in _BLANKS
            else match["sign"]
        ),
        text,
    )


def _named(match: re.Match[str]) -> KeyName | None:
    alias, key_id = match["alias"], match["id"]
    if alias is not None and alias.startswith("alias/aws/"):
        return None
    return KeyName(key_id and key_id.lower(), alias, match["region"], match["account"])


@dataclass
class Index:
    """References by the name that they use, and coverage gaps. Not changed after the scan."""

    by_id: dict[str, list[Reference]] = field(default_factory=lambda: defaultdict(list))
    by_alias: dict[str, list[tuple[KeyName, Reference]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    gaps: list[CoverageGap] = field(default_factory=list)
    absent: set[Absent] = field(default_factory=set)
    untried: set[str] = field(default_factory=set)
    """Follow-up calls that had no item, as `service:Operation`."""
    read: int = 0
    """How many entries of the reference list were read."""

    def add(self, name: KeyName, reference: Reference) -> None:
        """Record that a resource names a key."""
        if name.id is not None:
            self.by_id[name.id].append(reference)
        elif name.alias is not None:
            self.by_alias[name.alias].append((name, reference))


def references_to(
    key: KeyArn, aliases: tuple[str, ...] | Unreadable | None, indexes: Iterable[Index]
) -> References:
    """All resources that name a key, and all coverage gaps of the indexes."""
    found: set[Reference] = set()
    gaps: list[CoverageGap] = []
    absent: set[Absent] = set()
    read = 0
    for index in indexes:
        gaps += index.gaps
        absent |= index.absent
        read += index.read
        matches = list(index.by_id.get(key.key_id, ()))
        if isinstance(aliases, tuple):
            for alias in aliases:
                matches += [ref for name, ref in index.by_alias.get(alias, ()) if _means(name, key)]
        elif index.by_alias:
            gaps.append(_unresolved(key, aliases, index))
        found |= set(matches)
    return References(
        found=tuple(_shortened(found)),
        gaps=tuple(
            sorted(set(gaps), key=lambda gap: (gap.service, gap.region, gap.why, gap.operation))
        ),
        services=read,
        absent=tuple(_by_region(absent)),
    )


def _by_region(absent: Iterable[Absent]) -> Iterator[Absences]:
    """Absent services by Region, with the evidence that they share."""
    regions: dict[str, list[Absent]] = defaultdict(list)
    for one in absent:
        regions[one.region].append(one)
    for region, found in sorted(regions.items()):
        services = next((one.services for one in found if one.services is not None), None)
        yield Absences(
            region=region,
            services=tuple(sorted((one.service for one in found), key=_order)),
            controls=next((one.controls for one in found if one.controls), ()),
            list_path=services.path if services else None,
            listed=len(services.codes) if services else 0,
        )


def _order(absent: AbsentService) -> tuple[str, ...]:
    return absent.service, absent.host or "", absent.operation or "", absent.answer or ""


def _shortened(found: Iterable[Reference]) -> Iterator[Reference]:
    """Sort, and limit how many are listed: a backup plan makes a snapshot every day."""
    ordered = sorted(found, key=lambda ref: (ref.service, ref.region, ref.field, ref.resource))
    for _, alike in groupby(ordered, key=lambda ref: (ref.service, ref.region, ref.field)):
        references = list(alike)
        yield from references[:MOST_ALIKE]
        if (more := len(references) - MOST_ALIKE) > 0:
            yield references[0].model_copy(update={"resource": f"{more:,} more like these"})


def _means(name: KeyName, key: KeyArn) -> bool:
    """Whether an alias name can mean the key. In another Region it means another key, unless the
    key belongs to a multi-Region set."""
    if name.account_id is not None and name.account_id != key.account_id:
        return False
    return name.region in {None, key.region} or key.key_id.startswith("mrk-")


def _unresolved(key: KeyArn, aliases: Unreadable | None, index: Index) -> CoverageGap:
    resources = sum(len(references) for references in index.by_alias.values())
    why = aliases.unreadable if aliases else "not read"
    return CoverageGap(
        service="kms",
        region=key.region,
        operation="ListAliases",
        code="AliasesUnreadable",
        message="",
        answer_class=(aliases.answer_class if aliases else None) or "unclear",
        why=f"{resources} fields name a key by an alias, and this key's aliases could not be read: "
        f"{why}",
        permission=aliases.permission if aliases else None,
    )
