"""Compare what the models show with what the reference list reads and `left_out.yaml` explains."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, model_validator

from keysweep.remediation.evidence.references.entries import reference_list

from .finder import Found, Member, found, singular
from .reading import read_by

FILE: Final = Path(__file__).with_name("left_out.yaml")

Reason = Literal[
    "finished-job-record",
    "shown-by",
    "closed-service",
    "not-a-customer-key",
    "no-read-call",
    "not-read-yet",
]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Group(_Part):
    """Members that are left out for the same reason."""

    reason: Reason
    why: str
    page: str | None = None
    """AWS's page that says so, of a closed service."""
    use: str | None = None
    """What cannot be seen, of members that no call shows or that are not read yet."""
    members: dict[str, dict[str, tuple[str, ...]]] = {}
    """Paths by service and operation."""
    by: dict[str, dict[str, str]] = {}
    """`shown-by`: the member that shows the same key, by service and member."""

    @model_validator(mode="after")
    def _is_whole(self) -> Group:
        if (self.reason == "shown-by") != bool(self.by) or bool(self.by) == bool(self.members):
            raise ValueError("shown-by needs `by`, every other reason `members`")
        if (self.reason == "closed-service") != (self.page is not None):
            raise ValueError("closed-service needs AWS's page")
        if (self.reason in {"no-read-call", "not-read-yet"}) != (self.use is not None):
            raise ValueError("no-read-call and not-read-yet need `use`")
        return self

    def listed(self) -> Iterator[Member]:
        """Every member of the group."""
        for service, operations in self.members.items():
            for operation, paths in operations.items():
                yield from (Member(service, operation, path) for path in paths)
        for service, pairs in self.by.items():
            yield from (_member(service, text) for text in pairs)

    def shown_by(self) -> Iterator[tuple[Member, Member]]:
        """Each member with the one that shows the same key."""
        for service, pairs in self.by.items():
            for text, other in pairs.items():
                yield _member(service, text), _member(service, other)


def _member(service: str, text: str) -> Member:
    """`Operation path`, or `service Operation path`."""
    parts = text.split()
    return Member(*parts) if len(parts) == 3 else Member(service, *parts)


class FreeForm(_Part):
    """A text or map in an answer that can name keys, without a member for them in the model."""

    service: str
    operation: str
    path: str
    left_out: str | None = None
    """Why it is not read."""
    use: str | None = None
    """What cannot be seen because of that."""

    @property
    def member(self) -> Member:
        """Where the text or map is."""
        return Member(self.service, self.operation, self.path)


class LeftOut(_Part):
    """`left_out.yaml`."""

    version: Literal[1]
    botocore: str
    """The version whose models were last compared."""
    groups: tuple[Group, ...]
    free_form: tuple[FreeForm, ...]


def unanswered(members: Found) -> frozenset[Member]:
    """Members of requests about a resource whose keys no answer of the service shows.

    A request is about the resource that its operation is named after: `CreateVolume` about volumes,
    as `DescribeVolumes`. Names that begin alike are taken as the same resource.
    """
    kinds: dict[str, set[str]] = defaultdict(set)
    for member in members.answers:
        kinds[member.service].add(member.kind.lower())
    return frozenset(
        member
        for member in members.requests
        if not any(_alike(_noun(member), kind) for kind in kinds[member.service])
    )


def _noun(member: Member) -> str:
    return singular(re.sub(r"^(Batch)?[A-Z][a-z]+", "", member.operation)).lower()


def _alike(noun: str, kind: str) -> bool:
    if noun == kind:
        return True
    return bool(noun) and len(kind) > 3 and (noun.startswith(kind) or kind.startswith(noun))


@dataclass(frozen=True)
class Ledger:
    """What is found, read and left out."""

    found: Found
    read: frozenset[Member]
    left_out: LeftOut

    @cached_property
    def reasons(self) -> Mapping[Member, tuple[Reason, ...]]:
        """The reasons of each member that is left out, normally one."""
        reasons: dict[Member, tuple[Reason, ...]] = defaultdict(tuple)
        for group in self.left_out.groups:
            for member in group.listed():
                reasons[member] += (group.reason,)
        return reasons

    def to_explain(self) -> frozenset[Member]:
        """Members that must be left out for a reason: those that are not read."""
        return (self.found.answers - self.read) | unanswered(self.found)

    def missing(self) -> list[Member]:
        """Members that are neither read nor left out."""
        return sorted(self.to_explain() - self.reasons.keys())

    def superfluous(self) -> list[Member]:
        """Members that are left out although they are read, or that the models lack."""
        return sorted(self.reasons.keys() - self.to_explain())

    def counts(self) -> Counter[str]:
        """How many members of answers are read, and left out by each reason."""
        counted: Counter[str] = Counter(
            self.reasons[member][0] for member in self.found.answers & self.reasons.keys()
        )
        counted["read"] = len(self.read & self.found.answers)
        return counted

    def kinds(self) -> Mapping[tuple[str, str], bool]:
        """Living resources whose key AWS shows, by service and name: whether all of it is read.

        The same resource in another call or service counts once.
        """
        same = {member for group in self.left_out.groups for member, _ in group.shown_by()}
        kinds = {(m.service, m.kind): True for m in self.read}
        kinds |= {
            (member.service, member.kind): False
            for member, (reason, *_) in self.reasons.items()
            if reason == "not-read-yet" and member not in same
        }
        return kinds | {
            (one.service, one.member.kind): False for one in self.left_out.free_form if one.left_out
        }

    def unseen(self, reason: Reason) -> list[str]:
        """Uses of a key that no call shows (`no-read-call`), or that wait (`not-read-yet`)."""
        uses = [one.use for one in self.left_out.groups if one.use and one.reason == reason]
        if reason == "not-read-yet":
            uses += [one.use for one in self.left_out.free_form if one.use]
        return sorted(uses, key=str.lower)


@cache
def ledger() -> Ledger:
    """The ledger of the installed botocore."""
    content = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    left_out = LeftOut.model_validate(content)
    return Ledger(found(), read_by(reference_list()), left_out)
