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

from ..errors import BadInput
from ..escape import MESSAGE_LENGTH, path_text, printable, short
from ..models import AccountRegion, Finding, ResultsSource, UnusableRecord
from ..wording import counted, first_few
from . import security_hub
from .buffer import InvalidDocument, Readable
from .checks import KEYSWEEP_IN_CODE
from .documents import Records
from .format import Format, Notice, Rejected, Unusable
from .formats import recognize
from .remote import NO_FILE, S3, RemoteResults, names_results
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

    In folders, their subfolders and linked folders, every `*.json`, `*.ndjson` and `*.jsonl` is
    read; a file without records of a scanner is skipped with a warning. A complete document without
    records, such as `[]`, has no findings, which is a warning. `find` lists the files of an `s3://`
    path. Raises BadInput for a path that could not be read, a document that is truncated or not
    JSON, a document given by name without records of a known scanner, and a folder without results
    files.
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
                f"{short(path)} is a folder without a {NO_FILE}. "
                "Fix: prowler aws --output-formats json-ocsf, without these options"
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
        warnings=(
            *notes,
            *warnings,
            *_further_pages(read_documents),
            *_silent_checks(read_documents),
        ),
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
    """Yield the results files in a folder, its subfolders and linked folders, sorted by name."""
    seen: set[str] = set()

    def refuse(error: OSError) -> None:
        raise _unreadable(error.filename, error) from error

    for parent, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        seen.add(os.path.realpath(parent))
        folders[:] = (
            name for name in sorted(folders) if os.path.realpath(Path(parent, name)) not in seen
        )
        for name in sorted(names):
            file = Path(parent, name)
            if names_results(name) and _is_file(file):
                yield str(file)


def _is_file(path: Path) -> bool:
    """Whether a name in a folder leads to a file. Raises BadInput if that could not be read."""
    try:
        return path.is_file()
    except OSError as error:
        raise _unreadable(str(path), error) from error


def _unreadable(path: str, error: OSError) -> BadInput:
    return BadInput(
        f"{short(path)} cannot be read: {error.strerror}. Fix: check the path and its permissions"
    )


def _silent_checks(documents: Collection[_Document]) -> Iterator[str]:
    """Warn about checks without records: this does not mean that there are no such keys."""
    prowler = [one for one in documents if one.scanner == "prowler"]
    if prowler and not any(one.concerned for one in prowler):
        yield (
            "no record of a check that Keysweep acts on is in Prowler's results: either the checks "
            "did not run, or they found no key"
        )
    checkov = [one for one in documents if one.scanner == "checkov"]
    if checkov and not any(KEYSWEEP_IN_CODE in one.checks for one in checkov):
        yield (
            f"Checkov's results have no record of {KEYSWEEP_IN_CODE}: the checks were not loaded "
            "(--external-checks-dir), the check was not selected, or the code declares no key"
        )


def _further_pages(documents: Collection[_Document]) -> Iterator[str]:
    """Warn about pages of Security Hub whose listing goes on, and is not among the documents.

    No page names its listing. A last page with findings of the same account-Region ends it.
    """
    ended = {
        target
        for document in documents
        if document.more_pages is False
        for target in document.account_regions
    }
    left = [one.name for one in documents if one.more_pages and not one.account_regions & ended]
    if left:
        yield (
            f"{first_few(map(short, left))}: Security Hub has findings after "
            "this page (NextToken). Fix: pass the pages after it too, or the output of aws "
            "securityhub get-findings without --max-items and --no-paginate"
        )


class _Foreign(BadInput):
    """A file that is not a results file."""


