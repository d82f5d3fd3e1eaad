"""One key for each way to be needed, among a hundred dead ones, under the default policy.

All dead ones are scheduled, none of the others, and every hold names its true reason. The table is
printed: `pytest -s` shows it.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from prowler_records import prowler_record
from scenarios import DEAD, SHOP

from embedded_aws.process import EmbeddedAws
from keysweep.remediation.aws import Accounts, ClientSettings
from keysweep.remediation.evidence import Collector
from keysweep.remediation.findings import read_results
from keysweep.remediation.plan import Plan
from keysweep.remediation.planner import build
from keysweep.remediation.policy_file import load

PARTNER = "999988887777"
REGION, FAR = "eu-west-1", "us-east-1"


@dataclass(frozen=True)
class Need:
    """A key that is needed, how AWS shows it, and the message that must name it."""

    rule: str
    words: str
    key: Mapping[str, Any] | None = None
    resource: Mapping[str, Any] | None = None
    fault: Mapping[str, Any] | None = None


def statement(principal: object, **more: object) -> dict[str, Any]:
    return {
        "Effect": "Allow",
        "Principal": principal,
        "Action": "kms:Decrypt",
        "Resource": "*",
        **more,
    }


ROOT = statement({"AWS": "arn:aws:iam::{account}:root"}, Action="kms:*")


def shared(principal: object, **more: object) -> dict[str, Any]:
    policy = {"Version": "2012-10-17", "Statement": [ROOT, statement(principal, **more)]}
    return {"policy": policy}


def events(name: str, days_ago: float, **more: object) -> dict[str, Any]:
    return {"events": [{"name": name, "days_ago": days_ago, **more}]}


def granted(**grant: object) -> dict[str, Any]:
    return {"grants": [grant]}


def resource(kind: str) -> Need:
    return Need(
        "in-use", " names it (", resource={"type": kind, "name": "a-" + kind.replace("_", "-")}
    )


KINDS = {
    "too-young": Need("too-new", "created 20 days ago", {"created_days_ago": 20}),
    "brought-by-customer": Need("imported-material", "EXTERNAL", {"origin": "EXTERNAL"}),
    "in-hardware": Need("custom-key-store", "custom key store", {"custom_key_store": "hsm"}),
    "with-replica": Need(
        "replicas-remain",
        FAR,
        {"replicas": {FAR: {"state": "Enabled"}}},
    ),
}
TAGS = {
    f"tagged-{n}": Need("protected-tag", repr(name), {"tags": {name: value}})
    for n, (name, value) in enumerate(
        [("keysweep:keep", ""), ("Keysweep:Keep", "no"), (" keysweep:keep ", "until 2026-13-45")]
    )
}
TAGS |= {
    "asks-by-tag": Need("protected-tag", "DoNotDelete", {"tags": {"DoNotDelete": "true"}}),
    "asks-by-description": Need(
        "protected-tag", "asks to keep it", {"description": "Old backups - DO NOT DELETE!"}
    ),
}
GRANTS = {
    "granted-role": Need(
        "active-grant", "role/app", granted(grantee="arn:aws:iam::{account}:role/app")
    ),
    "granted-service": Need(
        "active-grant", "dynamodb", granted(grantee_service=f"dynamodb.{REGION}.amazonaws.com")
    ),
    "granted-outside": Need(
        "active-grant", PARTNER, granted(grantee=f"arn:aws:iam::{PARTNER}:role/x")
    ),
}
SHARED = {
    "shared-root": ({"AWS": f"arn:aws:iam::{PARTNER}:root"}, {}),
    "shared-bare-id": ({"AWS": PARTNER}, {}),
    "shared-in-list": ({"AWS": ["{account}", PARTNER]}, {}),
    "shared-all": ("*", {}),
    "shared-all-of-aws": ({"AWS": "*"}, {}),
    "shared-organization": (
        "*",
        {"Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1234567890"}}},
    ),
    "shared-if-exists": (
        "*",
        {"Condition": {"StringEqualsIfExists": {"kms:CallerAccount": "{account}"}}},
    ),
    "shared-federated": ({"Federated": "accounts.google.com"}, {}),
    "shared-service": ({"Service": "sns.amazonaws.com"}, {}),
    "shared-buckets": (
        {"Service": "s3.amazonaws.com"},
        {"Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:s3:::*"}}},
    ),
}
POLICIES = {
    **{
        name: Need("shared-outside", "grants access to", shared(principal, **more))
        for name, (principal, more) in SHARED.items()
    },
    "not-principal": Need(
        "shared-outside",
        "uses NotPrincipal",
        {
            "policy": {
                "Statement": [
                    ROOT,
                    {
                        "Effect": "Deny",
                        "NotPrincipal": {
                            "AWS": ["{account}", "arn:aws:iam::{account}:user/operator"]
                        },
                        "Action": "kms:Decrypt",
                        "Resource": "*",
                    },
                ]
            }
        },
    ),
    "no-root": Need(
        "not-cancellable",
        "might not be cancellable",
        {
            "policy": {
                "Statement": [
                    statement({"AWS": "arn:aws:iam::{account}:user/operator"}, Action="kms:*")
                ]
            }
        },
    ),
    "undo-denied": Need(
        "not-cancellable",
        "deny kms:CancelKeyDeletion",
        {
            "policy": {
                "Statement": [ROOT, statement("*", Effect="Deny", Action="kms:CancelKeyDeletion")]
            }
        },
    ),
}
REFERENCES = {
    kind.replace("_", "-"): resource(kind)
    for kind in [
        *("ebs_volume", "ebs_snapshot", "ami", "launch_template"),
        *("rds_instance", "rds_snapshot", "rds_cluster", "rds_cluster_snapshot"),
        *("secret", "ssm_parameter", "efs_file_system", "log_group", "lambda_function"),
        *("s3_bucket", "dynamodb_table", "sqs_queue", "sns_topic", "kinesis_stream"),
        *("firehose_stream", "redshift_cluster", "ecr_repository", "backup_vault"),
        *("cloudtrail_trail", "glue_security_configuration", "sagemaker_notebook"),
        *("opensearch_domain", "eks_cluster", "codebuild_project", "kafka_cluster"),
    ]
}
CODE = {
    "in-a-stack": Need("declared-in-code", "cloudformation owns it", resource={"type": "stack"})
}
HISTORY = {
    "disabled-lately": Need(
        "disabled-too-recently", "DisableKey", {"disabled_days_ago": 12, "disabled_by": "ann"}
    ),
    "turned-on-and-off": Need(
        "disabled-too-recently",
        "EnableKey",
        {"disabled_days_ago": 400, **events("EnableKey", 25)},
    ),
    "restored": Need(
        "restored", "cancelled its deletion", {"restored_days_ago": 60, "disabled_days_ago": 400}
    ),
    "rotated-by-alias": Need(
        "alias-moved", "alias/rotated", events("CreateAlias", 60, alias="alias/rotated")
    ),
}
USE = {
    "used-lately": Need("used-recently", "last used (Decrypt)", {"last_used": 80}),
    "refused": Need(
        "use-attempted",
        "DisabledException",
        events("Decrypt", 40, error="DisabledException", message="... is disabled."),
    ),
    "refused-behind-reads": Need(
        "use-attempted",
        "AccessDenied",
        {
            "events": [
                {"name": "DescribeKey", "days_ago": 1, "count": 120},
                {"name": "GenerateDataKey", "days_ago": 60, "error": "AccessDenied"},
            ]
        },
    ),
    "granted-and-retired": Need("use-attempted", "CreateGrant", events("CreateGrant", 30)),
    "used-by-service": Need(
        "use-attempted", "ec2.amazonaws.com", events("Decrypt", 30, by="ec2.amazonaws.com")
    ),
}
READS = {
    "DescribeKey": "unreadable-key",
    "ListResourceTags": "protected-tag",
    "ListGrants": "active-grant",
    "GetKeyPolicy": "not-cancellable",
    "GetKeyLastUsage": "used-recently",
}
DENIED = {
    f"denied-{operation}": Need(rule, operation, fault={"kind": "deny", "operation": operation})
    for operation, rule in READS.items()
}
CUT = {
    f"cut-{operation}{kind}": Need(
        rule, operation, fault={"kind": f"truncate{kind}", "operation": operation}
    )
    for operation, rule in READS.items()
    for kind in ("", "_unsized", "_valid_length")
}

NEEDED: dict[str, Need] = {
    **KINDS,
    **TAGS,
    **GRANTS,
    **POLICIES,
    **REFERENCES,
    **CODE,
    **HISTORY,
    **USE,
    **DENIED,
    **CUT,
}

ALL_THE_SAME_DEAD = {
    "narrowed-to-account": shared(
        "*", Condition={"StringEquals": {"kms:CallerAccount": "{account}"}}
    ),
    "for-a-service": shared(
        {"Service": "sns.amazonaws.com"},
        Condition={"StringEquals": {"aws:SourceAccount": "{account}"}},
    ),
    "denied-to-all": shared("*", Effect="Deny", Action="kms:Decrypt"),
    "only-read": {
        "events": [
            {"name": name, "days_ago": 2}
            for name in ("DescribeKey", "GetKeyPolicy", "ListGrants", "TagResource")
        ]
    },
    "used-long-ago": {"last_used": 120},
    "got-the-alias": events("UpdateAlias", 50, alias="alias/rotated"),
    "lost-its-alias": {
        "events": [
            {"name": "CreateAlias", "days_ago": 50, "alias": "alias/lost"},
            {"name": "DeleteAlias", "days_ago": 40, "alias": "alias/lost"},
        ]
    },
    "enable-refused": events("EnableKey", 3, error="AccessDenied"),
    "tagged-otherwise": {"tags": {"DoNotDelete": "false", "job": "housekeeping"}},
    "described-otherwise": {"description": "Key for the housekeeping job"},
    "rotated": {"rotations": 4},
    "signing": {"spec": "ECC_NIST_P256", "usage": "SIGN_VERIFY"},
}
"""Keys that look needed at a glance, and are as dead as the hundred."""


Planned = tuple[Plan, dict[str, str]]


@pytest.fixture(scope="module")
def planned(server: EmbeddedAws, tmp_path_factory: pytest.TempPathFactory) -> Planned:
    """The plan of the whole scenario, and the names of its keys in the first Region by ARN."""
    keys = [{"name": "dead-{n}", "count": 100, **DEAD}]
    keys += [{"name": name, **DEAD, **(need.key or {})} for name, need in NEEDED.items()]
    for key in keys:
        key["disabled_days_ago"] = min(key["disabled_days_ago"], key["created_days_ago"])
    keys += [{"name": name, **DEAD, **key} for name, key in ALL_THE_SAME_DEAD.items()]
    server.reset(
        {
            "accounts": {
                SHOP: {
                    "regions": {
                        REGION: {
                            "custom_key_stores": [{"name": "hsm"}],
                            "keys": keys,
                            "resources": [
                                {**need.resource, "key": name}
                                for name, need in NEEDED.items()
                                if need.resource
                            ],
                        },
                        FAR: {},
                    }
                }
            }
        }
    )
    names = {key["arn"]: key["name"] for key in server.keys() if key["region"] == REGION}
    arns = {name: arn for arn, name in names.items()}
    for name, need in NEEDED.items():
        if need.fault:
            server.fault(**need.fault, key=arns[name], times=None)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment(SHOP, REGION).items():
            patch.setenv(name, value)
        path = tmp_path_factory.mktemp("needed") / "results.ocsf.json"
        disabled = [k["arn"] for k in server.keys() if k["state"] == "Disabled"]
        records = [prowler_record(arn, server.now()) for arn in disabled]
        path.write_text(json.dumps(records), encoding="utf-8")
        collector = Collector(Accounts(settings=ClientSettings(quota_share=100)))
        return build(
            read_results([str(path)], io.BytesIO()),
            load().model_copy(update={"max_keys": 1000}),
            collector,
        ), names


def test_the_dead_are_scheduled_and_nothing_else(planned: Planned) -> None:
    plan, names = planned
    verdicts = {names[str(item.key_arn)]: item.verdict.value for item in plan.items}
    dead = {f"dead-{n}" for n in range(1, 101)} | set(ALL_THE_SAME_DEAD)
    assert {name for name, verdict in verdicts.items() if verdict == "schedule"} == dead
    assert {name for name, verdict in verdicts.items() if verdict == "hold"} == set(NEEDED)


@pytest.mark.parametrize("name", NEEDED)
def test_each_hold_names_its_true_reason(planned: Planned, name: str) -> None:
    plan, names = planned
    (item,) = (item for item in plan.items if names[str(item.key_arn)] == name)
    need = NEEDED[name]
    messages = {reason.rule: reason.message for reason in item.reasons}
    assert need.rule in messages, messages
    assert need.words in messages[need.rule]


def test_the_table_for_people(planned: Planned, capsys: pytest.CaptureFixture[str]) -> None:
    plan, names = planned
    rows = sorted(
        (reason.rule, names[str(item.key_arn)], reason.message)
        for item in plan.items
        for reason in item.reasons
    )
    with capsys.disabled():
        print(f"\n{len(plan.chosen)} dead keys scheduled; held:")
        for rule, name, message in rows:
            print(f"  {rule:22} {name:38} {message[:110]}")
    assert {name for _, name, _ in rows} == set(NEEDED)
