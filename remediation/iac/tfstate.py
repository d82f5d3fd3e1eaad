"""Terraform's and OpenTofu's states: which KMS keys they own, and under which address.

Read are `terraform show -json` ("JSON Output Format", Terraform documentation, format version 1)
and the state file itself (version 4, Terraform 0.12 and later, and OpenTofu). A state holds
secrets: nothing is kept of it but the addresses, ARNs and ids of keys, and no error shows a value.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, StrictInt, StrictStr, ValidationError

from .. import strict_json
from ..errors import BadInput
from ..models import KeyArn
from ..strict_json import RepeatedName
from .addresses import Address, Key, Step, parse_modules
from .bounded import read_bounded

RESOURCE_TYPES: Final = frozenset(
    {
        "aws_kms_key",
        "aws_kms_replica_key",
        "aws_kms_external_key",
        "aws_kms_replica_external_key",
        "awscc_kms_key",
        "awscc_kms_replica_key",
    }
)
"""The resources that are a KMS key; each has `arn` and `key_id`."""

LARGEST: Final = 256 * 1024 * 1024
"""Bytes; real states stay far below."""

_SHOW: Final = "give what terraform show -json prints"

_NO_STATES: Final = {
    "resource": "terraform state show -json prints of one resource",
    "valid": "terraform validate -json prints",
    "provider_schemas": "terraform providers schema -json prints",
    "function_signatures": "terraform metadata functions -json prints",
    "modules": "terraform modules -json prints",
}
"""What else Terraform prints with a `format_version`, by a name that only it has."""

_PLANS: Final = frozenset({"resource_changes", "planned_values", "prior_state", "output_changes"})
"""Names that only a plan has."""

_BARE: Final = frozenset({"format_version", "terraform_version"})
"""What terraform show -json prints of a state without resources and outputs, or of none at all."""


@dataclass(frozen=True)
class OwnedKey:
    """One key that a state owns."""

    address: Address
    arn: KeyArn | None
    """None: Terraform did not get so far as to note it."""
    key_id: str | None
    deposed: bool
    """It was replaced by another one, and still waits to be destroyed."""

    def is_key(self, key: KeyArn) -> bool:
        """Whether this is the key; without an ARN, the id has to do."""
        return self.arn == key if self.arn is not None else self.key_id == key.key_id


@dataclass(frozen=True)
class State:
    """The keys of one state file."""

    file: str
    """As the user named it."""
    keys: tuple[OwnedKey, ...]
    empty: bool
    """It owns nothing at all."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)


class _Attributes(_Part):
    arn: StrictStr | None = None
    key_id: StrictStr | None = None
    id: StrictStr | None = None


class _Instance(_Part):
    index_key: StrictInt | StrictStr | None = None
    deposed: StrictStr = ""
    attributes: dict[str, object] | None = None
    attributes_flat: dict[str, object] | None = None


class _Resource(_Part):
    module: StrictStr = ""
    mode: StrictStr
    type: StrictStr
    name: StrictStr
    instances: tuple[_Instance, ...]


class _StateFile(_Part):
    version: Literal[4]
    serial: StrictInt
    lineage: StrictStr
    resources: tuple[_Resource, ...]


class _ShownResource(_Part):
    address: StrictStr
    mode: StrictStr
    type: StrictStr
    name: StrictStr
    index: StrictInt | StrictStr | None = None
    deposed_key: StrictStr = ""
    values: dict[str, object] | None = None


class _ShownModule(_Part):
    address: StrictStr = ""
    resources: tuple[_ShownResource, ...] = ()
    child_modules: tuple[_ShownModule, ...] = ()


class _ShownValues(_Part):
    root_module: _ShownModule


class _Shown(_Part):
    format_version: StrictStr
    values: _ShownValues


class _Odd(Exception):
    """Something that Terraform does not write; the text is the rest of a sentence."""


def read_state(path: Path) -> State:
    """The keys of a state. Raises BadInput with one sentence for anything that is none."""
    content = read_bounded(path, LARGEST)
    try:
        document = strict_json.loads(content)
    except RepeatedName as error:
        raise BadInput(f"{path}: is no whole state: {error}; {_SHOW}") from error
    except (ValueError, RecursionError) as error:
        raise BadInput(
            f"{path}: is no whole JSON document, so it is cut off or no state; {_SHOW}"
        ) from error
    try:
        return _state(str(path), document)
    except _Odd as error:
        raise BadInput(f"{path}: {error}") from error
    except (ValidationError, RecursionError) as error:
        raise BadInput(f"{path}: {_told(error)}; {_SHOW}") from error


def _told(error: ValidationError | RecursionError) -> str:
    """Where a state differs from Terraform's form; names and numbers alone, never a value."""
    if isinstance(error, RecursionError):
        return "is nested too deeply for a state"
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"is no whole state: {place[:200]}: {first['msg'].lower()}"


