"""The reference list: which API answers name a KMS key, as data (`policies/key_references.yaml`).

Each entry is a call of one service, and the calls that are made for each of its items. Expressions
are JMESPath. What an entry claims about an answer is checked against botocore's service model: by
the tests, and again at run time, because botocore silently drops what its model does not know.
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

from ...errors import BadInput
from ...models import Model
from ...policy import policies_folder
from ...strict_yaml import RepeatedName, load_unique

FILE: Final = "key_references.yaml"

REGIONS_PERMISSION: Final = "ec2:DescribeRegions"
"""Needed for the entries that are asked in every Region."""

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The safe loader, in C where PyYAML has it: tenfold faster."""


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


def _sign(value: Any) -> Any:
    return {"code": value} if isinstance(value, str) else value


def _calls(value: Any) -> Any:
    return [value] if isinstance(value, dict) else value


Expression = Annotated[str, AfterValidator(_expression)]


class Part(Model):
    """A part of the list; its fields' docstrings go into the JSON Schema."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class Sign(Part):
    """An error that means "there is nothing", and not "you may not see"."""

    code: str
    """AWS's error code."""
    saying: str | None = None
    """Words of the message, where the code alone is also that of a denial."""

    def shows(self, code: str, message: str) -> bool:
        """Whether an error with this code and message is this sign."""
        return self.code == code and (self.saying is None or self.saying in message)


Signs = tuple[Annotated[Sign, BeforeValidator(_sign, json_schema_input_type=Sign | str)], ...]
"""A bare text is a code."""


class Paging(Part):
    """How to get the next page where botocore has no paginator and no usual token."""

    send: str
    """The parameter of the next request."""
    take: Expression
    """Its value, from the answer; null or false after the last page."""


class Call(Part):
    """One API call, what it shows, and the calls made for each item that it shows."""

    operation: str
    params: dict[str, JsonValue] = Field(default={})
    """Constants; the text `{account}` stands for the account's number."""
    take: dict[str, Expression] = Field(default={})
    """Parameters whose value comes from an item of the call before."""
    same: tuple[str, ...] = ()
    """Parameters of the call before that are sent again with the same value."""
    each: dict[str, tuple[str, ...]] = Field(default={})
    """Parameters that need one call for each of these values."""
    batch: Annotated[int, Field(ge=2)] | None = None
    """How many items of the call before go into one call; `take` then fills a list."""
    in_region: Expression | None = None
    """The Region to call, from the item of the call before."""
    page: Paging | None = None
    items: Expression = "@"
    """The items of an answer."""
    resource: Expression | None = None
    """ARN or name of the resource, from an item; else what the call before says."""
    keys: tuple[Expression, ...] = ()
    """Where an item names keys: key ids, key ARNs, alias names or alias ARNs."""
    documents: tuple[Expression, ...] = ()
    """Texts within an item in which keys are named, such as policies in JSON; IAM's, which boto3
    parses, too."""
    hides: str | None = None
    """Why an item may have a key that AWS does not show: a listing with any item is a gap."""
    nothing: Signs = ()
    """Errors of this call that mean: there is nothing."""
    permission: str | None = None
    """The IAM action, where it is not the service's prefix and the operation's name."""
    then: Calls = ()

    @model_validator(mode="after")
    def _is_whole(self) -> Call:
        if not (self.keys or self.documents or self.then or self.hides):
            raise ValueError(f"{self.operation} names no key: give keys, documents, then or hides")
        if self.batch is not None and len(self.take) != 1:
            raise ValueError(f"{self.operation}: batch needs exactly one parameter in take")
        return self

    def walk(self) -> Iterator[Call]:
        """This call and all below it."""
        yield self
        for call in self.then:
            yield from call.walk()

    @property
    def names_keys(self) -> bool:
        """Whether the answer itself names keys, and not only leads to calls that do."""
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
    """IAM's prefix of the service, where it is another name."""
    reach: Literal["region", "account", "every-region"] = "region"
    """`region`: asked in the key's Region. `account`: one answer shows all Regions, asked once.
    `every-region`: names keys of other Regions, so it is asked in every Region that is enabled."""

    also: tuple[str, ...] = ()
    """IAM actions that boto3 needs besides, to find the service's host."""

    def permission_of(self, call: Call) -> str:
        """The IAM action that a call of this entry needs."""
        return call.permission or f"{self.iam or self.service}:{call.operation}"


class ReferenceList(Part):
    """The whole list."""

    version: Annotated[int, Field(strict=True, ge=1, le=1)]
    absent: Signs
    """Errors of any call that mean: this service is not offered here, or was never taken up."""
    listed_as: dict[str, str] = Field(default={})
    """The code of a service in AWS's public list of a Region's services, by boto3's name. One that
    is not here never counts as absent from a Region."""
    entries: tuple[Entry, ...]

    def calls(self) -> Iterator[tuple[Entry, Call]]:
        """Every call with its entry, in the order of the file."""
        for entry in self.entries:
            for call in entry.walk():
                yield entry, call

    def operations(self) -> frozenset[str]:
        """Every operation that is called, as `service:Operation`."""
        return frozenset(f"{entry.service}:{call.operation}" for entry, call in self.calls())

    def permissions(self) -> tuple[str, ...]:
        """Every IAM action that the calls need, each once."""
        actions = [entry.permission_of(call) for entry, call in self.calls()]
        return tuple(sorted({*actions, *(action for e in self.entries for action in e.also)}))


def load(path: Path | None = None) -> ReferenceList:
    """Read the list. Raises BadInput with the file, the place and the mend."""
    path = path or policies_folder() / FILE
    try:
        document = load_unique(path.read_bytes(), _LOADER)
        return ReferenceList.model_validate(document)
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}; reinstall keysweep") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        what = "" if isinstance(error, RepeatedName) else "is not YAML: "
        raise BadInput(f"{path}: {what}{' '.join(str(error).split())}") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the document"
        raise BadInput(f"{path}: {place}: {first['msg']}") from error


@cache
def reference_list() -> ReferenceList:
    """The list that is shipped."""
    return load()
