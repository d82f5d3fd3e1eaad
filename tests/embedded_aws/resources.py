"""The scenario's `resources`: other services' resources that name a key, made by their APIs.

A resource is a `type` of the recipes below, a `call` of any boto3 operation, or an `answer`: what a
listing of a service that moto lacks shall contain.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
from botocore.awsrequest import AWSPreparedRequest, AWSResponse, HeadersDict
from botocore.config import Config

from . import names
from .http_message import Request
from .scenario import Resource, Scenario

if TYPE_CHECKING:
    from .gateway import Gateway

Client = Any
Make = Callable[[str], Client]
Recipe = Callable[[Make, str, str], object]


class Trouble(ValueError):
    """A resource of the scenario could not be made."""


def seed(gateway: Gateway, scenario: Scenario) -> None:
    """Make all resources of a scenario; the calls for it leave no trace in logs and trails."""
    for account, content in scenario.accounts.items():
        for region, inside in content.regions.items():
            maker = _Maker(gateway, account, region)
            for resource in inside.resources:
                try:
                    maker.make(resource)
                except Exception as error:
                    what = resource.type or resource.call or resource.answer
                    raise Trouble(f"{account} {region}: resource {what}: {error}") from error


class _Maker:
    """Makes resources of one account in one Region."""

    def __init__(self, gateway: Gateway, account: str, region: str) -> None:
        self._gateway = gateway
        self._account = account
        self._region = region
        self._clients: dict[str, Client] = {}

    def make(self, resource: Resource) -> None:
        """Make one resource."""
        key = self._key(resource)
        if resource.type is not None:
            RECIPES[resource.type](self._client, resource.name or resource.type, key)
            return
        content = json.loads(json.dumps(dict(resource.content)).replace("{key}", key))
        if resource.call is not None:
            service, operation = resource.call.split(".")
            getattr(self._client(service), operation)(**content)
        elif resource.answer is not None:
            service, operation = resource.answer.split(".")
            where = (self._account, self._region, service, operation)
            known = self._gateway.world.answers.setdefault(where, {})
            for name, value in content.items():
                if isinstance(value, list):
                    known.setdefault(name, []).extend(value)
                else:
                    known[name] = value

    def _key(self, resource: Resource) -> str:
        """Return the key as the resource shall name it: ARN, id, alias or alias ARN."""
        if resource.key is None:
            return ""
        region = resource.key_region or self._region
        account = resource.key_account or self._account
        if resource.key.startswith("alias/"):
            arn = names.alias_arn(account, region, resource.key)
            return arn if resource.key_as in ("arn", "alias_arn") else resource.key
        world = self._gateway.world
        found = world.key_arns.get((account, region, resource.key))
        if found is None:
            raise Trouble(f"{account} {region} has no key {resource.key!r}")
        identifier = found.rsplit("/", 1)[1]
        if resource.key_as == "id":
            return identifier
        if resource.key_as == "arn":
            return found
        aliases = world.keys.region(account, region).aliases
        alias = next((one for one, target in aliases.items() if target.target == identifier), None)
        if alias is None:
            raise Trouble(f"key {resource.key!r} has no alias")
        return alias if resource.key_as == "alias" else names.alias_arn(account, region, alias)

    def _client(self, service: str) -> Client:
        if service not in self._clients:
            key, secret = names.access_key(self._account)
            make: Any = boto3.client
            client = make(
                service,
                region_name=self._region,
                endpoint_url="http://127.0.0.1",
                aws_access_key_id=key,
                aws_secret_access_key=secret,
                config=Config(retries={"total_max_attempts": 1}, parameter_validation=True),
            )
            client.meta.events.register("before-send", self._send)
            self._clients[service] = client
        return self._clients[service]

    def _send(self, request: AWSPreparedRequest, **_: object) -> AWSResponse:
        """Answer botocore's request in this process, without a connection."""
        parts = urlsplit(str(request.url))
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        headers = {name.lower(): _bytes(value).decode() for name, value in request.headers.items()}
        headers.setdefault("host", parts.netloc)
        body = _bytes(request.body)
        reply = self._gateway.answer(
            Request(str(request.method), target or "/", headers, body), logged=False
        )
        fields: Any = HeadersDict(reply.headers)
        return AWSResponse(str(request.url), reply.status, fields, _Raw(reply.body))


