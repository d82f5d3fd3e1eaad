"""Services that moto lacks answer as an account that has nothing in them."""

from __future__ import annotations

from typing import Any

import pytest

from embedded_aws.testing import Lab, outcome

LISTINGS = [
    ("codeartifact", "list_domains", {}, "domains"),
    ("fsx", "describe_file_systems", {}, "FileSystems"),
    ("memorydb", "describe_clusters", {}, "Clusters"),
    ("redshift-serverless", "list_namespaces", {}, "namespaces"),
    ("redshift-serverless", "list_snapshots", {}, "snapshots"),
    ("workspaces", "describe_workspaces", {}, "Workspaces"),
    ("docdb", "describe_db_clusters", {}, "DBClusters"),
    ("neptune", "describe_db_clusters", {}, "DBClusters"),
    ("rds", "describe_db_instance_automated_backups", {}, "DBInstanceAutomatedBackups"),
    ("imagebuilder", "list_components", {}, "componentVersionList"),
    ("keyspaces", "list_keyspaces", {}, "keyspaces"),
    ("healthlake", "list_fhir_datastores", {}, "DatastorePropertiesList"),
    ("storagegateway", "list_gateways", {}, "Gateways"),
    ("dax", "describe_clusters", {}, "Clusters"),
]
"""Of each protocol that such services speak, and of each way to be missing."""


@pytest.mark.parametrize(("service", "operation", "arguments", "field"), LISTINGS)
def test_a_listing_is_empty(
    lab: Lab, service: str, operation: str, arguments: dict[str, Any], field: str
) -> None:
    answer = getattr(lab.client(service, "us-east-1"), operation)(**arguments)
    assert answer.get(field, []) == []
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    last = lab.aws.calls()[-1]
    assert (last["outcome"], " " in last["operation"]) == ("ok", False)


def test_one_named_thing_is_not_found(lab: Lab) -> None:
    call = lab.client("codeartifact").describe_domain
    assert outcome(call, domain="none") == "ResourceNotFoundException"


def test_creating_a_resource_is_not_implemented(lab: Lab) -> None:
    call = lab.client("codeartifact").create_domain
    assert outcome(call, domain="new") == "NotImplemented"


def test_operations_are_named_in_the_log_whatever_the_protocol(lab: Lab) -> None:
    lab.aws.clear_calls()
    lab.client("s3").list_buckets()
    lab.client("lambda").list_functions()
    lab.client("route53").list_hosted_zones()
    lab.client("ec2").describe_volumes()
    lab.client("dynamodb").list_tables()
    assert [(one["service"], one["operation"]) for one in lab.aws.calls()] == [
        ("s3", "ListBuckets"),
        ("lambda", "ListFunctions"),
        ("route53", "ListHostedZones"),
        ("ec2", "DescribeVolumes"),
        ("dynamodb", "ListTables"),
    ]


def test_a_fault_addresses_an_operation_that_only_its_path_names(lab: Lab) -> None:
    lab.aws.fault("deny", service="lambda", operation="ListFunctions")
    client = lab.client("lambda")
    assert outcome(client.list_layers) == "ok"
    assert outcome(client.list_functions) == "AccessDeniedException"


def test_settings_that_every_account_has_name_no_key(lab: Lab) -> None:
    answer = lab.client("auditmanager").get_settings(attribute="ALL")
    assert answer["settings"] == {"isAwsOrgEnabled": False}


def test_a_service_that_is_new_in_a_region_is_empty_there(lab: Lab) -> None:
    assert lab.client("dsql").list_clusters()["clusters"] == []
    assert lab.client("mailmanager").list_archives()["Archives"] == []


def test_time_series_are_never_looked_for_at_the_real_aws(lab: Lab) -> None:
    for service in ("timestream-write", "timestream-query"):
        [endpoint] = lab.client(service).describe_endpoints()["Endpoints"]
        assert endpoint["Address"] == lab.aws.endpoint
