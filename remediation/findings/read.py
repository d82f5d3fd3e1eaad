"""Results files, folders and standard input -> findings."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ..errors import BadInput
from ..models import Finding, ResultsSource, UnusableRecord
from .documents import records
from .format import Format, Notice
from .formats import recognise
from .shown import path_text, shown

STDIN = "-"
_SUFFIXES = (".json", ".ndjson")


@dataclass(frozen=True)
class Results:
    """Everything that the results say, and everything about them that a person has to know."""

    sources: tuple[ResultsSource, ...]
    findings: tuple[Finding, ...]
    unusable: tuple[UnusableRecord, ...]
    warnings: tuple[str, ...]


def read_results(paths: Sequence[str], stdin: BinaryIO) -> Results:
    """Read results files, folders (`*.json` and `*.ndjson` below them) and `-`, standard input.

    Raises BadInput for a path that cannot be read, a document that is not whole, and one without a
    single record of a known scanner.
    """
    sources: list[ResultsSource] = []
    findings: list[Finding] = []
    unusable: list[UnusableRecord] = []
    warnings: list[str] = []
    for path in _files(paths):
        try:
            if path == STDIN:
                read = _Document(path).read(stdin)
            else:
                with Path(path).open("rb") as stream:
                    read = _Document(path_text(path)).read(stream)
        except OSError as error:
            raise BadInput(f"{shown(path)} cannot be read: {error.strerror}") from error
        sources.append(read.source())
        findings += read.findings
        unusable += read.unusable
        warnings += read.warnings
    return Results(tuple(sources), tuple(findings), tuple(unusable), tuple(warnings))


def _files(paths: Sequence[str]) -> Iterator[str]:
    for path in dict.fromkeys(paths):
        if path != STDIN and Path(path).is_dir():
            inside = sorted(
                str(file)
                for file in Path(path).rglob("*")
                if file.name.endswith(_SUFFIXES) and file.is_file()
            )
            if not inside:
                raise BadInput(f"{shown(path)} is a folder without a *.json or *.ndjson file")
            yield from inside
        else:
            yield path


class _Document:
    """One document while it is read."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.findings: list[Finding] = []
        self.unusable: list[UnusableRecord] = []
        self.warnings: list[str] = []
        self._format: Format | None = None
        self._digest = hashlib.sha256()

    def read(self, stream: BinaryIO) -> _Document:
        for place, raw in records(_Hashing(stream, self._digest.update), self.name):  # type: ignore[arg-type]
            self._take(place, raw)
        if self._format is None:
            raise BadInput(
                f"{shown(self.name)} holds no record that Prowler or Checkov wrote as JSON"
            )
        return self

    def _take(self, place: str, raw: bytes) -> None:
        try:
            record = json.loads(raw)
        except (ValueError, RecursionError) as error:
            self._unusable(place, str(error))
            return
        found = recognise(record) if isinstance(record, dict) else None
        if found is None:
            self._unusable(place, "no record of a known scanner")
            return
        self._format = found
        for reading in found.read(record, self.name, place):
            match reading:
                case Finding():
                    self.findings.append(reading)
                case UnusableRecord():
                    self.unusable.append(reading)
                case Notice():
                    self.warnings.append(reading.text)

    def _unusable(self, place: str, problem: str) -> None:
        self.unusable.append(UnusableRecord(source=self.name, place=place, problem=problem))

    def source(self) -> ResultsSource:
        assert self._format is not None, "read first"
        return ResultsSource(
            path=self.name,
            sha256=self._digest.hexdigest(),
            format=self._format.name,
            scanner=self._format.scanner,
            findings=len(self.findings),
        )


class _Hashing:
    """A stream whose every byte is also handed to a digest."""

    def __init__(self, stream: BinaryIO, update) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
        self._stream = stream
        self._update = update

    def read(self, size: int = -1) -> bytes:
        chunk = self._stream.read(size)
        self._update(chunk)
        return chunk
