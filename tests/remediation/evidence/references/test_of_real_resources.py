"""Every service that moto can create: a real resource that names a key is found by the scan.

One scenario with a key for each way to name one, one scan, one row for each resource.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from embedded_aws.process import EmbeddedAws
from keysweep.remediation.aws import Accounts, ClientSettings
from keysweep.remediation.evidence.references import SOURCE, reading
from keysweep.remediation.evidence.references.entries import Call, reference_list
from keysweep.remediation.models import Evidence, KeyArn, References
from recorded_answers import differences, error_form, table

ACCOUNT, REGION, ELSEWHERE = "111122223333", "eu-west-1", "eu-central-1"

Clients = Callable[..., Any]


@dataclass(frozen=True)
class Named:
    """A key, in the four ways that a field may name it."""

    arn: str
    alias: str

    @property
    def id(self) -> str:
        return self.arn.rpartition("/")[2]

    @property
    def alias_arn(self) -> str:
        return self.arn.rpartition(":")[0] + ":" + self.alias


@dataclass(frozen=True)
class Case:
    """How to create a resource, and the field by which it is to be found."""

    service: str
    field: str
    create: Callable[[Clients, Named], None]
    key_region: str = REGION

    def __str__(self) -> str:
        return self.create.__name__


CASES: list[Case] = []


def case(
    service: str, field: str, key_region: str = REGION
) -> Callable[[Callable[[Clients, Named], None]], Callable[[Clients, Named], None]]:
    def register(create: Callable[[Clients, Named], None]) -> Callable[[Clients, Named], None]:
        CASES.append(Case(service, field, create, key_region))
        return create

    return register


SUBNET = "subnet-0123456789abcdef0"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/service"


# --- EC2 ------------------------------------------------------------------------------------------


@case("ec2", "KmsKeyId")
def ec2_volume(clients: Clients, key: Named) -> None:
    clients("ec2").create_volume(
        AvailabilityZone="eu-west-1a", Size=1, Encrypted=True, KmsKeyId=key.arn
    )


@case("ec2", "KmsKeyId")
def ec2_default_key(clients: Clients, key: Named) -> None:
    clients("ec2").modify_ebs_default_kms_key_id(KmsKeyId=key.arn)


@case("ec2", "KmsKeyId")
def ec2_copied_snapshot(clients: Clients, key: Named) -> None:
    ec2 = clients("ec2")
    volume = ec2.create_volume(AvailabilityZone="eu-west-1a", Size=1)["VolumeId"]
    snapshot = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    ec2.copy_snapshot(
        SourceSnapshotId=snapshot, SourceRegion=REGION, Encrypted=True, KmsKeyId=key.arn
    )


@case("ec2", "LaunchTemplateData.BlockDeviceMappings[].Ebs.KmsKeyId")
def ec2_old_launch_template_version(clients: Clients, key: Named) -> None:
    ec2 = clients("ec2")
    disk = {"DeviceName": "/dev/sda1", "Ebs": {"Encrypted": True, "KmsKeyId": key.alias}}
    ec2.create_launch_template(
        LaunchTemplateName="web", LaunchTemplateData={"BlockDeviceMappings": [disk]}
    )
    ec2.create_launch_template_version(
        LaunchTemplateName="web", LaunchTemplateData={"ImageId": "ami-12345678"}
    )


def snapshot_alone(clients: Clients, key: Named) -> str:
    ec2 = clients("ec2")
    volume = ec2.create_volume(
        AvailabilityZone="eu-west-1a", Size=1, Encrypted=True, KmsKeyId=key.arn
    )["VolumeId"]
    snapshot: str = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    ec2.delete_volume(VolumeId=volume)
    return snapshot


@case("ec2", "KmsKeyId")
def ec2_image(clients: Clients, key: Named) -> None:
    disk = {"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": snapshot_alone(clients, key)}}
    clients("ec2").register_image(
        Name="golden", RootDeviceName="/dev/sda1", BlockDeviceMappings=[disk]
    )


@case("ec2", "KmsKeyId")
def ec2_copied_image(clients: Clients, key: Named) -> None:
    ec2 = clients("ec2")
    source = ec2.register_image(Name="plain", RootDeviceName="/dev/sda1")["ImageId"]
    ec2.copy_image(
        Name="sealed", SourceImageId=source, SourceRegion=REGION, Encrypted=True, KmsKeyId=key.arn
    )


@case("ec2", "KmsKeyId")
def ec2_image_of_an_instance(clients: Clients, key: Named) -> None:
    ec2 = clients("ec2")
    ebs = {"VolumeSize": 8, "DeleteOnTermination": True, "Encrypted": True, "KmsKeyId": key.arn}
    disk = {"DeviceName": "/dev/sda1", "Ebs": ebs}
    source = ec2.register_image(Name="base", RootDeviceName="/dev/sda1")["ImageId"]
    instance = ec2.run_instances(
        ImageId=source, MinCount=1, MaxCount=1, BlockDeviceMappings=[disk]
    )["Instances"][0]["InstanceId"]
    ec2.create_image(InstanceId=instance, Name="taken")
    ec2.terminate_instances(InstanceIds=[instance])
    volumes = ec2.describe_volumes(Filters=[{"Name": "encrypted", "Values": ["true"]}])["Volumes"]
    assert key.arn not in {volume.get("KmsKeyId") for volume in volumes}


@case("ec2", "KmsKeyId")
def ec2_snapshot_of_a_deleted_volume(clients: Clients, key: Named) -> None:
    snapshot_alone(clients, key)


# --- databases ------------------------------------------------------------------------------------


@case("rds", "KmsKeyId")
def rds_instance(clients: Clients, key: Named) -> None:
    clients("rds").create_db_instance(
        DBInstanceIdentifier="shop",
        DBInstanceClass="db.t3.micro",
        Engine="postgres",
        StorageEncrypted=True,
        KmsKeyId=key.arn,
    )


@case("rds", "KmsKeyId")
def rds_cluster(clients: Clients, key: Named) -> None:
    clients("rds").create_db_cluster(
        DBClusterIdentifier="aurora",
        Engine="aurora-postgresql",
        MasterUsername="root",
        MasterUserPassword="long-enough-1",
        StorageEncrypted=True,
        KmsKeyId=key.id,
    )


@case("rds", "KmsKeyId")
def rds_snapshot(clients: Clients, key: Named) -> None:
    rds = clients("rds")
    rds.create_db_instance(
        DBInstanceIdentifier="gone",
        DBInstanceClass="db.t3.micro",
        Engine="postgres",
        StorageEncrypted=True,
        KmsKeyId=key.arn,
    )
    rds.create_db_snapshot(DBInstanceIdentifier="gone", DBSnapshotIdentifier="last")
    rds.delete_db_instance(DBInstanceIdentifier="gone", SkipFinalSnapshot=True)


@case("rds", "KmsKeyId")
def rds_cluster_snapshot(clients: Clients, key: Named) -> None:
    rds = clients("rds")
    rds.create_db_cluster(
        DBClusterIdentifier="old",
        Engine="aurora-postgresql",
        MasterUsername="root",
        MasterUserPassword="long-enough-1",
        StorageEncrypted=True,
        KmsKeyId=key.arn,
    )
    rds.create_db_cluster_snapshot(
        DBClusterIdentifier="old", DBClusterSnapshotIdentifier="old-last"
    )
    rds.delete_db_cluster(DBClusterIdentifier="old", SkipFinalSnapshot=True)


@case("rds", "KmsKeyId")
def neptune_cluster(clients: Clients, key: Named) -> None:
    clients("neptune").create_db_cluster(
        DBClusterIdentifier="graph", Engine="neptune", StorageEncrypted=True, KmsKeyId=key.arn
    )


@case("dynamodb", "Table.SSEDescription.KMSMasterKeyArn")
def dynamodb_table(clients: Clients, key: Named) -> None:
    clients("dynamodb").create_table(
        TableName="orders",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        SSESpecification={"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key.arn},
    )


@case("elasticache", "KmsKeyId")
def elasticache_replication_group(clients: Clients, key: Named) -> None:
    clients("elasticache").create_replication_group(
        ReplicationGroupId="sessions",
        ReplicationGroupDescription="sessions",
        AtRestEncryptionEnabled=True,
        KmsKeyId=key.arn,
        Engine="redis",
        NumCacheClusters=1,
    )


@case("memorydb", "KmsKeyId")
def memorydb_cluster(clients: Clients, key: Named) -> None:
    clients("memorydb").create_cluster(
        ClusterName="memory", NodeType="db.t4g.small", ACLName="open-access", KmsKeyId=key.arn
    )


@case("memorydb", "KmsKeyId")
def memorydb_snapshot(clients: Clients, key: Named) -> None:
    memorydb = clients("memorydb")
    memorydb.create_cluster(
        ClusterName="brief", NodeType="db.t4g.small", ACLName="open-access", KmsKeyId=key.arn
    )
    memorydb.create_snapshot(ClusterName="brief", SnapshotName="brief", KmsKeyId=key.arn)
    memorydb.delete_cluster(ClusterName="brief")


@case("redshift", "KmsKeyId")
def redshift_cluster(clients: Clients, key: Named) -> None:
    clients("redshift").create_cluster(
        ClusterIdentifier="lake",
        NodeType="ra3.large",
        MasterUsername="root",
        MasterUserPassword="Long-enough-1",
        Encrypted=True,
        KmsKeyId=key.arn,
    )


@case("redshift", "KmsKeyId")
def redshift_snapshot(clients: Clients, key: Named) -> None:
    redshift = clients("redshift")
    redshift.create_cluster(
        ClusterIdentifier="past",
        NodeType="ra3.large",
        MasterUsername="root",
        MasterUserPassword="Long-enough-1",
        Encrypted=True,
        KmsKeyId=key.arn,
    )
    redshift.create_cluster_snapshot(ClusterIdentifier="past", SnapshotIdentifier="past")
    redshift.delete_cluster(ClusterIdentifier="past", SkipFinalClusterSnapshot=True)


@case("redshift", "KmsKeyId")
def redshift_snapshot_copy_grant(clients: Clients, key: Named) -> None:
    clients("redshift").create_snapshot_copy_grant(SnapshotCopyGrantName="copies", KmsKeyId=key.id)


@case("timestream-write", "KmsKeyId")
def timestream_database(clients: Clients, key: Named) -> None:
    clients("timestream-write").create_database(DatabaseName="metrics", KmsKeyId=key.arn)


@case(
    "timestream-write",
    "MagneticStoreWriteProperties.MagneticStoreRejectedDataLocation.S3Configuration.KmsKeyId",
)
def timestream_table(clients: Clients, key: Named) -> None:
    timestream = clients("timestream-write")
    timestream.create_database(DatabaseName="sensors")
    rejected = {"BucketName": "rejected", "EncryptionOption": "SSE_KMS", "KmsKeyId": key.arn}
    timestream.create_table(
        DatabaseName="sensors",
        TableName="readings",
        MagneticStoreWriteProperties={
            "EnableMagneticStoreWrites": True,
            "MagneticStoreRejectedDataLocation": {"S3Configuration": rejected},
        },
    )


# --- storage and copies ---------------------------------------------------------------------------


def bucket(clients: Clients, name: str, region: str = REGION) -> Any:
    s3 = clients("s3", region)
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": region})
    return s3


def encrypt(s3: Any, name: str, key: str) -> None:
    rule = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    s3.put_bucket_encryption(
        Bucket=name,
        ServerSideEncryptionConfiguration={"Rules": [{"ApplyServerSideEncryptionByDefault": rule}]},
    )


ENCRYPTION = "ApplyServerSideEncryptionByDefault.KMSMasterKeyID"


@case("s3", ENCRYPTION)
def s3_bucket_by_arn(clients: Clients, key: Named) -> None:
    encrypt(bucket(clients, "by-arn"), "by-arn", key.arn)


@case("s3", ENCRYPTION)
def s3_bucket_by_id(clients: Clients, key: Named) -> None:
    encrypt(bucket(clients, "by-id"), "by-id", key.id)


@case("s3", ENCRYPTION)
def s3_bucket_by_alias(clients: Clients, key: Named) -> None:
    encrypt(bucket(clients, "by-alias"), "by-alias", key.alias)


@case("s3", ENCRYPTION)
def s3_bucket_by_alias_arn(clients: Clients, key: Named) -> None:
    encrypt(bucket(clients, "by-alias-arn"), "by-alias-arn", key.alias_arn)


@case("s3", "Policy", ELSEWHERE)
def s3_bucket_policy(clients: Clients, key: Named) -> None:
    only = {"StringNotEquals": {"s3:x-amz-server-side-encryption-aws-kms-key-id": key.arn}}
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": "arn:aws:s3:::by-policy/*",
        "Condition": only,
    }
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    bucket(clients, "by-policy").put_bucket_policy(Bucket="by-policy", Policy=json.dumps(policy))


@case("s3", "Destination.EncryptionConfiguration.ReplicaKmsKeyID", ELSEWHERE)
def s3_replication_to_another_region(clients: Clients, key: Named) -> None:
    for name, region in (("source", REGION), ("target", ELSEWHERE)):
        bucket(clients, name, region).put_bucket_versioning(
            Bucket=name, VersioningConfiguration={"Status": "Enabled"}
        )
    rule = {
        "ID": "all",
        "Status": "Enabled",
        "Prefix": "",
        "SourceSelectionCriteria": {"SseKmsEncryptedObjects": {"Status": "Enabled"}},
        "Destination": {
            "Bucket": "arn:aws:s3:::target",
            "EncryptionConfiguration": {"ReplicaKmsKeyID": key.arn},
        },
    }
    clients("s3").put_bucket_replication(
        Bucket="source", ReplicationConfiguration={"Role": ROLE, "Rules": [rule]}
    )


@case("s3", "Destination.S3BucketDestination.Encryption.SSEKMS.KeyId")
def s3_inventory(clients: Clients, key: Named) -> None:
    bucket(clients, "listed").put_bucket_inventory_configuration(
        Bucket="listed",
        Id="weekly",
        InventoryConfiguration={
            "Id": "weekly",
            "IsEnabled": True,
            "IncludedObjectVersions": "All",
            "Schedule": {"Frequency": "Weekly"},
            "Destination": {
                "S3BucketDestination": {
                    "Bucket": "arn:aws:s3:::listed",
                    "Format": "CSV",
                    "Encryption": {"SSEKMS": {"KeyId": key.arn}},
                }
            },
        },
    )


@case("s3vectors", "vectorBucket.encryptionConfiguration.kmsKeyArn")
def s3_vector_bucket(clients: Clients, key: Named) -> None:
    clients("s3vectors").create_vector_bucket(
        vectorBucketName="vectors",
        encryptionConfiguration={"sseType": "aws:kms", "kmsKeyArn": key.arn},
    )


@case("efs", "KmsKeyId")
def efs_file_system(clients: Clients, key: Named) -> None:
    clients("efs").create_file_system(CreationToken="home", Encrypted=True, KmsKeyId=key.arn)


@case("fsx", "KmsKeyId")
def fsx_file_system(clients: Clients, key: Named) -> None:
    clients("fsx").create_file_system(
        FileSystemType="LUSTRE", StorageCapacity=1200, SubnetIds=[SUBNET], KmsKeyId=key.arn
    )


@case("fsx", "KmsKeyId")
def fsx_backup(clients: Clients, key: Named) -> None:
    fsx = clients("fsx")
    made = fsx.create_file_system(
        FileSystemType="LUSTRE", StorageCapacity=1200, SubnetIds=[SUBNET], KmsKeyId=key.arn
    )
    fsx.create_backup(FileSystemId=made["FileSystem"]["FileSystemId"])
    fsx.delete_file_system(FileSystemId=made["FileSystem"]["FileSystemId"])


@case("backup", "EncryptionKeyArn")
def backup_vault(clients: Clients, key: Named) -> None:
    clients("backup").create_backup_vault(BackupVaultName="safe", EncryptionKeyArn=key.arn)


# --- secrets, parameters, configuration -----------------------------------------------------------


@case("secretsmanager", "KmsKeyId")
def secret(clients: Clients, key: Named) -> None:
    clients("secretsmanager").create_secret(Name="password", SecretString="x", KmsKeyId=key.alias)


@case("secretsmanager", "KmsKeyId")
def secret_that_is_to_be_deleted(clients: Clients, key: Named) -> None:
    manager = clients("secretsmanager")
    manager.create_secret(Name="leaving", SecretString="x", KmsKeyId=key.arn)
    manager.delete_secret(SecretId="leaving", RecoveryWindowInDays=30)


@case("ssm", "KeyId")
def ssm_parameter(clients: Clients, key: Named) -> None:
    clients("ssm").put_parameter(
        Name="/shop/token", Value="x", Type="SecureString", KeyId=key.alias
    )


@case("ssm", "KeyId")
def ssm_older_version(clients: Clients, key: Named) -> None:
    put = clients("ssm").put_parameter
    put(Name="/older", Type="SecureString", Value="v", KeyId=key.arn)
    put(Name="/older", Type="SecureString", Value="w", KeyId="alias/aws/ssm", Overwrite=True)


@case("ssm", "Content")
def ssm_session_preferences(clients: Clients, key: Named) -> None:
    content = {
        "schemaVersion": "1.0",
        "description": "preferences",
        "sessionType": "Standard_Stream",
        "inputs": {"kmsKeyId": key.arn},
    }
    clients("ssm").create_document(
        Name="SSM-SessionManagerRunShell", DocumentType="Session", Content=json.dumps(content)
    )


@case("config", "s3KmsKeyArn")
def config_delivery_channel(clients: Clients, key: Named) -> None:
    config = clients("config")
    bucket(clients, "history")
    config.put_configuration_recorder(
        ConfigurationRecorder={
            "name": "all",
            "roleARN": ROLE,
            "recordingGroup": {"allSupported": True, "includeGlobalResourceTypes": False},
        }
    )
    config.put_delivery_channel(
        DeliveryChannel={"name": "all", "s3BucketName": "history", "s3KmsKeyArn": key.arn}
    )


# --- messages and streams -------------------------------------------------------------------------


@case("sqs", "KmsMasterKeyId")
def sqs_queue(clients: Clients, key: Named) -> None:
    clients("sqs").create_queue(QueueName="jobs", Attributes={"KmsMasterKeyId": key.alias})


@case("sns", "Attributes.KmsMasterKeyId")
def sns_topic(clients: Clients, key: Named) -> None:
    clients("sns").create_topic(Name="alarms", Attributes={"KmsMasterKeyId": key.id})


@case("kinesis", "StreamDescriptionSummary.KeyId")
def kinesis_stream(clients: Clients, key: Named) -> None:
    kinesis = clients("kinesis")
    kinesis.create_stream(StreamName="clicks", ShardCount=1)
    kinesis.start_stream_encryption(StreamName="clicks", EncryptionType="KMS", KeyId=key.alias_arn)


@case("kinesisvideo", "KmsKeyId")
def kinesis_video_stream(clients: Clients, key: Named) -> None:
    clients("kinesisvideo").create_stream(StreamName="camera", KmsKeyId=key.arn)


@case(
    "firehose",
    "DeliveryStreamDescription.Destinations[].ExtendedS3DestinationDescription"
    ".EncryptionConfiguration.KMSEncryptionConfig.AWSKMSKeyARN",
    ELSEWHERE,
)
def firehose_bucket_of_another_region(clients: Clients, key: Named) -> None:
    clients("firehose").create_delivery_stream(
        DeliveryStreamName="far",
        ExtendedS3DestinationConfiguration={
            "RoleARN": ROLE,
            "BucketARN": "arn:aws:s3:::far",
            "EncryptionConfiguration": {"KMSEncryptionConfig": {"AWSKMSKeyARN": key.arn}},
        },
    )


@case("firehose", "DeliveryStreamDescription.DeliveryStreamEncryptionConfiguration.KeyARN")
def firehose_stream(clients: Clients, key: Named) -> None:
    clients("firehose").create_delivery_stream(
        DeliveryStreamName="near",
        DeliveryStreamEncryptionConfigurationInput={
            "KeyType": "CUSTOMER_MANAGED_CMK",
            "KeyARN": key.arn,
        },
        S3DestinationConfiguration={"RoleARN": ROLE, "BucketARN": "arn:aws:s3:::near"},
    )


@case("kafka", "Provisioned.EncryptionInfo.EncryptionAtRest.DataVolumeKMSKeyId")
def kafka_cluster(clients: Clients, key: Named) -> None:
    clients("kafka").create_cluster(
        ClusterName="events",
        KafkaVersion="3.6.0",
        NumberOfBrokerNodes=2,
        BrokerNodeGroupInfo={"ClientSubnets": ["subnet-1"], "InstanceType": "kafka.m5.large"},
        EncryptionInfo={"EncryptionAtRest": {"DataVolumeKMSKeyId": key.arn}},
    )


@case("mq", "EncryptionOptions.KmsKeyId")
def mq_broker(clients: Clients, key: Named) -> None:
    clients("mq").create_broker(
        BrokerName="broker",
        EngineType="ACTIVEMQ",
        EngineVersion="5.18",
        DeploymentMode="SINGLE_INSTANCE",
        HostInstanceType="mq.t3.micro",
        AutoMinorVersionUpgrade=False,
        PubliclyAccessible=False,
        Users=[{"Username": "admin", "Password": "long-enough-1"}],
        EncryptionOptions={"KmsKeyId": key.arn, "UseAwsOwnedKey": False},
    )


@case("pipes", "KmsKeyIdentifier")
def pipe(clients: Clients, key: Named) -> None:
    clients("pipes").create_pipe(
        Name="pipe",
        RoleArn=ROLE,
        Source="arn:aws:sqs:eu-west-1:111122223333:jobs",
        Target="arn:aws:sqs:eu-west-1:111122223333:done",
        KmsKeyIdentifier=key.arn,
    )


@case("scheduler", "KmsKeyArn")
def schedule(clients: Clients, key: Named) -> None:
    clients("scheduler").create_schedule(
        Name="nightly",
        ScheduleExpression="rate(1 day)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": "arn:aws:sqs:eu-west-1:111122223333:jobs", "RoleArn": ROLE},
        KmsKeyArn=key.arn,
    )


@case("stepfunctions", "encryptionConfiguration.kmsKeyId")
def state_machine(clients: Clients, key: Named) -> None:
    definition = {"StartAt": "End", "States": {"End": {"Type": "Succeed"}}}
    clients("stepfunctions").create_state_machine(
        name="steps",
        definition=json.dumps(definition),
        roleArn=ROLE,
        encryptionConfiguration={"type": "CUSTOMER_MANAGED_KMS_KEY", "kmsKeyId": key.arn},
    )


@case("stepfunctions", "encryptionConfiguration.kmsKeyId")
def step_functions_activity(clients: Clients, key: Named) -> None:
    clients("stepfunctions").create_activity(
        name="work",
        encryptionConfiguration={"type": "CUSTOMER_MANAGED_KMS_KEY", "kmsKeyId": key.arn},
    )


@case("events", "KmsKeyIdentifier")
def event_bus(clients: Clients, key: Named) -> None:
    clients("events").create_event_bus(Name="orders", KmsKeyIdentifier=key.arn)


# --- logs and monitoring --------------------------------------------------------------------------


@case("logs", "kmsKeyId")
def log_group(clients: Clients, key: Named) -> None:
    clients("logs").create_log_group(logGroupName="/shop", kmsKeyId=key.arn)


@case("cloudtrail", "KmsKeyId", ELSEWHERE)
def trail_into_a_bucket_of_another_region(clients: Clients, key: Named) -> None:
    bucket(clients, "trails", ELSEWHERE)
    clients("cloudtrail").create_trail(Name="far", S3BucketName="trails", KmsKeyId=key.arn)


@case("synthetics", "ArtifactConfig.S3Encryption.KmsKeyArn")
def canary(clients: Clients, key: Named) -> None:
    clients("synthetics").create_canary(
        Name="canary",
        Code={"Handler": "index.handler"},
        ArtifactS3Location="s3://artifacts/",
        ExecutionRoleArn=ROLE,
        Schedule={"Expression": "rate(0 minute)"},
        RuntimeVersion="syn-nodejs-puppeteer-9.1",
        ArtifactConfig={"S3Encryption": {"EncryptionMode": "SSE_KMS", "KmsKeyArn": key.arn}},
    )


# --- compute and delivery of code -----------------------------------------------------------------


def package() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("index.py", "def handler(event, context): pass\n")
    return content.getvalue()


@case("lambda", "KMSKeyArn")
def lambda_function(clients: Clients, key: Named) -> None:
    clients("iam").create_role(RoleName="runs", AssumeRolePolicyDocument="{}")
    clients("lambda").create_function(
        FunctionName="work",
        Runtime="python3.13",
        Role=f"arn:aws:iam::{ACCOUNT}:role/runs",
        Handler="index.handler",
        Code={"ZipFile": package()},
        KMSKeyArn=key.arn,
    )


@case("eks", "cluster.encryptionConfig[].provider.keyArn")
def eks_cluster(clients: Clients, key: Named) -> None:
    clients("eks").create_cluster(
        name="pods",
        roleArn=ROLE,
        resourcesVpcConfig={"subnetIds": ["subnet-1", "subnet-2"]},
        encryptionConfig=[{"resources": ["secrets"], "provider": {"keyArn": key.arn}}],
    )


@case("ecs", "configuration.executeCommandConfiguration.kmsKeyId")
def ecs_cluster(clients: Clients, key: Named) -> None:
    clients("ecs").create_cluster(
        clusterName="tasks",
        configuration={"executeCommandConfiguration": {"kmsKeyId": key.id, "logging": "DEFAULT"}},
    )


@case("ecs", "configuration.managedStorageConfiguration.fargateEphemeralStorageKmsKeyId")
def ecs_ephemeral_storage(clients: Clients, key: Named) -> None:
    clients("ecs").create_cluster(
        clusterName="brief",
        configuration={"managedStorageConfiguration": {"fargateEphemeralStorageKmsKeyId": key.id}},
    )


@case("ecr", "encryptionConfiguration.kmsKey")
def ecr_repository(clients: Clients, key: Named) -> None:
    clients("ecr").create_repository(
        repositoryName="images",
        encryptionConfiguration={"encryptionType": "KMS", "kmsKey": key.arn},
    )


@case("codebuild", "encryptionKey")
def codebuild_project(clients: Clients, key: Named) -> None:
    clients("codebuild").create_project(
        name="build",
        source={"type": "S3", "location": "source/code.zip"},
        artifacts={"type": "NO_ARTIFACTS"},
        environment={
            "type": "LINUX_CONTAINER",
            "image": "aws/codebuild/standard:7.0",
            "computeType": "BUILD_GENERAL1_SMALL",
        },
        serviceRole=ROLE,
        encryptionKey=key.alias_arn,
    )


@case("codepipeline", "pipeline.artifactStore.encryptionKey.id")
def codepipeline_pipeline(clients: Clients, key: Named) -> None:
    trust = {"Statement": [{"Principal": {"Service": "codepipeline.amazonaws.com"}}]}
    clients("iam").create_role(RoleName="delivers", AssumeRolePolicyDocument=json.dumps(trust))

    def stage(name: str, category: str, provider: str) -> dict[str, Any]:
        kind = {"category": category, "owner": "AWS", "provider": provider, "version": "1"}
        return {"name": name, "actions": [{"name": name, "actionTypeId": kind}]}

    clients("codepipeline").create_pipeline(
        pipeline={
            "name": "deliver",
            "roleArn": f"arn:aws:iam::{ACCOUNT}:role/delivers",
            "artifactStore": {
                "type": "S3",
                "location": "artifacts",
                "encryptionKey": {"id": key.arn, "type": "KMS"},
            },
            "stages": [
                stage("Source", "Source", "S3"),
                stage("Build", "Build", "CodeBuild"),
            ],
            "version": 1,
        }
    )


# --- data and analysis ----------------------------------------------------------------------------


@case("opensearch", "EncryptionAtRestOptions.KmsKeyId")
def opensearch_domain(clients: Clients, key: Named) -> None:
    clients("opensearch").create_domain(
        DomainName="search", EncryptionAtRestOptions={"Enabled": True, "KmsKeyId": key.id}
    )


@case("opensearchserverless", "securityPolicyDetail.policy.KmsARN")
def opensearch_serverless_policy(clients: Clients, key: Named) -> None:
    policy = {
        "Rules": [{"ResourceType": "collection", "Resource": ["collection/later"]}],
        "AWSOwnedKey": False,
        "KmsARN": key.arn,
    }
    clients("opensearchserverless").create_security_policy(
        name="later", type="encryption", policy=json.dumps(policy)
    )


@case("opensearchserverless", "kmsKeyArn")
def opensearch_serverless_collection(clients: Clients, key: Named) -> None:
    serverless = clients("opensearchserverless")
    policy = {
        "Rules": [{"ResourceType": "collection", "Resource": ["collection/notes"]}],
        "AWSOwnedKey": False,
        "KmsARN": key.arn,
    }
    serverless.create_security_policy(name="notes", type="encryption", policy=json.dumps(policy))
    serverless.create_collection(name="notes")


@case("osis", "Pipeline.EncryptionAtRestOptions.KmsKeyArn")
def osis_pipeline(clients: Clients, key: Named) -> None:
    sink = {"s3": {"bucket": "ingested"}}
    logs = {"source": {"http": {"path": "/logs"}}, "sink": [sink]}
    clients("osis").create_pipeline(
        PipelineName="ingest",
        MinUnits=1,
        MaxUnits=1,
        PipelineConfigurationBody=json.dumps({"version": "2", "logs": logs}),
        EncryptionAtRestOptions={"KmsKeyArn": key.arn},
    )


@case("athena", "WorkGroup.Configuration.ResultConfiguration.EncryptionConfiguration.KmsKey")
def athena_workgroup(clients: Clients, key: Named) -> None:
    clients("athena").create_work_group(
        Name="analysts",
        Configuration={
            "ResultConfiguration": {
                "OutputLocation": "s3://results/",
                "EncryptionConfiguration": {"EncryptionOption": "SSE_KMS", "KmsKey": key.arn},
            }
        },
    )


@case("glue", "DataCatalogEncryptionSettings.EncryptionAtRest.SseAwsKmsKeyId")
def glue_catalog(clients: Clients, key: Named) -> None:
    clients("glue").put_data_catalog_encryption_settings(
        DataCatalogEncryptionSettings={
            "EncryptionAtRest": {"CatalogEncryptionMode": "SSE-KMS", "SseAwsKmsKeyId": key.alias},
            "ConnectionPasswordEncryption": {"ReturnConnectionPasswordEncrypted": False},
        }
    )


@case("glue", "EncryptionConfiguration.S3Encryption[].KmsKeyArn")
def glue_security_configuration(clients: Clients, key: Named) -> None:
    clients("glue").create_security_configuration(
        Name="strict",
        EncryptionConfiguration={
            "S3Encryption": [{"S3EncryptionMode": "SSE-KMS", "KmsKeyArn": key.arn}]
        },
    )


@case("dms", "KmsKeyId")
def dms_endpoint(clients: Clients, key: Named) -> None:
    clients("dms").create_endpoint(
        EndpointIdentifier="source", EndpointType="source", EngineName="postgres", KmsKeyId=key.arn
    )


@case("dms", "KmsKeyId")
def dms_replication_instance(clients: Clients, key: Named) -> None:
    clients("dms").create_replication_instance(
        ReplicationInstanceIdentifier="mover",
        ReplicationInstanceClass="dms.t3.micro",
        KmsKeyId=key.arn,
    )


# --- machine learning -----------------------------------------------------------------------------


@case("sagemaker", "KmsKeyId")
def sagemaker_notebook(clients: Clients, key: Named) -> None:
    clients("sagemaker").create_notebook_instance(
        NotebookInstanceName="notes",
        InstanceType="ml.t3.medium",
        RoleArn=ROLE,
        KmsKeyId=key.id,
    )


@case("sagemaker", "KmsKeyId")
def sagemaker_endpoint_configuration(clients: Clients, key: Named) -> None:
    sagemaker = clients("sagemaker")
    sagemaker.create_model(
        ModelName="model", ExecutionRoleArn=ROLE, PrimaryContainer={"Image": "i"}
    )
    variant = {
        "VariantName": "one",
        "ModelName": "model",
        "InitialInstanceCount": 1,
        "InstanceType": "ml.m5.large",
    }
    sagemaker.create_endpoint_config(
        EndpointConfigName="serve", ProductionVariants=[variant], KmsKeyId=key.id
    )


@case("sagemaker", "KmsKeyId")
def sagemaker_domain(clients: Clients, key: Named) -> None:
    clients("sagemaker").create_domain(
        DomainName="studio",
        AuthMode="IAM",
        DefaultUserSettings={"ExecutionRole": ROLE},
        SubnetIds=["subnet-1"],
        VpcId="vpc-1",
        KmsKeyId=key.id,
    )


def monitoring(key: str) -> dict[str, Any]:
    output = {"S3Uri": "s3://out", "LocalPath": "/opt/out"}
    return {
        "JobResources": {
            "ClusterConfig": {
                "InstanceCount": 1,
                "InstanceType": "ml.m5.large",
                "VolumeSizeInGB": 10,
                "VolumeKmsKeyId": key,
            }
        },
        "RoleArn": ROLE,
        "output": {"MonitoringOutputs": [{"S3Output": output}]},
        "input": {"EndpointInput": {"EndpointName": "e", "LocalPath": "/opt/in"}},
    }


VOLUME = "JobResources.ClusterConfig.VolumeKmsKeyId"


@case("sagemaker", VOLUME)
def sagemaker_data_quality(clients: Clients, key: Named) -> None:
    parts = monitoring(key.id)
    clients("sagemaker").create_data_quality_job_definition(
        JobDefinitionName="data-quality",
        DataQualityAppSpecification={"ImageUri": "image"},
        DataQualityJobInput=parts.pop("input"),
        DataQualityJobOutputConfig=parts.pop("output"),
        **parts,
    )


@case("sagemaker", VOLUME)
def sagemaker_model_quality(clients: Clients, key: Named) -> None:
    parts = monitoring(key.id)
    clients("sagemaker").create_model_quality_job_definition(
        JobDefinitionName="model-quality",
        ModelQualityAppSpecification={"ImageUri": "image"},
        ModelQualityJobInput={
            **parts.pop("input"),
            "GroundTruthS3Input": {"S3Uri": "s3://truth"},
        },
        ModelQualityJobOutputConfig=parts.pop("output"),
        **parts,
    )


@case("sagemaker", VOLUME)
def sagemaker_model_bias(clients: Clients, key: Named) -> None:
    parts = monitoring(key.id)
    clients("sagemaker").create_model_bias_job_definition(
        JobDefinitionName="bias",
        ModelBiasAppSpecification={"ImageUri": "image", "ConfigUri": "s3://config"},
        ModelBiasJobInput={
            **parts.pop("input"),
            "GroundTruthS3Input": {"S3Uri": "s3://truth"},
        },
        ModelBiasJobOutputConfig=parts.pop("output"),
        **parts,
    )


@case("sagemaker", VOLUME)
def sagemaker_model_explainability(clients: Clients, key: Named) -> None:
    parts = monitoring(key.id)
    clients("sagemaker").create_model_explainability_job_definition(
        JobDefinitionName="explained",
        ModelExplainabilityAppSpecification={"ImageUri": "image", "ConfigUri": "s3://config"},
        ModelExplainabilityJobInput=parts.pop("input"),
        ModelExplainabilityJobOutputConfig=parts.pop("output"),
        **parts,
    )


@case(
    "sagemaker",
    "InstanceGroups[].InstanceStorageConfigs[].EbsVolumeConfig.VolumeKmsKeyId",
)
def sagemaker_cluster(clients: Clients, key: Named) -> None:
    volume = {"VolumeSizeInGB": 100, "VolumeKmsKeyId": key.id}
    clients("sagemaker").create_cluster(
        ClusterName="training",
        InstanceGroups=[
            {
                "InstanceCount": 1,
                "InstanceGroupName": "workers",
                "InstanceType": "ml.p5.48xlarge",
                "LifeCycleConfig": {"SourceS3Uri": "s3://sagemaker-x", "OnCreate": "run.sh"},
                "ExecutionRole": ROLE,
                "ThreadsPerCore": 1,
                "InstanceStorageConfigs": [{"EbsVolumeConfig": volume}],
            }
        ],
    )


@case("sagemaker", "SecurityConfig.KmsKeyId")
def sagemaker_model_card(clients: Clients, key: Named) -> None:
    clients("sagemaker").create_model_card(
        ModelCardName="card",
        SecurityConfig={"KmsKeyId": key.arn},
        Content="{}",
        ModelCardStatus="Draft",
    )


@case("comprehend", "ModelKmsKeyId")
def comprehend_entity_recognizer(clients: Clients, key: Named) -> None:
    clients("comprehend").create_entity_recognizer(
        RecognizerName="names",
        DataAccessRoleArn=ROLE,
        InputDataConfig={
            "EntityTypes": [{"Type": "NAME"}],
            "Documents": {"S3Uri": "s3://documents"},
        },
        LanguageCode="en",
        ModelKmsKeyId=key.arn,
    )


@case("comprehend", "ModelKmsKeyId")
def comprehend_classifier(clients: Clients, key: Named) -> None:
    clients("comprehend").create_document_classifier(
        DocumentClassifierName="kinds",
        DataAccessRoleArn=ROLE,
        InputDataConfig={"S3Uri": "s3://documents"},
        LanguageCode="en",
        ModelKmsKeyId=key.arn,
    )


@case("comprehend", "FlywheelProperties.DataSecurityConfig.DataLakeKmsKeyId")
def comprehend_flywheel(clients: Clients, key: Named) -> None:
    clients("comprehend").create_flywheel(
        FlywheelName="wheel",
        DataAccessRoleArn=ROLE,
        DataLakeS3Uri="s3://lake",
        ModelType="DOCUMENT_CLASSIFIER",
        TaskConfig={"LanguageCode": "en", "DocumentClassificationConfig": {"Mode": "MULTI_CLASS"}},
        DataSecurityConfig={"DataLakeKmsKeyId": key.arn},
    )


@case("bedrock-agent", "agent.customerEncryptionKeyArn")
def bedrock_agent(clients: Clients, key: Named) -> None:
    clients("bedrock-agent").create_agent(
        agentName="helper", agentResourceRoleArn=ROLE, customerEncryptionKeyArn=key.arn
    )


@case("bedrock-agentcore-control", "memory.encryptionKeyArn")
def bedrock_agentcore_memory(clients: Clients, key: Named) -> None:
    clients("bedrock-agentcore-control").create_memory(
        name="memory", eventExpiryDuration=30, encryptionKeyArn=key.arn
    )


@case("bedrock-agentcore-control", "kmsKeyArn")
def bedrock_agentcore_gateway(clients: Clients, key: Named) -> None:
    clients("bedrock-agentcore-control").create_gateway(
        name="gateway",
        roleArn=ROLE,
        protocolType="MCP",
        authorizerType="AWS_IAM",
        kmsKeyArn=key.arn,
    )


@case(
    "lexv2-models",
    "conversationLogSettings.audioLogSettings[].destination.s3Bucket.kmsKeyArn",
)
def lex_bot_alias(clients: Clients, key: Named) -> None:
    lex = clients("lexv2-models")
    bot = lex.create_bot(
        botName="talk",
        roleArn=ROLE,
        dataPrivacy={"childDirected": False},
        idleSessionTTLInSeconds=300,
    )["botId"]
    logs = {"s3BucketArn": "arn:aws:s3:::talks", "logPrefix": "", "kmsKeyArn": key.arn}
    lex.create_bot_alias(
        botId=bot,
        botAliasName="live",
        conversationLogSettings={
            "audioLogSettings": [{"enabled": True, "destination": {"s3Bucket": logs}}]
        },
    )


# --- people and media -----------------------------------------------------------------------------


@case("workspaces", "VolumeEncryptionKey")
def workspace(clients: Clients, key: Named) -> None:
    ec2 = clients("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=f"eu-west-1{z}")
        for n, z in ((1, "a"), (2, "b"))
    ]
    directory = clients("ds").create_directory(
        Name="corp.example.com",
        Password="Long-enough-1",
        Size="Small",
        VpcSettings={"VpcId": vpc, "SubnetIds": [s["Subnet"]["SubnetId"] for s in subnets]},
    )["DirectoryId"]
    clients("workspaces").register_workspace_directory(DirectoryId=directory)
    clients("workspaces").create_workspaces(
        Workspaces=[
            {
                "DirectoryId": directory,
                "UserName": "ann",
                "BundleId": "wsb-bh8rsxt14",
                "RootVolumeEncryptionEnabled": True,
                "VolumeEncryptionKey": key.arn,
            }
        ]
    )


@case("workspaces-web", "portal.customerManagedKey")
def workspaces_web_portal(clients: Clients, key: Named) -> None:
    clients("workspaces-web").create_portal(displayName="portal", customerManagedKey=key.arn)


@case("workspaces-web", "browserSettings.customerManagedKey")
def workspaces_web_browser(clients: Clients, key: Named) -> None:
    clients("workspaces-web").create_browser_settings(
        browserPolicy="{}", customerManagedKey=key.arn
    )


@case("workspaces-web", "userSettings.customerManagedKey")
def workspaces_web_user(clients: Clients, key: Named) -> None:
    off = "Disabled"
    clients("workspaces-web").create_user_settings(
        copyAllowed=off,
        pasteAllowed=off,
        downloadAllowed=off,
        uploadAllowed=off,
        printAllowed=off,
        customerManagedKey=key.arn,
    )


@case("cognito-idp", "UserPool.LambdaConfig.KMSKeyID")
def user_pool(clients: Clients, key: Named) -> None:
    clients("cognito-idp").create_user_pool(PoolName="people", LambdaConfig={"KMSKeyID": key.arn})


@case("ses", "Actions[].S3Action.KmsKeyArn")
def ses_receipt_rule(clients: Clients, key: Named) -> None:
    ses = clients("ses")
    bucket(clients, "mail")
    ses.create_receipt_rule_set(RuleSetName="inbound")
    action = {"S3Action": {"BucketName": "mail", "KmsKeyArn": key.arn}}
    ses.create_receipt_rule(
        RuleSetName="inbound", Rule={"Name": "keep", "Enabled": True, "Actions": [action]}
    )


# --- protection -----------------------------------------------------------------------------------


@case("network-firewall", "Firewall.EncryptionConfiguration.KeyId")
def network_firewall(clients: Clients, key: Named) -> None:
    clients("network-firewall").create_firewall(
        FirewallName="wall",
        FirewallPolicyArn="arn:aws:network-firewall:eu-west-1:111122223333:firewall-policy/p",
        EncryptionConfiguration={"KeyId": key.arn, "Type": "CUSTOMER_KMS"},
    )


def allowing(**who: object) -> str:
    statement = {"Effect": "Allow", "Action": "kms:Decrypt", **who}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@case("iam", "PolicyVersionList[?IsDefaultVersion].Document")
def iam_policy_that_nothing_uses(clients: Clients, key: Named) -> None:
    clients("iam").create_policy(PolicyName="shop", PolicyDocument=allowing(Resource=key.arn))


@case("iam", "UserPolicyList[].PolicyDocument", ELSEWHERE)
def iam_user(clients: Clients, key: Named) -> None:
    iam = clients("iam")
    iam.create_user(UserName="ann")
    document = allowing(Resource=[f"arn:aws:kms:*:{ACCOUNT}:key/{key.id}"])
    iam.put_user_policy(UserName="ann", PolicyName="shop", PolicyDocument=document)


@case("iam", "GroupPolicyList[].PolicyDocument")
def iam_group(clients: Clients, key: Named) -> None:
    iam = clients("iam")
    iam.create_group(GroupName="clerks")
    document = allowing(Resource=[key.alias_arn])
    iam.put_group_policy(GroupName="clerks", PolicyName="shop", PolicyDocument=document)


@case("iam", "RolePolicyList[].PolicyDocument")
def iam_role(clients: Clients, key: Named) -> None:
    iam = clients("iam")
    iam.create_role(RoleName="till", AssumeRolePolicyDocument=allowing(Principal="*"))
    condition = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": [key.alias]}}
    document = allowing(Resource="*", Condition=condition)
    iam.put_role_policy(RoleName="till", PolicyName="shop", PolicyDocument=document)


# --- the scenario and the rows --------------------------------------------------------------------


UNNAMED = "unnamed"


@pytest.fixture(scope="module")
def aws() -> Iterator[EmbeddedAws]:
    """The embedded AWS with a key for each case, one that nothing names, and the way there."""

    def keys(region: str) -> list[dict[str, Any]]:
        names = [str(one) for one in CASES if one.key_region == region] + [UNNAMED] * (
            region == REGION
        )
        return [{"name": name, "aliases": [f"alias/{name}"]} for name in names]

    with EmbeddedAws() as server, pytest.MonkeyPatch.context() as patch:
        regions = {region: {"keys": keys(region)} for region in (REGION, ELSEWHERE)}
        server.reset({"accounts": {ACCOUNT: {"regions": regions}}})
        for name, value in server.environment(ACCOUNT, REGION).items():
            patch.setenv(name, value)
        yield server


@pytest.fixture(scope="module")
def named(aws: EmbeddedAws) -> Callable[[str, str], Named]:
    def find(name: str, region: str = REGION) -> Named:
        return Named(aws.key_arn(ACCOUNT, region, name), f"alias/{name}")

    return find


@pytest.fixture(scope="module")
def answered() -> Iterator[list[tuple[str, str, dict[str, Any]]]]:
    """Service, operation and content of each answer and error that the engine gets."""
    seen: list[tuple[str, str, dict[str, Any]]] = []
    pages = reading._pages

    def listen(client: Any, call: Call, params: Mapping[str, Any]) -> Iterator[Any]:
        service = client.meta.service_model.service_name
        try:
            for answer in pages(client, call, params):
                seen.append((service, call.operation, answer))
                yield answer
        except ClientError as error:
            response: Any = error.response
            seen.append((service, call.operation, response))
            raise

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "_pages", listen)
        yield seen


@pytest.fixture(scope="module")
def evidence(
    aws: EmbeddedAws, named: Callable[[str, str], Named], answered: list[Any]
) -> Mapping[KeyArn, References]:
    """What the source says of every key, after one run over everything that the cases create."""
    session = boto3.Session()

    def client(service: str, region: str = REGION) -> Any:
        return session.client(service, region_name=region)

    keys = {str(one): named(str(one), one.key_region) for one in CASES}
    for one in CASES:
        one.create(client, keys[str(one)])
    keys[UNNAMED] = named(UNNAMED, REGION)
    accounts = Accounts(settings=ClientSettings(quota_share=100))
    found: dict[KeyArn, References] = {}
    for region in (REGION, ELSEWHERE):
        keys_to_read = [
            Evidence(key_arn=KeyArn.parse(key.arn), aliases=(key.alias,))
            for key in keys.values()
            if KeyArn.parse(key.arn).region == region
        ]
        assert SOURCE.read_account_region is not None
        found |= SOURCE.read_account_region(
            accounts.connect(keys_to_read[0].key_arn.account_region), keys_to_read
        )
    return found


@pytest.mark.parametrize("one", CASES, ids=str)
def test_a_real_resource_that_names_a_key_is_found(
    one: Case,
    named: Callable[[str, str], Named],
    evidence: Mapping[KeyArn, References],
) -> None:
    found = evidence[KeyArn.parse(named(str(one), one.key_region).arn)].found
    assert {ref.service for ref in found} == {one.service}, found
    assert one.field in {ref.field for ref in found}, found


def test_a_key_that_nothing_names_has_no_references(
    named: Callable[[str, str], Named], evidence: Mapping[KeyArn, References]
) -> None:
    assert evidence[KeyArn.parse(named(UNNAMED, REGION).arn)].found == ()


def test_every_call_of_the_list_is_answered(
    named: Callable[[str, str], Named], evidence: Mapping[KeyArn, References]
) -> None:
    references = evidence[KeyArn.parse(named(UNNAMED, REGION).arn)]
    assert references.gaps == ()
    assert references.services >= len(reference_list().entries)


def test_listings_have_the_fields_forms_and_errors_that_were_recorded(
    evidence: Mapping[KeyArn, References], answered: list[tuple[str, str, dict[str, Any]]]
) -> None:
    recorded = table()["answers"]
    compared = set()
    differ = set()
    for service, operation, answer in answered:
        facts = recorded.get(service, {}).get(operation)
        if facts is None:
            continue
        compared.add((service, operation))
        if error := answer.get("Error"):
            code, status = error["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]
            known = {one["code"] for one in facts.get("errors", ())}
            if code in known and not error_form(facts, code, status, error["Message"]):
                differ.add((service, operation, f"{status} {code}"))
        else:
            found = {one for one in differences(facts, answer) if not one.startswith("+")}
            differ |= {(service, operation, one) for one in found}
    assert len(compared) > 120
    assert differ == set()
