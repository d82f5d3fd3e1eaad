"""Keys that a person names with `--key`."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from keysweep.remediation.errors import BadInput
from keysweep.remediation.findings import (
    candidates,
    is_cancel_candidate,
    is_plan_candidate,
    named_keys,
    results_of_keys,
)
from keysweep.remediation.findings.checks import ACTED_ON, KEY_OPTION, PLAN_CHECKS
from keysweep.remediation.models import KeyArn

ONE = "arn:aws:kms:eu-west-1:111122223333:key/11111111-1111-4111-8111-111111111111"
TWO = "arn:aws:kms:eu-west-1:111122223333:key/22222222-2222-4222-8222-222222222222"


def test_named_keys_are_candidates_of_a_source_of_their_own(tmp_path: Path) -> None:
    file = tmp_path / "keys.txt"
    file.write_text(f"# reviewed by hand\n\n{TWO}\n  {ONE}  \n", encoding="utf-8")
    found = results_of_keys([ONE, f"@{file}"])
    assert [(one.path, one.scanner, one.findings) for one in found.sources] == [
        ("--key", "none", 1),
        (f"@{file}", "none", 2),
    ]
    assert found.sources[1].sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert [(str(one.key_arn), one.source, one.position) for one in found.findings] == [
        (ONE, "--key", "value 1"),
        (TWO, f"@{file}", "line 3"),
    ]
    assert {one.time for one in found.findings} == {None}
    assert set(candidates(found.findings, is_plan_candidate)) == {
        KeyArn.parse(ONE),
        KeyArn.parse(TWO),
    }
    assert not candidates(found.findings, is_cancel_candidate)
    assert named_keys([f"@{file}", ONE]) == (KeyArn.parse(ONE), KeyArn.parse(TWO))


def test_no_record_of_a_scanner_can_name_a_key_as_a_person_does() -> None:
    assert KEY_OPTION in PLAN_CHECKS
    assert KEY_OPTION not in ACTED_ON


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("alias/old\n", "line 1"),
        (f"{ONE}\nkey/1\n", "line 2"),
        ("# nothing\n", "keys.txt"),
    ],
)
def test_a_file_that_does_not_hold_arns_is_refused(tmp_path: Path, text: str, named: str) -> None:
    file = tmp_path / "keys.txt"
    file.write_text(text, encoding="utf-8")
    for read in (results_of_keys, named_keys):
        with pytest.raises(BadInput, match=named):
            read([f"@{file}"])


def test_text_that_is_not_an_arn_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    for value in ("alias/old", f"@{tmp_path / 'absent'}", "@"):
        with pytest.raises(BadInput):
            results_of_keys([value])