def _state(file: str, document: object) -> State:
    if not isinstance(document, dict):
        raise _Odd(f"is no state; {_SHOW}")
    if "encrypted_data" in document:
        raise _Odd("is encrypted by OpenTofu; give what tofu show -json prints")
    if not _PLANS.isdisjoint(document):
        raise _Odd("is a plan and no state; leave the plan's file out: terraform show -json")
    if "format_version" in document:
        module = _root_module(document)
        keys = tuple(_of_module(module))
        empty = not _owns(module)
    elif "version" in document:
        if not {"resources", "lineage", "serial", "modules", "backend"} & document.keys():
            raise _Odd(f"is no state: it has none of a state's fields; {_SHOW}")
        if isinstance(document["version"], int) and document["version"] < 4:
            raise _Odd(_old(document))
        stored = _StateFile.model_validate(document)
        keys = tuple(_of_file(stored))
        empty = not any(r.mode == "managed" and r.instances for r in stored.resources)
    else:
        raise _Odd(f"is no state: it has neither format_version nor version; {_SHOW}")
    _refuse_twins(keys)
    return State(file, keys, empty)


def _root_module(document: dict[str, object]) -> _ShownModule:
    """What a state that Terraform printed owns.

    Terraform prints nothing but the version where there is no state, in a wrong folder too
    ("JSON Output Format"; empty states have no values). Whatever says more and has no values is
    something else.
    """
    if document.keys() <= _BARE:
        document = {**document, "values": {"root_module": {}}}
    elif "values" not in document:
        printed = next((_NO_STATES[name] for name in _NO_STATES if name in document), None)
        what = f"what {printed}" if printed else "a document with a format_version and no values"
        raise _Odd(f"is no state, but {what}; {_SHOW}")
    shown = _Shown.model_validate(document)
    if shown.format_version.partition(".")[0] not in {"0", "1"}:
        raise _Odd("is of a newer format than 1; use a newer keysweep, or the state file")
    return shown.values.root_module


def _owns(module: _ShownModule) -> bool:
    """Whether a module or one below it has a resource that is not only read."""
    return any(resource.mode == "managed" for resource in module.resources) or any(
        _owns(child) for child in module.child_modules
    )


def _old(document: dict[str, object]) -> str:
    if "backend" in document:
        return "is the note that terraform init keeps about a backend; give: terraform state pull"
    return "is a state of before Terraform 0.12; give what a newer terraform show -json prints"


def _of_file(state: _StateFile) -> Iterator[OwnedKey]:
    for resource in state.resources:
        if resource.mode == "managed" and resource.type in RESOURCE_TYPES:
            for instance in resource.instances:
                address = _address(
                    resource.module, resource.type, resource.name, instance.index_key
                )
                values = instance.attributes or instance.attributes_flat
                yield _owned(address, values, deposed=bool(instance.deposed))


def _of_module(module: _ShownModule) -> Iterator[OwnedKey]:
    for resource in module.resources:
        if resource.mode == "managed" and resource.type in RESOURCE_TYPES:
            address = _address(module.address, resource.type, resource.name, resource.index)
            if _parsed(resource.address) != address:
                raise _Odd(f"gives {address} another address beside it; {_SHOW}")
            yield _owned(address, resource.values, deposed=bool(resource.deposed_key))
    for child in module.child_modules:
        if _modules(child.address)[:-1] != _modules(module.address):
            raise _Odd(f"has a module within another than its address says; {_SHOW}")
        yield from _of_module(child)


def _address(module: str, kind: str, name: str, key: Key) -> Address:
    address = Address(_modules(module), kind, name, key)
    if _parsed(str(address)) != address:
        raise _Odd(f"names a resource as Terraform never does; {_SHOW}")
    return address


def _modules(text: str) -> tuple[Step, ...]:
    try:
        return parse_modules(text)
    except ValueError as error:
        raise _Odd(f"has a module with an address that Terraform never gives; {_SHOW}") from error


def _parsed(text: str) -> Address | None:
    try:
        return Address.parse(text)
    except ValueError:
        return None


def _owned(address: Address, values: dict[str, object] | None, *, deposed: bool) -> OwnedKey:
    try:
        attributes = _Attributes.model_validate(values or {})
        arn = None if attributes.arn is None else KeyArn.parse(attributes.arn)
    except ValueError as error:  # pydantic's errors are some too
        raise _Odd(f"{address} has an arn that is not the ARN of a KMS key; {_SHOW}") from error
    if arn is not None and attributes.key_id not in {None, arn.key_id}:
        raise _Odd(f"{address} has a key_id that is not the one in its arn; {_SHOW}")
    return OwnedKey(address, arn, attributes.key_id or attributes.id, deposed)


def _refuse_twins(keys: tuple[OwnedKey, ...]) -> None:
    seen: set[Address] = set()
    for key in keys:
        if not key.deposed:
            if key.address in seen:
                raise _Odd(f"has {key.address} twice; {_SHOW}")
            seen.add(key.address)
