"""The entries of `policies/key_references.yaml`: which API answers name KMS keys.

Each entry is a call of one service, and the calls made for each of its items. Expressions are
JMESPath. Tests compare each entry with botocore's service model, and so does each run, because
botocore silently drops members that its model lacks.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import jmespath
import yaml
from jmespath.exceptions import JMESPathError
from jmespath.parser import ParsedResult
from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    model_validator,
)

from ...aws.answers import Answer
from ...errors import BadInput
from ...models import Model
from ...policy import policies_folder
from ...strict_yaml import RepeatedName, load_unique

FILE: Final = "key_references.yaml"

REGIONS_PERMISSION: Final = "ec2:DescribeRegions"
"""Needed for entries that are read in every Region."""

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The safe loader, in C if PyYAML has it, which is ten times as fast."""


@cache
def compiled(expression: str) -> ParsedResult:
    """A JMESPath expression, parsed once."""
    return jmespath.compile(expression)


def _expression(text: str) -> str:
    try:
        compiled(text)
    except JMESPathError as error:
        raise ValueError(f"{text!r} is not JMESPath: {error}") from error
    return text


def _calls(value: Any) -> Any:
    return [value] if isinstance(value, dict) else value


Expression = Annotated[str, AfterValidator(_expression)]


class Part(Model):
    """A part of the list. Docstrings of fields go into the JSON Schema."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class Paging(Part):
    """How to get the next page, if botocore has no paginator and no usual token."""

    send: str
    """Parameter of the next request."""
    take: Expression
    """Its value, from the answer; null or false after the last page."""


class Gone(Part):
    """An error which says that the item of the previous call no longer exists, beyond those that
    AWS's model of the service declares."""

    code: str
    """AWS's error code."""
    text: str
    """A part of the message. The code alone has other meanings, too."""
    seen: str
    """Where the answer was observed, or is documented."""


class Call(Part):
    """One API call, its items, and the calls made for each item."""

    service: str | None = None
    """boto3's name of the service, if it is not that of the entry."""
    operation: str
    params: dict[str, JsonValue] = Field(default={})
    """Constants. `{account}` stands for the account id."""
    take: dict[str, Expression] = Field(default={})
    """Parameters with a value from an item of the previous call."""
    same: tuple[str, ...] = ()
    """Parameters of the previous call to send again with the same value."""
    each: dict[str, tuple[str, ...]] = Field(default={})
    """Parameters with one call for each of these values."""
    batch: Annotated[int, Field(ge=2)] | None = None
    """How many items of the previous call go into one call. `take` then fills a list, to which an
    item can add several values, or none."""
    in_region: Expression | None = None
    """The Region to call, from the item of the previous call."""
    page: Paging | None = None
    items: Expression = "@"
    """Items of an answer."""
    resource: Expression | None = None
    """ARN or name of the resource, from an item. Default: that of the previous call."""
    keys: tuple[Expression, ...] = ()
    """Where an item names keys: key ids, key ARNs, alias names or alias ARNs."""
    documents: tuple[Expression, ...] = ()
    """Texts in an item that can name keys, such as JSON policies, also those that boto3
    parses."""
    hides: str | None = None
    """Why an item may have a key that AWS does not show. Any item is then a coverage gap."""
    nothing: tuple[str, ...] = ()
    """AWS's error codes that mean that the item of the previous call, or the account, has none of
    what this call reads."""
    gone: tuple[Gone, ...] = ()
    """Errors which say that the item of the previous call no longer exists, if AWS's model of the
    service declares none. A batch is then asked item by item."""
    not_found: Expression | None = None
    """Where an answer to a batch names the items that no longer exist."""
    permission: str | None = None
    """The IAM action, if it is not the service's prefix and the operation's name."""
    then: Calls = ()

    @model_validator(mode="after")
    def _is_whole(self) -> Call:
        if not (self.keys or self.documents or self.then or self.hides):
            raise ValueError(f"{self.operation} names no key: give keys, documents, then or hides")
        if self.batch is not None and len(self.take) != 1:
            raise ValueError(f"{self.operation}: batch needs exactly one parameter in take")
        if self.batch is not None and self.each:
            raise ValueError(f"{self.operation}: batch has no each")
        if self.not_found is not None and self.batch is None:
            raise ValueError(f"{self.operation}: not_found belongs to a batch")
        return self

    def walk(self) -> Iterator[Call]:
        """This call and all below it."""
        yield self
        for call in self.then:
            yield from call.walk()

    @property
    def names_keys(self) -> bool:
        """Whether the answer itself names keys."""
        return bool(self.keys or self.documents)


