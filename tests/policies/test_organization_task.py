"""The entry point of the image: files from S3, the command, files to S3, and its exit code."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import boto3
import pytest
from organization import ENTRY_POINT

from embedded_aws.process import EmbeddedAws

ACCOUNT, REGION, BUCKET = "111122223333", "us-east-1", "amzn-s3-demo-bucket"
TO = ("--to", f"s3://{BUCKET}/run/scan/")
MAY_NOT_WRITE = {
    "Statement": [
        {"Effect": "Deny", "Action": "s3:PutObject", "Resource": "*/run/*"},
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
    ]
}

Task = Callable[..., int]


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedAws]:
    with EmbeddedAws() as aws:
        yield aws


@pytest.fixture
def s3(server: EmbeddedAws) -> Any:
    server.reset({"accounts": {ACCOUNT: {"regions": [REGION]}}})
    client = boto3.client("s3", **server.client_arguments(ACCOUNT, REGION))
    client.create_bucket(Bucket=BUCKET)
    return client


@pytest.fixture(scope="module")
def module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("task", ENTRY_POINT)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


@pytest.fixture
def task(server: EmbeddedAws, module: ModuleType) -> Task:
    """Run a program of Python as a task."""

    def run(options: Sequence[str], program: str, *words: str) -> int:
        command = [*options, sys.executable, "-SE", "-c", program, *words]
        with mock.patch.dict(os.environ, server.environment(ACCOUNT, REGION)):
            code: int = module.main(command)
            return code

    return run


def kept(s3: Any, prefix: str = "run/") -> dict[str, str]:
    """The objects below a prefix."""
    found = s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", ())
    return {
        one["Key"]: s3.get_object(Bucket=BUCKET, Key=one["Key"])["Body"].read().decode()
        for one in found
    }


def test_every_file_that_the_command_leaves_is_kept(s3: Any, task: Task) -> None:
    program = """
import os, sys
os.makedirs("sub/deep")
for name in ("a.html", "sub/deep/b.json"):
    open(name, "w").write(name)
os.symlink("a.html", "link")
sys.exit(3)
"""
    assert task(TO, program) == 3
    assert kept(s3) == {"run/scan/a.html": "a.html", "run/scan/sub/deep/b.json": "sub/deep/b.json"}
    page = s3.head_object(Bucket=BUCKET, Key="run/scan/a.html")
    assert page["ContentType"].startswith("text/html")


def test_what_is_fetched_lies_in_the_folder_and_is_not_kept_again(s3: Any, task: Task) -> None:
    for key in ("policy.yaml", "run/plans/1.json", "run/plans/sub/2.json", "run/other.json"):
        s3.put_object(Bucket=BUCKET, Key=key, Body=key.encode())
    program = """
import pathlib, sys
found = sorted(str(one) for one in pathlib.Path().rglob("*") if one.is_file())
pathlib.Path("found").write_text(" ".join(found))
"""
    sources = (
        *("--from", f"s3://{BUCKET}/policy.yaml"),
        *("--from", f"s3://{BUCKET}/run/plans/"),
        *("--from", f"s3://{BUCKET}/run/nothing/"),
    )
    assert task((*sources, *TO), program) == 0
    assert kept(s3, "run/scan/") == {"run/scan/found": "plans/1.json plans/sub/2.json policy.yaml"}


@pytest.mark.parametrize(
    ("code", "left"), [(0, {"run/scan/no-key.json": "[]\n"}), (1, {}), (3, {})]
)
def test_only_a_command_that_succeeds_means_that_nothing_was_found(
    s3: Any, task: Task, code: int, left: dict[str, str]
) -> None:
    options = (*TO, "--if-nothing", "no-key.json")
    assert task(options, f"raise SystemExit({code})") == code
    assert kept(s3) == left


def test_a_file_that_the_command_left_is_kept(s3: Any, task: Task) -> None:
    options = (*TO, "--if-nothing", "no-key.json")
    assert task(options, "open('found.json', 'w').write('[1]')") == 0
    assert kept(s3) == {"run/scan/found.json": "[1]"}


@pytest.mark.parametrize(
    "options",
    [
        ("--from", f"s3://{BUCKET}/missing", *TO),
        ("--from", "s3://amzn-s3-demo-bucket-2/plans/", *TO),
        ("--to", "s3://amzn-s3-demo-bucket-2/run/"),
    ],
)
def test_what_s3_refuses_fails_the_task(s3: Any, task: Task, options: tuple[str, ...]) -> None:
    assert task(options, "open('found.json', 'w').write('[1]')") == 1


def test_a_plan_that_may_not_be_written_fails_the_task(
    s3: Any, task: Task, server: EmbeddedAws
) -> None:
    account = {"regions": [REGION], "policies": [MAY_NOT_WRITE]}
    server.reset({"accounts": {ACCOUNT: account}})
    s3.create_bucket(Bucket=BUCKET)
    assert task(TO, "open('found.json', 'w').write('[1]')") == 1


def test_an_object_outside_the_folder_is_refused(s3: Any, task: Task) -> None:
    s3.put_object(Bucket=BUCKET, Key="run/plans/../../../x", Body=b"x")
    assert task(("--from", f"s3://{BUCKET}/run/plans/", *TO), "pass") == 1


@pytest.mark.parametrize("signal_name", ["SIGKILL", "SIGSEGV"])
def test_a_signal_that_ends_the_command_is_a_failure(s3: Any, task: Task, signal_name: str) -> None:
    program = f"import os, signal; os.kill(os.getpid(), signal.{signal_name})"
    assert task(TO, program) == 1


@pytest.mark.parametrize(
    "words",
    [[], ["--to", "bucket/run/", "x"], ["--to", "s3://bucket", "x"], ["--to", "s3://b/k/"], ["x"]],
)
def test_a_task_without_an_account_or_command_is_bad_input(
    module: ModuleType, words: list[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        module.main(words)
    assert ended.value.code == 2


def test_the_end_of_the_task_ends_the_command(s3: Any, server: EmbeddedAws, tmp_path: Path) -> None:
    """Amazon ECS sends SIGTERM, and kills what is left 30 seconds later."""
    program = f"""
import pathlib, signal, sys, time
def end(*_):
    pathlib.Path("late.json").write_text("[]")
    sys.exit(1)
signal.signal(signal.SIGTERM, end)
pathlib.Path({str(tmp_path / "started")!r}).touch()
time.sleep(60)
"""
    process = subprocess.Popen(
        [sys.executable, "-P", ENTRY_POINT, *TO, sys.executable, "-SE", "-c", program],
        env={**os.environ, **server.environment(ACCOUNT, REGION)},
    )
    try:
        while not (tmp_path / "started").exists():
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 1
    finally:
        process.kill()
        process.wait()
    assert kept(s3) == {"run/scan/late.json": "[]"}
