"""A year of an operator, in the accounts of the profile `ordinary`: from doctor to the audit."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from command_runs import Done, run_here
from ordinary_runs import in_front_of, operator
from prowler_records import prowler_record
from scenarios import DEAD

from embedded_aws.ordinary import QUIET, RESTRICTED, ROLE
from embedded_aws.process import EmbeddedAws
from keysweep.remediation.models import NEXT_WAVE

REGION, FAR = "eu-west-1", "eu-central-1"
ACCESS = ("--role-name", ROLE)
JSON = ("--format", "json")
DAYS_DISABLED = {
    "ledger": 80,
    "reports": 75,
    "archive": 70,
    "mailer": 45,
    "search": 42,
    "tickets": 40,
}
"""The dead keys, those disabled for longest first; the last one is in another account."""
JOURNAL = "keysweep-journal.jsonl"
CALLER = re.compile(rf"arn:aws:(iam::{QUIET}:user|sts::{QUIET}:assumed-role)/")


def scenario() -> dict[str, Any]:
    """An account that AWS closed services to, and another one."""

    def key(name: str, days: int) -> dict[str, Any]:
        alias, tags = f"alias/{name}", {"owner": f"team-{name}"}
        disabled = {**DEAD, "disabled_days_ago": days}
        return {"name": name, "aliases": [alias], "tags": tags, **disabled}

    own = [key(name, days) for name, days in DAYS_DISABLED.items() if name != "tickets"]
    volume = {"type": "ebs_volume", "key": "volume"}
    near = {"keys": [*own, key("volume", 85)], "resources": [volume]}
    accounts = {
        QUIET: {"refused": ["absent", "closed"], "regions": {REGION: near}},
        RESTRICTED: {"regions": {FAR: {"keys": [key("tickets", DAYS_DISABLED["tickets"])]}}},
    }
    return {"accounts": {name: {"roles": {ROLE: {}}, **one} for name, one in accounts.items()}}


class Year:
    """The operator's folder and accounts."""

    def __init__(self, aws: EmbeddedAws, folder: Path) -> None:
        self.aws = aws
        self.folder = folder
        self.began = aws.now()
        arns = {
            name: aws.key_arn(QUIET, REGION, name)
            for name in (*DAYS_DISABLED, "volume")
            if name != "tickets"
        }
        arns["tickets"] = aws.key_arn(RESTRICTED, FAR, "tickets")
        self.arn: Mapping[str, str] = arns
        self.name = {arn: name for name, arn in arns.items()}
        self.kms: Any = boto3.client("kms", **aws.client_arguments(QUIET, REGION))

    def run(self, *arguments: str) -> Done:
        """One command, with the role of both accounts."""
        return run_here((*arguments, *ACCESS), self.folder, operator(self.aws))

    def scan(self) -> None:
        """Results of a scan of today: every key that is disabled."""
        disabled = [key["arn"] for key in self.aws.keys(state="Disabled")]
        found = [prowler_record(arn, self.aws.now()) for arn in disabled if arn in self.name]
        (self.folder / "scan.ocsf.json").write_text(json.dumps(found), "utf-8")

    def until(self, day: float) -> None:
        """Let time pass until that day of the story."""
        self.aws.advance(seconds=self.began + day * 86_400 - self.aws.now())

    def plan(self, out: str) -> tuple[dict[str, str], dict[str, set[str]], str]:
        """Verdict and reasons of each key, and the digest."""
        self.scan()
        done = self.run("plan", "scan.ocsf.json", "--policy", "decided.yaml", "--out", out, *JSON)
        assert done.code == 0, done.err
        items = {self.name[item["key_arn"]]: item for item in done.document["items"]}
        reasons = {
            name: {reason["rule"] for reason in item["reasons"]} for name, item in items.items()
        }
        verdicts = {name: item["verdict"] for name, item in items.items()}
        return verdicts, reasons, done.document["digest"]

    def outcomes(self, done: Done) -> dict[str, str]:
        """What became of each key."""
        return {self.name[row["key_arn"]]: row["outcome"] for row in done.document["results"]}

    def states(self) -> dict[str, str]:
        """The state of each key in truth."""
        return {
            name: "deleted" if (key := self.aws.key(arn)) is None else key["state"]
            for name, arn in self.arn.items()
        }


@pytest.fixture
def year(tmp_path: Path) -> Iterator[Year]:
    with EmbeddedAws(scenario()) as aws, in_front_of(aws):
        yield Year(aws, tmp_path)


def decide(year: Year) -> None:
    """Doctor shows what AWS refuses; a person decides each entry that it writes."""
    year.scan()
    (year.folder / "policy.yaml").write_text("version: 1\nmax_keys: 3\n", "utf-8")
    written = ("--policy", "policy.yaml", "--policy-out", "decided.yaml")
    examined = year.run("doctor", "scan.ocsf.json", *written, *JSON)
    assert examined.code == 1
    rows = [row for one in examined.document["account_regions"] for row in one["rows"]]
    assert {row["class"] for row in rows} == {"closed"}
    proposed = {(one["service"], one["operation"]) for one in examined.document[DECIDED]}
    assert {(row["service"], row["operation"]) for row in rows} == proposed
    assert ("kendra", "ListIndices") in proposed
    path = year.folder / "decided.yaml"
    text = re.sub(r"(?m)^( *)# (?=- |  )", r"\1", path.read_text("utf-8"))
    ends = datetime.fromtimestamp(year.began, UTC) + timedelta(days=360)
    values = {"<reason>": "not used", "<who>": "security", "<YYYY-MM-DD>": f"{ends:%Y-%m-%d}"}
    for placeholder, value in values.items():
        text = text.replace(placeholder, value)
    path.write_text(text, "utf-8")
    assert year.run("doctor", "scan.ocsf.json", "--policy", "decided.yaml").code == 0