Calls = Annotated[
    tuple[Call, ...],
    BeforeValidator(_calls, json_schema_input_type="Call | tuple[Call, ...]"),
]
"""A single call needs no list."""


class Entry(Call):
    """The first call of a service."""

    service: str
    """boto3's name of the service."""
    iam: str | None = None
    """IAM's prefix of the service, if it has another name."""
    reach: Literal["region", "account", "every-region"] = "region"
    """`region`: read in the key's Region. `account`: one answer covers all Regions, read once.
    `every-region`: can name keys of other Regions, so it is read in every enabled Region."""

    also: tuple[str, ...] = ()
    """Further IAM actions that boto3 needs to find the service's host."""

    def service_of(self, call: Call) -> str:
        """boto3's name of the service that a call of this entry asks."""
        return call.service or self.service

    def permission_of(self, call: Call) -> str:
        """The IAM action that a call of this entry needs."""
        return call.permission or f"{self.iam or self.service}:{call.operation}"


class Sign(Part):
    """An answer to an entry's first call that means that the service is absent."""

    services: tuple[str, ...] = ()
    """boto3's names of the services; empty: any."""
    operations: tuple[str, ...] = ()
    """Operations that answer so; empty: any."""
    code: str
    """AWS's error code."""
    text: str | None = None
    """The whole message, shortened, without a period at its end; None: the code alone says it."""
    meaning: Literal["not-in-region", "never-enabled"]
    """`not-in-region`: absent only if AWS's public list of the Region's services lacks the service,
    too. `never-enabled`: absent only because of `deletes_data`."""
    seen: str
    """Where the answer was observed, or is documented."""
    deletes_data: str | None = None
    """The AWS page which says that a service that is not enabled holds nothing: that disabling it
    deletes what it held, or that it can hold nothing before."""

    @model_validator(mode="after")
    def _has_its_page(self) -> Sign:
        if (self.meaning == "never-enabled") != bool(self.deletes_data):
            raise ValueError(f"{self.code}: deletes_data belongs to a sign of never-enabled")
        return self

    def shows(self, service: str, operation: str, answer: Answer) -> bool:
        """Whether the answer to an operation of a service is this sign."""
        return (
            self.code == answer.code
            and (not self.services or service in self.services)
            and (not self.operations or operation in self.operations)
            and (self.text is None or self.text == answer.message.removesuffix("."))
        )


class ReferenceList(Part):
    """The whole list."""

    version: Annotated[int, Field(strict=True, ge=1, le=1)]
    checked_with: Annotated[str, Field(pattern=r"^botocore \d+\.\d+\.\d+$")] = "botocore 0.0.0"
    """The botocore whose service models were last compared with the list."""
    signs: tuple[Sign, ...] = ()
    """Answers which mean that a service is absent from the Region, if the evidence is complete."""
    listed_as: dict[str, str] = Field(default={})
    """The service's code in AWS's public list of a Region's services, by boto3's name. A service
    without a code never counts as absent from a Region."""
    entries: tuple[Entry, ...]

    def sign(self, entry: Entry, answer: Answer) -> Sign | None:
        """The sign that the answer to an entry's first call shows, if any."""
        shown = (one for one in self.signs if one.shows(entry.service, entry.operation, answer))
        return next(shown, None)

    def calls(self) -> Iterator[tuple[Entry, Call]]:
        """Every call with its entry, in the order of the file."""
        for entry in self.entries:
            for call in entry.walk():
                yield entry, call

    def operations(self) -> frozenset[str]:
        """All operations, as `service:Operation`."""
        return frozenset(f"{e.service_of(call)}:{call.operation}" for e, call in self.calls())

    def permissions(self) -> tuple[str, ...]:
        """All IAM actions of the calls."""
        actions = [entry.permission_of(call) for entry, call in self.calls()]
        return tuple(sorted({*actions, *(action for e in self.entries for action in e.also)}))


def load(path: Path | None = None) -> ReferenceList:
    """Read the list. Raises BadInput with the file, the position and the fix."""
    path = path or policies_folder() / FILE
    try:
        document = load_unique(path.read_bytes(), _LOADER)
        return ReferenceList.model_validate(document)
    except OSError as error:
        raise BadInput(
            f"{path} could not be read: {error.strerror}. Fix: reinstall keysweep"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        what = "" if isinstance(error, RepeatedName) else "is not YAML: "
        raise BadInput(f"{path}: {what}{' '.join(str(error).split())}") from error
    except ValidationError as error:
        first = error.errors()[0]
        position = ".".join(str(part) for part in first["loc"]) or "the document"
        raise BadInput(f"{path}: {position}: {first['msg']}") from error


@cache
def reference_list() -> ReferenceList:
    """The built-in list."""
    return load()
