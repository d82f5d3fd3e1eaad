"""Decide what Terraform code settles: whether a key exists, and the value of an argument.

In HCL, Checkov resolves expressions itself and guesses where it cannot: `var.stage == "prod" ?
true : false` without a value for `stage` arrives as a plain false, and it makes an instance of a
block whose `count` it cannot evaluate (Checkov 3.3.30). So Checkov's graph tells only which blocks
a scan reached, by which module calls, and the values of the root's variables. The rest is read
from the code. A plan states values.

A helper that registers no check.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from terraform_expressions import (
    UNSETTLED,
    boolean,
    evaluate,
    evaluate_json,
    instances,
    to_set,
)
from terraform_hcl import Block, HclError, Token, Tokens, merged, read_blocks

MULTIPLIERS = ("count", "for_each")

_KINDS = {"var": "variable", "local": "local"}
_ENDS = ("start", "end")
_TRUE = (Token("name", "true"),)

_Path = tuple[str, ...]
"""("resource", type, name), ("module", name), ("variable", name) or ("local", name)."""


def single(value: object) -> object:
    """Return the value in the one-element list that Checkov makes of every argument."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def is_override(file: str) -> bool:
    """Return whether Terraform merges this file into others ("Override Files")."""
    stem = Path(file).name.removesuffix(".json").removesuffix(".tf")
    return stem == "override" or stem.endswith("_override")


def declared_in_plan(conf: Mapping[str, object], argument: str) -> object:
    """Return the value of a block's argument in a plan or JSON, where Checkov resolves nothing.

    A null is UNSETTLED, because Checkov also writes it for what it could not evaluate.
    """
    lifecycle = single(conf.get("lifecycle"))
    meta = {
        **{name: conf[name] for name in MULTIPLIERS if name in conf},
        **({"enabled": lifecycle.get("enabled")} if isinstance(lifecycle, Mapping) else {}),
    }
    if not _makes({name: evaluate_json(single(value)) for name, value in meta.items()}, None):
        return UNSETTLED
    if argument not in conf:
        return UNSETTLED if argument in _unknown_until_applied(conf) else None
    declared = single(conf[argument])
    return UNSETTLED if declared is None else declared


def _makes(meta: Mapping[str, object], key: object) -> bool:
    """Return whether these values of `count`, `for_each` and `enabled` make the instance.

    The key is None if Checkov has the block only as a whole. `enabled` is an argument of OpenTofu's
    `lifecycle`.
    """
    if boolean(meta.get("enabled", True)) is not True:
        return False
    for name in MULTIPLIERS:
        if name not in meta:
            continue
        keys = instances(meta[name]) if name == "count" else meta[name]
        if not isinstance(keys, range | dict | frozenset) or not keys:
            return False
        if key is not None and key not in keys:
            return False
    return True


def _unknown_until_applied(conf: Mapping[str, object]) -> frozenset[str]:
    """Return the arguments of a planned resource whose values are known only after apply.

    Checkov omits them unless EVAL_TF_PLAN_AFTER_UNKNOWN is set, so they look undeclared.
    """
    plan = single(conf.get("__file__"))
    if "__change_actions__" not in conf or not isinstance(plan, str):
        return frozenset()
    return _unknown_by_address(plan).get(str(conf.get("__address__")), frozenset())


@cache
def _unknown_by_address(plan: str) -> dict[str, frozenset[str]]:
    try:
        changes = json.loads(Path(plan).read_text(encoding="utf-8-sig"))["resource_changes"]
        return {
            change["address"]: frozenset(
                name
                for name, unknown in (change["change"].get("after_unknown") or {}).items()
                if unknown is True
            )
            for change in changes
        }
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        # Checkov accepted the file as a plan, so it has the shape of another version.
        return {}


@dataclass(frozen=True)
class _Scope:
    """The scope of names: a folder, for the module call that loaded it."""

    folder: str
    module: Any  # Checkov's TFModule, or None in a root module

    @property
    def caller(self) -> _Scope:
        return _Scope(str(Path(self.module.path).parent), self.module.nested_tf_module)


@dataclass(frozen=True)
class _Instance:
    """A block in its scope, with the key of one instance, or None for the block as a whole."""

    block: Block
    scope: _Scope
    key: object


