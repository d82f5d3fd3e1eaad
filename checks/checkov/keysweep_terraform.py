"""Terraform and OpenTofu: HCL, plans as JSON, and JSON configuration such as CDK for Terraform's.

A plan states values. In HCL, Checkov resolves expressions itself and guesses where it cannot:
`var.stage == "prod" ? true : false` without a value for `stage` arrives as a plain false
(Checkov 3.3.30). So a value from HCL counts only if what is written behind it is settled, back
through locals, variables and module calls; otherwise the answer is UNKNOWN.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from keysweep_verdicts import CATEGORIES, SEVERITY, STATE, WINDOW, Check

from checkov.common.models.enums import CheckResult
from checkov.terraform.checks.resource.base_resource_check import BaseResourceCheck

try:
    from checkov.terraform.parser_utils import load_or_die_quietly
except ImportError:  # its place in older versions, Checkov 3.2.10 among them
    from checkov.terraform.tf_parser import load_or_die_quietly  # type: ignore[attr-defined]

AWS_KEY = {STATE.id: "is_enabled", WINDOW.id: "deletion_window_in_days"}
AWS_OTHER = {STATE.id: "enabled", WINDOW.id: "deletion_window_in_days"}
AWSCC = {STATE.id: "enabled", WINDOW.id: "pending_window_in_days"}
# resource type -> check id -> argument
SETTINGS = {
    "aws_kms_key": AWS_KEY,
    "aws_kms_replica_key": AWS_OTHER,
    "aws_kms_external_key": AWS_OTHER,
    "aws_kms_replica_external_key": AWS_OTHER,
    "awscc_kms_key": AWSCC,
    "awscc_kms_replica_key": AWSCC,
}

MULTIPLIERS = ("count", "for_each")

KEY_ARN = re.compile(r"arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+")

# The expressions, as Checkov's HCL parser writes them down, that it evaluates correctly as long as
# every reference in them has a value. Whatever else is written is not settled.
_REFERENCE = r"""(?:(?:var|local)\.[A-Za-z_][\w-]*|each\.(?:key|value))(?:\.[\w-]+|\["[^"]*"\])*"""
_LITERAL = r"""(?:True|False|-?[0-9]+|"[^"$%]*")"""
_OPERAND = rf"(?:{_REFERENCE}|{_LITERAL})"
_SETTLING = re.compile(
    r"\$\{\s*(?:"
    rf"{_OPERAND}"
    rf"|{_REFERENCE}(?:\s*[!=]=\s*{_LITERAL})?\s*\?\s*{_OPERAND}\s*:\s*{_OPERAND}"
    rf"""|lookup\({_REFERENCE},\s*"[^"$%]*",\s*{_LITERAL}\)"""
    rf"|toset\((?:{_REFERENCE}|\[[^\[\]$]*\])\)"
    r")\s*\}"
)
_REFERENCES = re.compile(rf"(?<![\w.]){_REFERENCE}")

_PLAIN = re.compile(r"""\s*(?:true|false|[0-9]+|"(?:true|false|[0-9]+)")\s*(?:(?:#|//).*)?""")

# Deeper than any real chain of locals and modules, and an end to those that refer to themselves.
_DEEPEST = 20


class TerraformCheck(BaseResourceCheck):
    """Judges one argument of a KMS key."""

    def __init__(self, check: Check) -> None:
        super().__init__(
            name=check.name,
            id=check.id,
            categories=CATEGORIES,
            supported_resources=tuple(SETTINGS),
            guideline=check.guideline,
        )
        self.severity = SEVERITY
        self._check = check
        self._source: _Source | None = None

    def scan_entity_conf(self, conf: dict[str, list[Any]], entity_type: str) -> CheckResult:
        """Judge the argument; a key has no dynamic blocks that would have to be unfolded first."""
        self.entity_type = entity_type
        return self.scan_resource_conf(conf)

    def scan_resource_conf(self, conf: dict[str, list[Any]]) -> CheckResult:
        """Judge the argument, and for a failure say what leads to the live key."""
        setting = SETTINGS[self.entity_type][self.id]
        self.evaluated_keys = [setting]
        verdict = self._judge(conf, setting)
        if verdict is not CheckResult.UNKNOWN and not self._holds(conf, setting):
            verdict = CheckResult.UNKNOWN
        if verdict is CheckResult.FAILED:
            self.details = list(_facts(conf, self.entity_type))
        return verdict

    def _judge(self, conf: Mapping[str, object], setting: str) -> CheckResult:
        if setting not in conf:
            return self._check.judge(None)
        declared = _single(conf[setting])
        # [None] is a literal null as well as an expression that Checkov gave up on.
        return CheckResult.UNKNOWN if declared is None else self._check.judge(declared)

    def _holds(self, conf: Mapping[str, object], setting: str) -> bool:
        """Whether there is such a key at all, and its argument has the value that Checkov found."""
        graph: Any = getattr(self, "graph", None)  # not before Checkov 3.2
        if "__start_line__" not in conf or graph is None:
            # A plan or JSON, where Checkov resolves nothing.
            return not any(_is_none(conf.get(name)) for name in MULTIPLIERS) and (
                setting in conf or setting not in _unknown_until_applied(conf)
            )
        if self._source is None or self._source.graph is not graph:
            self._source = _Source(graph)
        file = self.entity_path.partition(f":{self.entity_type}:")[0]
        return all(
            self._source.settled(block, setting) and not self._source.absent(block)
            for block in self._source.find(conf, file)
        )


def _facts(conf: Mapping[str, object], resource_type: str) -> Iterator[str]:
    """The details of a failure, each `name=value`; the ARN only of a key that the plan keeps."""
    yield f"kms:resource-type={resource_type}"
    actions = conf.get("__change_actions__")
    planned = [a for a in actions if isinstance(a, str)] if isinstance(actions, list) else []
    if planned:
        yield f"terraform:actions={','.join(planned)}"
    arn = _single(conf.get("arn"))
    if isinstance(arn, str) and KEY_ARN.fullmatch(arn) and not {"create", "delete"} & {*planned}:
        yield f"kms:arn={arn}"


def _single(value: object) -> object:
    """The value in the one-element list that Checkov puts every argument into."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _is_none(multiplier: object) -> bool:
    """Whether `count` or `for_each` says that there is no instance."""
    value = _single(multiplier)
    if isinstance(value, list | dict | set):
        # In JSON, Checkov adds line numbers to every object.
        return all(isinstance(item, str) and item.startswith("__") for item in value)
    return value == "0" or (isinstance(value, int) and value == 0)


def _unknown_until_applied(conf: Mapping[str, object]) -> frozenset[str]:
    """The arguments of a planned resource that Terraform will know only after apply.

    Checkov leaves them out, unless EVAL_TF_PLAN_AFTER_UNKNOWN is set: they would look undeclared.
    """
    plan = _single(conf.get("__file__"))
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
        # Checkov has read the file as a plan, in some older or newer shape.
        return {}


@dataclass(frozen=True)
class _Place:
    """Where names mean something: a folder, as the module call that Checkov loaded it for."""

    folder: str
    module: Any  # Checkov's TFModule, or None in a root module

    @property
    def caller(self) -> _Place:
        return _Place(str(Path(self.module.path).parent), self.module.nested_tf_module)


@dataclass(frozen=True)
class _Located:
    """A block of Checkov's graph: its resolved arguments, and where it is written."""

    attributes: Mapping[str, Any]
    place: _Place
    path: tuple[str, ...]  # in the file: ("resource", type, name) or ("module", name)


class _Source:
    """What is written in the files behind Checkov's graph, and the values it has for variables."""

    def __init__(self, graph: Any) -> None:
        self.graph = graph
        self._files: dict[str, dict[tuple[str, ...], Any]] = {}
        self._texts: dict[str, Sequence[str]] = {}
        self._keys: dict[str, list[_Located]] = {}
        self._modules: dict[tuple[_Place, str], _Located] = {}
        self._variables: dict[tuple[_Place, str], object] = {}
        for node in _nodes(graph):
            self._add(node)

    def _add(self, node: Mapping[str, Any]) -> None:
        kind = node.get("block_type_")
        if kind == "resource" and node.get("resource_type") not in SETTINGS:
            return
        name = str(node.get("block_name_"))
        folder = str(Path(str(node.get("file_path_"))).parent)
        place = _Place(folder, node.get("source_module_object_"))
        match kind:
            case "resource":
                resource_type, _, label = name.partition(".")
                path = ("resource", resource_type, label.partition("[")[0])
                address = str(node.get("__address__"))
                self._keys.setdefault(address, []).append(_Located(node, place, path))
            case "module":
                self._modules[place, name] = _Located(node, place, ("module", name))
            case "variable":
                self._variables[place, name] = node.get("default")

    def find(self, conf: Mapping[str, object], file: str) -> list[_Located]:
        """The blocks that a check's `conf` may stand for; several roots can share an address.

        `file` is the path that Checkov shows, below the folder that is scanned.
        """
        blocks = [
            block
            for block in self._keys.get(str(conf.get("__address__")), [])
            if all(
                block.attributes.get(line) == conf.get(line)
                for line in ("__start_line__", "__end_line__")
            )
        ]
        shown = [b for b in blocks if str(b.attributes.get("file_path_")).endswith(file)]
        return shown or blocks

    def settled(self, block: _Located, argument: str) -> bool:
        """Whether the value behind an argument can be known from the code alone."""
        if self._is_plain(block, argument):
            return True
        written = self._written(block)
        return argument not in written or self._known(written[argument], written, block.place)

    def absent(self, block: _Located) -> bool:
        """Whether the block, or a module that it stands in, certainly has no instance."""
        if any(
            _is_none(block.attributes.get(name)) and self.settled(block, name)
            for name in MULTIPLIERS
        ):
            return True
        place = block.place
        if place.module is None:
            return False
        call = self._modules.get((place.caller, str(place.module.name)))
        return call is not None and self.absent(call)

    def _is_plain(self, block: _Located, argument: str) -> bool:
        """Whether a literal stands behind the argument, as far as the block's lines tell.

        Most do, and parsing the file once more costs what Checkov itself takes for it.
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
        return len(values) == 1 and _PLAIN.fullmatch(values[0]) is not None

    def _lines(self, file: str) -> Sequence[str]:
        if file not in self._texts:
            try:
                self._texts[file] = Path(file).read_text(encoding="utf-8-sig").splitlines()
            except (OSError, ValueError):
                self._texts[file] = ()
        return self._texts[file]

    def _written(self, block: _Located) -> Mapping[str, Any]:
        found = self._file(block.place.folder).get(block.path, {})
        return found if isinstance(found, Mapping) else {}

    def _file(self, folder: str) -> dict[tuple[str, ...], Any]:
        """Everything that is written in a folder's files, by path; read once."""
        if folder not in self._files:
            self._files[folder] = {
                path: block
                for file in sorted(Path(folder).glob("*.tf"))
                for path, block in _blocks(load_or_die_quietly(file, {}) or {})
            }
        return self._files[folder]

    def _known(
        self, written: object, block: Mapping[str, Any], place: _Place, depth: int = 0
    ) -> bool:
        if depth > _DEEPEST:
            return False
        if isinstance(written, Mapping):
            return all(self._known(value, block, place, depth) for value in written.values())
        if isinstance(written, list):
            return all(self._known(value, block, place, depth) for value in written)
        if not isinstance(written, str) or ("${" not in written and "%{" not in written):
            return True
        return _SETTLING.fullmatch(written) is not None and all(
            self._refers_to_known(reference, block, place, depth + 1)
            for reference in _REFERENCES.findall(written)
        )

    def _refers_to_known(
        self, reference: str, block: Mapping[str, Any], place: _Place, depth: int
    ) -> bool:
        kind, name, *_ = re.split(r"[.\[]", reference)
        if kind == "each":
            return "for_each" in block and self._known(block["for_each"], block, place, depth)
        if kind == "local":
            path = ("locals", name)
            file = self._file(place.folder)
            return path in file and self._known(file[path], {}, place, depth)
        if place.module is not None:
            call = self._modules.get((place.caller, str(place.module.name)))
            given = self._written(call) if call else {}
            if name in given:
                return self._known(given[name], given, place.caller, depth)
        default = self._variables.get((place, name))
        return default is not None and self._known(default, {}, place, depth)


def _nodes(graph: Any) -> Iterator[Mapping[str, Any]]:
    """The attributes of every block, from rustworkx (an index beside each) or networkx."""
    nodes = graph.nodes()
    for node in nodes.values() if isinstance(nodes, Mapping) else nodes:
        attributes = node[-1] if isinstance(node, tuple) else node
        if isinstance(attributes, Mapping):
            yield attributes


def _blocks(parsed: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Resources, module calls and locals of a parsed file, each with its path in the language."""
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


TerraformCheck(STATE)
TerraformCheck(WINDOW)
