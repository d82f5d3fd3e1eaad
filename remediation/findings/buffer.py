"""The part of a document that is in memory: bounded, and UTF-8 whatever the file is written in."""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable
from typing import Final, Protocol

CHUNK: Final = 1 << 17
"""Bytes that are read at a time; more would leave the processor's cache, at half the speed."""

LONGEST: Final = 64 << 20
"""Bytes that are held at most. Prowler's records have some 7 KB, Checkov's reports megabytes."""


class InvalidDocument(Exception):
    """A document that is cut off, or no JSON; the text continues "results.json "."""


class Readable(Protocol):
    """What is needed of a binary stream."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end."""
        ...


class Buffer:
    """A view of a stream that moves forward.

    Reads UTF-8, and UTF-16 and UTF-32 as some shells write them, with a byte order mark or without.
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
        """Read on: a chunk, or as much as is there already, so that looking again stays cheap."""
        parts = [self.text]
        wanted = min(max(CHUNK, len(self.text)), LONGEST - len(self.text))
        while wanted > 0 and not self.at_end:
            part = self._read(wanted)
            wanted -= len(part)
            parts.append(self._as_utf8(part))
        self.text = b"".join(parts)

    @property
    def full(self) -> bool:
        """Nothing more may be read before something is dropped."""
        return len(self.text) >= LONGEST

    def skip_space(self) -> bool:
        """Whether anything but white space is left, which then stands first."""
        while True:
            self.text = self.text.lstrip(b" \t\r\n")
            if self.text or self.at_end:
                return bool(self.text)
            self.fill()

    def drop(self, length: int) -> None:
        """Move forward."""
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
                f"is neither UTF-8 nor complete UTF-16: {error}; scan again"
            ) from error
