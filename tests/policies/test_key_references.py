"""The reference list against botocore's service models: nothing in it is claimed that AWS lacks."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from botocore.exceptions import DataNotFoundError
from botocore.model import ServiceModel
from botocore.session import get_session
from jsonschema import Draft202012Validator

from documents.schemas import schemas
from keysweep.remediation.errors import BadInput
from keysweep.remediation.evidence.references import SOURCE
from keysweep.remediation.evidence.references.entries import (
    FILE,
    Call,
    Entry,
    ReferenceList,
    compiled,
    load,
    reference_list,
)
from keysweep.remediation.evidence.references.shapes import Compared, next_page, problems
from keysweep.remediation.policy import policies_folder

LIST = reference_list()
SESSION = get_session()


def model(service: str) -> ServiceModel:
    return SESSION.get_service_model(service)


def label(entry: Entry) -> str:
    return f"{entry.service}-{entry.operation}-{LIST.entries.index(entry)}"


# --- every entry ----------------------------------------------------------------------------------


@pytest.mark.parametrize("entry", LIST.entries, ids=label)
def test_the_service_model_knows_all_that_an_entry_claims(entry: Entry) -> None:
    assert problems(entry, lambda call: model(entry.service_of(call))) == []


@pytest.mark.parametrize("entry", LIST.entries, ids=label)
def test_every_operation_that_pages_is_read_to_its_end(entry: Entry) -> None:
    """An answer with a member that announces more needs a way to get it."""
    for call in entry.walk():
        service = model(entry.service_of(call))
        output = service.operation_model(call.operation).output_shape
        more = [name for name in output.members if _announces_more(name)]
        ways = (
            call.page is not None,
            _has_paginator(service.service_name, call.operation),
            next_page(call, service) is not None,
        )
        assert any(ways) or not more, f"{call.operation}: {more}"


def _announces_more(name: str) -> bool:
    lower = name.lower()
    cursor = lower.endswith("token") and "next" in lower
    return cursor or lower.endswith("marker") or lower.startswith(("hasmore", "istruncated"))


def _has_paginator(service: str, operation: str) -> bool:
    try:
        SESSION.get_paginator_model(service).get_paginator(operation)
    except (ValueError, DataNotFoundError):  # not of this operation, or of none
        return False
    return True


def test_no_call_is_listed_twice_with_the_same_request() -> None:
    def requests(service: str, call: Call, before: tuple[str, ...] = ()) -> Iterator[str]:
        service = call.service or service
        request = (service, call.operation, call.params, call.items, call.take, before)
        made = json.dumps(request, sort_keys=True)
        yield made
        for below in call.then:
            yield from requests(service, below, (*before, made))

    counted = Counter(one for entry in LIST.entries for one in requests(entry.service, entry))
    assert {one for one, times in counted.items() if times > 1} == set()


def test_only_reading_operations_are_listed() -> None:
    verbs = ("Describe", "List", "Get", "BatchGet")
    assert {c.operation for _, c in LIST.calls() if not c.operation.startswith(verbs)} == set()


def test_answers_that_show_all_regions_come_from_global_services() -> None:
    once = {entry.service for entry in LIST.entries if entry.reach == "account"}
    assert once == {"s3", "route53", "iam"}


def test_a_region_to_call_is_taken_from_the_item() -> None:
    with_region = {c.operation for _, c in LIST.calls() if c.in_region}
    assert with_region == {
        "GetBucketEncryption",
        "GetBucketReplication",
        "ListBucketInventoryConfigurations",
        "GetBucketPolicy",
    }


# --- what is covered ------------------------------------------------------------------------------

KNOWN = {
    "ec2": "DescribeVolumes DescribeSnapshots DescribeImages DescribeLaunchTemplateVersions "
    "GetEbsDefaultKmsKeyId",
    "rds": "DescribeDBInstances DescribeDBClusters DescribeDBSnapshots DescribeDBClusterSnapshots "
    "DescribeDBInstanceAutomatedBackups",
    "secretsmanager": "ListSecrets",
    "ssm": "DescribeParameters",
    "efs": "DescribeFileSystems",
    "fsx": "DescribeFileSystems",
    "logs": "DescribeLogGroups",
    "lambda": "ListFunctions",
    "redshift": "DescribeClusters DescribeClusterSnapshots",
    "elasticache": "DescribeReplicationGroups DescribeSnapshots",
    "kafka": "ListClustersV2",
    "ecr": "DescribeRepositories",
    "backup": "ListBackupVaults ListRecoveryPointsByBackupVault",
    "dms": "DescribeReplicationInstances DescribeEndpoints",
    "cloudtrail": "DescribeTrails",
    "glue": "GetSecurityConfigurations GetDataCatalogEncryptionSettings",
    "codeartifact": "ListDomains",
    "redshift-serverless": "ListNamespaces ListSnapshots",
    "memorydb": "DescribeClusters",
    "workspaces": "DescribeWorkspaces",
    "sagemaker": "DescribeNotebookInstance DescribeEndpointConfig DescribeDomain",
    "s3": "GetBucketEncryption GetBucketReplication",
    "route53": "GetDNSSEC",
    "dynamodb": "DescribeTable",
    "sqs": "GetQueueAttributes",
    "sns": "GetTopicAttributes",
    "kinesis": "DescribeStreamSummary",
    "firehose": "DescribeDeliveryStream",
    "opensearch": "DescribeDomains",
    "eks": "DescribeCluster",
    "codebuild": "BatchGetProjects",
}
"""The calls that are known to name keys, before any were found in botocore's models."""


