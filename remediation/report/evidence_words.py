"""Evidence as text: the name of each piece, and lines for review."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Final

from ..models import (
    AbsentService,
    AliasMoves,
    Declarations,
    Evidence,
    Grant,
    KeyDescription,
    KeyHistory,
    KeyPolicy,
    LastUse,
    LaterAliases,
    NotFound,
    References,
    Unreadable,
    UseAttempts,
)

Lines = tuple[str, tuple[str, ...]]
"""The name of a piece of evidence, and its lines."""


def in_words(evidence: Evidence) -> tuple[Lines, ...]:
    """Every piece that was read, cheapest first; unreadable pieces with the cause."""
    pieces: list[Lines] = []
    for piece, (name, lines_of) in _PIECES.items():
        value = getattr(evidence, piece)
        if value is None:
            continue
        if isinstance(value, Unreadable):
            lines: tuple[str, ...] = (f"Could not be read: {value.unreadable}",)
        elif isinstance(value, NotFound):
            lines = ("Key not found",)
        else:
            lines = tuple(lines_of(value))
        pieces.append((name, lines))
    return tuple(pieces)


def moment(time: datetime) -> str:
    """A time to the minute: 2026-01-31 14:05 UTC."""
    return f"{time:%Y-%m-%d %H:%M} UTC"


def _description(seen: KeyDescription) -> Iterator[str]:
    yield f"{seen.key_state}, {seen.key_spec}, {seen.key_usage}, material from {seen.origin}"
    yield f"created {moment(seen.creation_date)}"
    if seen.deletion_date is not None:
        yield f"to be deleted {moment(seen.deletion_date)}"
    if seen.multi_region_type is not None:
        replicas = ", ".join(map(str, seen.replicas)) or "none"
        yield f"multi-Region {seen.multi_region_type.lower()}; replicas: {replicas}"
    if seen.description:
        yield f"description: {seen.description}"


def _tags(tags: dict[str, str]) -> Iterator[str]:
    yield from (f"{name} = {value}" for name, value in sorted(tags.items()))
    if not tags:
        yield "none"


def _listed(values: tuple[str, ...]) -> Iterator[str]:
    yield from values or ("none",)


def _grants(grants: tuple[Grant, ...]) -> Iterator[str]:
    for grant in grants:
        yield f"{grant.grantee_principal}: {', '.join(grant.operations) or 'no operation'}"
    if not grants:
        yield "none"


def _key_policy(policy: KeyPolicy) -> Iterator[str]:
    if policy.problem is not None:
        yield f"could not be evaluated: {policy.problem}"
    yield from (f"grants access outside the account: {principal}" for principal in policy.outside)
    yield from (f"not limited to the account: {service}" for service in policy.unpinned)
    yield from (f"may deny cancelling: {statement}" for statement in policy.undo_denied)
    root = "governed by the account's IAM" if policy.account_root else "not governed by IAM"
    yield f"{root}; SHA-256 {policy.sha256}"


def _rotations(count: int) -> Iterator[str]:
    yield str(count)


def _declarations(seen: Declarations) -> Iterator[str]:
    for one in seen.found:
        at = f" ({one.position})" if one.file else ""
        yield f"{one.tool}: {one.owner} in {one.source}{at}"
    if not seen.found:
        yield "none found"


def _references(seen: References) -> Iterator[str]:
    for one in seen.found:
        yield f"{one.service} {one.resource} in {one.region} ({one.field})"
    for gap in seen.gaps:
        yield f"Could not be read: {gap.service} in {gap.region}: {gap.why}"
    for absences in seen.absent or ():
        for absent in absences.services:
            yield (
                f"Absent from {absences.region}: {absent.service} ({'; '.join(_witnesses(absent))})"
            )
    if not seen.found:
        yield f"no resource found that names the key; {seen.services} listings read"


def _witnesses(absent: AbsentService) -> Iterator[str]:
    if absent.host is not None:
        yield f"DNS has no {absent.host}"
    if absent.operation is not None:
        yield f"{absent.operation}: {absent.answer}"
    if absent.code is not None:
        yield f"AWS's public list has no {absent.code}"
    if absent.deletes_data is not None:
        yield f"holds nothing until it is enabled: {absent.deletes_data}"


def _history(seen: KeyHistory) -> Iterator[str]:
    if seen.last_change is None:
        yield f"no change of state since {moment(seen.since)}"
    else:
        change = seen.last_change
        yield f"{change.event} by {change.who or 'unknown identity'}, {moment(change.time)}"
    for one in seen.cancellations:
        yield f"{one.who or 'unknown identity'} cancelled its deletion, {moment(one.time)}"


def _alias_moves(seen: AliasMoves) -> Iterator[str]:
    for name, moves in (("moved", seen.moved), ("moved, perhaps from this key", seen.possible)):
        for one in moves:
            by = one.who or "unknown identity"
            yield f"{one.alias} {name} to {one.key_id} by {by}, {moment(one.time)}"
    if not seen.moved and not seen.possible:
        yield f"none found since {moment(seen.since)}"


def _later_aliases(seen: LaterAliases) -> Iterator[str]:
    for one in seen.newest:
        yield f"{one.alias}, on {one.key_id} since {moment(one.updated)}"
    if more := seen.count - len(seen.newest):
        yield f"and {more} more"
    if not seen.count:
        yield "none"


def _last_use(seen: LastUse) -> Iterator[str]:
    if seen.used is not None:
        yield f"{seen.operation or 'operation not named'}, {moment(seen.used)}"
    elif seen.never:
        yield "no use since its creation"
    else:
        yield f"no use since {moment(seen.tracking_start)}; earlier use is not recorded"


def _use_attempts(seen: UseAttempts) -> Iterator[str]:
    for one in seen.attempts:
        refused = f", refused: {one.error}" if one.error else ""
        yield f"{one.event} by {one.who or 'unknown identity'}, {moment(one.time)}{refused}"
    if not seen.attempts:
        yield f"no attempt seen since {moment(seen.since)} (weak)"
    elif not seen.all_read:
        yield "older attempts were not read"


_PIECES: Final[dict[str, tuple[str, Callable[[Any], Iterator[str]]]]] = {
    "description": ("Key", _description),
    "aliases": ("Aliases", _listed),
    "tags": ("Tags", _tags),
    "grants": ("Grants", _grants),
    "key_policy": ("Key policy", _key_policy),
    "rotations": ("Rotations", _rotations),
    "declarations": ("Declared in code", _declarations),
    "references": ("Named by resources", _references),
    "history": ("History of its state", _history),
    "alias_moves": ("Aliases moved away from it", _alias_moves),
    "later_aliases": ("Aliases on other keys that may have been on it", _later_aliases),
    "last_use": ("Last use", _last_use),
    "use_attempts": ("Attempts to use it", _use_attempts),
}
