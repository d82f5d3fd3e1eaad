"""Resources of other services that name a key, as the scenario makes them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from embedded_aws.resources import RECIPES
from embedded_aws.testing import ACCOUNT, Lab, outcome

Listing = Callable[[Lab], Any]


def one(service: str, operation: str, **arguments: Any) -> Listing:
    """A listing that shows the key by itself."""

    def ask(lab: Lab) -> Any:
        return getattr(lab.client(service), operation)(**arguments)

    return ask


def code_build(lab: Lab) -> Any:
    names = lab.client("codebuild").list_projects()["projects"]
    return lab.client("codebuild").batch_get_projects(names=names)


def snapshots_of_images(lab: Lab) -> Any:
    """AWS shows no key of an image."""
    [image] = lab.client("ec2").describe_images(Owners=["self"])["Images"]
    [disk] = [device["Ebs"] for device in image["BlockDeviceMappings"]]
    assert (disk["Encrypted"], "KmsKeyId" in disk) == (True, False)
    return lab.client("ec2").describe_snapshots(SnapshotIds=[disk["SnapshotId"]])


def queue_attributes(lab: Lab) -> Any:
    [url] = lab.client("sqs").list_queues()["QueueUrls"]
    return lab.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])


def topic_attributes(lab: Lab) -> Any:
    [topic] = lab.client("sns").list_topics()["Topics"]
    return lab.client("sns").get_topic_attributes(TopicArn=topic["TopicArn"])


WHERE: dict[str, Listing] = {
    "ami": snapshots_of_images,
    "backup_vault": one("backup", "list_backup_vaults"),
    "cloudtrail_trail": one("cloudtrail", "describe_trails"),
    "codebuild_project": code_build,
    "dms_endpoint": one("dms", "describe_endpoints"),
    "dms_instance": one("dms", "describe_replication_instances"),
    "dynamodb_table": one("dynamodb", "describe_table", TableName="thing"),
    "ebs_default_key": one("ec2", "get_ebs_default_kms_key_id"),
    "ebs_snapshot": one("ec2", "describe_snapshots", OwnerIds=["self"]),
    "ebs_volume": one("ec2", "describe_volumes"),
    "ecr_repository": one("ecr", "describe_repositories"),
    "efs_file_system": one("efs", "describe_file_systems"),
    "eks_cluster": one("eks", "describe_cluster", name="thing"),
    "elasticache_group": one("elasticache", "describe_replication_groups"),
    "elasticache_snapshot": one("elasticache", "describe_snapshots"),
    "firehose_stream": one("firehose", "describe_delivery_stream", DeliveryStreamName="thing"),
    "glue_data_catalog": one("glue", "get_data_catalog_encryption_settings"),
    "glue_security_configuration": one("glue", "get_security_configurations"),
    "kafka_cluster": one("kafka", "list_clusters_v2"),
    "kinesis_stream": one("kinesis", "describe_stream_summary", StreamName="thing"),
    "lambda_function": one("lambda", "list_functions"),
    "launch_template": one("ec2", "describe_launch_template_versions", Versions=["$Latest"]),
    "log_group": one("logs", "describe_log_groups"),
    "neptune_cluster": one("rds", "describe_db_clusters"),
    "opensearch_domain": one("opensearch", "describe_domains", DomainNames=["thing"]),
    "rds_cluster": one("rds", "describe_db_clusters"),
    "rds_cluster_snapshot": one("rds", "describe_db_cluster_snapshots"),
    "rds_instance": one("rds", "describe_db_instances"),
    "rds_snapshot": one("rds", "describe_db_snapshots"),
    "redshift_cluster": one("redshift", "describe_clusters"),
    "redshift_snapshot": one("redshift", "describe_cluster_snapshots"),
    "s3_bucket": one("s3", "get_bucket_encryption", Bucket="thing"),
    "s3_replication": one("s3", "get_bucket_replication", Bucket="thing"),
    "sagemaker_domain": one("sagemaker", "describe_domain", DomainId="d-thing"),
    "sagemaker_endpoint_config": one(
        "sagemaker", "describe_endpoint_config", EndpointConfigName="thing"
    ),
    "sagemaker_notebook": one(
        "sagemaker", "describe_notebook_instance", NotebookInstanceName="thing"
    ),
    "secret": one("secretsmanager", "list_secrets"),
    "sns_topic": topic_attributes,
    "sqs_queue": queue_attributes,
    "ssm_parameter": one("ssm", "describe_parameters"),
}


def scenario(lab: Lab, *resources: dict[str, Any]) -> None:
    keys = [{"name": "key", "aliases": ["alias/key"]}]
    region = {"keys": keys, "resources": list(resources)}
    other = {"keys": [{"name": "far"}]}
    regions = {"eu-west-1": region, "us-east-1": other}
    lab.aws.reset({"accounts": {ACCOUNT: {"regions": regions}}})


def test_every_recipe_is_tested() -> None:
    assert set(WHERE) | {"stack"} == set(RECIPES)


@pytest.mark.parametrize("recipe", WHERE)
def test_a_recipe_shows_its_key_where_aws_does(lab: Lab, recipe: str) -> None:
    scenario(lab, {"type": recipe, "name": "thing", "key": "key"})
    assert lab.arn("key") in json.dumps(WHERE[recipe](lab), default=str)
    assert lab.aws.calls()[0]["operation"] != "CreateKey"


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("arn", "{arn}"),
        ("id", "{id}"),
        ("alias", "alias/key"),
        ("alias_arn", f"arn:aws:kms:eu-west-1:{ACCOUNT}:alias/key"),
    ],
)
def test_a_resource_names_its_key_in_four_forms(lab: Lab, form: str, expected: str) -> None:
    scenario(lab, {"type": "secret", "key": "key", "key_as": form})
    arn = lab.arn("key")
    [shown] = lab.client("secretsmanager").list_secrets()["SecretList"]
    assert shown["KmsKeyId"] == expected.format(arn=arn, id=arn.split("/")[1])


def test_a_resource_names_a_key_of_another_region(lab: Lab) -> None:
    far = {"type": "s3_replication", "key": "far", "key_region": "us-east-1", "name": "thing"}
    scenario(lab, far)
    shown = json.dumps(WHERE["s3_replication"](lab), default=str)
    assert lab.arn("far", "us-east-1") in shown


def test_a_snapshot_keeps_the_key_of_its_volume(lab: Lab) -> None:
    scenario(lab)
    ec2 = lab.client("ec2")
    volume = ec2.create_volume(
        AvailabilityZone="eu-west-1a", Size=1, Encrypted=True, KmsKeyId=lab.arn("key")
    )
    plain = ec2.create_volume(AvailabilityZone="eu-west-1a", Size=1)
    for one_volume in (volume, plain):
        ec2.create_snapshot(VolumeId=one_volume["VolumeId"])
    shown = ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]
    assert {one_snapshot.get("KmsKeyId") for one_snapshot in shown} == {lab.arn("key"), None}


def test_snapshots_of_self_are_only_those_of_the_account(lab: Lab) -> None:
    scenario(lab, {"type": "ebs_snapshot", "key": "key"})
    shown = lab.client("ec2").describe_snapshots(OwnerIds=["self"])["Snapshots"]
    assert {one_snapshot["OwnerId"] for one_snapshot in shown} == {ACCOUNT}


def test_a_stack_owns_the_scenarios_key(lab: Lab) -> None:
    scenario(lab, {"type": "stack", "key": "key", "name": "network"})
    formation = lab.client("cloudformation")
    identifier = lab.arn("key").split("/")[1]
    shown = formation.describe_stack_resources(PhysicalResourceId=identifier)["StackResources"]
    assert [
        (one_resource["StackName"], one_resource["ResourceType"]) for one_resource in shown
    ] == [("network", "AWS::KMS::Key")]
    code = outcome(formation.describe_stack_resources, PhysicalResourceId="none")
    assert code == "ValidationError"


def test_a_stack_makes_and_removes_keys_of_its_own(lab: Lab) -> None:
    scenario(lab)
    formation = lab.client("cloudformation")
    template = {
        "Resources": {
            "Key": {
                "Type": "AWS::KMS::Key",
                "Properties": {
                    "Description": "made by a stack",
                    "Enabled": False,
                    "Tags": [{"Key": "Owner", "Value": "team"}],
                },
            },
            "Alias": {
                "Type": "AWS::KMS::Alias",
                "Properties": {"AliasName": "alias/stacked", "TargetKeyId": {"Ref": "Key"}},
            },
        }
    }
    formation.create_stack(StackName="stack", TemplateBody=json.dumps(template))
    shown = lab.client("kms").describe_key(KeyId="alias/stacked")["KeyMetadata"]
    assert (shown["Description"], shown["KeyState"]) == ("made by a stack", "Disabled")
    truth = lab.aws.key(shown["Arn"]) or {}
    assert truth["tags"] == {"Owner": "team"}
    formation.delete_stack(StackName="stack")
    assert (lab.aws.key(shown["Arn"]) or {})["state"] == "PendingDeletion"


def test_a_volume_without_a_key_gets_the_aws_managed_one(lab: Lab) -> None:
    scenario(lab)
    ec2 = lab.client("ec2")
    volume = ec2.create_volume(AvailabilityZone="eu-west-1a", Size=1, Encrypted=True)
    shown = lab.client("kms").describe_key(KeyId=volume["KmsKeyId"])["KeyMetadata"]
    assert shown["KeyManager"] == "AWS"


def test_any_call_makes_a_resource(lab: Lab) -> None:
    call = {"call": "secretsmanager.create_secret", "with": {"Name": "a", "KmsKeyId": "{key}"}}
    scenario(lab, {**call, "key": "key"})
    [shown] = lab.client("secretsmanager").list_secrets()["SecretList"]
    assert shown["KmsKeyId"] == lab.arn("key")


def test_an_answer_fills_a_listing_that_moto_lacks(lab: Lab) -> None:
    scenario(
        lab,
        *(
            {
                "answer": "fsx.DescribeFileSystems",
                "with": {"FileSystems": [{"FileSystemId": name, "KmsKeyId": "{key}"}]},
                "key": "key",
            }
            for name in ("fs-1", "fs-2")
        ),
    )
    shown = lab.client("fsx").describe_file_systems()["FileSystems"]
    assert [(one_system["FileSystemId"], one_system["KmsKeyId"]) for one_system in shown] == [
        ("fs-1", lab.arn("key")),
        ("fs-2", lab.arn("key")),
    ]
    assert lab.client("fsx", "us-east-1").describe_file_systems()["FileSystems"] == []


@pytest.mark.parametrize(
    ("resource", "complaint"),
    [
        ({"type": "ebs_volume"}, "needs a key"),
        ({"type": "teapot", "key": "key"}, "teapot"),
        ({"key": "key"}, "`type`, `call` and `answer`"),
        ({"type": "secret", "key": "none"}, "no key 'none'"),
        ({"call": "ec2", "key": "key"}, "service.operation"),
    ],
)
def test_a_mistake_in_a_resource_is_named(
    lab: Lab, resource: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        scenario(lab, resource)
    lab.scenario()


def test_keys_are_found_by_their_tags_alone(lab: Lab) -> None:
    red = {"name": "red", "tags": {"team": "red"}}
    lab.scenario(red, {"name": "blue", "tags": {"team": "blue"}}, {"name": "bare"})
    tagging = lab.client("resourcegroupstaggingapi")
    found = tagging.get_resources(TagFilters=[{"Key": "team", "Values": ["red"]}])
    assert {one["ResourceARN"] for one in found["ResourceTagMappingList"]} == {lab.arn("red")}
