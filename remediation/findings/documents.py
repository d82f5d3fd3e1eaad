"""A results document as a stream of records, in bounded memory and at the speed of the parser.

A document is a JSON list of records, or one record, or several of both after one another, a line
each or simply concatenated. It is cut into pieces that end between two records, and each piece goes
through a strict JSON parser. Where to cut is guessed from what stood between earlier records; a
wrong guess does no harm, since a piece that ends anywhere else is not valid JSON. Then the brackets
are counted instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from .buffer import LONGEST, Buffer, InvalidDocument, Readable

_LIST: Final = msgspec.json.Decoder(list[msgspec.Raw])
_VALUES: Final = msgspec.json.Decoder(msgspec.Raw)
_INVALID: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_AGAIN: Final = "Fix: copy the whole file, or scan again"

_SPACE: Final = b" \t\r\n"

_BRACKET: Final = re.compile(
    rb'[^"\[\]{}]*(?:"[^"\\]*(?:\\.[^"\\]*)*"[^"\[\]{}]*)*(?:[\[\]{}"]|\Z)', re.DOTALL
)
"""Matches up to a bracket outside strings, or up to a quote whose string does not end in the text.

No part can begin where another could continue, so a failed match backtracks in linear time. The
possessive quantifiers of Python 3.11.2 skip text, so there are none."""

_DEEPEST: Final = 1000
"""Brackets within brackets; the parser gives up at about as many."""

_SEAM: Final = re.compile(rb'\s*\}\s*,?\s*\{\s*"[^"\\]*"')
"""What stands between two records: the layout and the first name tell it from what is inside."""


class Records:
    """The records of a document: JSON values of any type.

    Iterating raises InvalidDocument at the first error; earlier records must then be discarded.
    """

    def __init__(self, stream: Readable) -> None:
        self.done = 0
        """How many records are whole so far."""
        self._stream = stream

    def __iter__(self) -> Iterator[msgspec.Raw]:
        buffer = Buffer(self._stream)
        while buffer.skip_space():
            if buffer.text.startswith(b"["):
                buffer.drop(1)
                layout: _Layout = _List()
            elif buffer.text.startswith(b"{"):
                layout = _Layout()
            else:
                raise self._broken(
                    f"it continues with {buffer.text[:20].decode(errors='replace').strip()!r}"
                )
            yield from self._pieces(buffer, layout)

    def _pieces(self, buffer: Buffer, layout: _Layout) -> Iterator[msgspec.Raw]:
        brackets = _Brackets()
        while True:
            piece = self._guessed(buffer, layout) or self._counted(buffer, layout, brackets)
            if piece is not None:
                yield from piece.records
                self.done += len(piece.records)
                buffer.drop(piece.length)
                if piece.last:
                    return
                brackets = _Brackets()
            elif buffer.at_end:
                raise InvalidDocument(f"is cut off in record {self.done + 1}. {_AGAIN}")
            elif buffer.full:
                raise InvalidDocument(
                    f"has more than {LONGEST >> 20} MiB in record {self.done + 1}, more than "
                    "scanners write. Fix: keep Checkov's reports small with --check "
                    "CKV_KEYSWEEP_001,CKV_AWS_227"
                )
            buffer.fill()

    def _guessed(self, buffer: Buffer, layout: _Layout) -> _Piece | None:
        end, last = layout.guess(buffer.text, at_end=buffer.at_end)
        if not end and not last:
            return None
        try:
            return layout.piece(buffer.text, end, last=last)
        except _INVALID:
            return None

    def _counted(self, buffer: Buffer, layout: _Layout, brackets: _Brackets) -> _Piece | None:
        try:
            ends, stop = brackets.count(buffer.text, layout.closing)
        except RecursionError as error:
            raise self._broken("it is nested too deeply") from error
        last = stop is not None and buffer.text.startswith(layout.closing, stop)
        if last and stop is not None:
            ends.append(stop)
        elif not ends:
            if stop is not None:
                raise self._broken("unmatched closing bracket")
            return None
        else:
            layout.learn(buffer.text, ends[-1])
        try:
            return layout.piece(buffer.text, ends[-1], last=last)
        except _INVALID as error:
            raise self._blame(buffer.text, ends, layout) from error

    def _blame(self, text: bytes, ends: Sequence[int], layout: _Layout) -> InvalidDocument:
        """Which record it is that makes a piece invalid."""
        start = 0
        for end in ends:
            try:
                self.done += len(layout.piece(text[start:end], end - start, last=False).records)
            except RecursionError:
                return self._broken("it is nested too deeply")
            except UnicodeDecodeError as error:
                return self._broken(f"it is not UTF-8: {error.reason}")
            except msgspec.DecodeError as error:
                return self._broken(_reason(error))
            start = end
        return self._broken("its parts do not form a document")

    def _broken(self, why: str) -> InvalidDocument:
        return InvalidDocument(f"is not valid JSON at record {self.done + 1}: {why}. {_AGAIN}")


# --- pieces -----------------------------------------------------------------------------------


class _Piece:
    """A part of the text that ends between two records, parsed."""

    def __init__(self, records: list[msgspec.Raw], length: int, *, last: bool) -> None:
        self.records = records
        self.length = length
        self.last = last


class _Layout:
    """Records that stand one after another, until a list begins or the document ends."""

    closing = b"["
    """The bracket outside of any record that ends the layout."""
    dropped_with_closing = 0

    def __init__(self) -> None:
        self._seam = b""

    def piece(self, text: bytes, end: int, *, last: bool) -> _Piece:
        """The text up to `end`. Raises one of _INVALID when that is not between two records."""
        part = text[:end]
        if not part.isascii():
            part.decode()  # the parser reads over strings that it is not asked for
        records = self._parse(part)
        return _Piece(records, end + self.dropped_with_closing * last, last=last)

    def guess(self, text: bytes, *, at_end: bool) -> tuple[int, bool]:
        """A place that may be between two records or 0; and whether the layout may end there."""
        if at_end:
            return len(text), True
        return self._last_seam(text) or text.rfind(b"\n") + 1, False

    def learn(self, text: bytes, end: int) -> None:
        """Remember what stands around `end`, a place between two records."""
        begin = len(text[: end - 1].rstrip(_SPACE))
        seam = _SEAM.match(text, begin)
        self._seam = seam.group() if seam else b""

    def _last_seam(self, text: bytes) -> int:
        found = text.rfind(self._seam) if self._seam else -1
        return 0 if found < 0 else found + self._seam.index(b"}") + 1

    def _parse(self, part: bytes) -> list[msgspec.Raw]:
        records = []
        for value in _VALUES.decode_lines(part):
            first = bytes(memoryview(value)[:1])
            if first == b"[":
                records += _LIST.decode(value)
            elif first == b"{":
                records.append(value)
            else:
                raise msgspec.DecodeError("neither a list nor an object")
        return records


class _List(_Layout):
    """Records with commas between them, after the bracket that opens their list."""

    closing = b"]"
    dropped_with_closing = 1

    def __init__(self) -> None:
        super().__init__()
        self._lead = b"["

    def guess(self, text: bytes, *, at_end: bool) -> tuple[int, bool]:
        if at_end and text.rstrip(_SPACE).endswith(b"]"):
            return text.rindex(b"]"), True
        return self._last_seam(text), False

    def _parse(self, part: bytes) -> list[msgspec.Raw]:
        records = _LIST.decode(b"%b%b]" % (self._lead, part))
        if self._lead == b"[":
            # From now on a piece begins with a comma: it stands after a record already read.
            self._lead = b'[""'
            return records
        return records[1:]


class _Brackets:
    """Finds where records end, and goes on where it stopped when the text has grown."""

    def __init__(self) -> None:
        self._at = 0
        self._depth = 0

    def count(self, text: bytes, closing: bytes) -> tuple[list[int], int | None]:
        """Where lists and objects end; and the bracket outside of any that stopped the counting.

        Raises RecursionError for what is nested more deeply than the parser goes.
        """
        ends: list[int] = []
        for match in _BRACKET.finditer(text, self._at):
            at = match.end() - 1
            bracket = text[at : at + 1] if match.group() else b""
            if not self._depth and bracket in {closing, b"]", b"}"}:
                return ends, at
            if bracket in {b"[", b"{"}:
                self._depth += 1
                if self._depth > _DEEPEST:
                    raise RecursionError
            elif bracket in {b"]", b"}"}:
                self._depth -= 1
                if not self._depth:
                    ends.append(at + 1)
            else:
                self._at = match.start()
                break
        return ends, None


def _reason(error: msgspec.DecodeError) -> str:
    return re.sub(r" \(byte \d+\)$", "", str(error).removeprefix("JSON is malformed: "))
