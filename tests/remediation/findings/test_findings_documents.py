"""The splitter gives exactly the records that a JSON parser finds, or refuses the document."""

from __future__ import annotations

import contextlib
import io
import json
import string
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from keysweep.remediation.findings import buffer, documents
from keysweep.remediation.findings.buffer import InvalidDocument
from keysweep.remediation.findings.documents import Records

texts = st.text(alphabet=st.sampled_from('{}[]",:\\ \n\tab1\u00e4\u2028\U0001f511')) | st.text(
    st.characters(exclude_categories=["Cs"])
)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
objects = st.dictionaries(texts, values, max_size=4)
styles = st.fixed_dictionaries(
    {
        "indent": st.sampled_from([None, 0, 1, 4]),
        "separators": st.sampled_from([None, (",", ":"), (" ,\n ", "\t: ")]),
        "ensure_ascii": st.booleans(),
    }
)
chunks = st.integers(1, 40)


class Stream:
    """A stream that gives a few bytes at a time, as a pipe may."""

    def __init__(self, content: bytes, step: int) -> None:
        self._content = io.BytesIO(content)
        self._step = step

    def read(self, size: int, /) -> bytes:
        return self._content.read(min(size, self._step))


def read(content: bytes, chunk: int) -> list[Any]:
    with mock.patch.object(buffer, "CHUNK", chunk):
        return [json.loads(bytes(record)) for record in Records(Stream(content, chunk))]


def expected(content: str) -> list[Any]:
    """The same by the standard library; ValueError for a document that is none."""
    found: list[Any] = []
    decoder = json.JSONDecoder(parse_constant=_refuse)
    at = 0
    while content[at:].strip(" \t\r\n"):
        at += len(content[at:]) - len(content[at:].lstrip(" \t\r\n"))
        value, at = decoder.raw_decode(content, at)
        if not isinstance(value, list | dict):
            raise ValueError("neither list nor object")  # noqa: TRY004
        found += value if isinstance(value, list) else [value]
    json.dumps(found, ensure_ascii=False).encode()  # half a surrogate pair is no text
    return found


def _refuse(constant: str) -> None:
    raise ValueError(constant)


@given(st.lists(values, max_size=8), styles, chunks)
def test_a_list_gives_its_elements_in_any_layout(
    elements: list[Any], style: dict[str, Any], chunk: int
) -> None:
    assert read(json.dumps(elements, **style).encode(), chunk) == elements


@given(
    st.lists(objects | st.lists(values, max_size=3), max_size=8),
    styles,
    st.sampled_from(["", "\n", "\r\n", "  ", "\n\n\t"]),
    chunks,
)
def test_lines_and_concatenated_documents_give_their_records_in_order(
    parts: list[Any], style: dict[str, Any], between: str, chunk: int
) -> None:
    document = between.join(json.dumps(part, **style) for part in parts)
    records = [each for part in parts for each in (part if isinstance(part, list) else [part])]
    assert read(document.encode(), chunk) == records


@given(st.lists(objects, min_size=1, max_size=5), styles, st.data(), chunks)
def test_a_document_truncated_at_any_byte_is_refused(
    elements: list[Any], style: dict[str, Any], data: st.DataObject, chunk: int
) -> None:
    document = json.dumps(elements, **style).encode()
    cut = data.draw(st.integers(1, len(document) - 1))
    with pytest.raises(InvalidDocument):
        read(document[:cut], chunk)


structure = st.text(alphabet='{}[]",:\\ \n1ae-.tn', max_size=3)


@given(st.lists(objects, max_size=4), styles, st.data(), chunks)
@example([{}], {"indent": None}, None, 5)
def test_a_damaged_document_is_read_only_where_it_is_still_json(
    elements: list[Any], style: dict[str, Any], data: st.DataObject | None, chunk: int
) -> None:
    document = json.dumps(elements, **style)
    if data is not None:
        at = data.draw(st.integers(0, len(document)))
        gone = data.draw(st.integers(0, 3))
        document = document[:at] + data.draw(structure) + document[at + gone :]
    agrees(document, chunk)


