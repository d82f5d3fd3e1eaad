"""Read the KMS keys that Terraform and OpenTofu states own, with their addresses.

Accepts the output of `terraform show -json` ("JSON Output Format", Terraform documentation, format
version 1) and state files (version 4, of Terraform 0.12 and later, and OpenTofu). States hold
secrets: only addresses, ARNs and ids of keys are kept, and no error shows a value.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, StrictInt, StrictStr, ValidationError

from .. import strict_json
from ..errors import BadInput
from ..escape import short
from ..files import read_at_most
from ..models import KeyArn
from ..strict_json import RepeatedName
from .terraform_addresses import Address, Key, Step, parse_modules

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
"""Resources that are a KMS key; each has `arn` and `key_id`."""

MOST_BYTES: Final = 256 * 1024 * 1024
"""Of a state. Real ones are far smaller."""

_SHOW: Final = "Fix: give the output of terraform show -json"

_OTHER_OUTPUTS: Final = {
    "resource": "terraform state show -json",
    "valid": "terraform validate -json",
    "provider_schemas": "terraform providers schema -json",
    "function_signatures": "terraform metadata functions -json",
    "modules": "terraform modules -json",
}
"""Other commands whose output has a `format_version`, by a field that only it has."""

_PLANS: Final = frozenset({"resource_changes", "planned_values", "prior_state", "output_changes"})
"""Fields that only a plan has."""

_BARE: Final = frozenset({"format_version", "terraform_version"})
"""Fields that `terraform show -json` prints for an empty state, and where there is no state."""


@dataclass(frozen=True)
class OwnedKey:
    """A key that a state owns."""

    address: Address
    arn: KeyArn | None
    """None: Terraform was interrupted before it recorded it."""
    key_id: str | None
    deposed: bool
    """Whether it was replaced, and is still to be destroyed."""

    def is_key(self, key: KeyArn) -> bool:
        """Whether this is the key. Compares ids where the state has no ARN."""
        return self.arn == key if self.arn is not None else self.key_id == key.key_id


@dataclass(frozen=True)
class State:
    """The keys of one state file."""

    file: str
    """As the user named it."""
    keys: tuple[OwnedKey, ...]
    empty: bool
    """Whether it owns no resource at all."""


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


class _NotAState(Exception):
    """Something that Terraform does not write. The text follows the file's name."""


def read_state(path: Path) -> State:
    """Read the keys of a state. Raises BadInput for anything that is not a complete state."""
    content = read_at_most(path, MOST_BYTES)
    try:
        document = strict_json.loads(content)
    except RepeatedName as error:
        raise BadInput(f"{path}: is not a complete state: {error}. {_SHOW}") from error
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path}: is not a complete JSON document. {_SHOW}") from error
    try:
        return _state(str(path), document)
    except _NotAState as error:
        raise BadInput(f"{path}: {error}") from error
    except (ValidationError, RecursionError) as error:
        raise BadInput(f"{path}: {_difference(error)}. {_SHOW}") from error


def _difference(error: ValidationError | RecursionError) -> str:
    """Where a state differs from Terraform's format: names and numbers, never a value."""
    if isinstance(error, RecursionError):
        return "is nested too deeply"
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    position = ".".join(str(part) for part in first["loc"])
    return f"is not a complete state: {position[:200]}: {first['msg'].lower()}"