def _bytes(body: Any) -> bytes:
    """Return a body or header, which botocore keeps as text, bytes or a file."""
    if hasattr(body, "read"):
        body = body.read()
    return bytes(body.encode() if hasattr(body, "encode") else body or b"")


class _Raw(io.BytesIO):
    """A body as urllib3 hands it out."""

    def stream(self, *_: object, **__: object) -> list[bytes]:
        return [self.read()]


def _zip() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("index.py", "def handler(event, context): return None")
    return content.getvalue()


def _role(make: Make, service: str) -> str:
    """Return a role that a service may assume."""
    iam = make("iam")
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": f"{service}.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
    name = f"{service}-role"
    try:
        arn: str = iam.get_role(RoleName=name)["Role"]["Arn"]
    except iam.exceptions.NoSuchEntityException:
        made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
        arn = made["Role"]["Arn"]
    return arn


def _zone(make: Make) -> str:
    return f"{make('ec2').meta.region_name}a"


def _subnets(make: Make) -> list[str]:
    return [one["SubnetId"] for one in make("ec2").describe_subnets()["Subnets"]][:2]


def _bucket(make: Make, name: str) -> None:
    s3 = make("s3")
    region = s3.meta.region_name
    where = {} if region == "us-east-1" else {"LocationConstraint": region}
    s3.create_bucket(Bucket=name, **({"CreateBucketConfiguration": where} if where else {}))


def _volume(make: Make, key: str) -> str:
    made = make("ec2").create_volume(
        AvailabilityZone=_zone(make), Size=8, Encrypted=True, KmsKeyId=key
    )
    return str(made["VolumeId"])


def _snapshot(make: Make, name: str, key: str) -> str:
    """A snapshot of an encrypted volume that is deleted."""
    volume = _volume(make, key)
    made = make("ec2").create_snapshot(VolumeId=volume, Description=name)
    make("ec2").delete_volume(VolumeId=volume)
    return str(made["SnapshotId"])


def ebs_volume(make: Make, name: str, key: str) -> None:
    """An encrypted EBS volume."""
    _volume(make, key)


def ebs_snapshot(make: Make, name: str, key: str) -> None:
    """A snapshot that outlives its encrypted volume."""
    _snapshot(make, name, key)


def ami(make: Make, name: str, key: str) -> None:
    """A machine image of the account whose root device is encrypted."""
    device = {"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": _snapshot(make, name, key)}}
    make("ec2").register_image(
        Name=name,
        RootDeviceName="/dev/sda1",
        BlockDeviceMappings=[device],  # type: ignore[list-item]
    )


def launch_template(make: Make, name: str, key: str) -> None:
    """A launch template with an encrypted device."""
    device = {"DeviceName": "/dev/sda1", "Ebs": {"Encrypted": True, "KmsKeyId": key}}
    make("ec2").create_launch_template(
        LaunchTemplateName=name, LaunchTemplateData={"BlockDeviceMappings": [device]}
    )


def ebs_default_key(make: Make, name: str, key: str) -> None:
    """The Region's default key for new volumes."""
    make("ec2").modify_ebs_default_kms_key_id(KmsKeyId=key)


def rds_instance(make: Make, name: str, key: str) -> None:
    """An encrypted database instance."""
    make("rds").create_db_instance(
        DBInstanceIdentifier=name,
        Engine="postgres",
        DBInstanceClass="db.t3.micro",
        AllocatedStorage=20,
        MasterUsername="admin1",
        MasterUserPassword="not-a-secret",
        StorageEncrypted=True,
        KmsKeyId=key,
    )


def rds_snapshot(make: Make, name: str, key: str) -> None:
    """A snapshot that outlives its database instance."""
    rds_instance(make, f"{name}-source", key)
    rds = make("rds")
    rds.create_db_snapshot(DBSnapshotIdentifier=name, DBInstanceIdentifier=f"{name}-source")
    rds.delete_db_instance(DBInstanceIdentifier=f"{name}-source", SkipFinalSnapshot=True)


def _cluster(engine: str) -> Recipe:
    def recipe(make: Make, name: str, key: str) -> None:
        make("rds").create_db_cluster(
            DBClusterIdentifier=name,
            Engine=engine,
            MasterUsername="admin1",
            MasterUserPassword="not-a-secret",
            StorageEncrypted=True,
            KmsKeyId=key,
        )

    return recipe


