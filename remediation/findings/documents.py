"""Read the records of a results document in bounded memory, at the speed of the JSON parser.

A document is a list of records, one record, or several of these, on separate lines or concatenated.
A page of Security Hub's GetFindings yields its findings, and then the rest of the page as a record.

The text is split into pieces that end between two records, and a strict JSON parser reads each
piece. The text between earlier records suggests where to split. A wrong guess does no harm: a piece
that ends anywhere else is not valid JSON, and then the brackets are counted instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from .buffer import LONGEST, Buffer, InvalidDocument, Readable
from .security_hub import PAGE_START

_LIST: Final = msgspec.json.Decoder(list[msgspec.Raw])
_VALUES: Final = msgspec.json.Decoder(msgspec.Raw)
_INVALID: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_AGAIN: Final = "Fix: copy the whole file, or scan again"

_APPENDED: Final = "a second scan was appended, as Prowler does to a file that exists"
_ANEW: Final = "Fix: delete the file, and scan again with another -F for each scan, or without -F"

_TO_FILE: Final = (
    "Fix: let the scanner write the file, without its log: checkov --output-file-path DIR, "
    "prowler aws --output-directory DIR"
)
"""For a document with log lines around its JSON."""

_SPACE: Final = b" \t\r\n"

_BRACKET: Final = re.compile(
    rb'[^"\[\]{}]*(?:"[^"\\]*(?:\\.[^"\\]*)*"[^"\[\]{}]*)*(?:[\[\]{}"]|\Z)', re.DOTALL
)
"""Match up to a bracket outside strings, or up to the quote of a string that does not end.

No part can start where another could continue, so a failed match backtracks in linear time. There
are no possessive quantifiers, because those of Python 3.11.2 skip text."""

_DEEPEST: Final = 1000
"""Deepest nesting of brackets, about the same as the parser's limit."""

_NO_VALUE: Final = re.compile(rb"[ \t\r\n]*[^ \t\r\n\[{]")
"""Match text that starts with neither a list nor an object."""

_PAGE: Final = re.compile(rb"[ \t\r\n]*".join(map(re.escape, (b"{", b'"Findings"', b":", b"["))))
"""Match the start of a page of Security Hub's GetFindings."""

_PAGE_START_LENGTH: Final = 100
"""With more white space, the page is read as one record."""

_SEAM: Final = re.compile(rb'\s*\}\s*,?\s*\{\s*"[^"\\]*"')
"""Text between two records. Layout and first name distinguish it from text inside a record."""


class Records:
    """Records of a document: JSON values of any type.

    Iterating raises InvalidDocument at the first error. Earlier records must then be discarded.
    """

    def __init__(self, stream: Readable) -> None:
        self.done = 0
        """Number of complete records so far."""
        self._stream = stream

    def __iter__(self) -> Iterator[msgspec.Raw]:
        buffer = Buffer(self._stream)
        after_list = False
        while buffer.skip_space():
            if buffer.text.startswith(b"["):
                buffer.drop(1)
                yield from self._pieces(buffer, _List())
                after_list = True
                continue
            if page := _page_start(buffer):
                buffer.drop(page)
                yield from self._pieces(buffer, _List())
                buffer.text = PAGE_START + b"]" + buffer.text
            appended = after_list and buffer.text.startswith(b"{")
            after_list = False
            try:
                yield from self._pieces(buffer, _Layout())
            except InvalidDocument as error:
                raise self._broken(_APPENDED, _ANEW) if appended else error from error

    def _pieces(self, buffer: Buffer, layout: _Layout) -> Iterator[msgspec.Raw]:
        brackets = _Brackets()
        while True:
            self._reject_text(buffer.text, layout)
            piece = self._guessed(buffer, layout) or self._counted(buffer, layout, brackets)
            if piece is not None:
                yield from piece.records
                self.done += len(piece.records)
                buffer.drop(piece.length)
                if piece.last:
                    return
                brackets = _Brackets()
            elif buffer.at_end:
                raise InvalidDocument(f"is truncated in record {self.done + 1}. {_AGAIN}")
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
        """Find the record that makes a piece invalid."""
        start = 0
        for end in ends:
            self._reject_text(text[start:end], layout)
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

    def _reject_text(self, text: bytes, layout: _Layout) -> None:
        """Raise InvalidDocument if something else than a value stands where one may begin."""
        if not isinstance(layout, _List) and _NO_VALUE.match(text):
            verb = "continues" if self.done else "begins"
            start = text.lstrip(_SPACE)[:20].decode(errors="replace")
            raise self._broken(f"it {verb} with {start!r}", _TO_FILE)

    def _broken(self, why: str, fix: str = _AGAIN) -> InvalidDocument:
        return InvalidDocument(f"is not valid JSON at record {self.done + 1}: {why}. {fix}")


def _page_start(buffer: Buffer) -> int:
    """The length of what opens a page of GetFindings; 0 if the document continues otherwise."""
    while len(buffer.text) < _PAGE_START_LENGTH and not buffer.at_end:
        buffer.fill()
    match = _PAGE.match(buffer.text)
    return match.end() if match else 0


# --- pieces -----------------------------------------------------------------------------------


class _Piece:
    """Parsed part of the text that ends between two records."""

    def __init__(self, records: list[msgspec.Raw], length: int, *, last: bool) -> None:
        self.records = records
        self.length = length
        self.last = last


class _Layout:
    """Consecutive records, until a list starts or the document ends."""

    closing = b"["
    """Bracket outside records that ends this layout."""
    dropped_with_closing = 0

    def __init__(self) -> None:
        self._seam = b""

    def piece(self, text: bytes, end: int, *, last: bool) -> _Piece:
        """Parse the text up to `end`. Raises one of _INVALID if `end` is inside a record."""
        part = text[:end]
        if not part.isascii():
            part.decode()  # the parser does not check strings that it skips
        records = self._parse(part)
        return _Piece(records, end + self.dropped_with_closing * last, last=last)

    def guess(self, text: bytes, *, at_end: bool) -> tuple[int, bool]:
        """Return a position that is likely between two records, or 0; and whether the layout can
        end there."""
        if at_end:
            return len(text), True
        return self._last_seam(text) or text.rfind(b"\n") + 1, False

    def learn(self, text: bytes, end: int) -> None:
        """Remember the text around `end`, which is between two records."""
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
    """Records separated by commas, after the opening bracket of their list."""

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
            # The next piece starts with a comma, so a value is put before it.
            self._lead = b'[""'
            return records
        return records[1:]


class _Brackets:
    """Find the ends of records. Continues where it stopped when more text is available."""

    def __init__(self) -> None:
        self._at = 0
        self._depth = 0

    def count(self, text: bytes, closing: bytes) -> tuple[list[int], int | None]:
        """Return the ends of lists and objects, and the position of the bracket outside of them
        that stopped the count.

        Raises RecursionError if the nesting is deeper than the parser allows.
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