class Source:
    """The source code of a Checkov graph, and the values of its root modules' variables.

    `resource_types` are the types whose blocks can be found.
    """

    def __init__(self, graph: Any, resource_types: Collection[str]) -> None:
        self.graph = graph
        self._resources: dict[str, list[Mapping[str, Any]]] = {}
        self._root_variables: dict[tuple[str, str], list[object]] = {}
        self._lines: dict[str, list[str]] = {}
        self._latest: tuple[object, Block | None] = (None, None)
        self._folders: dict[str, dict[_Path, Block]] = {}
        self._values: dict[tuple[_Scope, _Path], object] = {}
        for node in _nodes(graph):
            kind = node.get("block_type_")
            if kind == "resource" and node.get("resource_type") in resource_types:
                self._resources.setdefault(str(node.get("__address__")), []).append(node)
            elif kind == "variable" and node.get("source_module_object_") is None:
                variable = _folder(node), str(node.get("block_name_"))
                value = node.get("default", UNSETTLED)
                self._root_variables.setdefault(variable, []).append(value)

    def declared(self, conf: Mapping[str, object], argument: str, file: str) -> list[object]:
        """Return the value of a block's argument: None if not declared, or UNSETTLED.

        UNSETTLED also stands for a block that the code does not certainly make. `file` is the path
        that Checkov shows, relative to the scanned folder. Where several root modules share an
        address, there is a value for each block that `conf` may stand for.
        """
        return [self._declared(node, argument) for node in self._find(conf, file)]

    def _find(self, conf: Mapping[str, object], file: str) -> list[Mapping[str, Any]]:
        nodes = [
            node
            for node in self._resources.get(str(conf.get("__address__")), [])
            if all(node.get(f"__{end}_line__") == conf.get(f"__{end}_line__") for end in _ENDS)
        ]
        return [n for n in nodes if str(n.get("file_path_")).endswith(file)] or nodes

    def _declared(self, node: Mapping[str, Any], argument: str) -> object:
        resource_type, _, label = str(node.get("block_name_")).partition(".")
        name, _, index = label.partition("[")
        scope = _Scope(_folder(node), node.get("source_module_object_"))
        if self._latest[0] is not node:
            # Each check asks for the same block in turn.
            self._latest = (node, self._block(node, ("resource", resource_type, name)))
        block = self._latest[1]
        if block is None:
            return UNSETTLED
        instance = _Instance(block, scope, _key(index))
        if not self._exists(instance):
            return UNSETTLED
        tokens = block.arguments.get(argument)
        return None if tokens is None else self._evaluate(tokens, instance)

    def _block(self, node: Mapping[str, Any], path: _Path) -> Block | None:
        """Return the block of a node: from its lines alone, which is fast, if no file overrides."""
        folder, file = _folder(node), str(node.get("file_path_"))
        first, last = (node.get(f"__{end}_line__") for end in _ENDS)
        if isinstance(first, int) and isinstance(last, int) and not _overrides(folder):
            if file not in self._lines:
                self._lines = {file: _read_lines(Path(file))}
            try:
                body = read_blocks("".join(self._lines[file][max(first - 1, 0) : last]))
            except HclError:
                body = Block()
            if [found for found, _ in body.blocks] == [path]:
                return body.blocks[0][1]
        return self._blocks(folder).get(path)

    def _exists(self, instance: _Instance) -> bool:
        """Return whether the code certainly makes the instance, and each module around it."""
        block = instance.block
        meta = {name: block.arguments[name] for name in MULTIPLIERS if name in block.arguments}
        lifecycle = block.block("lifecycle")
        if lifecycle and "enabled" in lifecycle.arguments:
            meta["enabled"] = lifecycle.arguments["enabled"]
        values = {name: self._evaluate(tokens, instance) for name, tokens in meta.items()}
        if not _makes(values, instance.key):
            return False
        if instance.scope.module is None:
            return True
        call = self._call(instance.scope)
        return call is not None and self._exists(call)

    def _call(self, scope: _Scope) -> _Instance | None:
        """Return the module call that loaded a folder."""
        module = scope.module
        if is_override(str(module.path)):
            return None
        name = str(module.name).partition("[")[0]
        block = self._blocks(scope.caller.folder).get(("module", name))
        key = getattr(module, "foreach_idx", None)
        return None if block is None else _Instance(block, scope.caller, key)

    def _evaluate(self, tokens: Tokens, instance: _Instance) -> object:
        def resolve(kind: str, name: str) -> object:
            if kind in {"var", "local"}:
                return self._named(instance.scope, (_KINDS[kind], name))
            if (kind, name) == ("count", "index"):
                return UNSETTLED if instance.key is None else instance.key
            return self._each(instance, name) if kind == "each" else UNSETTLED

        return evaluate(tokens, resolve)

    def _each(self, instance: _Instance, name: str) -> object:
        tokens = instance.block.arguments.get("for_each", ())
        items = self._evaluate(tokens, replace(instance, block=Block()))
        if not isinstance(items, dict | frozenset) or instance.key not in items:
            return UNSETTLED
        return items[instance.key] if name == "value" and isinstance(items, dict) else instance.key

    def _named(self, scope: _Scope, path: _Path) -> object:
        """Return the value of a variable or local; one that leads to itself is UNSETTLED."""
        if (scope, path) not in self._values:
            self._values[scope, path] = UNSETTLED
            block = self._blocks(scope.folder).get(path)
            if block is not None:
                find = self._variable if path[0] == "variable" else self._local
                self._values[scope, path] = find(scope, path[1], block)
        return self._values[scope, path]

    def _local(self, scope: _Scope, _name: str, block: Block) -> object:
        return self._evaluate(block.arguments["value"], _Instance(block, scope, None))

    def _variable(self, scope: _Scope, name: str, block: Block) -> object:
        value = self._given(scope, name, block)
        tokens = block.arguments.get("type", ())
        if isinstance(value, list) and tokens and tokens[0].text == "set":
            return to_set(value)
        return value

    def _given(self, scope: _Scope, name: str, block: Block) -> object:
        if scope.module is None:
            # Checkov has put in the values of the root's .tfvars files.
            first, *others = self._root_variables.get((scope.folder, name), [UNSETTLED])
            return first if all(other == first for other in others) else UNSETTLED
        call = self._call(scope)
        if call is None:
            return UNSETTLED
        inside = _Instance(block, scope, None)
        if name in call.block.arguments:
            value = self._evaluate(call.block.arguments[name], call)
            nullable = self._evaluate(block.arguments.get("nullable", _TRUE), inside)
            if value is not None or nullable is True:
                return value
        tokens = block.arguments.get("default")
        return UNSETTLED if tokens is None else self._evaluate(tokens, inside)

    def _blocks(self, folder: str) -> dict[_Path, Block]:
        """Return the blocks of a folder's files by path; each folder is read once."""
        if folder not in self._folders:
            self._folders[folder] = _read_folder(Path(folder))
        return self._folders[folder]