def rds_cluster_snapshot(make: Make, name: str, key: str) -> None:
    """A snapshot that outlives its cluster."""
    _cluster("aurora-postgresql")(make, f"{name}-source", key)
    rds = make("rds")
    rds.create_db_cluster_snapshot(
        DBClusterSnapshotIdentifier=name, DBClusterIdentifier=f"{name}-source"
    )
    rds.delete_db_cluster(DBClusterIdentifier=f"{name}-source", SkipFinalSnapshot=True)


def secret(make: Make, name: str, key: str) -> None:
    """A secret of Secrets Manager."""
    make("secretsmanager").create_secret(Name=name, KmsKeyId=key, SecretString="not-a-secret")


def ssm_parameter(make: Make, name: str, key: str) -> None:
    """A SecureString parameter."""
    make("ssm").put_parameter(Name=name, Value="not-a-secret", Type="SecureString", KeyId=key)


def efs_file_system(make: Make, name: str, key: str) -> None:
    """An encrypted file system."""
    make("efs").create_file_system(CreationToken=name, Encrypted=True, KmsKeyId=key)


def log_group(make: Make, name: str, key: str) -> None:
    """An encrypted log group."""
    make("logs").create_log_group(logGroupName=name, kmsKeyId=key)


def lambda_function(make: Make, name: str, key: str) -> None:
    """A function whose environment is encrypted."""
    make("lambda").create_function(
        FunctionName=name,
        Runtime="python3.12",
        Role=_role(make, "lambda"),
        Handler="index.handler",
        Code={"ZipFile": _zip()},
        KMSKeyArn=key,
    )


def s3_bucket(make: Make, name: str, key: str) -> None:
    """A bucket with SSE-KMS by default."""
    _bucket(make, name)
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    make("s3").put_bucket_encryption(
        Bucket=name,
        ServerSideEncryptionConfiguration={
            "Rules": [{"ApplyServerSideEncryptionByDefault": default}]
        },
    )


def s3_replication(make: Make, name: str, key: str) -> None:
    """A bucket that replicates to another one, encrypting there: a key of another Region."""
    s3 = make("s3")
    for bucket in (name, f"{name}-copy"):
        _bucket(make, bucket)
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.put_bucket_replication(
        Bucket=name,
        ReplicationConfiguration={
            "Role": _role(make, "s3"),
            "Rules": [
                {
                    "ID": "copy",
                    "Priority": 1,
                    "Status": "Enabled",
                    "Filter": {"Prefix": ""},
                    "DeleteMarkerReplication": {"Status": "Disabled"},
                    "SourceSelectionCriteria": {"SseKmsEncryptedObjects": {"Status": "Enabled"}},
                    "Destination": {
                        "Bucket": f"arn:aws:s3:::{name}-copy",
                        "EncryptionConfiguration": {"ReplicaKmsKeyID": key},
                    },
                }
            ],
        },
    )


def dynamodb_table(make: Make, name: str, key: str) -> None:
    """An encrypted table."""
    make("dynamodb").create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        SSESpecification={"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key},
    )


def sqs_queue(make: Make, name: str, key: str) -> None:
    """An encrypted queue."""
    make("sqs").create_queue(QueueName=name, Attributes={"KmsMasterKeyId": key})


def sns_topic(make: Make, name: str, key: str) -> None:
    """An encrypted topic."""
    make("sns").create_topic(Name=name, Attributes={"KmsMasterKeyId": key})


def kinesis_stream(make: Make, name: str, key: str) -> None:
    """An encrypted stream."""
    kinesis = make("kinesis")
    kinesis.create_stream(StreamName=name, ShardCount=1)
    kinesis.start_stream_encryption(StreamName=name, EncryptionType="KMS", KeyId=key)


def firehose_stream(make: Make, name: str, key: str) -> None:
    """A delivery stream that encrypts with a customer managed key."""
    make("firehose").create_delivery_stream(
        DeliveryStreamName=name,
        DeliveryStreamEncryptionConfigurationInput={
            "KeyType": "CUSTOMER_MANAGED_CMK",
            "KeyARN": key,
        },
        ExtendedS3DestinationConfiguration={
            "RoleARN": _role(make, "firehose"),
            "BucketARN": f"arn:aws:s3:::{name}",
            "EncryptionConfiguration": {"KMSEncryptionConfig": {"AWSKMSKeyARN": key}},
        },
    )


