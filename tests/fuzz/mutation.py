"""Edits of documents by their structure, so that most of them get past the parsers."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, Final

import yaml

from keysweep.remediation.strict_yaml import YAML_ERRORS

ODD: Final[tuple[Any, ...]] = (
    *(None, True, False, 0, -1, 1e308, 2**63, 10**400, "", " ", "\0", "\ud800", "\udfff", "<", "*"),
    *([], {}, [[]], "x" * 5_000, "1", "true", "2026-13-45T99:99:99Z", "0001-01-01T00:00:00+23:59"),
    *("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "\u202e"),
    *("arn:aws:kms:eu-west-1:111122223333:key/", "arn:::::::", "AWS", "kms:*", "9999-12-31"),
)
"""Values that readers stumble over."""

ODD_YAML: Final[tuple[str, ...]] = (
    *("!!bool x", "!!timestamp x", '!!float ""', "!!binary x", "!!set {a}", "!!python/name:os x"),
    *("&a [1]", "*a", "{<<: {a: 1}}", "? [a]", "2026-13-99", "010", "1:30", ".inf", ".nan", "~"),
    *('"\\U00110000"', '"\\ud800"', "'", "|", "---", "%YAML 9", "\t", "\x07", "9" * 5_000),
)
"""Values of YAML that a tree cannot hold."""

Node = tuple[Any, Any]
"""A container and the name or number of the value in it."""


@dataclass(frozen=True)
class Form:
    """How a document becomes values and a document again."""

    parse: Callable[[bytes], Any]
    write: Callable[[Any], bytes]
    edit: Callable[[bytes, Random], bytes] = lambda document, _random: document
    """Edits what is written."""


def _write_json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _parse_lines(document: bytes) -> list[Any]:
    return [json.loads(line) for line in document.splitlines()]


def _write_lines(lines: Any) -> bytes:
    return b"".join(
        _write_json(line) + b"\n" for line in (lines if isinstance(lines, list) else [lines])
    )


def _write_signed(plan: Any) -> bytes:
    """With the digest that the document must have, or no edit would get past it."""
    if isinstance(plan, dict) and "digest" in plan:
        content = {name: value for name, value in plan.items() if name != "digest"}
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
        plan = {**plan, "digest": f"sha256:{hashlib.sha256(canonical).hexdigest()}"}
    return _write_json(plan)


def _write_yaml(value: Any) -> bytes:
    return yaml.safe_dump(value, sort_keys=False).encode("utf-8", "surrogatepass")


def _edit_yaml(document: bytes, random: Random) -> bytes:
    """In every other document, another value after a name."""
    if random.random() < 0.5:
        return document
    lines = document.split(b"\n")
    at = random.randrange(len(lines))
    name, colon, _ = lines[at].partition(b":")
    lines[at] = name + colon + b" " + random.choice(ODD_YAML).encode()
    return b"\n".join(lines)


JSON: Final = Form(json.loads, _write_json)
FORMS: Final = {
    "plan": Form(json.loads, _write_signed),
    "journal": Form(_parse_lines, _write_lines),
    "policy": Form(yaml.safe_load, _write_yaml, _edit_yaml),
    "results": JSON,
    "state": JSON,
    "key_policy": JSON,
}


def mutator(
    form: Form, of_bytes: Callable[[bytes, int], bytes]
) -> Callable[[bytes, int, int], bytes]:
    """A mutator for the fuzzer: three of four edits by structure, the others of bytes."""

    def mutate(document: bytes, most: int, seed: int) -> bytes:
        random = Random(seed)
        if random.random() < 0.25:
            return of_bytes(document, most)
        try:
            tree = form.parse(document)
            for _ in range(random.randint(1, 4)):
                tree = _edited(tree, random, of_bytes)
            written = form.edit(form.write(tree), random)
        except (*YAML_ERRORS, TypeError):
            return of_bytes(document, most)
        return written if len(written) <= most else of_bytes(document, most)

    return mutate


def _nodes(tree: Any) -> list[Node]:
    found: list[Node] = []
    left = [tree]
    while left:
        one = left.pop()
        names = one if isinstance(one, dict) else range(len(one)) if isinstance(one, list) else ()
        for name in names:
            found.append((one, name))
            left.append(one[name])
    return found


def _edited(tree: Any, random: Random, of_bytes: Callable[[bytes, int], bytes]) -> Any:
    nodes = _nodes(tree)
    if not nodes:
        return copy.deepcopy(random.choice(ODD))
    container, name = random.choice(nodes)
    value = container[name]
    match random.randrange(7):
        case 0:
            del container[name]
        case 1:
            container[name] = copy.deepcopy(random.choice(ODD))
        case 2:
            other, its = random.choice(nodes)
            container[name] = copy.deepcopy(other[its])
        case 3:
            container[name] = [value] if random.random() < 0.5 else {"a": value}
        case 4 if isinstance(container, list):
            container.insert(random.randint(0, len(container)), copy.deepcopy(value))
        case 4:
            container[f"{name}{random.choice(('', 's', ' '))}x"] = container.pop(name)
        case 5 if isinstance(value, int | float):
            container[name] = value + random.choice((-1, 1, 10**6))
        case _ if isinstance(value, str):
            changed = of_bytes(value.encode("utf-8", "surrogatepass"), len(value) + 8)
            container[name] = changed.decode("utf-8", "replace")
        case _:
            container[name] = copy.deepcopy(random.choice(ODD))
    return tree