DECIDED = "coverage_exceptions"


def approve(year: Year, plan: str, digest: str, ticket: str) -> dict[str, str]:
    """A second person approves the digest; another digest schedules nothing."""
    approved = ("--approved-by", "second person", "--ticket", ticket, "--yes", *JSON)
    before = year.states()
    refused = year.run("apply", plan, "--digest", "0" * 64, *approved)
    assert (refused.code, year.states()) == (3, before)
    done = year.run("apply", plan, "--digest", digest, *approved)
    assert done.code == 0, done.err
    return year.outcomes(done)


@pytest.mark.sample
def test_a_year(year: Year) -> None:
    decide(year)

    verdicts, reasons, first = year.plan("first.json")
    waves = {name: reason for name, reason in reasons.items() if reason}
    assert {name for name, one in verdicts.items() if one == "schedule"} == {
        *("ledger", "reports", "archive"),
    }
    later = {name: {NEXT_WAVE} for name in ("mailer", "search", "tickets")}
    assert waves == {"volume": {"in-use"}, **later}
    year.kms.tag_resource(
        KeyId=year.arn["archive"], Tags=[{"TagKey": "keysweep:keep", "TagValue": "audit"}]
    )
    assert approve(year, "first.json", first, "OPS-1") == {
        **dict.fromkeys(("ledger", "reports"), "scheduled"),
        "archive": "changed",
    }

    year.until(2)
    verdicts, reasons, second = year.plan("second.json")
    chosen = {"mailer", "search", "tickets"}
    assert {name for name, one in verdicts.items() if one == "schedule"} == chosen
    assert reasons["archive"] == {"protected-tag"}
    assert approve(year, "second.json", second, "OPS-2") == dict.fromkeys(chosen, "scheduled")

    year.until(12)
    with pytest.raises(ClientError):
        year.kms.encrypt(KeyId=year.arn["reports"], Plaintext=b"order")
    year.aws.advance(hours=1)
    guard = ("guard", "--policy", "decided.yaml", "--cancel", "--keep", "--yes", *JSON)
    watched = year.run(*guard)
    assert watched.code == 1
    rows = {year.name[row["key_arn"]]: row for row in map(json.loads, watched.out.splitlines())}
    assert {*rows} == {"ledger", "reports", *chosen}
    assert {name for name, row in rows.items() if row["in_use"]} == {"reports"}
    assert rows["reports"]["cancellation"]["outcome"] == "cancelled"

    year.until(29)
    late = year.run("status", *JSON)
    assert late.code == 1
    near = {year.name[row["key_arn"]] for row in late.document["rows"] if row["near"]}
    assert near == {"ledger"}
    undo = ("cancel", "--key", year.arn["search"], "--keep", "--enable", "--yes", *JSON)
    restored = year.run(*undo)
    assert (restored.code, year.outcomes(restored)) == (0, {"search": "cancelled"})

    year.until(40)
    deleted = {"ledger", "mailer", "tickets"}
    final = {**dict.fromkeys(deleted, "deleted"), "reports": "Disabled", "search": "Enabled"}
    assert year.states() == {**final, "archive": "Disabled", "volume": "Disabled"}
    demand_audit(year, final, {"OPS-1": first, "OPS-2": second})


def demand_audit(year: Year, final: Mapping[str, str], digests: Mapping[str, str]) -> None:
    """Every deletion has its digest, approver, ticket, caller, dates and final state."""
    audited = year.run("status", "--all", *JSON)
    assert audited.code == 0, audited.err
    audit = {year.name[row["key_arn"]]: row for row in audited.document["audit"]}
    assert {name: row["final_state"] for name, row in audit.items()} == final
    wave = {name: "OPS-1" if name in {"ledger", "reports"} else "OPS-2" for name in final}
    assert {name: row["ticket"] for name, row in audit.items()} == wave
    for name, row in audit.items():
        assert row["plan_digest"] == digests[row["ticket"]]
        assert row["approved_by"] == "second person"
        assert row["owner"] == f"team-{name}"
        assert CALLER.match(row["caller"])
        assert day(year, row["requested_at"]) == (0 if row["ticket"] == "OPS-1" else 2)
        assert day(year, row["deletion_date"]) == day(year, row["requested_at"]) + 30
    cancelled = {name: row for name, row in audit.items() if row["cancelled_at"] is not None}
    assert {name: day(year, row["cancelled_at"]) for name, row in cancelled.items()} == {
        "reports": 12,
        "search": 29,
    }
    assert all(CALLER.match(row["cancelled_by"]) for row in cancelled.values())
    assert {one["approved_by"] for row in audit.values() for one in row["exceptions"]} == {
        "security"
    }
    table = csv.DictReader(io.StringIO(year.run("status", "--all", "--format", "csv").out))
    columns = ("ticket", "plan_digest", "approved_by", "caller", "final_state", "owner")
    assert {row["key_arn"]: [row[one] for one in columns] for row in table} == {
        year.arn[name]: [row[one] for one in columns] for name, row in audit.items()
    }


def day(year: Year, moment: str) -> int:
    """The day of the story."""
    passed = datetime.fromisoformat(moment).timestamp() - year.began
    return int((passed + 3600) // 86_400)
