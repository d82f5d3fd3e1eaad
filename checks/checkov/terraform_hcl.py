"""Read Terraform's HCL into blocks, with expressions as tokens.

Checkov's own parser drops parentheses (`!(a && b)` arrives as `!a && b`, Checkov 3.3.30), so its
expressions cannot be evaluated. `terraform_expressions` evaluates these.

A helper that registers no check.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple

_TOKEN = re.compile(
    r"""
    [ \t\r\f\ufeff]*(?:
    (?P<space>\#[^\n]*|//[^\n]*|/\*.*?\*/|\Z)
  | (?P<newline>\n)
  | <<-?(?P<tag>[\w-]+)[ \t]*\r?\n(?P<heredoc>(?:.*?\n)??)[ \t]*(?P=tag)[ \t\r]*(?=\n|\Z)
  | (?P<number>[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)
  | (?P<name>[^\W\d][\w-]*)
  | (?P<mark>\.\.\.|=>|&&|\|\||[=!<>]=|[-+*/%<>!?:=.,(){}\[\]])
  | (?P<quote>")
    )""",
    re.DOTALL | re.VERBOSE,
)
_TEXT = re.compile(r'(?:[^"\\$%\n]|\\.|\$\$\{|%%\{|[$%](?!\{))*')
_ESCAPE = re.compile(r'\\([nrt"\\])|([$%])\2(?=\{)')
_LETTERS = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}
_OPENERS = {"(": ")", "[": "]", "{": "}"}
_CLOSERS = frozenset(_OPENERS.values())


class HclError(ValueError):
    """The text is not HCL, or of a kind that is not read."""


class Token(NamedTuple):
    """A newline, number, name, mark, text, heredoc, or a template of one expression (`inner`).

    A template that joins texts is "other".
    """

    kind: str
    text: str = ""
    inner: tuple[Token, ...] = ()


Tokens = tuple[Token, ...]


@dataclass
class Block:
    """The arguments of a block, and the blocks in it by type and labels."""

    arguments: dict[str, Tokens] = field(default_factory=dict)
    blocks: list[tuple[tuple[str, ...], Block]] = field(default_factory=list)

    def block(self, kind: str) -> Block | None:
        """Return the first block of a type without labels."""
        return next((block for path, block in self.blocks if path == (kind,)), None)


def read_blocks(text: str) -> Block:
    """Read a file. Raises HclError."""
    try:
        body, end = _body(expression(text), 0)
    except RecursionError as error:
        raise HclError("nested too deep") from error
    if end != -1:
        raise HclError("a brace closes no block")
    return body


def expression(text: str) -> Tokens:
    """Return the tokens of an expression or file. Raises HclError."""
    tokens, end = _tokens(text, 0)
    if end != len(text):
        raise HclError("a bracket closes nothing")
    return tokens


def _tokens(text: str, position: int) -> tuple[Tokens, int]:
    """Return tokens up to the end or a brace that closes nothing, and the position of that.

    Newlines within parentheses and brackets, where they mean nothing, are left out.
    """
    tokens: list[Token] = []
    closers: list[str] = []
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise HclError("an unknown token")
        kind = str(match.lastgroup)
        value, position = match[kind], match.end()
        if value in _CLOSERS and not closers:
            return tuple(tokens), match.start(kind)
        if kind == "quote":
            token, position = _quoted(text, position)
            tokens.append(token)
        elif kind not in ({"space"} if closers[-1:] in ([], ["}"]) else {"space", "newline"}):
            tokens.append(Token(kind, "" if kind == "newline" else value))
            _track(closers, value)
    if closers:
        raise HclError("a bracket is not closed")
    return tuple(tokens), position


def _track(closers: list[str], value: str) -> None:
    """Add and remove the marks that close what is open."""
    if value in _OPENERS:
        closers.append(_OPENERS[value])
    elif value in _CLOSERS and closers.pop() != value:
        raise HclError("brackets do not match")


def _quoted(text: str, position: int) -> tuple[Token, int]:
    """Return the token of a quoted text that starts here, after its quote, and its end."""
    parts: list[str | Tokens] = []
    while True:
        match = _TEXT.match(text, position)
        if match is None:
            raise HclError("an unknown text")
        if match[0]:
            parts.append(match[0])
        position = match.end()
        if text.startswith('"', position):
            return _template(parts), position + 1
        start = text[position : position + 2]
        if start not in {"${", "%{"}:
            raise HclError("a text is not closed")
        inner, position = _tokens(text, position + 2)
        if not text.startswith("}", position):
            raise HclError("a template is not closed")
        position += 1
        parts.append(inner if start == "${" else ())


def _template(parts: list[str | Tokens]) -> Token:
    if not parts:
        return Token("text")
    if len(parts) > 1:
        return Token("other")
    (only,) = parts
    if isinstance(only, str):
        return Token("text", _ESCAPE.sub(lambda m: _LETTERS.get(m[1]) or m[2], only))
    return Token("template", inner=only)


def _body(tokens: Tokens, position: int) -> tuple[Block, int]:
    """Read a body from here, and return the position of the brace that ends it, or -1."""
    body = Block()
    while position < len(tokens):
        token = tokens[position]
        if token == Token("mark", "}"):
            return body, position
        if token.kind == "newline":
            position += 1
            continue
        path: list[str] = []
        while tokens[position : position + 1] and tokens[position].kind in {"name", "text"}:
            path.append(tokens[position].text)
            position += 1
        mark = tokens[position] if position < len(tokens) else None
        if mark == Token("mark", "=") and len(path) == 1:
            end = _end(tokens, position + 1)
            body.arguments[path[0]] = tokens[position + 1 : end]
            position = end
        elif mark == Token("mark", "{") and path:
            block, end = _body(tokens, position + 1)
            if end == -1:
                raise HclError("a block is not closed")
            body.blocks.append((tuple(path), block))
            position = end + 1
        else:
            raise HclError("neither an argument nor a block")
    return body, -1


def _end(tokens: Tokens, position: int) -> int:
    """Return where an argument's expression ends: at a newline, or a brace that closes more."""
    depth = 0
    for end in range(position, len(tokens)):
        token = tokens[end]
        if token.kind == "newline" and not depth:
            return end
        if token.kind == "mark":
            depth += (token.text in _OPENERS) - (token.text in _CLOSERS)
            if depth < 0:
                return end
    return len(tokens)


def merged(base: Block, override: Block) -> Block:
    """Merge as Terraform merges override files: arguments replace, nested blocks by their type.

    In `lifecycle`, each argument replaces ("Override Files", Terraform documentation).
    """
    theirs = {path[0] for path, _ in override.blocks}
    blocks = [(path, block) for path, block in base.blocks if path[0] not in theirs]
    for path, block in override.blocks:
        before = base.block("lifecycle") if path == ("lifecycle",) else None
        blocks.append((path, merged(before, block) if before else block))
    return Block({**base.arguments, **override.arguments}, blocks)