@pytest.mark.parametrize("service", KNOWN)
def test_each_call_that_is_known_to_name_keys_is_listed(service: str) -> None:
    listed = {c.operation for e, c in LIST.calls() if e.service == service and c.names_keys}
    assert set(KNOWN[service].split()) <= listed


@pytest.mark.parametrize(
    "reach",
    [
        ("s3", "account"),
        ("route53", "account"),
        ("cloudtrail", "every-region"),
        ("dlm", "every-region"),
        ("codepipeline", "every-region"),
    ],
)
def test_keys_of_other_regions_are_looked_for(reach: tuple[str, str]) -> None:
    assert reach in {(entry.service, entry.reach) for entry in LIST.entries}


SPARED = {
    ("ec2", "DescribeVolumes"),
    ("ssm", "DescribeParameters"),
    ("rds", "DescribeDBInstances"),
    ("logs", "DescribeLogGroups"),
    ("efs", "DescribeFileSystems"),
}


def test_what_a_listing_shows_is_not_read_item_by_item() -> None:
    leading = {(e.service, e.operation) for e in LIST.entries if e.then}
    # A listing shows the key of a parameter's newest version alone; its older ones have their own.
    assert leading & SPARED == {("ssm", "DescribeParameters")}


def test_only_the_systems_own_keyspaces_are_left_out() -> None:
    """By name: a customer's may begin with the same word."""
    (entry,) = [one for one in LIST.entries if one.service == "keyspaces"]
    names = [
        "system",
        "system_schema",
        "system_schema_mcs",
        "system_multiregion_info",
        "systems_of_ours",
        "shop",
    ]
    answer = {"keyspaces": [{"keyspaceName": name} for name in names]}
    shown = [item["keyspaceName"] for item in compiled(entry.items).search(answer)]
    assert shown == ["systems_of_ours", "shop"]


@pytest.mark.parametrize(
    ("accounts", "is_read"),
    [
        ([{"state": {"status": "DISABLED"}}], False),
        ([{"state": {"status": "ENABLED"}}], True),
        ([{"state": {"status": "SUSPENDED"}}], True),
        ([{}], True),
        ([], True),
    ],
)
def test_inspector_is_read_unless_its_status_is_disabled(
    accounts: list[dict[str, Any]], is_read: bool
) -> None:
    (entry,) = [one for one in LIST.entries if one.service == "inspector2"]
    answer = {"accounts": accounts, "failedAccounts": []}
    assert bool(compiled(entry.items).search(answer)) == is_read


