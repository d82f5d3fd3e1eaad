"""Evaluate Terraform expressions as far as the code settles them.

What it does not settle is UNSETTLED: a variable without a value, a data source, a function or an
operator that is not listed here. Booleans follow three-valued logic: `false && var.x` is false.

A helper that registers no check.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from terraform_hcl import HclError, Token, Tokens, expression


class _Unsettled:
    def __repr__(self) -> str:
        return "UNSETTLED"


UNSETTLED: Final = _Unsettled()

Resolve = Callable[[str, str], object]
"""Returns the value of a reference, such as ("var", "name"), or UNSETTLED."""

_LEVELS: Final = (("||",), ("&&",), ("==", "!="), ("<", ">", "<=", ">="), ("+", "-"))
_ARITHMETIC: Final[Mapping[str, Callable[[Any, Any], object]]] = {
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
    "+": operator.add,
    "-": operator.sub,
}
_WORDS: Final = {"true": True, "false": False, "null": None}
_MOST_ITEMS: Final = 10_000
"""Larger collections are not built, since locals can double one another."""
_MOST_DIGITS: Final = 15


def evaluate(tokens: Tokens, resolve: Resolve) -> object:
    """Return the value of an expression: None, a bool, number, str, list, dict or frozenset."""
    try:
        return _Parser(tokens, resolve).whole()
    except (HclError, RecursionError):
        return UNSETTLED


def evaluate_json(value: object) -> object:
    """Return the value of an argument in JSON, where a text in `${}` is an expression."""
    if isinstance(value, str) and ("${" in value or "%{" in value):
        if not (value.startswith("${") and value.endswith("}")):
            return UNSETTLED
        try:
            return evaluate(expression(value[2:-1]), lambda _kind, _name: UNSETTLED)
        except (HclError, RecursionError):
            return UNSETTLED
    if isinstance(value, Mapping):
        # Checkov adds line numbers to every object.
        return {k: v for k, v in value.items() if not str(k).startswith("__")}
    return value


def boolean(value: object) -> object:
    """Convert as Terraform converts conditions."""
    if isinstance(value, bool):
        return value
    words = {"true": True, "false": False}
    return words.get(value, UNSETTLED) if isinstance(value, str) else UNSETTLED


def instances(count: object) -> object:
    """Return the indices that a value of `count` makes."""
    if isinstance(count, str) and count.isdecimal() and len(count) <= _MOST_DIGITS:
        count = int(count)
    if isinstance(count, bool) or not isinstance(count, int | float) or count != int(count):
        return UNSETTLED
    return range(int(count))


class _Parser:
    """Evaluates while it parses. Raises HclError for notation that it does not know."""

    def __init__(self, tokens: Tokens, resolve: Resolve) -> None:
        self._tokens = tokens
        self._resolve = resolve
        self._position = 0

    def whole(self) -> object:
        value = self._conditional()
        if self._position < len(self._tokens):
            raise HclError("more than an expression")
        return value

    def _next(self) -> Token:
        if self._position == len(self._tokens):
            raise HclError("the expression ends")
        self._position += 1
        return self._tokens[self._position - 1]

    def _accepts(self, *marks: str) -> str:
        token = self._tokens[self._position : self._position + 1]
        if token and token[0].kind == "mark" and token[0].text in marks:
            self._position += 1
            return token[0].text
        return ""

    def _expect(self, mark: str) -> None:
        if not self._accepts(mark):
            raise HclError(f"expected {mark}")

    def _skip_newlines(self) -> None:
        while self._tokens[self._position : self._position + 1] == (Token("newline"),):
            self._position += 1

    def _conditional(self) -> object:
        condition = self._binary(0)
        if not self._accepts("?"):
            return condition
        first = self._conditional()
        self._expect(":")
        second = self._conditional()
        match boolean(condition):
            case True:
                return first
            case False:
                return second
        return UNSETTLED

    def _binary(self, level: int) -> object:
        if level == len(_LEVELS):
            return self._unary()
        left = self._binary(level + 1)
        while mark := self._accepts(*_LEVELS[level]):
            left = _apply(mark, left, self._binary(level + 1))
        return left

    def _unary(self) -> object:
        if self._accepts("!"):
            return _not(self._unary())
        if self._accepts("-"):
            return _apply("-", 0, self._unary())
        value = self._primary()
        while mark := self._accepts(".", "["):
            if mark == ".":
                token = self._next()
                if token.kind not in {"name", "number"}:
                    raise HclError("not an attribute")
                value = _member(value, token.text)
            else:
                value = _member(value, self._conditional())
                self._expect("]")
        return value

    def _primary(self) -> object:
        token = self._next()
        match token.kind, token.text:
            case "text", text:
                return text
            case "template", _:
                return _Parser(token.inner, self._resolve).whole()
            case "other" | "heredoc", _:
                return UNSETTLED
            case "number", digits:
                return _number(digits)
            case "name", name:
                return self._named(name)
            case _, "(":
                value = self._conditional()
                self._expect(")")
                return value
            case _, "[":
                return self._items("]")
            case _, "{":
                return self._object()
        raise HclError("not the start of a value")

    def _named(self, name: str) -> object:
        if self._accepts("("):
            return _call(name, self._items(")"))
        if name in _WORDS:
            return _WORDS[name]
        self._expect(".")
        token = self._next()
        return self._resolve(name, token.text)

    def _items(self, end: str) -> list[object]:
        items = []
        while not self._accepts(end):
            items.append(self._conditional())
            if not self._accepts(","):
                self._expect(end)
                break
        return items

    def _object(self) -> object:
        pairs: dict[object, object] = {}
        self._skip_newlines()
        while not self._accepts("}"):
            key = self._key()
            if not self._accepts("=", ":"):
                raise HclError("an object without values")
            self._skip_newlines()
            pairs[key] = self._conditional()
            self._accepts(",")
            self._skip_newlines()
        return UNSETTLED if UNSETTLED in pairs else pairs

    def _key(self) -> object:
        token = self._next()
        if token.kind == "name" and token.text != "for":
            return token.text
        self._position -= 1
        key = self._primary()
        return key if isinstance(key, str) else UNSETTLED


def _number(digits: str) -> object:
    if len(digits) > _MOST_DIGITS:
        return UNSETTLED
    return int(digits) if digits.isdecimal() else float(digits)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _member(value: object, key: object) -> object:
    if isinstance(value, dict) and isinstance(key, str):
        return value.get(key, UNSETTLED)
    if isinstance(value, list):
        index = int(key) if isinstance(key, str) and key.isdecimal() else key
        if isinstance(index, int) and not isinstance(index, bool) and 0 <= index < len(value):
            return value[index]
    return UNSETTLED


def _not(value: object) -> object:
    known = boolean(value)
    return not known if isinstance(known, bool) else UNSETTLED


def _any(values: Iterable[object]) -> object:
    known = [boolean(value) for value in values]
    if any(value is True for value in known):
        return True
    return UNSETTLED if UNSETTLED in known else False


def _all(values: Iterable[object]) -> object:
    return _not(_any([_not(value) for value in values]))


def _equal(left: object, right: object) -> object:
    """Compare what is of one type. Terraform converts some others, and compares types as well."""
    if left is UNSETTLED or right is UNSETTLED:
        return UNSETTLED
    if left is None or right is None:
        return left is right
    for kind in (str, bool):
        if isinstance(left, kind) and isinstance(right, kind):
            return left == right
    return left == right if _is_number(left) and _is_number(right) else UNSETTLED


def _apply(mark: str, left: object, right: object) -> object:
    match mark:
        case "||":
            return _any([left, right])
        case "&&":
            return _all([left, right])
        case "==":
            return _equal(left, right)
        case "!=":
            return _not(_equal(left, right))
    if not (_is_number(left) and _is_number(right)):
        return UNSETTLED
    return _ARITHMETIC[mark](left, right)


def _call(name: str, arguments: Sequence[object]) -> object:
    function = _FUNCTIONS.get(name)
    if function is None or UNSETTLED in arguments:
        return UNSETTLED
    try:
        return function(*arguments)
    except (TypeError, AttributeError):
        # Arguments that Terraform does not take either.
        return UNSETTLED


def _collection(value: object) -> list[object]:
    if isinstance(value, list):
        return value
    if isinstance(value, frozenset):
        return sorted(value)
    raise TypeError


def _length(value: object) -> object:
    return len(value) if isinstance(value, list | dict | frozenset | str) else UNSETTLED


def _compact(values: object) -> object:
    items = _collection(values)
    return UNSETTLED if UNSETTLED in items else [item for item in items if item not in (None, "")]


def _coalesce(*values: object) -> object:
    return next((value for value in values if value not in (None, "")), UNSETTLED)


def _concat(*values: object) -> object:
    joined = [item for value in values for item in _collection(value)[:_MOST_ITEMS]]
    return joined if len(joined) < _MOST_ITEMS else UNSETTLED


def _contains(values: object, item: object) -> object:
    return _any([_equal(value, item) for value in _collection(values)])


def _lookup(values: object, key: object, default: object = UNSETTLED) -> object:
    return values.get(key, default) if isinstance(values, dict) else UNSETTLED


def _merge(*values: object) -> object:
    result: dict[object, object] = {}
    for value in values:
        if value is not None:
            if not isinstance(value, dict):
                return UNSETTLED
            result |= value
    return result


def to_set(values: object) -> object:
    """Convert as `toset` and `set(string)` do."""
    items = _collection(values)
    return frozenset(items) if all(isinstance(item, str) for item in items) else UNSETTLED


def _keys(values: object) -> object:
    return sorted(values) if isinstance(values, dict) else UNSETTLED


def _values(values: object) -> object:
    return [values[key] for key in sorted(values)] if isinstance(values, dict) else UNSETTLED


_FUNCTIONS: Final[Mapping[str, Callable[..., object]]] = {
    "alltrue": lambda values: _all(_collection(values)),
    "anytrue": lambda values: _any(_collection(values)),
    "coalesce": _coalesce,
    "compact": _compact,
    "concat": _concat,
    "contains": _contains,
    "keys": _keys,
    "length": _length,
    "lookup": _lookup,
    "merge": _merge,
    "tobool": boolean,
    "tolist": _collection,
    "tomap": lambda values: values if isinstance(values, dict) else UNSETTLED,
    "toset": to_set,
    "values": _values,
}