def redshift_cluster(make: Make, name: str, key: str) -> None:
    """An encrypted warehouse."""
    make("redshift").create_cluster(
        ClusterIdentifier=name,
        NodeType="ra3.large",
        MasterUsername="admin1",
        MasterUserPassword="Not-a-secret-1",
        Encrypted=True,
        KmsKeyId=key,
    )


def redshift_snapshot(make: Make, name: str, key: str) -> None:
    """A snapshot that outlives its warehouse."""
    redshift_cluster(make, f"{name}-source", key)
    redshift = make("redshift")
    redshift.create_cluster_snapshot(SnapshotIdentifier=name, ClusterIdentifier=f"{name}-source")
    redshift.delete_cluster(ClusterIdentifier=f"{name}-source", SkipFinalClusterSnapshot=True)


def elasticache_group(make: Make, name: str, key: str) -> None:
    """An encrypted cache."""
    make("elasticache").create_replication_group(
        ReplicationGroupId=name,
        ReplicationGroupDescription=name,
        Engine="redis",
        CacheNodeType="cache.t3.micro",
        AtRestEncryptionEnabled=True,
        KmsKeyId=key,
    )


def elasticache_snapshot(make: Make, name: str, key: str) -> None:
    """A snapshot of a cache."""
    elasticache_group(make, f"{name}-source", key)
    make("elasticache").create_snapshot(
        SnapshotName=name, ReplicationGroupId=f"{name}-source", KmsKeyId=key
    )


def kafka_cluster(make: Make, name: str, key: str) -> None:
    """An encrypted Kafka cluster."""
    make("kafka").create_cluster_v2(
        ClusterName=name,
        Provisioned={
            "BrokerNodeGroupInfo": {
                "ClientSubnets": _subnets(make),
                "InstanceType": "kafka.m5.large",
            },
            "EncryptionInfo": {"EncryptionAtRest": {"DataVolumeKMSKeyId": key}},
            "KafkaVersion": "3.6.0",
            "NumberOfBrokerNodes": 2,
        },
    )


def ecr_repository(make: Make, name: str, key: str) -> None:
    """An encrypted repository."""
    make("ecr").create_repository(
        repositoryName=name,
        encryptionConfiguration={"encryptionType": "KMS", "kmsKey": key},
    )


def backup_vault(make: Make, name: str, key: str) -> None:
    """An encrypted backup vault."""
    make("backup").create_backup_vault(BackupVaultName=name, EncryptionKeyArn=key)


def dms_instance(make: Make, name: str, key: str) -> None:
    """A replication instance."""
    make("dms").create_replication_instance(
        ReplicationInstanceIdentifier=name,
        ReplicationInstanceClass="dms.t3.micro",
        KmsKeyId=key,
    )


def dms_endpoint(make: Make, name: str, key: str) -> None:
    """A replication endpoint."""
    make("dms").create_endpoint(
        EndpointIdentifier=name,
        EndpointType="source",
        EngineName="postgres",
        Username="user",
        Password="not-a-secret",
        ServerName="db.example.com",
        Port=5432,
        DatabaseName="db",
        KmsKeyId=key,
    )


def cloudtrail_trail(make: Make, name: str, key: str) -> None:
    """An encrypted trail."""
    bucket = f"{name}-logs"
    _bucket(make, bucket)
    make("cloudtrail").create_trail(Name=name, S3BucketName=bucket, KmsKeyId=key)


def glue_security_configuration(make: Make, name: str, key: str) -> None:
    """A security configuration of Glue jobs."""
    make("glue").create_security_configuration(
        Name=name,
        EncryptionConfiguration={
            "S3Encryption": [{"S3EncryptionMode": "SSE-KMS", "KmsKeyArn": key}]
        },
    )


def glue_data_catalog(make: Make, name: str, key: str) -> None:
    """The encrypted data catalog of the Region."""
    make("glue").put_data_catalog_encryption_settings(
        DataCatalogEncryptionSettings={
            "EncryptionAtRest": {"CatalogEncryptionMode": "SSE-KMS", "SseAwsKmsKeyId": key}
        }
    )