@cache
def _overrides(folder: str) -> bool:
    """Return whether a folder has override files."""
    return any(is_override(file.name) for file in _files(Path(folder)))


def _files(folder: Path) -> list[Path]:
    return sorted(file for pattern in ("*.tf", "*.tf.json") for file in folder.glob(pattern))


def _read_lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8-sig").splitlines(keepends=True)
    except (OSError, ValueError):
        return []


def _read_folder(folder: Path) -> dict[_Path, Block]:
    files = _files(folder)
    blocks: dict[_Path, Block] = {}
    for file in files:
        if not is_override(file.name):
            blocks.update(_read_file(file) or {})
    for file in filter(lambda file: is_override(file.name), files):
        overrides = _read_file(file)
        if overrides is None:
            # Not read, so what it may override is not settled.
            text = file.read_bytes()
            blocks = {path: b for path, b in blocks.items() if path[-1].encode() not in text}
            continue
        for path in overrides.keys() & blocks.keys():
            blocks[path] = merged(blocks[path], overrides[path])
    return blocks


def _read_file(file: Path) -> dict[_Path, Block] | None:
    """Return the blocks of a file by path. None: it is JSON, or cannot be read."""
    if file.suffix != ".tf":
        return None
    try:
        top = read_blocks(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return None
    blocks: dict[_Path, Block] = {}
    for path, block in top.blocks:
        if path == ("locals",):
            for name, tokens in block.arguments.items():
                blocks["local", name] = Block({"value": tokens})
        else:
            blocks[path] = block
    return blocks


def _folder(node: Mapping[str, Any]) -> str:
    return os.path.dirname(str(node.get("file_path_")))  # noqa: PTH120 - Path is slow


def _key(index: str) -> object:
    """Return the key in what follows an address's bracket: a number, or text in quotes."""
    key = index.removesuffix("]")
    if key.startswith('"'):
        return key[1:-1]
    return int(key) if key.isdecimal() else None


def _nodes(graph: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the attributes of every block, from rustworkx (index and attributes) or networkx."""
    nodes = graph.nodes()
    for node in nodes.values() if isinstance(nodes, Mapping) else nodes:
        attributes = node[-1] if isinstance(node, tuple) else node
        if isinstance(attributes, Mapping):
            yield attributes
