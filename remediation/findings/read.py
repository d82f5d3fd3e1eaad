"""Read findings from results files, folders, standard input and remote storage."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec

from ..errors import BadInput, present
from ..escape import MESSAGE_LENGTH, path_text, printable, short
from ..models import Finding, ResultsSource, UnusableRecord
from .buffer import InvalidDocument, Readable
from .checks import KEYSWEEP_IN_CODE
from .documents import Records
from .format import Format, Notice, Unusable
from .formats import recognise
from .remote import S3, SUFFIXES, RemoteResults
from .unsupported import reason_for_record, reason_for_text

_log: Final = logging.getLogger(__name__)

STDIN: Final = "-"
"""Path for standard input."""

_MOST_UNUSABLE: Final = 10_000
"""Most unusable records in a document. With more, it is not a results file."""


@dataclass(frozen=True)
class Results:
    """Findings of all results, and what a reviewer must know about the results."""

    sources: tuple[ResultsSource, ...]
    findings: tuple[Finding, ...]
    """Records of supported checks, with any status, in the order read."""
    unusable: tuple[UnusableRecord, ...]
    warnings: tuple[str, ...]
    """Sentences without control characters."""


def read_results(
    paths: Sequence[str], stdin: BinaryIO, find: Callable[[str], RemoteResults] | None = None
) -> Results:
    """Read results files, folders, and standard input (`-`). Each file is read once.

    In folders and their subfolders, every `*.json` and `*.ndjson` is read; a file without records
    of a scanner is skipped with a warning. `find` lists the files of an `s3://` path. Raises
    BadInput for a path that could not be read, a document that is truncated or not JSON, a document
    given by name without records of a known scanner, and a folder without results files.
    """
    documents: dict[str, _Document] = {}
    notes: list[str] = []
    for path in paths:
        if path.startswith(S3) and find is not None:
            stored = find(path)
            notes += stored.warnings
            is_folder, files = stored.is_folder, _stored(stored)
        else:
            is_folder = path != STDIN and os.path.isdir(path)  # noqa: PTH112 - no text, maybe
            files = _local(_files(path) if is_folder else (path,), stdin)
        found = False
        for identity, read in files:
            try:
                if identity not in documents:
                    documents[identity] = read()
                found = True
            except _Foreign as error:
                if not is_folder:
                    raise
                notes.append(f"skipped: {error}")
        if not found:
            raise BadInput(
                f"{short(path)} is a folder without a results file (*.json, *.ndjson); scan with: "
                "prowler aws --output-formats json-ocsf"
            )
    read_documents = documents.values()
    warnings = dict.fromkeys(
        warning for document in read_documents for warning in document.warnings
    )
    sources = tuple(document.source() for document in read_documents)
    for source in sources:
        _log.debug("%s: %s, %d findings", source.path, source.format, source.findings)
    return Results(
        sources=sources,
        findings=tuple(finding for document in read_documents for finding in document.findings),
        unusable=tuple(record for document in read_documents for record in document.unusable),
        warnings=(*notes, *warnings, *_silent_checks(read_documents)),
    )


_Files = Iterator[tuple[str, Callable[[], "_Document"]]]
"""Identity of each file, and a function that reads it."""


def _local(paths: Iterable[str], stdin: BinaryIO) -> _Files:
    for path in paths:
        identity = path if path == STDIN else os.path.realpath(path)
        yield identity, partial(_read, path, stdin)


def _stored(stored: RemoteResults) -> _Files:
    for file in stored.files:
        yield file.path, partial(file.read, partial(_document, file.path))


def _document(name: str, stream: Readable) -> _Document:
    return _Document(path_text(name)).read(stream)


def _read(path: str, stdin: BinaryIO) -> _Document:
    if path == STDIN:
        return _document(path, stdin)
    try:
        with open(path, "rb", buffering=0) as stream:  # noqa: PTH123 - no text, maybe
            return _document(path, stream)
    except OSError as error:
        raise _unreadable(path, error) from error


def _files(folder: str) -> Iterator[str]:
    """Yield the JSON files in a folder and its subfolders, sorted by name."""

    def refuse(error: OSError) -> None:
        raise _unreadable(error.filename, error) from error

    for parent, folders, names in os.walk(folder, onerror=refuse):
        folders.sort()
        for name in sorted(names):
            file = Path(parent, name)
            if name.endswith(SUFFIXES) and file.is_file():
                yield str(file)


def _unreadable(path: str, error: OSError) -> BadInput:
    return BadInput(
        f"{short(path)} cannot be read: {error.strerror}; check the path, and that you may read it"
    )


def _silent_checks(documents: Collection[_Document]) -> Iterator[str]:
    """Warn about checks without records: this does not mean that there are no such keys."""
    prowler = [one for one in documents if one.scanner == "prowler"]
    if prowler and not any(one.findings for one in prowler):
        yield (
            "no record of a check that Keysweep acts on is in Prowler's results: either the checks "
            "did not run, or they found no key"
        )
    checkov = [one for one in documents if one.scanner == "checkov"]
    if checkov and not any(
        finding.check_id == KEYSWEEP_IN_CODE for one in checkov for finding in one.findings
    ):
        yield (
            f"Checkov's results have no record of {KEYSWEEP_IN_CODE}: the checks were not loaded "
            "(--external-checks-dir), the check was not selected, or the code declares no key"
        )


class _Foreign(BadInput):
    """A complete JSON document that is not a results file."""


class _Document:
    """A results document."""

    def __init__(self, name: str) -> None:
        self.findings: list[Finding] = []
        self.unusable: list[UnusableRecord] = []
        self.warnings: dict[str, None] = {}
        self._name = name
        self._format: Format[Any] | None = None
        self._digest = ""
        self._on_code: set[Finding] = set()

    @property
    def scanner(self) -> str:
        return self._format.scanner if self._format else ""

    def source(self) -> ResultsSource:
        found = present(self._format, "the format of results that were not read")
        return ResultsSource(
            path=self._name,
            sha256=self._digest,
            format=found.name,
            scanner=found.scanner,
            findings=len(self.findings),
        )

    def read(self, stream: Readable) -> _Document:
        hashed = _Hashed(stream)
        try:
            for number, record in enumerate(Records(hashed), 1):
                self._take(record, f"record {number}")
        except InvalidDocument as error:
            known = reason_for_text(hashed.start) or str(error)
            raise BadInput(f"{short(self._name)} {known}") from error
        if self._format is None:
            if not hashed.start.strip():
                raise BadInput(f"{short(self._name)} is empty; scan again")
            raise _Foreign(f"{short(self._name)} holds no record of Prowler's or Checkov's JSON")
        self._digest = hashed.digest.hexdigest()
        return self

    def _take(self, record: msgspec.Raw, position: str) -> None:
        recognised = recognise(record, self._format)
        if recognised is None:
            if why := reason_for_record(record):
                raise _Foreign(f"{short(self._name)} {why}")
            self._unusable(position, "no record of a known scanner")
            return
        self._format, head = recognised
        if not self._format.concerns(head):
            return
        try:
            for reading in self._format.read(record, self._name, position):
                match reading:
                    case Finding():
                        self._add(reading)
                    case UnusableRecord():
                        self.unusable.append(reading)
                    case Notice():
                        self.warnings[reading.text] = None
        except (Unusable, msgspec.DecodeError) as error:
            self._unusable(position, printable(error, MESSAGE_LENGTH))

    def _add(self, finding: Finding) -> None:
        """Add a finding. Findings about code count once: with two `-d`, Checkov repeats them."""
        if finding.code is not None:
            known = len(self._on_code)
            self._on_code.add(replace(finding, position=""))
            if len(self._on_code) == known:
                return
        self.findings.append(finding)

    def _unusable(self, position: str, problem: str) -> None:
        self.unusable.append(UnusableRecord(source=self._name, position=position, problem=problem))
        if len(self.unusable) > _MOST_UNUSABLE:
            raise _Foreign(
                f"{short(self._name)} has more than {_MOST_UNUSABLE} unusable records, so it is "
                f"not a results file; the first is {self.unusable[0].position}: "
                f"{self.unusable[0].problem}"
            )


class _Hashed:
    """A stream that computes its digest and keeps its first bytes."""

    def __init__(self, stream: Readable) -> None:
        self.digest = hashlib.sha256()
        self.start = b""
        self._stream = stream

    def read(self, size: int, /) -> bytes:
        part = self._stream.read(size) or b""
        self.digest.update(part)
        self.start = self.start or part[:200]
        return part
