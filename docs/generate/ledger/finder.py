"""Find the members of requests and answers that name a KMS key, in botocore's service models."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from botocore.loaders import Loader

Shapes = Mapping[str, Mapping[str, Any]]

READS: Final = re.compile(
    r"(Batch)?(Get|List|Describe|Search|Lookup|Query|Scan|View|Read|Retrieve|Preview|Discover"
    r"|Fetch|Select|Head|Show)(?=[A-Z]|$)"
)
"""Verbs of operations that read."""

NOT_REFERENCES: Final = frozenset({"kms"})
"""KMS's own answers are about keys, and name none that something needs."""


@dataclass(frozen=True, order=True)
class Member:
    """A member that names a key: `Volumes[].KmsKeyId`; `{}` stands for the values of a map."""

    service: str
    operation: str
    path: str

    def __str__(self) -> str:
        return f"{self.service} {self.operation} {self.path}"

    @property
    def kind(self) -> str:
        """The resource that the operation is about, in the singular: `Volume`."""
        noun = READS.sub("", self.operation, count=1) or self.operation
        return singular(noun)


@dataclass(frozen=True)
class Found:
    """What the models show."""

    answers: frozenset[Member]
    """Members of the answers of reading operations."""
    requests: frozenset[Member]
    """Members of the requests of all other operations."""


def singular(noun: str) -> str:
    """A plural noun in the singular: `Policies` is `Policy`."""
    for ending, replacement in (("ies", "y"), ("uses", "us"), ("sses", "ss"), ("xes", "x")):
        if noun.endswith(ending):
            return noun.removesuffix(ending) + replacement
    return noun[:-1] if noun.endswith("s") and not noun.endswith(("ss", "us")) else noun


@cache
def found() -> Found:
    """Walk all services of the installed botocore, which takes some seconds."""
    answers: set[Member] = set()
    requests: set[Member] = set()
    for service, model in models():
        walk = Walk(model["shapes"])
        for name, operation in model["operations"].items():
            reads = bool(READS.match(name))
            shape = operation.get("output" if reads else "input")
            if shape is not None:
                paths = walk.paths(shape["shape"])
                (answers if reads else requests).update(Member(service, name, p) for p in paths)
    return Found(frozenset(answers), frozenset(requests))


def models() -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every service of the installed botocore that can refer to keys, with its model."""
    for service in Loader().list_available_services("service-2"):
        if service not in NOT_REFERENCES:
            loader = Loader()  # one keeps all that it loads, and all models take a gigabyte
            version = loader.determine_latest_version(service, "service-2")
            yield service, loader.load_data(f"{service}/{version}/service-2")


class Walk:
    """Paths to members that name a key, within the shapes of one service."""

    def __init__(self, shapes: Shapes) -> None:
        self._shapes = shapes
        self._leading = self._that_lead_to_keys()

    def paths(self, shape: str) -> Iterator[str]:
        """Paths from a shape. A structure within itself ends there."""
        yield from self._within(shape, "", ())

    def _within(self, shape: str, path: str, above: tuple[str, ...]) -> Iterator[str]:
        if shape not in self._leading or shape in above:
            return
        content = self._shapes[shape]
        above = (*above, shape)
        if content["type"] == "structure":
            for name, member in content.get("members", {}).items():
                below = f"{path}.{name}" if path else name
                if names_key(self._shapes, shape, name):
                    yield below
                yield from self._within(member["shape"], below, above)
        elif content["type"] == "list":
            yield from self._within(content["member"]["shape"], f"{path}[]", above)
        else:
            yield from self._within(content["value"]["shape"], f"{path}{{}}", above)

    def _that_lead_to_keys(self) -> frozenset[str]:
        users: dict[str, list[str]] = {}
        leading: set[str] = set()
        for shape, content in self._shapes.items():
            members = content.get("members", {})
            parts = [one["shape"] for one in members.values()]
            parts += [content[part]["shape"] for part in ("member", "value") if part in content]
            for part in parts:
                users.setdefault(part, []).append(shape)
            if any(names_key(self._shapes, shape, name) for name in members):
                leading.add(shape)
        waiting = list(leading)
        while waiting:
            for user in users.get(waiting.pop(), ()):
                if user not in leading:
                    leading.add(user)
                    waiting.append(user)
        return frozenset(leading)


# --- what names a key -----------------------------------------------------------------------------

_NEVER: Final = re.compile(
    r"(ssecustomerkey|context|stat(e|us)|types?|mode|region|role|rolearn|polic(y|ies)"
    r"|policydocument|error|uri|access|md5|requestid|algorithms?|spec|usage|manager|accountid"
    r"|option|reason|message|provider|metadata|checkvalue|tokens?|password|passphrase|value"
    r"|format|length|size|version|prefix|secretarn|date|origin|name)$",
    re.IGNORECASE,
)
"""Ends of names that are about a key, and do not name it."""
_ALIAS: Final = re.compile(r"kmsalias(arn|name)$", re.IGNORECASE)
_KMS: Final = re.compile(r"kms|cmk", re.IGNORECASE)
_KMS_SHAPE: Final = re.compile(r"(kms|cmk)\w*(key|arn)|kms$", re.IGNORECASE)
_ENCRYPTION_KEY: Final = re.compile(
    r"(encryption|customermanaged|customermaster|sse)key(arn|id|identifier)?$", re.IGNORECASE
)
_ENCRYPTION_SHAPE: Final = re.compile(r"[Kk][Mm][Ss]|[Cc][Mm][Kk]|[Ee]ncrypt|SSE|Sse|^sse")
_WITHIN_ENCRYPTION: Final = re.compile(r"key(arn|id|identifier)?", re.IGNORECASE)
_KEY_SHAPE: Final = re.compile(r"(kms|cmk|encryption)key$", re.IGNORECASE)
_WITHIN_KEY: Final = re.compile(r"arn|id", re.IGNORECASE)
_KEY: Final = re.compile(r"(?!encrypted|key$)\w*key", re.IGNORECASE)
_ABOUT_KMS: Final = re.compile(
    r"\bKMS\b|Key Management Service|customer[- ]managed key|customer master key", re.IGNORECASE
)


def names_key(shapes: Shapes, structure: str, name: str) -> bool:
    """Whether a member of a structure is text that names a KMS key."""
    member = shapes[structure]["members"][name]
    text = _text_of(shapes, member["shape"])
    if text is None or "enum" in shapes[text]:
        return False
    if _ALIAS.search(name):
        return True
    if _NEVER.search(name):
        return False
    if _KMS.search(name) or _KMS_SHAPE.search(text) or _ENCRYPTION_KEY.search(name):
        return True
    if _ENCRYPTION_SHAPE.search(structure) and _WITHIN_ENCRYPTION.fullmatch(name):
        return True
    if _KEY_SHAPE.search(structure) and _WITHIN_KEY.fullmatch(name):
        return True
    about = member.get("documentation") or shapes[text].get("documentation") or ""
    return bool(_KEY.match(name) and _ABOUT_KMS.search(about))


def _text_of(shapes: Shapes, shape: str) -> str | None:
    """The string shape that a member holds, itself or in lists and maps."""
    while (kind := shapes[shape]["type"]) in ("list", "map"):
        shape = shapes[shape]["member" if kind == "list" else "value"]["shape"]
    return shape if kind == "string" else None
