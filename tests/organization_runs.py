"""The state machine of policies/organization on an embedded AWS, with processes for containers."""

from __future__ import annotations

import json
import stat
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from organization import ENTRY_POINT, Deployment, instructions
from prowler_records import prowler_record

from embedded_aws.names import key_arn, key_id
from embedded_aws.process import EmbeddedAws
from keysweep.remediation.policy import policies_folder

TOOL = "111111111111"
"""Where Keysweep runs; it has no keys."""
REGION = "eu-west-1"
BUCKET = "amzn-s3-demo-bucket"
EXTERNAL_ID = "keysweep-7f3a"
PLAN_ROLE = {"KeysweepPlan": {"external_id": EXTERNAL_ID}}
GIVEN = {
    "Bucket": BUCKET,
    "ImageDigest": f"sha256:{'0' * 64}",
    "Subnets": "subnet-1,subnet-2",
    "SecurityGroups": "sg-1",
    "ExternalId": EXTERNAL_ID,
    "RetrySeconds": "1",
    "AccountsAtATime": "3",
}
HISTORY = {
    "HistoryWorkgroup": "team",
    "HistoryDatabase": "audit",
    "HistoryTable": "trail",
    "HistoryTrailBucket": "amzn-s3-demo-bucket",
    "HistoryResultsBucket": "amzn-s3-demo-bucket-results",
}
"""Parameters for history in Athena, with the names of policies/iam/history.json."""

_PROWLER = '''#!{python} -SE
"""Stands in for Prowler: its options, files and exit codes, as facts.json has them by account."""
import json, os, sys
account = sys.argv[sys.argv.index("--role") + 1].split(":")[4]
with open("{folder}/facts.json", encoding="utf-8") as file:
    known = json.load(file).get(account, {{}})
with open(f"{folder}/scans/{{account}}", "a+", encoding="utf-8") as scans:
    scans.write("scan\\n")
    scans.seek(0)
    count = len(scans.readlines())
if count <= known.get("fails", 0):
    sys.exit(1)
if "prowler" in known:
    os.execv(known["prowler"], [known["prowler"], *sys.argv[1:]])
if not known.get("records"):
    sys.exit(0)
folder = sys.argv[sys.argv.index("--output-directory") + 1]
with open(f"{{folder}}/prowler-output-{{account}}-20261130000000.ocsf.json", "w") as file:
    json.dump(known["records"], file)
sys.exit(3)
'''


def entry_point() -> list[str]:
    """The image's, of this environment."""
    (entry,) = [json.loads(given) for name, given in instructions() if name == "ENTRYPOINT"]
    return [sys.executable, *entry[1:-1], str(ENTRY_POINT)]


def script(path: Path, text: str) -> Path:
    """A program."""
    path.write_text(text, encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def account_with(*names: str, role: Mapping[str, Any] = PLAN_ROLE, **more: Any) -> dict[str, Any]:
    """An account whose disabled keys of these names carry the protected tag."""
    keys = [
        {"name": name, "state": "Disabled", "tags": {"keysweep:keep": ""}, "created_days_ago": 900}
        for name in names
    ]
    return {"regions": {REGION: {"keys": keys}}, "roles": role, **more}


def records(account: str, *names: str) -> list[dict[str, Any]]:
    """What Prowler writes of these keys."""
    arns = [key_arn(account, REGION, key_id(account, REGION, name)) for name in names]
    return [prowler_record(arn, time.time()) for arn in arns]


class Organization:
    """The stack in the first account of an embedded AWS."""

    def __init__(self, folder: Path, aws: EmbeddedAws, deployment: Deployment) -> None:
        self.folder = folder
        self._aws = aws
        self._machine = deployment.make(self.client)
        policy = (Path(str(policies_folder())) / "retirement.yaml").read_bytes()
        self.write("retirement.yaml", policy)

    def client(self, service: str) -> Any:
        """A client of the tool's account."""
        return boto3.client(service, **self._aws.client_arguments(TOOL, REGION))

    def calls(
        self, service: str | None = None, operation: str | None = None
    ) -> list[dict[str, Any]]:
        """All calls to AWS, by every caller."""
        return self._aws.calls(service=service, operation=operation)

    def run(self, name: str, given: object = None, seconds: float = 600, pause: float = 0.5) -> Any:
        """Run the state machine; the execution as it ended, looked for every `pause` seconds."""
        states = self.client("stepfunctions")
        started = states.start_execution(
            stateMachineArn=self._machine, name=name, input=json.dumps(given or {})
        )
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = states.describe_execution(executionArn=started["executionArn"])
            if found["status"] != "RUNNING":
                return found
            time.sleep(pause)
        raise TimeoutError(self.log()[-5000:])

    def log(self) -> str:
        """What the containers printed."""
        return (self.folder / "tasks.log").read_text(encoding="utf-8")

    def objects(self) -> set[str]:
        """The keys of the bucket."""
        pages = self.client("s3").get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        return {one["Key"] for page in pages for one in page["Contents"]}

    def read(self, key: str) -> str:
        """An object of the bucket."""
        body: bytes = self.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read()
        return body.decode()

    def write(self, key: str, body: bytes) -> None:
        """Put an object into the bucket."""
        self.client("s3").put_object(Bucket=BUCKET, Key=key, Body=body)

    def scans(self, account: str) -> int:
        """How often Prowler was started for an account."""
        path = self.folder / "scans" / account
        return len(path.read_text(encoding="utf-8").splitlines()) if path.exists() else 0


@contextmanager
def organization(
    folder: Path,
    accounts: Mapping[str, Any],
    facts: Mapping[str, Any],
    start: Sequence[str] = (),
    home: Mapping[str, Any] | None = None,
    **given: str,
) -> Iterator[Organization]:
    """An embedded AWS with these accounts beside the tool's, and the stack. `facts` are what
    Prowler does, by account; `start` is another entry point of the image; `home` is in the tool's
    Region."""
    (folder / "scans").mkdir()
    (folder / "bin").mkdir()
    (folder / "facts.json").write_text(json.dumps(facts), encoding="utf-8")
    script(folder / "bin" / "prowler", _PROWLER.format(python=sys.executable, folder=folder))
    deployment = Deployment(TOOL, REGION, {**GIVEN, **given})
    image = {
        "entry_point": [*start] or entry_point(),
        "environment": {"PATH": f"{folder / 'bin'}:{Path(sys.executable).parent}"},
        "log": str(folder / "tasks.log"),
    }
    roles = {name: {"policies": found} for name, found in deployment.roles.items()}
    scenario = {
        "images": {deployment.image: image},
        "accounts": {
            TOOL: {"regions": {REGION: home or {}, "us-east-1": {}}, "roles": {**roles}},
            **accounts,
        },
    }
    with EmbeddedAws(scenario) as aws:
        yield Organization(folder, aws, deployment)
