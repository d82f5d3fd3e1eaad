"""How the command bears a large estate: time, requests and memory of plan, apply, status, cancel.

    python benchmarks/large_estate.py [--accounts 200] [--regions 5] [--keys 100]

A stub answers for AWS: KMS and STS, from memory, without quotas. The decision policy judges by
state and tags alone, since other services' listings are not what is measured. Needs the command's
environment; writes to a temporary folder.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import multiprocessing
import os
import re
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from email.utils import formatdate
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

OWN = "000000000001"
REGIONS = ("eu-west-1", "eu-central-1", "us-east-1", "us-west-2", "ap-south-1")
RULES = (
    *("active-grant", "declared-in-code", "disabled-too-recently", "in-use", "not-cancellable"),
    *("rescued", "shared-outside", "use-attempted", "used-recently"),
)
BORN = 1_600_000_000.0
XML = (
    "<{0}Response xmlns='https://sts.amazonaws.com/doc/2011-06-15/'><{0}Result>{1}</{0}Result>"
    "<ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></{0}Response>"
)


class Stub(asyncio.Protocol):
    """One connection; the keys' states are shared by all."""

    pending: dict[str, float] = {}  # noqa: RUF012 - of the whole server
    count = 0

    def connection_made(self, transport: Any) -> None:
        """Keep the connection."""
        self.transport = transport
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        """Answer every whole request."""
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].decode("latin-1")
            length = re.search(r"(?i)content-length: (\d+)", head)
            size = int(length[1]) if length else 0
            if len(self.buffer) < end + 4 + size:
                return
            body = self.buffer[end + 4 : end + 4 + size]
            self.buffer = self.buffer[end + 4 + size :]
            Stub.count += 1
            status, kind, answer = self.answer(head, body)
            top = f"HTTP/1.1 {status} x\r\nContent-Type: {kind}\r\nDate: {formatdate(usegmt=True)}"
            top += f"\r\nContent-Length: {len(answer)}\r\n\r\n"
            self.transport.write(top.encode() + answer)

    def answer(self, head: str, body: bytes) -> tuple[int, str, bytes]:
        """Status, content type and body."""
        if head.startswith("GET /count"):
            return 200, "text/plain", str(Stub.count).encode()
        found = re.search(r"Credential=(\w{4})(\d{12})", head)
        account = found[2] if found else OWN
        target = re.search(r"(?i)x-amz-target: TrentService\.(\w+)", head)
        if target is None:
            return 200, "text/xml", self.sts(account, body.decode()).encode()
        status, document = self.kms(target[1], json.loads(body))
        return status, "application/x-amz-json-1.1", json.dumps(document).encode()

    def sts(self, account: str, form: str) -> str:
        """GetCallerIdentity and AssumeRole."""
        if "GetCallerIdentity" in form:
            arn = f"arn:aws:iam::{account}:user/operator"
            told = f"<Arn>{arn}</Arn><UserId>u</UserId><Account>{account}</Account>"
            return XML.format("GetCallerIdentity", told)
        wanted = re.search(r"iam%3A%3A(\d{12})", form)
        assert wanted is not None
        until = datetime.fromtimestamp(time.time() + 3600, UTC).isoformat()
        told = (
            f"<Credentials><AccessKeyId>ASIA{wanted[1]}</AccessKeyId><SecretAccessKey>s"
            f"</SecretAccessKey><SessionToken>t</SessionToken><Expiration>{until}</Expiration>"
            "</Credentials>"
        )
        return XML.format("AssumeRole", told)

    def kms(self, operation: str, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """What the command asks of KMS."""
        arn = asked.get("KeyId", "")
        if operation == "DescribeKey":
            until = self.pending.get(arn)
            state = {"KeyState": "Disabled"}
            if until:
                state = {"KeyState": "PendingDeletion", "DeletionDate": until}  # type: ignore[dict-item]
            fixed = {"KeyManager": "CUSTOMER", "Origin": "AWS_KMS", "KeySpec": "SYMMETRIC_DEFAULT"}
            more = {"KeyUsage": "ENCRYPT_DECRYPT", "CreationDate": BORN, "Enabled": False}
            return 200, {"KeyMetadata": {"Arn": arn, "KeyId": arn[-36:], **fixed, **more, **state}}
        if operation == "ScheduleKeyDeletion":
            self.pending[arn] = time.time() + asked["PendingWindowInDays"] * 86_400
            until = self.pending[arn]
            return 200, {"KeyId": arn, "DeletionDate": until, "KeyState": "PendingDeletion"}
        if operation == "CancelKeyDeletion":
            self.pending.pop(arn)
            return 200, {"KeyId": arn}
        empty = {"ListResourceTags": "Tags", "ListAliases": "Aliases"}
        return 200, {empty.get(operation, "Rotations"): [], "Truncated": False}


def serve(told: Connection) -> None:
    """Run the stub for ever."""

    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(Stub, "127.0.0.1", 0)
        told.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


def estate(accounts: int, regions: int, keys: int) -> list[str]:
    """Key ARNs."""
    return [
        f"arn:aws:kms:{region}:{account:012d}:key/{account:08x}-{place:04x}-4000-8000-{key:012x}"
        for account in range(1, accounts + 1)
        for place, region in enumerate(REGIONS[:regions])
        for key in range(keys)
    ]


def record(arn: str, now: int) -> dict[str, Any]:
    """A finding as Prowler writes it, with the fields that are read."""
    _, _, _, region, account, _ = arn.split(":")
    return {
        "metadata": {
            "event_code": "kms_cmk_not_disabled",
            "product": {"name": "Prowler", "version": "5.46.0", "vendor_name": "Prowler"},
            "version": "1.4.0",
        },
        "class_uid": 2004,
        "class_name": "Detection Finding",
        "status": "New",
        "status_code": "FAIL",
        "time": now,
        "cloud": {"account": {"uid": account}, "provider": "aws", "region": region},
        "resources": [{"uid": arn, "region": region, "data": {"details": "", "metadata": {}}}],
        "finding_info": {"uid": f"prowler-aws-kms_cmk_not_disabled-{account}-{region}-x"},
    }


def measure(port: int, folder: Path, *arguments: str) -> str:
    """Run a command and tell its time, requests and memory as a row of a table."""
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("AWS_")},
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": f"AKIA{OWN}",
        "AWS_SECRET_ACCESS_KEY": "s",
        "AWS_REGION": "eu-west-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "NO_PROXY": "127.0.0.1",
    }
    before, start = requests(port), time.monotonic()
    with (folder / "out.txt").open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "keysweep.remediation", *arguments],
            cwd=folder,
            env=environment,
            stdout=out,
        )
        peaks = []
        while process.poll() is None:
            peaks.append(_memory(process.pid))
            time.sleep(0.2)
    took = time.monotonic() - start
    count = requests(port) - before
    half = peaks[len(peaks) // 2]
    return (
        f"| {arguments[0]} | {process.returncode} | {took:.0f} s | {count} | {count / took:.0f} "
        f"| {half:.0f} MB | {max(peaks):.0f} MB |"
    )


def _memory(pid: int) -> float:
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return 0.0
    found = re.search(r"VmRSS:\s+(\d+)", text)
    return int(found[1]) / 1024 if found else 0.0


def requests(port: int) -> int:
    """How many requests the stub has seen."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", "/count")
    count = int(connection.getresponse().read())
    connection.close()
    return count


def main() -> None:
    """Measure the four commands on one estate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=200)
    parser.add_argument("--regions", type=int, default=5)
    parser.add_argument("--keys", type=int, default=100)
    asked = parser.parse_args()
    ours, theirs = multiprocessing.Pipe(duplex=False)
    server = multiprocessing.Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    port = ours.recv()
    arns = estate(asked.accounts, asked.regions, asked.keys)
    print(f"{asked.accounts} accounts x {asked.regions} Regions x {asked.keys} keys: {len(arns)}\n")
    print("| command | exit code | time | requests | a second | memory half-way | at most |")
    print("|---|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        now = int(time.time())
        (folder / "results.json").write_text(
            json.dumps([record(arn, now) for arn in arns]), encoding="utf-8"
        )
        waivers = "".join(
            f"  - {{key: all, rule: {rule}, reason: measured, until: 2099-01-01}}\n"
            for rule in RULES
        )
        policy = f"version: 1\nmax_keys: {len(arns)}\naccept:\n{waivers}"
        (folder / "policy.yaml").write_text(policy, encoding="utf-8")
        role = ("--role-name", "Sweep")
        journal = ("--journal", "keysweep-journal.jsonl")
        for arguments in (
            ("plan", "results.json", "--policy", "policy.yaml", *role),
            ("apply", "plan.json", "--yes", *role),
            ("status", *role),
            ("cancel", *journal, "--yes", *role),
        ):
            print(measure(port, folder, *arguments), flush=True)
    server.terminate()


if __name__ == "__main__":
    main()
