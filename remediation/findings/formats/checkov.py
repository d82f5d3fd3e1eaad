"""Checkov's JSON (`-o json`): one report for each framework. Source: results of Checkov 3.3.30.

One report is an object, several are a list, and with two `-d` options the documents are
concatenated. A scan without matches writes only the summary, and `--quiet` only failed checks.
Records have no account, Region or time. For Terraform plans, Keysweep's check adds the ARN of the
key to `details` as `Key ARN: ...`.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec import Struct, field

from ...escape import MESSAGE_LENGTH, printable, short
from ...models import CodeLocation, Finding, FindingStatus, KeyArn
from ...wording import counted, first_few
from ..checks import ACTED_ON
from ..format import Format, Notice, Reading, Rejected, Unusable, refuse_ambiguous

_ARN: Final = "Key ARN: "
_RESOURCE_TYPE: Final = "Resource type: "
_ACTIONS: Final = "Plan actions: "


class _Summary(Struct):
    checkov_version: str
    parsing_errors: int = 0


class _Head(Struct, kw_only=True):
    """A report, or only the summary."""

    check_type: str = ""
    summary: _Summary | None = None
    checkov_version: str = ""

    def __post_init__(self) -> None:
        if not (self.checkov_version or (self.check_type and self.summary)):
            raise ValueError("not a Checkov report")


class _Results(Struct):
    passed_checks: list[msgspec.Raw] = []
    failed_checks: list[msgspec.Raw] = []
    skipped_checks: list[msgspec.Raw] = []
    parsing_errors: list[str] = []


class _Report(_Head, kw_only=True):
    results: _Results = field(default_factory=_Results)
    parsing_errors: int = 0


class _Check(Struct):
    check_id: str


class _Record(_Check):
    resource: str
    file_path: str
    file_line_range: tuple[int, int] = (0, 0)
    file_abs_path: str | None = None
    resource_address: str | None = None
    caller_file_path: str | None = None
    caller_file_line_range: tuple[int, int] | None = None
    details: list[str] | None = None
    breadcrumbs: msgspec.Raw = msgspec.Raw()


class _Call(Struct):
    path: str


class _Breadcrumbs(Struct):
    source_module_: list[_Call]


_CHECK: Final = msgspec.json.Decoder(_Check)


def _read(raw: msgspec.Raw, source: str, position: str) -> Iterator[Reading]:
    report = msgspec.json.decode(raw, type=_Report)
    for kind, status, records in (
        ("passed", FindingStatus.PASS, report.results.passed_checks),
        ("failed", FindingStatus.FAIL, report.results.failed_checks),
        ("skipped", FindingStatus.MUTED, report.results.skipped_checks),
    ):
        for number, record in enumerate(records, 1):
            inside = f"{position}, {kind} check {number}"
            check_id = ""
            try:
                check_id = _CHECK.decode(record).check_id
                if check_id in ACTED_ON:
                    yield _finding(record, report.check_type, status, source, inside)
            except (Unusable, msgspec.DecodeError) as error:
                yield Rejected(check_id, inside, printable(error, MESSAGE_LENGTH))
    yield from _parsing_errors(report, source)


def _finding(
    raw: msgspec.Raw, framework: str, status: FindingStatus, source: str, position: str
) -> Finding:
    refuse_ambiguous(raw)
    record = msgspec.json.decode(raw, type=_Record)
    first, last = record.file_line_range
    absolute = record.file_abs_path or ""
    details = record.details or []
    types = list(_stated(details, _RESOURCE_TYPE))
    actions = ",".join(_stated(details, _ACTIONS))
    return Finding(
        scanner="checkov",
        check_id=record.check_id,
        status=status,
        source=source,
        position=position,
        key_arn=_key_arn(details),
        code=CodeLocation(
            framework=framework,
            file=record.file_path,
            first_line=first,
            last_line=last,
            address=record.resource_address or record.resource,
            absolute_file=absolute if posixpath.isabs(absolute) else None,
            root_file=_root_file(record.breadcrumbs),
            caller_file=record.caller_file_path,
            caller_line=(record.caller_file_line_range or (0, 0))[0],
            resource_type=types[0] if types else None,
            actions=tuple(actions.split(",")) if actions else (),
        ),
    )


def _root_file(breadcrumbs: msgspec.Raw) -> str | None:
    """File with the outermost `module` call of a resource in a Terraform module."""
    try:
        calls = msgspec.json.decode(breadcrumbs, type=_Breadcrumbs).source_module_
    except msgspec.DecodeError:
        return None
    return calls[0].path if calls else None


def _stated(details: list[str], name: str) -> Iterator[str]:
    """Values with this name in the details of Keysweep's check, which are `Name: value`."""
    return (line.removeprefix(name) for line in details if line.startswith(name))


def _key_arn(details: list[str]) -> KeyArn | None:
    named = set(_stated(details, _ARN))
    if len(named) > 1:
        raise Unusable(f"its details name {len(named)} keys")
    try:
        return next((KeyArn.parse(arn) for arn in named), None)
    except ValueError as error:
        raise Unusable(f"its details: {error}") from error


def _parsing_errors(report: _Report, source: str) -> Iterator[Notice]:
    """Warn about files that Checkov could not parse, and so did not check."""
    files = report.results.parsing_errors
    in_summary = report.summary.parsing_errors if report.summary else report.parsing_errors
    if files:
        named = first_few(map(short, files), 5)
        yield Notice(f"{short(source)}: Checkov could not parse {named}")
    elif in_summary:
        yield Notice(f"{short(source)}: Checkov could not parse {counted(in_summary, 'file')}")


FORMAT: Final = Format(
    name="Checkov JSON",
    scanner="checkov",
    head=_Head,
    concerns=lambda head: True,  # a report can contain any check
    read=_read,
)