@given(
    st.lists(
        st.sampled_from(
            [
                "{",
                "}",
                "[",
                "]",
                '"',
                ",",
                ":",
                "\\",
                " ",
                "\n",
                "1",
                '""',
                '{"a":1}',
                '{"a":[]}',
                "[{}]",
                "},{",
            ]
        )
    ).map("".join),
    chunks,
)
def test_any_heap_of_brackets_is_evaluated_as_the_standard_library_does(
    document: str, chunk: int
) -> None:
    agrees(document, chunk)


def agrees(document: str, chunk: int) -> None:
    try:
        records = expected(document)
    except ValueError:
        with pytest.raises(InvalidDocument):
            read(document.encode(), chunk)
    else:
        assert read(document.encode(), chunk) == records


@given(st.binary(max_size=200), chunks)
def test_of_any_bytes_only_the_refusal_comes_out(content: bytes, chunk: int) -> None:
    with contextlib.suppress(InvalidDocument):
        read(content, chunk)


@given(
    st.lists(objects, min_size=1, max_size=4),
    st.sampled_from(["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"]),
    chunks,
)
def test_other_encodings_are_read_as_if_they_were_utf_8(
    elements: list[Any], encoding: str, chunk: int
) -> None:
    document = json.dumps(elements, ensure_ascii=False).encode(encoding)
    assert read(document, chunk) == elements


def test_half_a_character_of_utf_16_is_refused() -> None:
    document = json.dumps([{"a": "b"}]).encode("utf-16")
    with pytest.raises(InvalidDocument):
        read(document[:-1], 64)


@pytest.mark.parametrize("layout", ["list", "indented list", "lines", "indented values"])
def test_brackets_are_counted_only_until_the_layout_is_known(layout: str) -> None:
    records = [
        {"name": f'"]}}{number}', "inner": [{"a": [{}]}, {"a": 1}]} for number in range(2000)
    ]
    document = {
        "list": lambda: json.dumps(records),
        "indented list": lambda: json.dumps(records, indent=4),
        "lines": lambda: "\n".join(map(json.dumps, records)),
        "indented values": lambda: "\n".join(json.dumps(record, indent=2) for record in records),
    }[layout]()
    with mock.patch.object(
        documents._Brackets, "count", autospec=True, side_effect=documents._Brackets.count
    ) as count:
        assert read(document.encode(), 5000) == records
    assert count.call_count <= 2


def endless(first: bytes, then: bytes) -> Iterator[bytes]:
    yield first
    while True:
        yield then * (4096 // len(then))


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (b'[{"a":"', b"x"),
        (b'[{"a":"', b"\\\\"),
        (b" ", b"["),
        (b" ", b'{"a":'),
        (b"[", b"1,"),
        (b'[{"a":1},{"b":', b"[],"),
        (b'{"a":1}\n{"b":', b'"x'),
    ],
)
def test_a_record_without_an_end_is_refused_after_a_bounded_read(first: bytes, then: bytes) -> None:
    source = endless(first, then)
    held = 1 << 20

    class Counted:
        given = 0

        def read(self, size: int, /) -> bytes:
            part = next(source)[:size]
            self.given += len(part)
            return part

    stream = Counted()
    with (
        mock.patch.object(buffer, "LONGEST", held),
        mock.patch.object(buffer, "CHUNK", held >> 6),
        pytest.raises(InvalidDocument, match=r"MiB in record \d|too deeply"),
    ):
        list(Records(stream))
    assert stream.given <= 2 * held


def test_a_refusal_names_the_record_that_is_at_fault() -> None:
    document = '[{"a":1},\n{"b":2},\n{"c":tru}]'
    with pytest.raises(InvalidDocument, match="at record 3"):
        read(document.encode(), 1000)
    with pytest.raises(InvalidDocument, match="truncated in record 3"):
        read(document[:25].encode(), 1000)


@pytest.mark.parametrize("letter", string.whitespace + "\x0b\x0c\u2028\ufeff")
def test_only_the_white_space_of_json_may_stand_around_a_document(letter: str) -> None:
    agrees(f"{letter}[{{}}]".replace("\ufeff", "\u00a0"), 1000)
    agrees(f"[{{}}]{letter}", 1000)
