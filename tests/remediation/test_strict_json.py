"""Names that an object has twice: found at any depth, however they are written."""

from __future__ import annotations

import io
import json

import ijson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keysweep.remediation.strict_json import RepeatedName, loads, unique_names

TWICE = {
    "at the top": ('{"a": 1, "b": 2, "a": 1}', "'a'"),
    "inside": ('{"a": {"b": {"c": 1, "c": 2}}}', "'c' in a.b"),
    "in a list": ('{"items": [1, [], {"b": 0}, {"b": {"c": [{"d": 1, "d": 1}]}}]}', "items[4].b.c"),
    "in a list of lists": ('[[1, "x"], [[{"a": 1, "a": 2}]]]', "'a' in [2][1][1]"),
    "escaped": (r'{"items": 1, "\u0069tems": 2}', "'items'"),
    "two ways to write a name": (r'{"\u00e9": 1, "é": 2}', r"'\xe9'"),
    "a pair of surrogates": (r'{"\ud83d\ude00": 1, "😀": 2}', r"'\U0001f600'"),
    "without a name": ('{"": 1, "": 2}', "''"),
    "in a value that another one replaces": ('{"a": {"b": 1, "b": 2}, "a": 1}', "duplicate"),
}
BOTH = pytest.mark.parametrize("case", TWICE)


def streamed(text: str) -> list[tuple[str, object]]:
    return list(unique_names(ijson.basic_parse(io.BytesIO(text.encode()))))


@BOTH
def test_a_whole_document_with_a_name_twice_is_refused(case: str) -> None:
    text, words = TWICE[case]
    with pytest.raises(RepeatedName) as refused:
        loads(text)
    assert words in str(refused.value)
    assert str(refused.value).isascii()


@BOTH
def test_a_stream_with_a_name_twice_is_refused(case: str) -> None:
    text, words = TWICE[case]
    with pytest.raises(RepeatedName) as refused:
        streamed(text)
    assert words in str(refused.value)
    assert str(refused.value).isascii()


@pytest.mark.parametrize(
    "text",
    ["", "{", '{"a":1}{"a":2}', '{"a":1} x', '{"a":NaN}', '{"a":-Infinity}', "Infinity", "{a:1}"],
)
def test_input_that_is_not_one_json_document_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        loads(text)


def test_the_outermost_object_is_named() -> None:
    with pytest.raises(RepeatedName, match=r"'a'$"):
        loads('{"z": {"b": 1, "b": 2}, "a": {"b": 1, "b": 2}, "a": 1}')


def test_many_names_take_no_longer_than_their_number() -> None:
    members = ", ".join(f'"{number}": 1' for number in range(100_000))
    with pytest.raises(RepeatedName, match="'99999'"):
        loads(f'{{{members}, "99999": 1}}')


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), st.text(max_size=3)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(VALUES)
def test_a_document_without_such_names_is_read_as_it_is(value: object) -> None:
    text = json.dumps(value)
    assert loads(text) == value
    assert streamed(text) == list(ijson.basic_parse(io.BytesIO(text.encode())))
