"""Results in a bucket, as `prowler aws --output-bucket` leaves them: the whole command over S3."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from scenarios import DATA, DEAD, SHOP

from documents.iam import YOUR_BUCKET, iam_policies
from embedded_aws.process import EmbeddedAws

BUCKET = "audit-results"
PENDING_CHECK = "kms_cmk_not_deleted_unintentionally"


class Bucket:
    """A bucket of the shop's account, and records to fill it with."""

    def __init__(self, aws: EmbeddedAws, make: Callable[..., Path]) -> None:
        self.client: Any = boto3.client("s3", **aws.client_arguments(SHOP, "eu-west-1"))
        self.client.create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        )
        self._aws = aws
        self._make = make

    def put(self, key: str, body: bytes | str) -> None:
        self.client.put_object(Bucket=BUCKET, Key=key, Body=body)

    def records(self, *names: str, region: str = "eu-west-1", account: str = SHOP) -> bytes:
        """A results file that names these keys."""
        arns = [self._aws.key_arn(account, region, name) for name in names]
        return self._make(*arns, name="one.json").read_bytes()

    def run(self, account: str, time: str, *names: str, folder: str = "output") -> str:
        """Leave a run as Prowler does: each format in a folder of its own."""
        stem = f"prowler-output-{account}-{time}"
        body = self.records(*names, account=account)
        key = f"{folder}/json-ocsf/{stem}.ocsf.json"
        self.put(key, body)
        self.put(f"{folder}/csv/{stem}.csv", "a;b")
        self.put(f"{folder}/html/{stem}.html", "<html>")
        self.put(f"{folder}/compliance/{stem}_kms_key_lifecycle_1.0_aws.csv", "a;b")
        return key


@pytest.fixture
def bucket(aws: EmbeddedAws, results: Callable[..., Path]) -> Bucket:
    return Bucket(aws, results)


@pytest.fixture
def plan(keysweep: Callable[..., Any], state_only: Path) -> Callable[..., Any]:
    """Run `plan` on these results, under the policy that reads state and tags alone."""

    def run(*arguments: str, **environment: str) -> Any:
        wanted = ("--policy", state_only, "--role-name", "KeysweepOperator", "--format", "json")
        return keysweep("plan", *arguments, *wanted, **environment)

    return run


def planned(done: Any, aws: EmbeddedAws) -> set[str]:
    """The names of the keys that the plan speaks of."""
    names = {key["arn"]: key["name"] for key in aws.keys()}
    return {names[item["key_arn"]] for item in done.document["items"]}


def test_the_newest_run_of_each_account_is_read_and_older_ones_are_reported(
    aws: EmbeddedAws, bucket: Bucket, plan: Callable[..., Any]
) -> None:
    bucket.run(SHOP, "20261101030000", "kept")
    newest = bucket.run(SHOP, "20261103030000", "dead-1", "dead-2")
    bucket.run(SHOP, "20261102030000", "dead-3", folder="output/other")
    other = bucket.run(DATA, "20261030120000", "dead-other")
    done = plan(f"s3://{BUCKET}/output")
    assert done.code == 0, done.err
    assert planned(done, aws) == {"dead-1", "dead-2", "dead-other"}
    contents = {key: bucket.client.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in
                (newest, other)}  # fmt: skip
    assert {
        (source["path"], source["sha256"], source["format"], source["findings"])
        for source in done.document["sources"]
    } == {
        (f"s3://{BUCKET}/{key}", hashlib.sha256(body).hexdigest(), "Prowler OCSF", count)
        for (key, body), count in zip(contents.items(), (2, 1), strict=True)
    }
    (older,) = (one for one in done.document["warnings"] if "newest run" in one)
    assert older.startswith(f"s3://{BUCKET}/output: ")
    assert f"account {SHOP} " in older
    assert older.endswith(" 2026-11-02 03:00:00, 2026-11-01 03:00:00")
    assert "2026-11-03" not in older


def test_every_format_of_the_newest_run_counts_once(
    aws: EmbeddedAws, bucket: Bucket, plan: Callable[..., Any]
) -> None:
    bucket.run(SHOP, "20261103030000", "dead-1")
    stem = f"prowler-output-{SHOP}-20261103030000"
    bucket.put(f"output/json-asff/{stem}.asff.json", bucket.records("dead-1"))
    done = plan(f"s3://{BUCKET}/output/")
    assert {source["path"].rpartition("/")[2] for source in done.document["sources"]} == {
        f"{stem}.asff.json",
        f"{stem}.ocsf.json",
    }
    assert planned(done, aws) == {"dead-1"}


@pytest.mark.parametrize("root", ["", "/"])
def test_a_whole_bucket_with_prowlers_default_folder_which_begins_with_a_slash(
    root: str, aws: EmbeddedAws, bucket: Bucket, plan: Callable[..., Any]
) -> None:
    bucket.run(SHOP, "20261103030000", "dead-1", folder="/home/ci/output")
    done = plan(f"s3://{BUCKET}{root}")
    assert done.code == 0, done.err
    assert planned(done, aws) == {"dead-1"}
    again = plan(f"s3://{BUCKET}//home/ci/output/json-ocsf")
    assert planned(again, aws) == {"dead-1"}


