"""The fixtures, the verdicts that Checkov gives on them, and the table in the documentation.

A fixture's folder is `fixtures/<framework>/<topic>`, and each key in it is named for what is
expected of it: pass_*, fail_*, skip_*, or unknown_* where the code alone does not tell. A name
is a resource's, a module call's, an instance's, a task's or a logical id, as the dialect has it.

Files in a topic `unread` have no record. Each begins with what it stands for.

`python tests/checks/checkov/checkov_cases.py` writes the table and the list of these anew.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).parents[3]
CHECKS = REPOSITORY / "checks" / "checkov"
FIXTURES = Path(__file__).parent / "fixtures"
PAGE = REPOSITORY / "docs" / "checkov.md"
TABLE = REPOSITORY / "docs" / "checkov-verdicts.md"

STATE = "CKV_KEYSWEEP_001"
WINDOW = "CKV_KEYSWEEP_002"
PEER = "CKV_AWS_227"

# framework -> its runner, and what the documentation calls the dialect
FRAMEWORKS = {
    "terraform": ("checkov.terraform.runner:Runner", "Terraform and OpenTofu"),
    "terraform_plan": ("checkov.terraform.plan_runner:Runner", "Terraform plan (JSON)"),
    "terraform_json": (
        "checkov.terraform_json.runner:TerraformJsonRunner",
        "Terraform JSON, CDK for Terraform",
    ),
    "cloudformation": (
        "checkov.cloudformation.runner:Runner",
        "CloudFormation, SAM, AWS CDK output",
    ),
    "serverless": ("checkov.serverless.runner:Runner", "Serverless Framework"),
    "ansible": ("checkov.ansible.runner:Runner", "Ansible"),
    "kubernetes": ("checkov.kubernetes.runner:Runner", "Crossplane"),
    "yaml": ("checkov.yaml_doc.runner:Runner", "Pulumi YAML"),
}
PEER_FRAMEWORKS = ("terraform", "terraform_plan", "terraform_json")
# In the names of cases whose resource is no aws_kms_key.
OTHER_TYPES = ("replica_key", "external", "cloud_control", "two_deep", "outer")

UNREAD_START = "<!-- unread: written by tests/checks/checkov/checkov_cases.py -->"
UNREAD_END = "<!-- end of unread -->"
_UNREAD = re.compile(r'\A# (.*)|"//": "(.*?)"')

_CASE = re.compile(
    r"(?<![\w-])(?:(?:pass|fail|unknown|skip)[_-][a-z0-9_-]+|(?:Pass|Fail|Unknown|Skip)[A-Z]\w*)"
)
_OUTCOMES = {"passed_checks": "PASSED", "failed_checks": "FAILED", "skipped_checks": "SKIPPED"}


class Verdict(NamedTuple):
    """One record of Checkov's: on which case, by which check, and how it reads."""

    framework: str
    topic: str
    case: str
    check_id: str
    outcome: str


@dataclass(frozen=True)
class Record:
    """The part of a Checkov record that Checkov's objects and its JSON have in common."""

    check_id: str
    resource: str
    path: Path
    first_line: int
    outcome: str
    evaluated: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        framework, topic, *_ = self.path.relative_to(FIXTURES).parts
        return Verdict(framework, topic, self._case(), self.check_id, self.outcome)

    def _case(self) -> str:
        for text in (self.resource.partition(".yaml.")[2] or self.resource, *self.evaluated):
            if named := _CASE.search(text):
                return named[0]
        # Sections of Ansible that Checkov has no names for: a task by its lines alone.
        # A complete Serverless service has one record, which starts at its first line.
        lines = self.path.read_text(encoding="utf-8").splitlines()
        near = [*reversed(lines[: self.first_line]), *lines[self.first_line :]]
        return next((found[0] for line in near if (found := _CASE.search(line))), "")


def topics(framework: str) -> list[str]:
    """The topics that have fixtures for a framework, such as literals or window."""
    return sorted(folder.name for folder in (FIXTURES / framework).iterdir())


def declared(framework: str, topic: str, expectation: str = "") -> set[str]:
    """The names of the cases in the fixtures, of one expectation (`pass`, `fail`...) or of all."""
    return {
        case
        for file in (FIXTURES / framework / topic).rglob("*")
        if file.is_file()
        for case in _CASE.findall(file.read_text(encoding="utf-8"))
        if case.lower().startswith(expectation)
    }


