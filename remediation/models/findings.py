"""Findings of the scanners, and the documents that hold them."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic.dataclasses import dataclass

from .base import SLIM, Model, Time
from .keys import KeyArn


class FindingStatus(StrEnum):
    """Status of a finding, the same for all formats."""

    FAIL = "FAIL"
    """The check failed. Plans use only these findings."""
    PASS = "PASS"  # noqa: S105 - a status, no password
    """The check passed. It supersedes an older failure."""
    MANUAL = "MANUAL"
    """The check could not decide; a person must."""
    MUTED = "MUTED"
    """Muted (Prowler) or suppressed (Checkov) by a user."""


class CodeLocation(Model):
    """Where infrastructure code declares a key, as Checkov reports it."""

    framework: str
    """Checkov's framework (`check_type`), for example `terraform` or `cloudformation`."""
    file: str
    """Path that Checkov reports (`file_path`), such as `/main.tf`."""
    first_line: int
    """First line of the declaration, from 1; 0 if Checkov gives no lines."""
    last_line: int
    """Last line of the declaration, inclusive."""
    address: str
    """Resource address, for example `module.a.aws_kms_key.b[0]` or `AWS::KMS::Key.Logical`."""
    absolute_file: str | None = None
    """Path on the machine that ran Checkov (`file_abs_path`), if it is absolute."""
    root_file: str | None = None
    """For a resource in a Terraform module: absolute path of the file with the outermost `module`
    call (`breadcrumbs.source_module_[0].path`)."""
    caller_file: str | None = None
    """For a resource in a Terraform module: path with the `module` call (`caller_file_path`)."""
    caller_line: int = 0
    """First line of that call (`caller_file_line_range`), from 1."""
    resource_type: str | None = None
    """Terraform resource type (`Resource type: ` in `details`). Addresses in terraform_json lack
    it."""
    actions: tuple[str, ...] = ()
    """Actions of a Terraform plan (`Plan actions: ` in `details`)."""

    @property
    def to_change(self) -> tuple[str, int | None]:
        """File and line to change: of the module call, if there is one. None: no line is known."""
        if self.caller_file is not None:
            return self.caller_file, self.caller_line or None
        return self.file, self.first_line or None

    @property
    def position(self) -> str:
        """That file and line as text, such as `/main.tf:4`."""
        file, line = self.to_change
        return file if line is None else f"{file}:{line}"


@dataclass(frozen=True, slots=True, kw_only=True, config=SLIM)
class Finding:
    """A scanner record about a key, or code that declares one. It only makes a candidate."""

    scanner: Literal["prowler", "checkov", "none"]
    """Scanner that wrote the record; `none`: a person named the key with `--key`."""
    check_id: str
    """Id of the check, such as `kms_cmk_not_disabled` or `CKV_KEYSWEEP_001`, or `--key`."""
    status: FindingStatus
    """Result of the check."""
    source: str
    """Results file, as passed on the command line (`-`: standard input)."""
    position: str
    """Position in the source, such as `record 3`."""
    key_arn: KeyArn | None = None
    """None: the record is about code, and its key has not been found yet."""
    key_state: str | None = None
    """Key state at the time of the scan, if recorded. Never a basis for action."""
    time: Time | None = None
    """Time of the scan. Checkov records have none."""
    code: CodeLocation | None = None
    """Declaration of the key in code; None for Prowler records."""


class Unmapped(Model):
    """A finding about code whose key was not found."""

    finding: Finding
    """The record, with its location in the code."""
    reason: str
    """Why no key was found."""
    step: str
    """What to do, such as an option to add."""
    candidates: tuple[str, ...] = ()
    """Possible keys if the finding is ambiguous. Keysweep evaluates none of them."""


class UnusableRecord(Model):
    """A record that could not be used, identified by its position. The others were used."""

    source: str
    """Results file, as passed on the command line (`-`: standard input)."""
    position: str
    """Position in the source: `record 3`, or `record 1, failed check 2` for Checkov."""
    problem: str
    """Why the record could not be used."""


class ResultsSource(Model):
    """A results document that was read."""

    path: str
    """Path as passed or found in a folder, `s3://BUCKET/KEY`, `-` (standard input), or `--key` or
    `@FILE` for keys that a person named."""
    sha256: str
    """SHA-256 digest of its content, hexadecimal."""
    format: str
    """Format, such as `Prowler OCSF` or `Checkov JSON`; `Security Hub` with other products'
    findings only, `no records` without any, and `key ARNs` for keys that a person named."""
    scanner: str
    """`prowler`, `checkov`, or `none` for keys that a person named; empty without records."""
    findings: int
    """Number of records of supported checks, with any status, or of keys."""
