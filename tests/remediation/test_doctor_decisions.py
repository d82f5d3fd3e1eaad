"""Exceptions to decide, written into any policy: nothing changes until a person edits them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from dead_key import ACCOUNT, NOW
from hypothesis import example, given
from hypothesis import strategies as st

from keysweep.remediation.doctor.decisions import block, extend
from keysweep.remediation.doctor.findings import (
    DECIDABLE,
    AccountRegionRows,
    Examination,
    Row,
    examination,
    fix_of,
)
from keysweep.remediation.errors import BadInput
from keysweep.remediation.files import write_new
from keysweep.remediation.models import LISTS_REGIONS, AnswerClass
from keysweep.remediation.policy import Answer, Policy
from keysweep.remediation.policy_file import load

OTHER = "444455556666"
SCP = "x with an explicit deny in a service control policy"
ENTRY = (
    "accounts: all\n    regions: [us-east-1]\n    service: s3\n    operation: ListBuckets\n"
    "    answer: {code: SlowDown, message: ''}\n    reason: r\n    approved_by: a\n"
    "    until: 2026-12-01\n"
)
POLICIES = {
    "without the list": "version: 1\n",
    "without a last line end": "version: 1\nmax_keys: 3",
    "empty": "version: 1\ncoverage_exceptions: []\nmax_keys: 3\n",
    "empty, with a comment": "version: 1\ncoverage_exceptions: []  # none\nmax_keys: 3\n",
    "with nothing": "version: 1\ncoverage_exceptions:\nmax_keys: 3\n",
    "a block": f"version: 1\ncoverage_exceptions:\n  - {ENTRY}max_keys: 3\n",
    "a block at the margin": "version: 1\ncoverage_exceptions:\n-   "
    + ENTRY
    + "closed_regions: []\n",
    "after a byte order mark, with other ends of lines": "\ufeffversion: 1\r\n"
    "coverage_exceptions: []\r\nmax_keys: 3\r\n",
    "named in comments": "# coverage_exceptions: []\nversion: 1\n# coverage_exceptions:\n",
    "inline, on many lines": "version: 1\ncoverage_exceptions: [\n  # none\n]\nmax_keys: 3\n",
    "inline": "version: 1\ncoverage_exceptions: [{accounts: all, regions: [us-east-1], "
    "service: s3, operation: ListBuckets, answer: {code: SlowDown, message: ''}, reason: r, "
    "approved_by: a, until: 2026-12-01}]\n",
}


def row(answer_class: AnswerClass = "closed", **changes: object) -> Row:
    values = {
        "service": "fsx",
        "operation": "DescribeFileCaches",
        "answer_class": answer_class,
        "code": "BadRequest",
        "message": "The requested feature is not enabled for this AWS account.",
        "fix": "decide",
    }
    return Row.model_validate({**values, **changes})


def found(*rows: tuple[str, str, Row]) -> Examination:
    parts = [AccountRegionRows(account_id=a, region=r, rows=(one,)) for a, r, one in rows]
    return examination(parts, Policy(), NOW)


CLOSED = found((ACCOUNT, "eu-west-1", row()))


def uncommented(text: str) -> str:
    return re.sub("(?m)^( *)# (?=- |  )", r"\1", text)


@pytest.mark.parametrize("name", POLICIES)
def test_an_extended_policy_is_the_same_until_it_is_edited(tmp_path: Path, name: str) -> None:
    before, out = tmp_path / "before.yaml", tmp_path / "out.yaml"
    before.write_text(POLICIES[name], "utf-8")
    assert extend(before, out, CLOSED) == 1
    assert load(out) == load(before)
    edited = tmp_path / "edited.yaml"
    text = uncommented(out.read_text("utf-8"))
    for placeholder, value in (("<reason>", "r"), ("<who>", "a"), ("<YYYY-MM-DD>", "2026-12-01")):
        text = text.replace(placeholder, value)
    edited.write_text(text, "utf-8")
    added = set(load(edited).coverage_exceptions) - set(load(before).coverage_exceptions)
    assert [(one.service, one.accounts, one.regions) for one in added] == [
        ("fsx", (ACCOUNT,), ("eu-west-1",))
    ]
    assert len(load(edited).coverage_exceptions) == len(load(before).coverage_exceptions) + 1


@pytest.mark.parametrize(
    "text",
    [
        "version: 1\nmax_keys: 3\n...\n",
        "{version: 1}\n",
        "{version: 1, coverage_exceptions: []}\n",
    ],
)
def test_a_policy_that_cannot_be_extended_leaves_no_file(tmp_path: Path, text: str) -> None:
    before, out = tmp_path / "before.yaml", tmp_path / "out.yaml"
    before.write_text(text, "utf-8")
    with pytest.raises(BadInput, match="before"):
        extend(before, out, CLOSED)
    assert not out.exists()


def test_a_policy_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text("version: 1\n", "utf-8")
    with pytest.raises(BadInput):
        extend(path, path, CLOSED)
    assert path.read_text("utf-8") == "version: 1\n"


@example("x", "\n")
@given(st.text(max_size=60), st.text(max_size=60))
def test_no_text_of_aws_leaves_its_comment(code: str, message: str) -> None:
    code = code if code.strip() else "x"
    hostile = found((ACCOUNT, "eu-west-1", row(code=code, message=message)))
    text = block(hostile.coverage_exceptions)
    assert yaml.safe_load(text) is None
    (entry,) = yaml.safe_load(uncommented(text))
    assert entry["answer"] == {"code": code, "message": message}


@pytest.mark.parametrize("answer_class", AnswerClass.__args__)  # type: ignore[attr-defined]
def test_only_what_a_person_can_decide_is_proposed(answer_class: AnswerClass) -> None:
    made = found((ACCOUNT, "eu-west-1", row(answer_class)))
    assert bool(made.coverage_exceptions) == (answer_class in DECIDABLE)
    assert made.holds_keys


@pytest.mark.parametrize("answer_class", sorted(DECIDABLE))
def test_no_decision_is_advised_where_no_exception_lifts(answer_class: AnswerClass) -> None:
    assert fix_of(answer_class, None, coverage_gap=False) != fix_of(answer_class, None)


def test_a_policy_that_cannot_be_written_whole_is_not_left(tmp_path: Path) -> None:
    with pytest.raises(UnicodeEncodeError):
        write_new(tmp_path / "half.yaml", "version: 1\n" + "#" * 100_000 + "\ud800")
    assert [*tmp_path.iterdir()] == []


def test_what_is_decided_is_not_proposed_again() -> None:
    made = found((ACCOUNT, "eu-west-1", row(decided_until="2026-12-01")))
    assert (made.coverage_exceptions, made.holds_keys) == ((), False)


def test_a_proposal_covers_exactly_the_account_regions_with_its_answer() -> None:
    made = found(
        (ACCOUNT, "eu-west-1", row()),
        (ACCOUNT, "us-east-1", row()),
        (OTHER, "eu-west-1", row()),
        (OTHER, "us-east-1", row()),
        ("777788889999", "eu-west-1", row()),
        (OTHER, "eu-west-1", row(message="another")),
    )
    shown = [(one.accounts, one.regions, one.answer) for one in made.coverage_exceptions]
    same = Answer(code=row().code, message=row().message)
    assert shown == [
        ((ACCOUNT, OTHER), ("eu-west-1", "us-east-1"), same),
        (("777788889999",), ("eu-west-1",), same),
        ((OTHER,), ("eu-west-1",), same.model_copy(update={"message": "another"})),
    ]


@pytest.mark.parametrize(
    ("service", "operation"),
    [("ssm", LISTS_REGIONS), ("cloudtrail", "LookupEvents"), ("kms", "ListAliases")],
)
@pytest.mark.parametrize("answer_class", sorted(DECIDABLE))
def test_what_no_exception_lifts_is_not_proposed(
    service: str, operation: str, answer_class: AnswerClass
) -> None:
    denied = row(answer_class, service=service, operation=operation, message=SCP, every_region=True)
    made = found((ACCOUNT, "eu-west-1", denied))
    assert made.coverage_exceptions == ()
    assert made.holds_keys
    if operation == LISTS_REGIONS:
        assert made.closed_regions == ()


def test_a_region_where_the_organization_denies_many_services_is_closed() -> None:
    calls = {"ssm": "ListResourceDataSync", "macie2": "GetClassificationExportConfiguration"}
    calls |= {"config": "DescribeDeliveryChannels"}
    denied = [
        row("organization", every_region=True, message=SCP, service=service, operation=operation)
        for service, operation in calls.items()
    ]
    made = found(
        *((ACCOUNT, "sa-east-1", one) for one in denied),
        *((OTHER, "sa-east-1", one) for one in denied[:2]),
        (ACCOUNT, "eu-west-1", row("organization", message=SCP)),
    )
    assert [(one.accounts, one.regions) for one in made.closed_regions] == [
        ((ACCOUNT,), ("sa-east-1",))
    ]
    assert {(*one.accounts, *one.regions, one.service) for one in made.coverage_exceptions} == {
        (ACCOUNT, "eu-west-1", "fsx"),
        (OTHER, "sa-east-1", "ssm"),
        (OTHER, "sa-east-1", "macie2"),
    }
