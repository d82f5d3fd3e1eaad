"""Part of a document in memory: bounded, converted to UTF-8."""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable
from typing import Final, Protocol

CHUNK: Final = 1 << 17
"""Bytes to read at a time. More does not fit in the processor cache and halves the speed."""

LONGEST: Final = 64 << 20
"""Most bytes in memory. Prowler's records have about 7 KB, Checkov's reports megabytes."""


class InvalidDocument(Exception):
    """A truncated document, or one that is not JSON. The text follows the file's name."""


class Readable(Protocol):
    """A binary stream."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end."""
        ...


class Buffer:
    """A part of a stream that moves forward.

    Reads UTF-8, and also UTF-16 and UTF-32, which some shells write, with or without a byte order
    mark.
    """

    def __init__(self, stream: Readable) -> None:
        self.text = b""
        self.at_end = False
        self._stream = stream
        self._recode: Callable[[bytes, bool], bytes] | None = None
        self._start()

    def _start(self) -> None:
        head = b""
        while len(head) < 4 and not self.at_end:
            head += self._read(CHUNK)
        encoding = json.detect_encoding(head)
        if not encoding.startswith("utf-8"):
            decoder = codecs.getincrementaldecoder(encoding)()
            self._recode = lambda data, final: decoder.decode(data, final).encode()
        self.text = self._as_utf8(head.removeprefix(codecs.BOM_UTF8))

    def fill(self) -> None:
        """Read a chunk, or as much as is in memory, so that parsing again stays cheap."""
        parts = [self.text]
        missing = min(max(CHUNK, len(self.text)), LONGEST - len(self.text))
        while missing > 0 and not self.at_end:
            part = self._read(missing)
            missing -= len(part)
            parts.append(self._as_utf8(part))
        self.text = b"".join(parts)

    @property
    def full(self) -> bool:
        """Whether something must be dropped before more can be read."""
        return len(self.text) >= LONGEST

    def skip_space(self) -> bool:
        """Drop leading white space. Returns whether anything else is left."""
        while True:
            self.text = self.text.lstrip(b" \t\r\n")
            if self.text or self.at_end:
                return bool(self.text)
            self.fill()

    def drop(self, length: int) -> None:
        """Drop bytes from the start."""
        self.text = self.text[length:]

    def _read(self, size: int) -> bytes:
        part = self._stream.read(size)
        self.at_end = not part
        return part

    def _as_utf8(self, part: bytes) -> bytes:
        if self._recode is None:
            return part
        try:
            return self._recode(part, self.at_end)
        except UnicodeError as error:
            raise InvalidDocument(
                f"is neither UTF-8 nor complete UTF-16: {error}. Fix: scan again"
            ) from error