# --- permissions ----------------------------------------------------------------------------------

OTHER_NAMES = {
    "s3:ListAllMyBuckets",
    "s3:GetEncryptionConfiguration",
    "s3:GetReplicationConfiguration",
    "s3:GetInventoryConfiguration",
    "s3express:ListAllMyDirectoryBuckets",
    "s3express:GetEncryptionConfiguration",
    "s3express:GetBucketPolicy",
    "cassandra:Select",
    "dms:ListInstanceProfiles",
}
"""Actions that are not named as their operation ("Actions, resources, and condition keys for AWS
services", Service Authorization Reference)."""


SIGNED_AS = {"cloudwatch": "monitoring", "s3express": "s3"}
"""Names that requests are signed with, by the IAM prefix that differs."""


@pytest.mark.parametrize("entry", LIST.entries, ids=label)
def test_the_iam_prefix_is_the_name_that_requests_are_signed_with(entry: Entry) -> None:
    """True of every other service listed ("Actions, resources, and condition keys for AWS
    services", Service Authorization Reference)."""
    for call in entry.walk():
        prefix = entry.permission_of(call).split(":")[0]
        assert SIGNED_AS.get(prefix, prefix) == model(entry.service_of(call)).signing_name


def test_actions_are_named_as_operations_or_were_looked_up() -> None:
    named = {entry.permission_of(call) for entry, call in LIST.calls()}
    prefixes = {entry.service: entry.iam or entry.service for entry in LIST.entries}
    derived = {f"{prefixes[e.service_of(c)]}:{c.operation}" for e, c in LIST.calls()}
    assert named - derived == OTHER_NAMES


def test_the_source_declares_every_permission_of_the_list() -> None:
    needed = {entry.permission_of(call) for entry, call in LIST.calls()}
    besides = {"ec2:DescribeRegions", "timestream:DescribeEndpoints", "ssm:GetParametersByPath"}
    assert needed | besides == set(SOURCE.permissions)


# --- a wrong entry is caught ----------------------------------------------------------------------

TABLES: dict[str, Any] = {
    "service": "dynamodb",
    "operation": "ListTables",
    "items": "TableNames[]",
    "then": [
        {
            "operation": "DescribeTable",
            "take": {"TableName": "@"},
            "resource": "Table.TableArn",
            "keys": ["Table.SSEDescription.KMSMasterKeyArn"],
        }
    ],
}


def changed(change: Callable[[dict[str, Any]], object]) -> list[str]:
    content = json.loads(json.dumps(TABLES))
    change(content)
    return problems(Entry.model_validate(content), lambda call: model(call.service or "dynamodb"))


def test_an_entry_is_compared_once_a_run() -> None:
    asked: list[str] = []

    def models(call: Call) -> ServiceModel:
        asked.append(call.operation)
        return model("dynamodb")

    compared = Compared()
    right, wrong = (Entry.model_validate({**TABLES, "items": i}) for i in ("TableNames", "Tables"))
    for _ in range(2):
        assert compared.problems(right, models) == problems(right, models)
        assert compared.problems(wrong, models) == problems(wrong, models) != []
    once = len(asked)
    compared.problems(right, models)
    compared.problems(wrong, models)
    assert len(asked) == once