class _Document:
    """A results document."""

    def __init__(self, name: str) -> None:
        self.findings: list[Finding] = []
        self.checks: set[str] = set()
        """Checks that records name, usable or not."""
        self.concerned = False
        """Whether a record is about a check that Keysweep acts on, usable or not."""
        self.unusable: list[UnusableRecord] = []
        self.warnings: dict[str, None] = {}
        self._name = name
        self._format: Format[Any] | None = None
        self._from_security_hub = False
        self._other_products = 0
        self.more_pages: bool | None = None
        """Whether Security Hub has findings after the last page; None: no page was read."""
        self._digest = ""
        self._on_code: set[Finding] = set()

    @property
    def name(self) -> str:
        return self._name

    @property
    def account_regions(self) -> frozenset[AccountRegion]:
        """Where the keys of the findings are."""
        keys = (finding.key_arn for finding in self.findings)
        return frozenset(arn.account_region for arn in keys if arn is not None)

    @property
    def scanner(self) -> str:
        if self._format is not None:
            return self._format.scanner
        return "prowler" if self._from_security_hub else ""

    def source(self) -> ResultsSource:
        if self._format is not None:
            name = self._format.name
        else:
            name = security_hub.NAME if self._from_security_hub else "no records"
        return ResultsSource(
            path=self._name,
            sha256=self._digest,
            format=name,
            scanner=self.scanner,
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
        self._reject_foreign(empty=not hashed.start.strip())
        self._digest = hashed.digest.hexdigest()
        return self

    def _reject_foreign(self, *, empty: bool) -> None:
        """Raise _Foreign for a document of something else, and warn of one without records."""
        name = short(self._name)
        if empty and not self._name.lower().endswith(".asff.json"):
            raise _Foreign(f"{name} is empty. Fix: scan again")
        if empty:
            self._warn(
                f"{name} is empty, as Prowler leaves ASFF if all findings are MANUAL. "
                "Fix: pass the same scan's OCSF too (--output-formats json-ocsf)"
            )
        elif self._format is None and self.unusable and not self._other_products:
            raise _Foreign(
                f"{name} holds no record of Prowler's or Checkov's JSON. Fix: name a file that "
                "prowler aws --output-formats json-ocsf or checkov --output json wrote"
            )
        elif self._format is None and not self._other_products:
            self._warn(
                f"{name} has no records: the scan found nothing, or its filters left nothing"
            )
        if self._other_products:
            ignored = counted(self._other_products, "finding")
            self._warn(f"{name}: ignored {ignored} of other products")

    def _warn(self, text: str) -> None:
        self.warnings[text] = None

    def _take(self, record: msgspec.Raw, position: str, *, inside: bool = False) -> None:
        recognized = recognize(record, self._format)
        if recognized is None:
            self._take_other(record, position, inside=inside)
            return
        self._format, head = recognized
        if not self._format.concerns(head):
            return
        self.concerned = True
        try:
            for reading in self._format.read(record, self._name, position):
                match reading:
                    case Finding():
                        self._add(reading)
                    case Rejected():
                        self.checks.add(reading.check_id)
                        self._unusable(reading.position, reading.problem)
                    case Notice():
                        self._warn(reading.text)
        except (Unusable, msgspec.DecodeError) as error:
            self._unusable(position, printable(error, MESSAGE_LENGTH))

    def _take_other(self, record: msgspec.Raw, position: str, *, inside: bool) -> None:
        """Read a record in no scanner's format: an envelope, or a finding of another product."""
        if why := reason_for_record(record):
            raise _Foreign(f"{short(self._name)} {why}")
        if security_hub.is_converted(record):
            raise BadInput(
                f"{short(self._name)} holds Prowler's findings in Security Hub's OCSF, and AWS "
                "does not document where that names Prowler's check. Fix: pass Prowler's own OCSF, "
                "or the output of aws securityhub get-findings (ASFF)"
            )
        if security_hub.is_other_product(record):
            self._from_security_hub = True
            self._other_products += 1
            return
        try:
            envelope = None if inside else security_hub.unwrap(record)
        except Unusable as error:
            self._unusable(position, str(error))
            return
        if envelope is None:
            self._unusable(position, "no record of a known scanner")
            return
        self._from_security_hub = True
        if envelope.more is not None:
            self.more_pages = envelope.more
        for number, finding in enumerate(envelope.findings, 1):
            self._take(finding, f"{position}, finding {number}", inside=True)

    def _add(self, finding: Finding) -> None:
        """Add a finding. Findings about code count once: with two `-d`, Checkov repeats them."""
        self.checks.add(finding.check_id)
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