def test_one_object_by_its_name_needs_no_listing(
    aws: EmbeddedAws, bucket: Bucket, plan: Callable[..., Any]
) -> None:
    old = bucket.run(SHOP, "20261101030000", "dead-3")
    bucket.run(SHOP, "20261103030000", "dead-1")
    aws.fault("deny", operation="ListObjectsV2", times=None)
    done = plan(f"s3://{BUCKET}/{old}", f"s3://{BUCKET}/{old}")
    assert done.code == 0, done.err
    assert planned(done, aws) == {"dead-3"}
    assert len(done.document["sources"]) == 1, "an object that is named twice is read once"


def test_a_folder_is_no_prefix_of_another_folders_name(
    aws: EmbeddedAws, bucket: Bucket, plan: Callable[..., Any]
) -> None:
    bucket.run(SHOP, "20261101030000", "dead-1")
    bucket.run(SHOP, "20261103030000", "dead-2", folder="output-of-tests")
    assert planned(plan(f"s3://{BUCKET}/output"), aws) == {"dead-1"}


def test_files_that_are_named_otherwise_are_all_read_and_foreign_ones_passed_over(
    aws: EmbeddedAws, bucket: Bucket, plan: Callable[..., Any]
) -> None:
    bucket.run(SHOP, "20261103030000", "dead-1")
    bucket.put("output/nightly.json", bucket.records("dead-2"))
    bucket.put("output/lines.ndjson", bucket.records("dead-3")[1:-1])
    bucket.put("output/package.json", '{"name": "shop"}')
    done = plan(f"s3://{BUCKET}/output")
    assert planned(done, aws) == {"dead-1", "dead-2", "dead-3"}
    skipped = [one for one in done.document["warnings"] if one.startswith("skipped: ")]
    assert [one.split()[1] for one in skipped] == [f"s3://{BUCKET}/output/package.json"]


@pytest.mark.sample
def test_more_objects_than_one_page_are_all_seen(
    aws: EmbeddedAws, bucket: Bucket, plan: Callable[..., Any]
) -> None:
    for number in range(1010):  # a page has 1,000
        bucket.put(f"output/csv/{number:04}.csv", "")
    bucket.run(SHOP, "20261103030000", "dead-1")
    done = plan(f"s3://{BUCKET}/output")
    assert planned(done, aws) == {"dead-1"}
    assert len(aws.calls(operation="ListObjectsV2")) == 2


def test_cancel_takes_results_in_a_bucket(
    aws: EmbeddedAws, bucket: Bucket, keysweep: Callable[..., Any], tmp_path: Path
) -> None:
    body = bucket.records("pending").replace(b"kms_cmk_not_disabled", PENDING_CHECK.encode())
    bucket.put(f"output/json-ocsf/prowler-output-{SHOP}-20261103030000.ocsf.json", body)
    done = keysweep("cancel", f"s3://{BUCKET}/output", "--yes", "--format", "json")
    assert done.code == 0, done.err
    (row,) = done.document["results"]
    assert (row["key_arn"], row["outcome"]) == (
        aws.key_arn(SHOP, "eu-west-1", "pending"),
        "cancelled",
    )


def test_limits_on_accounts_do_not_apply_to_the_bucket(
    aws: EmbeddedAws, bucket: Bucket, plan: Callable[..., Any]
) -> None:
    bucket.run(DATA, "20261103030000", "dead-other")
    done = plan(f"s3://{BUCKET}/output", "--account", DATA)
    assert done.code == 0, done.err
    assert {item["verdict"] for item in done.document["items"]} == {"schedule"}


# --- trouble -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operation", "permission"), [("ListObjectsV2", "s3:ListBucket"), ("GetObject", "s3:GetObject")]
)
def test_a_denial_names_operation_bucket_code_and_permission(
    operation: str, permission: str, aws: EmbeddedAws, bucket: Bucket, plan: Callable[..., Any]
) -> None:
    bucket.run(SHOP, "20261103030000", "dead-1")
    aws.fault("deny", operation=operation, times=None)
    done = plan(f"s3://{BUCKET}/output")
    assert (done.code, done.out) == (1, "")
    assert f"{operation} of bucket {BUCKET} " in done.err
    assert f"(AccessDenied). Fix: allow {permission}" in done.err
    assert "policies/iam/results-bucket.json" in done.err


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("s3://no-such-bucket/x", "(NoSuchBucket)"),
        (f"s3://{BUCKET}/none", "--status FAIL or --resource-arn "),
        (f"s3://{BUCKET}/output/none.json", "(NoSuchKey)"),
        (f"s3://{BUCKET}/output/html", "holds no results file"),
        ("s3://", "'nothing' "),
        ("s3://Ab/x", "'Ab' "),
        ("s3://../../etc/passwd.json", "'..' "),
        ("s3://arn:aws:s3:eu-west-1:111122223333:accesspoint/x", ":accesspoint' "),
    ],
)
def test_what_cannot_be_found_is_one_message(
    path: str, words: str, bucket: Bucket, plan: Callable[..., Any]
) -> None:
    bucket.run(SHOP, "20261103030000", "dead-1")
    done = plan(path)
    assert (done.code, done.out) == (2, "")
    assert words in done.err
    assert done.err.startswith("keysweep: s3://")
    assert len(done.err.splitlines()) == 1