def test_the_right_entry_has_no_problem() -> None:
    assert changed(lambda entry: None) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda e: e.update(operation="ListTable"), "no such operation"),
        (lambda e: e.update(items="Tables[]"), "no member Tables"),
        (lambda e: e.update(params={"Owner": "self"}), "no parameter Owner"),
        (lambda e: e.update(page={"send": "Next", "take": "TableNames[-1]"}), "no parameter Next"),
        (lambda e: e.update(page={"send": "Limit", "take": "Nope"}), "no member Nope"),
        (lambda e: e["then"][0].update(take={}), "TableName is required"),
        (lambda e: e["then"][0].update(take={"TableName": "Name"}), "no member Name"),
        (lambda e: e["then"][0].update(same=["Limit"]), "Limit was not sent"),
        (lambda e: e["then"][0].update(in_region="Region"), "no member Region"),
        (lambda e: e["then"][0].update(resource="Table.Arn"), "no member Arn"),
        (lambda e: e["then"][0].update(keys=["Table.KMSMasterKeyArn"]), "no member KMSMaster"),
        (lambda e: e["then"][0].update(keys=["Table.SSEDescription"]), "end in a string"),
        (lambda e: e["then"][0].update(keys=["Table.TableSizeBytes"]), "end in a string"),
        (lambda e: e["then"][0].update(keys=["Table.*.KMSMasterKeyArn"]), "value_projection"),
        (lambda e: e["then"][0].update(keys=["Table.Replicas[?Nope].KMSMasterKeyId"]), "Nope"),
        (lambda e: e["then"][0].update(keys=["values(Table)[]"]), "needs a map"),
    ],
)
def test_an_entry_that_claims_too_much_is_reported(
    change: Callable[[dict[str, Any]], object], problem: str
) -> None:
    assert problem in "\n".join(changed(change))


# --- the file -------------------------------------------------------------------------------------


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / FILE
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("version: 2\nsigns: []\nentries: []\n", "version"),
        ("version: 1\nsigns: [\n", "YAML"),
        (
            "version: 1\nsigns: []\nentries:\n"
            "  - {service: a, operation: B, keys: [K], color: red}\n",
            "entries.0.color",
        ),
        (
            "version: 1\nsigns: []\nentries:\n  - {service: a, operation: B, keys: ['K[']}\n",
            "is not JMESPath",
        ),
        ("version: 1\nsigns: []\nentries:\n  - {service: a, operation: B}\n", "names no key"),
        (
            "version: 1\nsigns: []\nentries:\n"
            "  - {service: a, operation: B, keys: [K], batch: 5}\n",
            "exactly one parameter",
        ),
        (
            "version: 1\nsigns: []\nentries:\n"
            "  - {service: a, operation: B, keys: [K], batch: 5, take: {C: C}, each: {D: [e]}}\n",
            "has no each",
        ),
        (
            "version: 1\nsigns: []\nentries:\n"
            "  - {service: a, operation: B, keys: [K], not_found: F}\n",
            "belongs to a batch",
        ),
    ],
)
def test_a_list_that_cannot_be_used_is_refused_with_file_and_position(
    tmp_path: Path, text: str, message: str
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(BadInput) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize("name", ["service", '"\\x73ervice"'])
def test_an_entry_with_a_name_twice_is_refused(name: str, tmp_path: Path) -> None:
    text = (policies_folder() / "key_references.yaml").read_text(encoding="utf-8")
    path = tmp_path / "key_references.yaml"
    path.write_text(text.replace("  - service:", f"  - {name}: a\n    service:", 1), "utf-8")
    with pytest.raises(BadInput, match="'service'"):
        load(path)


def test_a_missing_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=FILE):
        load(tmp_path / FILE)


def test_the_shipped_list_is_valid_under_its_schema() -> None:
    content = yaml.safe_load((policies_folder() / FILE).read_text(encoding="utf-8"))
    validator = Draft202012Validator(schemas()["key_references"])
    assert [error.message for error in validator.iter_errors(content)] == []
    content["entries"][0]["color"] = "red"
    assert not validator.is_valid(content)


def test_a_new_service_is_five_lines(tmp_path: Path) -> None:
    entry = (
        "  - service: efs\n"
        "    operation: DescribeFileSystems\n"
        "    items: FileSystems[]\n"
        "    resource: FileSystemArn\n"
        "    keys: [KmsKeyId]\n"
    )
    made = load(written(tmp_path, f"version: 1\nsigns: []\nentries:\n{entry}"))
    assert isinstance(made, ReferenceList)
    assert [problems(one, lambda _: model("efs")) for one in made.entries] == [[]]
    assert made.permissions() == ("efs:DescribeFileSystems",)
