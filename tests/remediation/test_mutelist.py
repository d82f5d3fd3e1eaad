"""The mutelist: intended deletions and nothing else, beside what people muted themselves."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from embedded_aws.process import EmbeddedAws
from keysweep.remediation.errors import BadInput
from keysweep.remediation.models import KeyArn
from keysweep.remediation.mutelist import load, merged, to_yaml

SHOP, DATA = "111122223333", "444455556666"
ROLE = ("--role-name", "KeysweepOperator")
OURS = "^kms_cmk_not_deleted_unintentionally$(?#keysweep {region})"

THEIRS = """\
# Agreed with the auditors.
Mutelist:
  Accounts:
    "*":
      Checks:
        s3_bucket_public_access: {Regions: ["*"], Resources: [website]}
    "111122223333":
      Checks:
        kms_cmk_not_deleted_unintentionally:
          Regions: [eu-west-1]
          Resources: ["^0000"]
          Exceptions: {Resources: ["^00001"]}
"""


def key_id(aws: EmbeddedAws, account: str, region: str, name: str) -> str:
    return aws.key_arn(account, region, name).rpartition("/")[2]


def entries(document: Any) -> dict[tuple[str, str], tuple[list[str], list[str]]]:
    """Regions and resources by account and check."""
    return {
        (account, check): (entry["Regions"], entry["Resources"])
        for account, content in document["Mutelist"]["Accounts"].items()
        for check, entry in content["Checks"].items()
    }


def test_only_keys_that_wait_by_our_journal_are_muted(
    aws: EmbeddedAws, planned: Path, keysweep: Callable[..., Any]
) -> None:
    assert keysweep("apply", planned, "--yes", *ROLE).code == 0
    restored = aws.key_arn(SHOP, "eu-west-1", "dead-2")
    assert keysweep("cancel", "--key", restored, "--yes", "--journal", "other.jsonl").code == 0

    done = keysweep("mutelist", *ROLE)
    assert done.code == 0, done.err
    dead = sorted(f"^{key_id(aws, SHOP, 'eu-west-1', name)}$" for name in ("dead-1", "dead-3"))
    far = f"^{key_id(aws, SHOP, 'us-east-1', 'dead-far')}$"
    other = f"^{key_id(aws, DATA, 'eu-west-1', 'dead-other')}$"
    west, east = OURS.format(region="eu-west-1"), OURS.format(region="us-east-1")
    assert entries(yaml.safe_load(done.out)) == {
        (SHOP, west): (["^eu-west-1$"], dead),
        (SHOP, east): (["^us-east-1$"], [far]),
        (DATA, west): (["^eu-west-1$"], [other]),
    }
    assert keysweep("mutelist", "--format", "json", *ROLE).document == yaml.safe_load(done.out)


def test_merging_keeps_what_people_muted_and_forgets_what_no_longer_waits(
    aws: EmbeddedAws, planned: Path, keysweep: Callable[..., Any], tmp_path: Path
) -> None:
    assert keysweep("apply", planned, "--yes", *ROLE).code == 0
    path = tmp_path / "mutelist.yaml"
    path.write_text(THEIRS)
    first = keysweep("mutelist", "--merge", path, "--out", path, *ROLE)
    assert first.code == 0, first.err
    assert "comments" in first.err
    before, theirs = yaml.safe_load(path.read_text()), yaml.safe_load(THEIRS)
    for account, content in theirs["Mutelist"]["Accounts"].items():
        now = before["Mutelist"]["Accounts"][account]["Checks"]
        assert {check: now[check] for check in content["Checks"]} == content["Checks"]

    aws.advance(days=31)
    again = keysweep("mutelist", "--merge", path, "--out", path, *ROLE)
    assert again.code == 0, again.err
    assert yaml.safe_load(path.read_text()) == theirs
    assert "comments" not in again.err


def test_a_key_that_cannot_be_read_is_reported_and_not_muted(
    aws: EmbeddedAws, planned: Path, keysweep: Callable[..., Any]
) -> None:
    assert keysweep("apply", planned, "--yes", *ROLE).code == 0
    arn = aws.key_arn(SHOP, "eu-west-1", "dead-1")
    aws.fault("deny", operation="DescribeKey", key=arn, times=None)
    done = keysweep("mutelist", *ROLE)
    assert done.code == 1
    assert arn in done.err
    assert arn.rpartition("/")[2] not in done.out


def test_another_journals_keys_stay_muted() -> None:
    one = KeyArn.parse(f"arn:aws:kms:eu-west-1:{SHOP}:key/mrk-{'1' * 32}")
    same_id = KeyArn("aws", SHOP, "us-east-1", one.key_id)
    other = KeyArn("aws", SHOP, "eu-west-1", "mrk-" + "2" * 32)
    first = merged([one, same_id], [one, same_id])
    second = merged([other], [other], first)
    assert entries(second) == {
        (SHOP, OURS.format(region="eu-west-1")): (
            ["^eu-west-1$"],
            [f"^{one.key_id}$", f"^{other.key_id}$"],
        ),
        (SHOP, OURS.format(region="us-east-1")): (["^us-east-1$"], [f"^{same_id.key_id}$"]),
    }
    assert merged([], [one, same_id, other], second) == {"Mutelist": {"Accounts": {}}}


@pytest.mark.parametrize("day", ["2026-02-28", "2026-02-30"])
def test_a_date_in_a_tag_stays_text(day: str, tmp_path: Path) -> None:
    path = tmp_path / "mutelist.yaml"
    path.write_text(THEIRS.replace("[website]}", f"[website], Description: {day}}}"))
    document = merged([], [], load(path))
    theirs = document["Mutelist"]["Accounts"]["*"]["Checks"]["s3_bucket_public_access"]
    assert theirs["Description"] == day
    assert json.loads(json.dumps(document)) == yaml.safe_load(to_yaml(document)) == document


TWICE = {
    "an account": "Mutelist: {Accounts: {'1': {Checks: {a: {}}}, \"\\x31\": {Checks: {}}}}",
    "a check": "Mutelist:\n  Accounts:\n    '1':\n      Checks:\n        a: {}\n        a: {}\n",
    "in what another one merges": "Mutelist: {Accounts: {'1': {<<: {Checks: {}, Checks: {a: 1}}}}}",
}


@pytest.mark.parametrize("what", TWICE)
def test_a_mutelist_with_a_name_twice_is_refused(what: str, tmp_path: Path) -> None:
    path = tmp_path / "mutelist.yaml"
    path.write_text(TWICE[what], encoding="utf-8")
    with pytest.raises(BadInput, match=r"mutelist\.yaml: line \d: .*'\w+'"):
        load(path)


@pytest.mark.parametrize(
    "value", ["!!bool x", "!!timestamp x", '!!float ""', "!!timestamp 2026-02-30", '"\\U00110000"']
)
def test_a_value_that_yaml_cannot_convert_is_refused(value: str, tmp_path: Path) -> None:
    path = tmp_path / "mutelist.yaml"
    path.write_text(f"Mutelist: {{Accounts: {{'*': {{Checks: {value}}}}}}}", encoding="utf-8")
    with pytest.raises(BadInput, match=r"mutelist\.yaml"):
        load(path)


def test_what_another_entry_merges_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "mutelist.yaml"
    text = "Mutelist: {Accounts: {'1': &one {Checks: {a: {}}}, '2': {<<: *one, Checks: {b: {}}}}}"
    path.write_text(text, encoding="utf-8")
    accounts = load(path)["Mutelist"]["Accounts"]
    assert {name: set(content["Checks"]) for name, content in accounts.items()} == {
        "1": {"a"},
        "2": {"b"},
    }


def test_a_file_that_is_not_a_mutelist_is_refused(
    planned: Path, keysweep: Callable[..., Any], tmp_path: Path
) -> None:
    assert keysweep("apply", planned, "--yes", *ROLE).code == 0
    for number, text in enumerate(
        (
            "",
            "a: [",
            "Mutelist: {}",
            "Mutelist: {Accounts: {'*': {}}}",
            "Mutelist: {Accounts: {111122223333: {Checks: {}}}}",
            f"Mutelist: {{Accounts: {{'1': {{Checks: {{'{OURS.format(region='x-y-1')}': 1}}}}}}}}",
        )
    ):
        path = tmp_path / f"bad-{number}.yaml"
        path.write_text(text)
        done = keysweep("mutelist", "--merge", path, "--out", path, *ROLE)
        assert done.code == 2, text
        assert path.name in done.err
        assert path.read_text() == text