def _state(file: str, document: object) -> State:
    if not isinstance(document, dict):
        raise _NotAState(f"is not a state. {_SHOW}")
    if "encrypted_data" in document:
        raise _NotAState("is encrypted by OpenTofu. Fix: give the output of tofu show -json")
    if not _PLANS.isdisjoint(document):
        raise _NotAState(
            "is a plan, not a state. Fix: run terraform show -json without the plan's file"
        )
    if "format_version" in document:
        module = _root_module(document)
        keys = tuple(_of_module(module))
        empty = not _owns(module)
    elif "version" in document:
        if not {"resources", "lineage", "serial", "modules", "backend"} & document.keys():
            raise _NotAState(f"is not a state: it has none of a state's fields. {_SHOW}")
        if isinstance(document["version"], int) and document["version"] < 4:
            raise _NotAState(_old(document))
        stored = _StateFile.model_validate(document)
        keys = tuple(_of_file(stored))
        empty = not any(r.mode == "managed" and r.instances for r in stored.resources)
    else:
        raise _NotAState(f"is not a state: it has neither format_version nor version. {_SHOW}")
    _reject_duplicates(keys)
    return State(file, keys, empty)


def _root_module(document: dict[str, object]) -> _ShownModule:
    """The root module of a state that Terraform printed.

    Terraform prints only the version if the state is empty or does not exist, in a wrong folder
    too ("JSON Output Format"). A document with more fields and no values is not a state.
    """
    if document.keys() <= _BARE:
        document = {**document, "values": {"root_module": {}}}
    elif "values" not in document:
        printed = next((_OTHER_OUTPUTS[name] for name in _OTHER_OUTPUTS if name in document), None)
        what = f": it is the output of {printed}" if printed else ": it has no values"
        raise _NotAState(f"is not a state{what}. {_SHOW}")
    shown = _Shown.model_validate(document)
    if shown.format_version.partition(".")[0] not in {"0", "1"}:
        raise _NotAState("has a newer format than 1. Fix: upgrade keysweep, or give the state file")
    return shown.values.root_module


def _owns(module: _ShownModule) -> bool:
    """Whether a module or one below it has a resource other than a data source."""
    return any(resource.mode == "managed" for resource in module.resources) or any(
        _owns(child) for child in module.child_modules
    )


def _old(document: dict[str, object]) -> str:
    if "backend" in document:
        return "only describes a backend. Fix: give the output of terraform state pull"
    return "is older than Terraform 0.12. Fix: give the output of a newer terraform show -json"


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
                raise _NotAState(f"gives {short(address)} two different addresses. {_SHOW}")
            yield _owned(address, resource.values, deposed=bool(resource.deposed_key))
    for child in module.child_modules:
        if _modules(child.address)[:-1] != _modules(module.address):
            raise _NotAState(f"has a module whose address does not match its parent. {_SHOW}")
        yield from _of_module(child)


def _address(module: str, kind: str, name: str, key: Key) -> Address:
    address = Address(_modules(module), kind, name, key)
    if _parsed(str(address)) != address:
        raise _NotAState(f"has a resource name that Terraform does not allow. {_SHOW}")
    return address


def _modules(text: str) -> tuple[Step, ...]:
    try:
        return parse_modules(text)
    except ValueError as error:
        raise _NotAState(f"has a module with an invalid address. {_SHOW}") from error


def _parsed(text: str) -> Address | None:
    try:
        return Address.parse(text)
    except ValueError:
        return None


def _owned(address: Address, values: dict[str, object] | None, *, deposed: bool) -> OwnedKey:
    try:
        attributes = _Attributes.model_validate(values or {})
        arn = None if attributes.arn is None else KeyArn.parse(attributes.arn)
    except ValueError as error:  # includes pydantic's errors
        raise _NotAState(f"{short(address)} has an arn that is not a KMS key's. {_SHOW}") from error
    if arn is not None and attributes.key_id not in {None, arn.key_id}:
        raise _NotAState(f"{short(address)} has a key_id that differs from its arn. {_SHOW}")
    return OwnedKey(address, arn, attributes.key_id or attributes.id, deposed)


def _reject_duplicates(keys: tuple[OwnedKey, ...]) -> None:
    seen: set[Address] = set()
    for key in keys:
        if not key.deposed:
            if key.address in seen:
                raise _NotAState(f"has {short(key.address)} twice. {_SHOW}")
            seen.add(key.address)
