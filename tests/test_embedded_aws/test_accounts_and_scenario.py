"""Callers, roles, the scenario's schema and the process itself."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from embedded_aws import scenario as schema
from embedded_aws.process import EmbeddedAws
from embedded_aws.testing import ACCOUNT, OTHER, Lab, outcome

TESTS = Path(__file__).parent.parent


def assume(lab: Lab, account: str, role: str, **more: Any) -> Any:
    return lab.client("sts").assume_role(
        RoleArn=f"arn:aws:iam::{account}:role/{role}", RoleSessionName="test", **more
    )


def session_client(lab: Lab, credentials: dict[str, Any], service: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=lab.aws.endpoint,
        region_name="eu-west-1",
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
    )


def test_the_caller_is_the_account_of_the_access_key(lab: Lab) -> None:
    for account in (ACCOUNT, OTHER):
        shown = lab.client("sts", account=account).get_caller_identity()
        assert (shown["Account"], shown["Arn"]) == (
            account,
            f"arn:aws:iam::{account}:user/operator",
        )


def test_a_role_of_the_scenario_opens_its_account_and_no_other_role_does(lab: Lab) -> None:
    lab.scenario({"name": "mine"})
    credentials = assume(lab, OTHER, "Reader")["Credentials"]
    shown = session_client(lab, credentials, "sts").get_caller_identity()
    assert shown["Account"] == OTHER
    assert shown["Arn"] == f"arn:aws:sts::{OTHER}:assumed-role/Reader/test"
    assert session_client(lab, credentials, "kms").list_keys()["Keys"] == []
    for account, role in ((OTHER, "Admin"), (ACCOUNT, "Reader"), ("999999999999", "Reader")):
        arn = f"arn:aws:iam::{account}:role/{role}"
        call = lab.client("sts").assume_role
        assert outcome(call, RoleArn=arn, RoleSessionName="test") == "AccessDenied"


def test_a_role_with_an_external_id_demands_it(lab: Lab) -> None:
    lab.scenario(roles={"Reader": {"external_id": "secret"}})
    call = lab.client("sts").assume_role
    arn = f"arn:aws:iam::{ACCOUNT}:role/Reader"
    assert outcome(call, RoleArn=arn, RoleSessionName="test") == "AccessDenied"
    assert assume(lab, ACCOUNT, "Reader", ExternalId="secret")["Credentials"]


def test_a_roles_own_policies_limit_it(lab: Lab) -> None:
    document = {"Statement": [{"Effect": "Allow", "Action": "kms:List*", "Resource": "*"}]}
    lab.scenario({"name": "key"}, roles={"Lister": {"policies": [document]}})
    kms = session_client(lab, assume(lab, ACCOUNT, "Lister")["Credentials"], "kms")
    assert outcome(kms.list_keys) == "ok"
    assert outcome(kms.describe_key, KeyId=lab.arn("key")) == "AccessDeniedException"


def test_sessions_expire_in_real_time_and_on_demand(lab: Lab) -> None:
    lab.aws.advance(days=30)
    credentials = assume(lab, OTHER, "Reader", DurationSeconds=900)["Credentials"]
    assert credentials["Expiration"].timestamp() == pytest.approx(time.time() + 900, abs=120)
    kms = session_client(lab, credentials, "kms")
    assert outcome(kms.list_keys) == "ok"
    assert lab.aws.expire_sessions() == 1
    assert outcome(kms.list_keys) == "ExpiredTokenException"
    fresh = assume(lab, OTHER, "Reader")["Credentials"]
    assert outcome(session_client(lab, fresh, "kms").list_keys) == "ok"


def test_unknown_credentials_are_refused(lab: Lab) -> None:
    arguments = lab.aws.client_arguments(ACCOUNT) | {"aws_access_key_id": "AKIAAAAAAAAAAAAAAAAA"}
    kms = boto3.client("kms", **arguments)
    assert outcome(kms.list_keys) == "UnrecognizedClientException"
    sts = boto3.client("sts", **arguments)
    assert outcome(sts.get_caller_identity) == "InvalidClientTokenId"


def test_only_the_regions_of_the_scenario_are_enabled(lab: Lab) -> None:
    lab.scenario()
    ec2 = lab.client("ec2")
    enabled = {"Name": "opt-in-status", "Values": ["opt-in-not-required", "opted-in"]}
    for arguments in ({}, {"Filters": [enabled]}, {"AllRegions": True, "Filters": [enabled]}):
        regions = {one["RegionName"] for one in ec2.describe_regions(**arguments)["Regions"]}
        assert regions == {"eu-west-1", "us-east-1", "eu-central-1"}
    every = {one["RegionName"]: one for one in ec2.describe_regions(AllRegions=True)["Regions"]}
    assert every["af-south-1"]["OptInStatus"] == "not-opted-in"
    code = outcome(lab.client("kms", "ap-south-1").list_keys)
    assert code == "UnrecognizedClientException"


@pytest.mark.parametrize(
    ("region", "partition"), [("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")]
)
def test_other_partitions_have_their_own_arns(lab: Lab, region: str, partition: str) -> None:
    regions = {region: {"keys": [{"name": "key"}]}}
    lab.aws.reset({"accounts": {ACCOUNT: {"regions": regions, "roles": ["Reader"]}}})
    arn = lab.arn("key", region)
    assert arn.startswith(f"arn:{partition}:kms:{region}:{ACCOUNT}:key/")
    shown = lab.client("kms", region).describe_key(KeyId=arn)["KeyMetadata"]
    assert shown["Arn"] == arn
    who = lab.client("sts", region).get_caller_identity()["Arn"]
    assert who == f"arn:{partition}:iam::{ACCOUNT}:user/operator"


def test_names_are_the_same_in_every_run(lab: Lab) -> None:
    lab.scenario({"name": "key"})
    before = lab.arn("key")
    lab.aws.reset()
    assert lab.arn("key") == before


def test_reset_forgets_everything(lab: Lab) -> None:
    lab.scenario({"name": "key"})
    lab.client("kms").create_key()
    lab.client("s3").create_bucket(
        Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    lab.aws.fault("deny")
    lab.aws.advance(days=3)
    lab.aws.reset()
    assert [one["name"] for one in lab.aws.keys()] == ["key"]
    assert lab.aws.now() == pytest.approx(time.time(), abs=120)
    assert (lab.aws.calls(), lab.aws.faults()) == ([], [])
    assert lab.client("s3").list_buckets()["Buckets"] == []


def test_the_log_has_every_call_with_its_outcome(lab: Lab) -> None:
    lab.scenario({"name": "dead", "state": "Disabled", "aliases": ["alias/dead"]})
    lab.aws.clear_calls()
    kms, arn = lab.client("kms"), lab.arn("dead")
    kms.describe_key(KeyId="alias/dead")
    outcome(kms.encrypt, KeyId=arn, Plaintext=b"x")
    lab.client("sqs").list_queues()
    seen = [(c["service"], c["operation"], c["key"], c["outcome"]) for c in lab.aws.calls()]
    assert seen == [
        ("kms", "DescribeKey", arn, "ok"),
        ("kms", "Encrypt", arn, "DisabledException"),
        ("sqs", "ListQueues", None, "ok"),
    ]
    call = lab.aws.calls(operation="Encrypt")[0]
    assert (call["account"], call["region"]) == (ACCOUNT, "eu-west-1")
    assert call["principal"] == f"arn:aws:iam::{ACCOUNT}:user/operator"


KEYS = f"accounts.{ACCOUNT}.regions.eu-west-1.keys"


@pytest.mark.parametrize(
    ("keys", "complaint"),
    [
        ([{"name": "a", "stat": "Disabled"}], "stat"),
        ([{"name": "a", "state": "Dead"}], "state"),
        ([{"name": "a"}, {"name": "a"}], "used twice: a"),
        ([{"name": "a", "count": 3}], "needs {n}"),
        ([{"name": "a", "replicas": ["ap-south-1"]}], "ap-south-1"),
        ([{"name": "a", "created_days_ago": -1}], "created_days_ago"),
        ([{"name": "a", "window_days": 31}], "window_days"),
        ([{"name": "a", "created_days_ago": 5, "disabled_days_ago": 6}], "before its creation"),
        ([{"name": "a", "state": "PendingReplicaDeletion"}], "needs replicas"),
        ([{"name": "a", "grants": [{"operations": ["Decrypt"]}]}], "grantee"),
    ],
)
def test_a_mistake_in_the_scenario_is_named(keys: list[dict[str, Any]], complaint: str) -> None:
    document = {"accounts": {ACCOUNT: {"regions": {"eu-west-1": {"keys": keys}}}}}
    with pytest.raises(ValueError, match=re.escape(complaint)):
        schema.parse(document)


def run(*options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "embedded_aws", *options],
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_bad_scenario_file_ends_the_process_with_a_message(tmp_path: Path) -> None:
    file = tmp_path / "scenario.yaml"
    file.write_text("accounts: {'1': {regions: [eu-west-1]}}", encoding="utf-8")
    process = run("--scenario", str(file))
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "scenario.yaml" in stderr


def test_it_ends_on_a_signal_and_with_its_parent(tmp_path: Path) -> None:
    file = tmp_path / "scenario.yaml"
    scenario = {"accounts": {ACCOUNT: {"regions": {"eu-west-1": {"keys": [{"name": "a"}]}}}}}
    file.write_text(yaml.safe_dump(scenario), encoding="utf-8")
    ended, orphan = run("--scenario", str(file)), run("--exit-with-parent")
    both = run("--exit-with-parent")
    for process in (ended, orphan, both):
        assert process.stdout is not None
        assert '"endpoint": "http://127.0.0.1:' in process.stdout.readline()
    ended.terminate()
    both.terminate()
    both.wait(timeout=120)
    for process in (ended, orphan, both):
        _, stderr = process.communicate(timeout=120)
        assert (process.returncode, stderr) == (0, "")


def test_the_environment_reaches_nothing_but_the_server() -> None:
    with EmbeddedAws() as aws:
        environment = aws.environment("111122223333")
        assert environment["AWS_ENDPOINT_URL"] == aws.endpoint
        assert environment["AWS_EC2_METADATA_DISABLED"] == "true"
        assert environment["AWS_CONFIG_FILE"] == os.devnull
