"""The shipped state machine, run: moto interprets it, and each task is the real command.

Only Prowler is a stand-in here: a scan costs 20 seconds of processor time.
"""

from __future__ import annotations

import json
import stat
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3
from organization import ENTRY_POINT, Deployment, instructions
from prowler_records import prowler_record

from embedded_aws.names import key_arn, key_id
from embedded_aws.process import EmbeddedAws
from keysweep.remediation.policy import policies_folder

TOOL = "111122223333"
"""Where Keysweep runs; it has no keys."""
REGION = "eu-west-1"
EXTERNAL_ID = "keysweep-7f3a"
BUCKET = "amzn-s3-demo-bucket"
ROLES = {"KeysweepPlan": {"external_id": EXTERNAL_ID}}
GIVEN = {
    "Bucket": BUCKET,
    "ImageDigest": f"sha256:{'0' * 64}",
    "Subnets": "subnet-1,subnet-2",
    "SecurityGroups": "sg-1",
    "ExternalId": EXTERNAL_ID,
    "RetrySeconds": "1",
    "AccountsAtATime": "3",
}

PROWLER = '''#!{python} -SE
"""Stands in for Prowler: its options, its files, its exit codes."""
import json, os, sys
account = sys.argv[sys.argv.index("--role") + 1].split(":")[4]
folder = sys.argv[sys.argv.index("--output-directory") + 1]
with open({facts!r}, encoding="utf-8") as file:
    known = json.load(file).get(account, {{"records": [], "fails": 0}})
with open(os.path.join({scans!r}, account), "a+", encoding="utf-8") as scans:
    scans.write("scan\\n")
    scans.seek(0)
    count = len(scans.readlines())
if count <= known["fails"]:
    sys.exit(1)
if not known["records"]:
    sys.exit(0)
name = f"prowler-output-{{account}}-20261130000000.ocsf.json"
with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
    json.dump(known["records"], file)
sys.exit(3)
'''


class Organization:
    """An embedded AWS with the stack in its first account."""

    def __init__(self, folder: Path, accounts: Mapping[str, Any]) -> None:
        self.folder = folder
        (folder / "scans").mkdir()
        (folder / "bin").mkdir()
        prowler = folder / "bin" / "prowler"
        prowler.write_text(
            PROWLER.format(
                python=sys.executable,
                facts=str(folder / "facts.json"),
                scans=str(folder / "scans"),
            ),
            encoding="utf-8",
        )
        prowler.chmod(prowler.stat().st_mode | stat.S_IXUSR)
        self.deployment = Deployment(TOOL, REGION, GIVEN)
        (entry,) = [json.loads(given) for name, given in instructions() if name == "ENTRYPOINT"]
        image = {
            "entry_point": [sys.executable, *entry[1:-1], str(ENTRY_POINT)],
            "environment": {"PATH": f"{prowler.parent}:{Path(sys.executable).parent}"},
            "log": str(folder / "tasks.log"),
        }
        roles = {name: {"policies": found} for name, found in self.deployment.roles.items()}
        self.scenario = {
            "images": {self.deployment.image: image},
            "accounts": {TOOL: {"regions": [REGION, "us-east-1"], "roles": roles}, **accounts},
        }

    def prepare(self, aws: EmbeddedAws, facts: Mapping[str, Any]) -> None:
        self.aws = aws
        (self.folder / "facts.json").write_text(json.dumps(facts), encoding="utf-8")
        self.machine = self.deployment.make(self.client)
        policy = (Path(str(policies_folder())) / "retirement.yaml").read_bytes()
        self.client("s3").put_object(Bucket=BUCKET, Key="retirement.yaml", Body=policy)

    def client(self, service: str) -> Any:
        return boto3.client(service, **self.aws.client_arguments(TOOL, REGION))

    def run(self, name: str, seconds: float, given: object = None) -> Any:
        """Run the state machine; the execution as it ended."""
        states = self.client("stepfunctions")
        started = states.start_execution(
            stateMachineArn=self.machine, name=name, input=json.dumps(given or {})
        )
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = states.describe_execution(executionArn=started["executionArn"])
            if found["status"] != "RUNNING":
                return found
            time.sleep(0.3)
        raise TimeoutError((self.folder / "tasks.log").read_text(encoding="utf-8")[-5000:])

    def objects(self) -> set[str]:
        pages = self.client("s3").get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        return {one["Key"] for page in pages for one in page["Contents"]}

    def read(self, key: str) -> str:
        body: bytes = self.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read()
        return body.decode()

    def scans(self, account: str) -> int:
        path = self.folder / "scans" / account
        return len(path.read_text(encoding="utf-8").splitlines()) if path.exists() else 0


def account_with(*names: str, **roles: Any) -> dict[str, Any]:
    """An account whose disabled keys of these names carry the protected tag."""
    keys = [
        {"name": name, "state": "Disabled", "tags": {"keysweep:keep": ""}, "created_days_ago": 900}
        for name in names
    ]
    return {"regions": {REGION: {"keys": keys}}, "roles": roles or ROLES}


def found_by_prowler(account: str, *names: str, fails: int = 0) -> dict[str, Any]:
    arns = [key_arn(account, REGION, key_id(account, REGION, name)) for name in names]
    return {"records": [prowler_record(arn, time.time()) for arn in arns], "fails": fails}


KEYS, NONE = "222222222222", "333333333333"


def test_three_accounts_are_scanned_planned_and_indexed(tmp_path: Path) -> None:
    made = Organization(tmp_path, {KEYS: account_with("old"), NONE: account_with()})
    with EmbeddedAws(made.scenario) as aws:
        made.prepare(aws, {KEYS: found_by_prowler(KEYS, "old")})
        ended = made.run("first", 120)
        log = (tmp_path / "tasks.log").read_text(encoding="utf-8")
        assert ended["status"] == "SUCCEEDED", (ended, log)
        assert json.loads(made.read("first/accounts.json")) == [TOOL, KEYS, NONE]