def test_a_bucket_in_another_region_is_named_with_its_region(
    aws: EmbeddedAws, bucket: Bucket, plan: Callable[..., Any]
) -> None:
    aws.fault("deny", operation="ListObjectsV2", code="PermanentRedirect", times=None)
    done = plan(f"s3://{BUCKET}/output")
    assert done.code == 1
    assert "(PermanentRedirect): it is in " in done.err
    assert "set AWS_REGION to that" in done.err


@pytest.mark.parametrize("kind", ["truncate", "truncate_unsized", "truncate_valid_length"])
def test_a_truncated_body_is_read_again_and_never_trusted(
    kind: str, aws: EmbeddedAws, bucket: Bucket, plan: Callable[..., Any]
) -> None:
    # Lines, of which each is whole: where they are cut, nothing but the length can tell.
    lines = json.loads(bucket.records("dead-1", "dead-2"))
    text = "".join(json.dumps(line) + "\n" for line in lines)
    assert len({len(json.dumps(line)) for line in lines}) == 1, "cut in the middle, between two"
    bucket.put("output/lines.ndjson", text)
    aws.fault(kind, operation="GetObject", times=1)
    done = plan(f"s3://{BUCKET}/output")
    assert done.code == 0, done.err
    assert planned(done, aws) == {"dead-1", "dead-2"}
    aws.fault(kind, operation="GetObject", times=None)
    aws.clear_calls()
    done = plan(f"s3://{BUCKET}/output")
    assert (done.code, done.out) == (1, "")
    assert f"s3://{BUCKET}/output/lines.ndjson cannot be read: " in done.err
    assert len(aws.calls(operation="GetObject")) == 3


@pytest.mark.parametrize("kind", ["error_500", "throttle", "drop_after"])
def test_transient_errors_are_retried(
    kind: str, aws: EmbeddedAws, bucket: Bucket, plan: Callable[..., Any]
) -> None:
    bucket.run(SHOP, "20261103030000", "dead-1")
    for operation in ("ListObjectsV2", "GetObject"):
        aws.fault(kind, operation=operation, times=1)
    done = plan(f"s3://{BUCKET}/output")
    assert done.code == 0, done.err
    assert planned(done, aws) == {"dead-1"}


def test_names_of_objects_are_shown_and_obeyed_by_nothing(
    aws: EmbeddedAws, bucket: Bucket, plan: Callable[..., Any], tmp_path: Path
) -> None:
    hostile = {
        "output/../../../escaped.json",
        "output/red \x1b[31m.json",
        "output/right-to-left \u202e.json",
        "output/--yes.json",
        "output/tab\tkeysweep: all is well.json",
    }
    for key in hostile:
        bucket.put(key, bucket.records("dead-1"))
    before = {path.name for path in tmp_path.rglob("*")}
    done = plan(f"s3://{BUCKET}/output")
    assert done.code == 0, done.err
    assert {source["path"] for source in done.document["sources"]} == {
        f"s3://{BUCKET}/{key}" for key in hostile
    }
    assert {path.name for path in tmp_path.rglob("*")} - before == {"plan.json"}
    for key in hostile:
        bucket.put(key, "{")
    broken = plan(f"s3://{BUCKET}/output")
    assert broken.code == 2
    for text in (done.out, broken.err):
        assert not set("\x1b\u202e") & set(text)
    assert len(broken.err.splitlines()) == 1


def test_missing_credentials_are_named(bucket: Bucket, plan: Callable[..., Any]) -> None:
    done = plan(f"s3://{BUCKET}/output", "--profile", "nobody")
    assert done.code == 2
    assert "nobody" in done.err


def test_the_generated_document_is_enough_and_names_the_bucket_alone(
    scenario: Callable[..., EmbeddedAws],
    results: Callable[..., Path],
    plan: Callable[..., Any],
) -> None:
    policies = iam_policies()
    document = policies["results-bucket"]
    for statement in document["Statement"]:
        assert statement["Resource"].startswith(("arn:aws:s3:::amzn", "arn:aws:kms:*:111122223333"))
    document = json.loads(json.dumps(document).replace(YOUR_BUCKET, BUCKET))
    keys = {"regions": {"eu-west-1": {"keys": [{"name": "dead-1", **DEAD}]}}}
    fill = {"Statement": [{"Effect": "Allow", "Action": ["s3:CreateBucket", "s3:PutObject"],
                           "Resource": "*"}]}  # fmt: skip
    for allowed, code in (([document], 0), ([], 1)):
        aws = scenario({SHOP: {**keys, "policies": [policies["plan"], fill, *allowed]}})
        Bucket(aws, results).run(SHOP, "20261103030000", "dead-1")
        done = plan(f"s3://{BUCKET}/output")
        assert done.code == code, done.err