def sagemaker_notebook(make: Make, name: str, key: str) -> None:
    """An encrypted notebook."""
    make("sagemaker").create_notebook_instance(
        NotebookInstanceName=name,
        InstanceType="ml.t3.medium",
        RoleArn=_role(make, "sagemaker"),
        KmsKeyId=key,
    )


def sagemaker_endpoint_config(make: Make, name: str, key: str) -> None:
    """An endpoint configuration with encrypted volumes."""
    sagemaker = make("sagemaker")
    sagemaker.create_model(
        ModelName=f"{name}-model",
        ExecutionRoleArn=_role(make, "sagemaker"),
        PrimaryContainer={"Image": "image", "ModelDataUrl": "s3://bucket/model.tar.gz"},
    )
    sagemaker.create_endpoint_config(
        EndpointConfigName=name,
        ProductionVariants=[
            {
                "VariantName": "all",
                "ModelName": f"{name}-model",
                "InitialInstanceCount": 1,
                "InstanceType": "ml.t2.medium",
            }
        ],
        KmsKeyId=key,
    )


def sagemaker_domain(make: Make, name: str, key: str) -> None:
    """A Studio domain."""
    make("sagemaker").create_domain(
        DomainName=name,
        AuthMode="IAM",
        DefaultUserSettings={"ExecutionRole": _role(make, "sagemaker")},
        SubnetIds=_subnets(make),
        VpcId="vpc-12345678",
        KmsKeyId=key,
    )


def opensearch_domain(make: Make, name: str, key: str) -> None:
    """An encrypted domain."""
    make("opensearch").create_domain(
        DomainName=name, EncryptionAtRestOptions={"Enabled": True, "KmsKeyId": key}
    )


def eks_cluster(make: Make, name: str, key: str) -> None:
    """A Kubernetes cluster that encrypts its secrets."""
    make("eks").create_cluster(
        name=name,
        roleArn=_role(make, "eks"),
        resourcesVpcConfig={"subnetIds": _subnets(make)},
        encryptionConfig=[{"resources": ["secrets"], "provider": {"keyArn": key}}],
    )


def codebuild_project(make: Make, name: str, key: str) -> None:
    """A build project that encrypts its artifacts."""
    make("codebuild").create_project(
        name=name,
        source={"type": "S3", "location": "bucket/source.zip"},
        artifacts={"type": "NO_ARTIFACTS"},
        environment={
            "type": "LINUX_CONTAINER",
            "image": "image",
            "computeType": "BUILD_GENERAL1_SMALL",
        },
        serviceRole=_role(make, "codebuild"),
        encryptionKey=key,
    )


def stack(make: Make, name: str, key: str) -> None:
    """A CloudFormation stack that owns the scenario's key (named by id or ARN)."""
    template = {
        "Resources": {
            "Key": {
                "Type": "AWS::KMS::Key",
                "Properties": {"AdoptKeyId": key.rsplit("/", 1)[-1]},
            }
        }
    }
    make("cloudformation").create_stack(StackName=name, TemplateBody=json.dumps(template))


RECIPES: Mapping[str, Recipe] = {
    recipe.__name__: recipe
    for recipe in (
        *(ebs_volume, ebs_snapshot, ami, launch_template, ebs_default_key),
        *(rds_instance, rds_snapshot, rds_cluster_snapshot),
        *(secret, ssm_parameter, efs_file_system, log_group, lambda_function),
        *(s3_bucket, s3_replication, dynamodb_table, sqs_queue, sns_topic, kinesis_stream),
        *(firehose_stream, redshift_cluster, redshift_snapshot),
        *(elasticache_group, elasticache_snapshot, kafka_cluster, ecr_repository, backup_vault),
        *(dms_instance, dms_endpoint, cloudtrail_trail),
        *(glue_security_configuration, glue_data_catalog),
        *(sagemaker_notebook, sagemaker_endpoint_config, sagemaker_domain),
        *(opensearch_domain, eks_cluster, codebuild_project, stack),
    )
} | {
    "rds_cluster": _cluster("aurora-postgresql"),
    "neptune_cluster": _cluster("neptune"),
}
"""What `type` may be."""
