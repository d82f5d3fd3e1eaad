"""docs/results.md: which results files are read, and what of them; made by reading real ones.

Write it anew with: python tests/remediation/findings/test_findings_table.py
"""

from __future__ import annotations

import io
import re
from pathlib import Path

from keysweep.remediation.errors import BadInput
from keysweep.remediation.findings import (
    candidates,
    is_cancel_candidate,
    is_plan_candidate,
    read_results,
)

ROOT = Path(__file__).resolve().parents[3]
FIXTURES = ROOT / "tests" / "fixtures" / "results"
PAGE = ROOT / "docs" / "results.md"

HEAD = """\
# Supported results

This page is for anyone who wants to know which result files `keysweep` reads.

To plan without a scanner, name the keys: `keysweep plan --key ARN`, or `--key @FILE` with one ARN a
line.

Each row is a real file that a scanner wrote about the same small test account
(`tests/fixtures/results`), as Keysweep reads it. Keysweep refuses some formats with exit code 2,
and then uses nothing from the file.

The content decides the format. Records may be a list, one object, a line each or concatenated.
Folders are read with their linked folders: files named `*.json`, `*.ndjson` and `*.jsonl`, in upper
case too. A file of something else is skipped there with a warning.

A whole file without records, such as `[]`, has no findings, and Keysweep warns of it. The same goes
for an empty `*.asff.json`, which Prowler leaves if all findings are `MANUAL`.

## From AWS Security Hub

Keysweep reads Prowler's findings back from Security Hub CSPM (ASFF), and ignores those of other
products:

| shape | from |
|---|---|
| `{"Findings": [...]}`, one page or several, also as a list \
| `aws securityhub get-findings`, or GetFindings with an SDK. A last page with `NextToken` is \
reported, since more follow |
| `{"detail": {"findings": [...]}}` \
| EventBridge: `Security Hub Findings - Imported` and `- Custom Action` |
| `{"findings": [...]}` | the same events with the input path `$.detail` |

[Plan from Security Hub](security-hub.md) has the commands.

Keysweep refuses Prowler's findings in Security Hub's OCSF (class 2003, GetFindingsV2, `Findings
Imported V2`). AWS does not document which field holds Prowler's check.

## Scanner files

| scanner | version | file | format | findings | keys for plan | keys for cancel | warnings |
|---|---|---|---|---|---|---|---|
"""


def page() -> str:
    """The page, from the files as they are."""
    rows = [_row(path) for path in sorted(FIXTURES.iterdir()) if path.suffix in {".json", ".csv"}]
    return HEAD + "".join(rows)


def _row(path: Path) -> str:
    match = re.fullmatch(r"(prowler|checkov)-([0-9.]+[0-9])[.-](.+)", path.name)
    assert match, path
    scanner, version, kind = match.groups()
    try:
        results = read_results([str(path)], io.BytesIO())
    except BadInput as error:
        message = str(error).replace(str(path), "the file")
        cells = ["refused", "", "", "", message]
    else:
        cells = [
            ", ".join(sorted({source.format for source in results.sources})),
            str(len(results.findings)),
            str(len(candidates(results.findings, is_plan_candidate))),
            str(len(candidates(results.findings, is_cancel_candidate))),
            "; ".join(warning.replace(str(path), "the file") for warning in results.warnings),
        ]
    return f"| {' | '.join([scanner.title(), version, kind, *cells])} |\n"


def test_the_page_of_results_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), (
        "write it anew: python tests/remediation/findings/test_findings_table.py"
    )


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