@cache
def verdicts(framework: str) -> frozenset[Verdict]:
    """Run a framework's own runner over its fixtures, with our checks and their peer loaded."""
    from checkov.runner_filter import RunnerFilter

    module, _, name = FRAMEWORKS[framework][0].partition(":")
    report = getattr(importlib.import_module(module), name)().run(
        root_folder=str(FIXTURES / framework),
        external_checks_dir=[str(CHECKS)],
        runner_filter=RunnerFilter(checks=[STATE, WINDOW, PEER]),
    )
    return frozenset(
        Record(
            check_id=record.check_id,
            resource=record.resource,
            path=Path(record.file_abs_path),
            first_line=record.file_line_range[0],
            outcome=outcome,
            evaluated=tuple(record.check_result.get("evaluated_keys") or ()),
        ).verdict
        for group, outcome in _OUTCOMES.items()
        for record in getattr(report, group)
    )


def from_json(report: dict) -> frozenset[Verdict]:
    """The same from one report of the command's JSON, scanned below the fixtures' folder."""
    return frozenset(
        Record(
            check_id=record["check_id"],
            resource=record["resource"],
            path=FIXTURES / record["file_path"].lstrip("/"),
            first_line=record["file_line_range"][0],
            outcome=outcome,
            evaluated=tuple(record["check_result"].get("evaluated_keys") or ()),
        ).verdict
        for group, outcome in _OUTCOMES.items()
        for record in report["results"][group]
    )


def table() -> str:
    """Page of all cases in each dialect, next to the result of CKV_AWS_227."""
    return "\n".join(_page()) + "\n"


def unread_listed(page: str) -> str:
    """A page, with the list of what stays unread between its marks."""
    before, start, rest = page.partition(UNREAD_START)
    _, end, after = rest.partition(UNREAD_END)
    listed = "".join(
        f"* **{FRAMEWORKS[framework][1]}**: {'; '.join(unread(framework))}.\n"
        for framework in FRAMEWORKS
        if unread(framework)
    )
    return before + start + "\n\n" + listed + "\n" + end + after


def unread(framework: str) -> list[str]:
    """What a framework's files in `unread` say of themselves, in a comment or a "//"."""
    folder = FIXTURES / framework / "unread"
    texts = [file.read_text(encoding="utf-8") for file in folder.rglob("*") if file.is_file()]
    matches = [_UNREAD.search(text) for text in texts]
    found = sorted(one[1] or one[2] for one in matches if one)
    return [text[0].lower() + text[1:] for text in found]


def _page() -> Iterator[str]:
    yield "# Results of the Checkov checks, case by case"
    yield ""
    yield "For anyone who compares the checks with Checkov's own. Generated from the fixtures in"
    yield "`tests/checks/checkov/fixtures`, named after their expected result. UNKNOWN: the code"
    yield f"does not determine the state, and the check leaves no record. {PEER} is part of"
    yield "Checkov and covers only `aws_kms_key` in Terraform. A dash means not covered."
    yield "Differences are in bold."
    for framework, (_, dialect) in FRAMEWORKS.items():
        yield from ("", f"## {dialect}", "", f"| case | {STATE} | {PEER} |", "|---|---|---|")
        for topic in ("literals", "expressions"):
            for case in sorted(declared(framework, topic)):
                ours = _outcome(framework, topic, case, STATE)
                theirs = "–"
                if framework in PEER_FRAMEWORKS and not any(word in case for word in OTHER_TYPES):
                    theirs = _outcome(framework, topic, case, PEER)
                    theirs = theirs if theirs in {ours, "UNKNOWN"} else f"**{theirs}**"
                yield f"| `{case}` | {ours} | {theirs} |"
        yield from ("", f"| case | {WINDOW} |", "|---|---|")
        for case in sorted(declared(framework, "window")):
            yield f"| `{case}` | {_outcome(framework, 'window', case, WINDOW)} |"


def _outcome(framework: str, topic: str, case: str, check_id: str) -> str:
    found = {
        verdict.outcome
        for verdict in verdicts(framework)
        if (verdict.topic, verdict.case, verdict.check_id) == (topic, case, check_id)
    }
    # More than one: the instances of one resource differ.
    return ", ".join(sorted(found)) or "UNKNOWN"


if __name__ == "__main__":
    TABLE.parent.mkdir(exist_ok=True)
    TABLE.write_text(table(), encoding="utf-8")
    PAGE.write_text(unread_listed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
