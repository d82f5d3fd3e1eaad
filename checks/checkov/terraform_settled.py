"""Decide which values of a Terraform block can be trusted, and which blocks have no instance.

A plan states values. In HCL, Checkov resolves expressions itself and guesses where it cannot:
`var.stage == "prod" ? true : false` without a value for `stage` arrives as a plain false
(Checkov 3.3.30). A value from HCL is therefore trusted only if its expression is a literal, or
if locals, variables and module calls lead from it to literals.

A helper that registers no check.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

try:
    from checkov.terraform.parser_utils import load_or_die_quietly
except ImportError:  # older versions, such as Checkov 3.2.10
    from checkov.terraform.tf_parser import load_or_die_quietly  # type: ignore[attr-defined]

MULTIPLIERS = ("count", "for_each")

# Expressions, in the notation of Checkov's HCL parser, that Checkov evaluates correctly if every
# reference in them has a value. No other is trusted.
_REFERENCE = r"""(?:(?:var|local)\.[A-Za-z_][\w-]*|each\.(?:key|value))(?:\.[\w-]+|\["[^"]*"\])*"""
_LITERAL = r"""(?:True|False|-?[0-9]+|"[^"$%]*")"""
_OPERAND = rf"(?:{_REFERENCE}|{_LITERAL})"
_EVALUABLE = re.compile(
    r"\$\{\s*(?:"
    rf"{_OPERAND}"
    rf"|{_REFERENCE}(?:\s*[!=]=\s*{_LITERAL})?\s*\?\s*{_OPERAND}\s*:\s*{_OPERAND}"
    rf"""|lookup\({_REFERENCE},\s*"[^"$%]*",\s*{_LITERAL}\)"""
    rf"|toset\((?:{_REFERENCE}|\[[^\[\]$]*\])\)"
    r")\s*\}"
)
_REFERENCES = re.compile(rf"(?<![\w.]){_REFERENCE}")

_SOURCE_LITERAL = re.compile(
    r"""\s*(?:true|false|[0-9]+|"(?:true|false|[0-9]+)")\s*(?:(?:#|//).*)?"""
)

# More than any real chain of locals and modules needs; ends those that refer to themselves.
_MAX_DEPTH = 20


def single(value: object) -> object:
    """Return the value in the one-element list that Checkov makes of every argument."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def trusted_in_plan(conf: Mapping[str, object], argument: str) -> bool:
    """Return whether the argument of a block in a plan or JSON has a trusted value.

    Checkov resolves nothing there.
    """
    return not any(_is_empty(conf.get(name)) for name in MULTIPLIERS) and (
        argument in conf or argument not in _unknown_until_applied(conf)
    )


def _is_empty(multiplier: object) -> bool:
    """Return whether this value of `count` or `for_each` leaves no instance."""
    value = single(multiplier)
    if isinstance(value, list | dict | set):
        # In JSON, Checkov adds line numbers to every object.
        return all(isinstance(item, str) and item.startswith("__") for item in value)
    return value == "0" or (isinstance(value, int) and value == 0)


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
    """The scope of a name: a folder, for the module call that loaded it."""

    folder: str
    module: Any  # Checkov's TFModule, or None in a root module

    @property
    def caller(self) -> _Scope:
        return _Scope(str(Path(self.module.path).parent), self.module.nested_tf_module)


@dataclass(frozen=True)
class _Block:
    """A block of Checkov's graph: its resolved arguments, and the position of its source."""

    attributes: Mapping[str, Any]
    scope: _Scope
    path: tuple[str, ...]  # ("resource", type, name) or ("module", name)


class Source:
    """The source code of a Checkov graph, and the values of its variables.

    `resource_types` are the types whose blocks can be found.
    """

    def __init__(self, graph: Any, resource_types: Collection[str]) -> None:
        self.graph = graph
        self._resource_types = resource_types
        self._folders: dict[str, dict[tuple[str, ...], Any]] = {}
        self._texts: dict[str, Sequence[str]] = {}
        self._resources: dict[str, list[_Block]] = {}
        self._modules: dict[tuple[_Scope, str], _Block] = {}
        self._variables: dict[tuple[_Scope, str], object] = {}
        for node in _nodes(graph):
            self._add(node)

    def trusts(self, conf: Mapping[str, object], argument: str, file: str) -> bool:
        """Return whether the block of `conf` exists and its argument's value can be trusted.

        `file` is the path that Checkov shows, relative to the scanned folder. Where several root
        modules share an address, all blocks that `conf` may stand for must agree.
        """
        return all(
            self._is_trusted(block, argument) and not self._is_absent(block)
            for block in self._find(conf, file)
        )

    def _add(self, node: Mapping[str, Any]) -> None:
        kind = node.get("block_type_")
        if kind == "resource" and node.get("resource_type") not in self._resource_types:
            return
        name = str(node.get("block_name_"))
        folder = str(Path(str(node.get("file_path_"))).parent)
        scope = _Scope(folder, node.get("source_module_object_"))
        match kind:
            case "resource":
                resource_type, _, label = name.partition(".")
                path = ("resource", resource_type, label.partition("[")[0])
                address = str(node.get("__address__"))
                self._resources.setdefault(address, []).append(_Block(node, scope, path))
            case "module":
                self._modules[scope, name] = _Block(node, scope, ("module", name))
            case "variable":
                self._variables[scope, name] = node.get("default")

    def _find(self, conf: Mapping[str, object], file: str) -> list[_Block]:
        blocks = [
            block
            for block in self._resources.get(str(conf.get("__address__")), [])
            if all(
                block.attributes.get(line) == conf.get(line)
                for line in ("__start_line__", "__end_line__")
            )
        ]
        shown = [b for b in blocks if str(b.attributes.get("file_path_")).endswith(file)]
        return shown or blocks

    def _is_trusted(self, block: _Block, argument: str) -> bool:
        if self._is_literal(block, argument):
            return True
        arguments = self._arguments(block)
        return argument not in arguments or self._is_known(
            arguments[argument], arguments, block.scope
        )

    def _is_absent(self, block: _Block) -> bool:
        """Return whether the block, or a module around it, certainly has no instance."""
        if any(
            _is_empty(block.attributes.get(name)) and self._is_trusted(block, name)
            for name in MULTIPLIERS
        ):
            return True
        scope = block.scope
        if scope.module is None:
            return False
        call = self._modules.get((scope.caller, str(scope.module.name)))
        return call is not None and self._is_absent(call)

    def _is_literal(self, block: _Block, argument: str) -> bool:
        """Return whether the block's lines set the argument to a literal.

        A fast path for most blocks, since parsing a file takes as long as it takes Checkov.
        """
        file = str(block.attributes.get("file_path_"))
        first, last = (block.attributes.get(f"__{end}_line__") for end in ("start", "end"))
        if not (isinstance(first, int) and isinstance(last, int)):
            return False
        lines = self._lines(file)[first - 1 : last]
        if any(mark in line for line in lines for mark in ("<<", "/*", "*/")):
            return False
        values = [
            value
            for name, equals, value in (line.partition("=") for line in lines)
            if equals and name.strip() == argument
        ]
        return len(values) == 1 and _SOURCE_LITERAL.fullmatch(values[0]) is not None

    def _lines(self, file: str) -> Sequence[str]:
        if file not in self._texts:
            try:
                self._texts[file] = Path(file).read_text(encoding="utf-8-sig").splitlines()
            except (OSError, ValueError):
                self._texts[file] = ()
        return self._texts[file]

    def _arguments(self, block: _Block) -> Mapping[str, Any]:
        """Return a block's arguments as parsed from its source, unresolved."""
        found = self._parsed(block.scope.folder).get(block.path, {})
        return found if isinstance(found, Mapping) else {}

    def _parsed(self, folder: str) -> dict[tuple[str, ...], Any]:
        """Return the blocks of a folder's files by path; each folder is parsed once."""
        if folder not in self._folders:
            self._folders[folder] = {
                path: block
                for file in sorted(Path(folder).glob("*.tf"))
                for path, block in _blocks(load_or_die_quietly(file, {}) or {})
            }
        return self._folders[folder]

    def _is_known(
        self, value: object, arguments: Mapping[str, Any], scope: _Scope, depth: int = 0
    ) -> bool:
        """Return whether a value of a block with these arguments leads to literals."""
        if depth > _MAX_DEPTH:
            return False
        if isinstance(value, Mapping):
            value = list(value.values())
        if isinstance(value, list):
            return all(self._is_known(item, arguments, scope, depth) for item in value)
        if not isinstance(value, str) or ("${" not in value and "%{" not in value):
            return True
        return _EVALUABLE.fullmatch(value) is not None and all(
            self._has_known_value(reference, arguments, scope, depth + 1)
            for reference in _REFERENCES.findall(value)
        )

    def _has_known_value(
        self, reference: str, arguments: Mapping[str, Any], scope: _Scope, depth: int
    ) -> bool:
        kind, name, *_ = re.split(r"[.\[]", reference)
        if kind == "each":
            return "for_each" in arguments and self._is_known(
                arguments["for_each"], arguments, scope, depth
            )
        if kind == "local":
            path = ("locals", name)
            blocks = self._parsed(scope.folder)
            return path in blocks and self._is_known(blocks[path], {}, scope, depth)
        if scope.module is not None:
            call = self._modules.get((scope.caller, str(scope.module.name)))
            given = self._arguments(call) if call else {}
            if name in given:
                return self._is_known(given[name], given, scope.caller, depth)
        default = self._variables.get((scope, name))
        return default is not None and self._is_known(default, {}, scope, depth)


def _nodes(graph: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the attributes of every block, from rustworkx (index and attributes) or networkx."""
    nodes = graph.nodes()
    for node in nodes.values() if isinstance(nodes, Mapping) else nodes:
        attributes = node[-1] if isinstance(node, tuple) else node
        if isinstance(attributes, Mapping):
            yield attributes


def _blocks(parsed: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the resources, module calls and locals of a parsed file, each with its path."""
    for block in _entries(parsed.get("resource")):
        for kind, named in block.items():
            if isinstance(named, Mapping):
                yield from ((("resource", kind, name), body) for name, body in named.items())
    for section in ("module", "locals"):
        for block in _entries(parsed.get(section)):
            yield from (((section, name), body) for name, body in block.items())


def _entries(section: object) -> Iterator[Mapping[str, Any]]:
    if isinstance(section, list):
        yield from (entry for entry in section if isinstance(entry, Mapping))
