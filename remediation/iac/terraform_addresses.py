"""Parse and format addresses of Terraform's resource instances.

The form is `module.NAME[KEY].TYPE.NAME[KEY]`. A key is a whole number (`count`) or quoted text
(`for_each`), which may contain dots, quotes and brackets ("References to Named Values" and
"Resource Addressing", Terraform documentation).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Self

Key = int | str | None
"""Distinguishes the instances of one block; None if there is only one."""

_NAME: Final = r"[^\W\d][\w-]*"
_KEY: Final = r'\[(?:(?P<number>0|[1-9][0-9]{0,17})|"(?P<text>(?:[^"\\]|\\.)*)")\]'
_MODULE: Final = re.compile(rf"module\.(?P<name>{_NAME})(?:{_KEY})?(?:\.|$)", re.DOTALL)
_RESOURCE: Final = re.compile(rf"(?P<type>{_NAME})\.(?P<name>{_NAME})(?:{_KEY})?", re.DOTALL)
_ESCAPE: Final = re.compile(
    r"""\\(?:(?P<letter>[nrt"\\])|u(?P<u>[0-9a-fA-F]{4})|U(?P<U>[0-9a-fA-F]{8})"""
    r"""|x(?P<x>[0-9a-fA-F]{2})|(?P<odd>.))|(?P<template>\$\$|%%)(?=\{)""",
    re.DOTALL,
)
_INTRODUCER: Final = re.compile(r"([$%])(?={)")
_LETTERS: Final = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}
_ESCAPED: Final = {value: f"\\{letter}" for letter, value in _LETTERS.items()}


@dataclass(frozen=True, slots=True)
class Step:
    """A module call, or the resource at the end, with the key of its instance."""

    name: str
    key: Key = None


@dataclass(frozen=True, slots=True)
class Address:
    """One instance of a managed resource."""

    modules: tuple[Step, ...]
    type: str
    name: str
    key: Key = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse an address. Raises ValueError."""
        modules, rest = _modules(text)
        match = _RESOURCE.fullmatch(rest)
        if match is None or match["type"] == "module":
            raise ValueError("not the address of a resource in Terraform")
        return cls(modules, match["type"], match["name"], _key(match))

    def __str__(self) -> str:
        return self._text(_quoted)

    @property
    def as_checkov_writes(self) -> str:
        """The address in the form of Checkov 3.3.30, which does not escape quotes in keys."""
        return self._text(lambda key: f'"{key}"')

    @property
    def block(self) -> Address:
        """The address of the block in the code, without any key."""
        return replace(self, modules=tuple(Step(module.name) for module in self.modules), key=None)

    def may_be(self, other: Address) -> bool:
        """Whether this is the other address, or it leaves out keys of the other."""
        return self.block == other.block and all(
            mine in {None, its} for mine, its in zip(self.keys, other.keys, strict=True)
        )

    @property
    def keys(self) -> tuple[Key, ...]:
        """The keys of the modules' instances, outermost first, and its own."""
        return (*(module.key for module in self.modules), self.key)

    def _text(self, quoted: Callable[[str], str]) -> str:
        steps = (*(Step(f"module.{m.name}", m.key) for m in self.modules), self._last)
        return ".".join(step.name + _index(step.key, quoted) for step in steps)

    @property
    def _last(self) -> Step:
        return Step(f"{self.type}.{self.name}", self.key)


def parse_modules(text: str) -> tuple[Step, ...]:
    """Parse the address of a module's instance, such as `module.a["x"].module.b`, or empty text."""
    modules, rest = _modules(text)
    if rest or text.endswith("."):
        raise ValueError("not the address of a module in Terraform")
    return modules


def _modules(text: str) -> tuple[tuple[Step, ...], str]:
    modules = []
    while (match := _MODULE.match(text)) is not None:
        modules.append(Step(match["name"], _key(match)))
        text = text[match.end() :]
    return tuple(modules), text


def _key(match: re.Match[str]) -> Key:
    if match["number"] is not None:
        return int(match["number"])
    return None if match["text"] is None else _ESCAPE.sub(_unescaped, match["text"])


def _unescaped(match: re.Match[str]) -> str:
    if match["template"] is not None:
        return match["template"][0]
    if match["letter"] is not None:
        return _LETTERS[match["letter"]]
    code = match["u"] or match["U"] or match["x"]
    number = 0xD800 if code is None else int(code, 16)
    if number > 0x10FFFF or 0xD800 <= number <= 0xDFFF:  # half of a surrogate pair
        raise ValueError("an escape that Terraform does not write")
    return chr(number)


def _index(key: Key, quoted: Callable[[str], str]) -> str:
    if key is None:
        return ""
    return f"[{quoted(key) if isinstance(key, str) else key}]"


def _quoted(text: str) -> str:
    """Quote text as Terraform does, which doubles the introducer of a template."""
    escaped = "".join(_ESCAPED.get(letter) or _visible(letter) for letter in text)
    return '"' + _INTRODUCER.sub(r"\1\1", escaped) + '"'


def _visible(letter: str) -> str:
    if letter.isprintable():
        return letter
    return f"\\u{ord(letter):04x}" if ord(letter) < 0x10000 else f"\\U{ord(letter):08x}"
