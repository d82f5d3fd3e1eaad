"""Fixes for services other than KMS where moto 5.2.5 differs from AWS.

Each fix has a test that fails without it. A service's fixes are applied when it is first used,
since importing the service is slow.
"""

from __future__ import annotations

import functools
import json
import uuid
from collections.abc import Callable
from typing import Any

from . import names


def start_quickly() -> None:
    """Skip what takes three quarters of the time in which moto loads its services.

    One loader lists botocore's folders once, where moto lists them for each service. Routes are
    only matched, so that nothing needs the code that would build URLs from them.
    """
    from botocore.loaders import create_loader
    from moto.core import routing, utils

    loader = create_loader()
    utils.create_loader = lambda: loader  # type: ignore[attr-defined]
    routing.SmithyRule._compile_builder = lambda *_: _build_no_url  # type: ignore[method-assign]


def _build_no_url(*_: object, **__: object) -> tuple[str, str]:
    raise NotImplementedError


def apply(service: str) -> None:
    """Apply the fixes of a service (signing name), once."""
    for fix in _WAITING.pop(service, ()):
        fix()


def _snapshots_carry_their_key() -> None:
    """An EBS snapshot of an encrypted volume names the volume's key."""
    from moto.ec2.models.elastic_block_store import Snapshot

    original = Snapshot.__init__

    @functools.wraps(original)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        if self.encrypted and self.kms_key_id is None:
            self.kms_key_id = self.volume.kms_key_id

    Snapshot.__init__ = init  # type: ignore[method-assign]


def _snapshots_of_their_owners() -> None:
    """DescribeSnapshots with OwnerIds shows those owners' snapshots only."""
    from moto.core.responses import ActionResult
    from moto.ec2.responses.elastic_block_store import ElasticBlockStore

    original = ElasticBlockStore.describe_snapshots

    @functools.wraps(original)
    def describe(self: Any) -> ActionResult:
        result = original(self)
        owners = {
            self.current_account if owner == "self" else owner
            for owner in self._get_param("OwnerIds", [])
        }
        if owners:
            shown: Any = result.result
            shown["Snapshots"] = [one for one in shown["Snapshots"] if one.owner_id in owners]
        return result

    ElasticBlockStore.describe_snapshots = describe  # type: ignore[method-assign]


def _stack_of_a_resource() -> None:
    """DescribeStackResources finds the stack of a physical id, or says that there is none."""
    from moto.cloudformation.exceptions import ValidationError
    from moto.cloudformation.responses import CloudFormationResponse, StackResourceDTO
    from moto.core.responses import ActionResult

    original = CloudFormationResponse.describe_stack_resources

    @functools.wraps(original)
    def describe(self: Any) -> ActionResult:
        requested = self._get_param("PhysicalResourceId")
        if requested is None:
            return original(self)
        for stack in self.cloudformation_backend.stacks.values():
            resources = stack.stack_resources
            if any(getattr(one, "physical_resource_id", None) == requested for one in resources):
                shown = [StackResourceDTO(stack, resource) for resource in resources]
                return ActionResult({"StackResources": shown})
        raise ValidationError(message=f"Stack for {requested} does not exist")

    CloudFormationResponse.describe_stack_resources = describe  # type: ignore[method-assign]


def _default_key_of_new_volumes() -> None:
    """GetEbsDefaultKmsKeyId, which moto lets be set but not be read."""
    from moto.core.responses import ActionResult
    from moto.ec2.responses.elastic_block_store import ElasticBlockStore

    def get(self: Any) -> ActionResult:
        key = self.ec2_backend.default_kms_key_id or "alias/aws/ebs"
        return ActionResult({"KmsKeyId": key})

    ElasticBlockStore.get_ebs_default_kms_key_id = get  # type: ignore[attr-defined]


def _images_have_the_devices_they_were_registered_with() -> None:
    """RegisterImage keeps its block device mappings, and DescribeImages shows no key of them."""
    from moto.core.responses import ActionResult
    from moto.ec2.models.amis import Ami
    from moto.ec2.responses.amis import AmisResponse

    registered = AmisResponse.register_image
    derived: Any = Ami.block_device_mappings

    @functools.wraps(registered)
    def register(self: Any) -> ActionResult:
        result = registered(self)
        shown: Any = result.result
        image = self.ec2_backend.amis[shown["ImageId"] if isinstance(shown, dict) else shown.id]
        image.devices = self._get_param("BlockDeviceMappings", [])
        return result

    def mappings(self: Any) -> list[dict[str, Any]]:
        devices: list[dict[str, Any]] = getattr(self, "devices", None) or derived.fget(self)
        return [_as_images_show_it(one, self.ec2_backend.snapshots) for one in devices]

    AmisResponse.register_image = register  # type: ignore[method-assign]
    Ami.block_device_mappings = property(mappings)  # type: ignore[assignment, method-assign]


def _images_have_snapshots_with_keys() -> None:
    """The snapshot of an image has the key of the instance's volume, or that of CopyImage."""
    from moto.core.responses import ActionResult
    from moto.ec2.models.amis import Ami
    from moto.ec2.responses.amis import AmisResponse

    made, copied = Ami.__init__, AmisResponse.copy_image

    @functools.wraps(made)
    def init(self: Any, backend: Any, ami_id: str, instance: Any = None, **kwargs: Any) -> None:
        made(self, backend, ami_id, instance=instance, **kwargs)
        for device in instance.block_device_mapping.values() if instance else ():
            volume = backend.volumes[device.volume_id]
            self.ebs_snapshot.encrypted = volume.encrypted
            self.ebs_snapshot.kms_key_id = volume.kms_key_id

    @functools.wraps(copied)
    def copy(self: Any) -> ActionResult:
        result = copied(self)
        shown: Any = result.result
        snapshot = self.ec2_backend.amis[shown["ImageId"]].ebs_snapshot
        if self._get_param("Encrypted"):
            snapshot.encrypted, snapshot.kms_key_id = True, self._get_param("KmsKeyId")
        return result

    Ami.__init__ = init  # type: ignore[method-assign]
    AmisResponse.copy_image = copy  # type: ignore[method-assign]


def _as_images_show_it(device: dict[str, Any], snapshots: dict[str, Any]) -> dict[str, Any]:
    """A block device of an image: encrypted as its snapshot is, without a key."""
    if "Ebs" not in device:
        return device
    shown = {name: value for name, value in device["Ebs"].items() if name != "KmsKeyId"}
    snapshot = snapshots.get(shown.get("SnapshotId"))
    encrypted = snapshot.encrypted if snapshot else shown.get("Encrypted", False)
    return {**device, "Ebs": {**shown, "Encrypted": encrypted}}


def _warehouse_snapshots_carry_their_key() -> None:
    """A snapshot of an encrypted Redshift cluster names the cluster's key."""
    from moto.redshift.models import Snapshot

    original = Snapshot.__init__

    @functools.wraps(original)
    def init(self: Any, cluster: Any, *args: Any, **kwargs: Any) -> None:
        original(self, cluster, *args, **kwargs)
        self.kms_key_id = cluster.kms_key_id

    Snapshot.__init__ = init  # type: ignore[method-assign]


def _warehouses_have_a_namespace() -> None:
    """A Redshift cluster shows the ARN of its namespace."""
    from moto.redshift.models import Cluster

    original = Cluster.__init__

    @functools.wraps(original)
    def init(self: Any, backend: Any, *args: Any, **kwargs: Any) -> None:
        original(self, backend, *args, **kwargs)
        home = f"{backend.region_name}:{backend.account_id}"
        partition = names.partition(backend.region_name)
        namespace = f"arn:{partition}:redshift:{home}:namespace:{uuid.uuid4()}"
        self.cluster_namespace_arn = namespace

    Cluster.__init__ = init  # type: ignore[method-assign]


def _secret_versions_name_their_keys() -> None:
    """ListSecretVersionIds shows the keys of each version."""
    from moto.secretsmanager.models import SecretsManagerBackend

    original = SecretsManagerBackend.list_secret_version_ids

    @functools.wraps(original)
    def versions(self: Any, secret_id: str) -> str:
        shown = json.loads(original(self, secret_id))
        key = self.secrets[secret_id].kms_key_id or "DefaultEncryptionKey"
        for version in shown["Versions"]:
            version["KmsKeyIds"] = [key]
        return json.dumps(shown)

    SecretsManagerBackend.list_secret_version_ids = versions  # type: ignore[method-assign]


def _clusters_show_the_arn_of_their_key() -> None:
    """A DB cluster shows its key's ARN, however the request named the key."""
    from moto.rds.models import DBCluster

    original = DBCluster.__init__

    @functools.wraps(original)
    def init(self: Any, backend: Any, *args: Any, **kwargs: Any) -> None:
        original(self, backend, *args, **kwargs)
        if names.KEY_ID.fullmatch(self.kms_key_id):
            self.kms_key_id = names.key_arn(
                backend.account_id, backend.region_name, self.kms_key_id
            )

    DBCluster.__init__ = init  # type: ignore[method-assign]


def _build_projects_keep_their_key() -> None:
    """CreateProject keeps encryptionKey."""
    from moto.codebuild.responses import CodeBuildResponse
    from moto.core.responses import ActionResult

    original = CodeBuildResponse.create_project

    @functools.wraps(original)
    def create(self: Any) -> ActionResult:
        result = original(self)
        key = self._get_param("encryptionKey")
        if key:
            project = self.codebuild_backend.codebuild_projects[self._get_param("name")]
            project.project_metadata["encryptionKey"] = key
        return result

    CodeBuildResponse.create_project = create  # type: ignore[method-assign]


def _kafka_clusters_keep_their_key() -> None:
    """CreateClusterV2 keeps encryptionInfo."""
    from moto.kafka.models import KafkaBackend

    original = KafkaBackend.create_cluster_v2

    @functools.wraps(original)
    def create(self: Any, *args: Any, **kwargs: Any) -> tuple[str, str, str, str]:
        made = original(self, *args, **kwargs)
        provisioned = kwargs.get("provisioned") or {}
        self.clusters[made[0]].encryption_info = provisioned.get("encryptionInfo")
        return made

    KafkaBackend.create_cluster_v2 = create  # type: ignore[method-assign]


def _backups_carry_their_key() -> None:
    """A backup of an FSx file system shows the file system's key."""
    from moto.fsx.models import Backup

    original = Backup.to_dict

    @functools.wraps(original)
    def shown(self: Any) -> dict[str, Any]:
        return {**original(self), "KmsKeyId": self.kms_key_id}

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        made(self, *args, **kwargs)
        source = self.backend.file_systems.get(self.file_system_id)
        self.kms_key_id = source and source.kms_key_id

    made = Backup.__init__
    Backup.__init__ = init  # type: ignore[method-assign]
    Backup.to_dict = shown  # type: ignore[method-assign]


def _streams_say_that_they_are_not_encrypted() -> None:
    """DescribeDeliveryStream shows the encryption of the stream and of S3 even if there is none."""
    from moto.firehose.models import FirehoseBackend

    original = FirehoseBackend.describe_delivery_stream

    @functools.wraps(original)
    def describe(self: Any, delivery_stream_name: str) -> dict[str, Any]:
        shown = original(self, delivery_stream_name)["DeliveryStreamDescription"]
        shown = {"DeliveryStreamEncryptionConfiguration": {"Status": "DISABLED"}, **shown}
        shown["Destinations"] = _with_encryption(shown["Destinations"])
        return {"DeliveryStreamDescription": shown}

    FirehoseBackend.describe_delivery_stream = describe  # type: ignore[method-assign]


def _with_encryption(shown: Any, name: str = "") -> Any:
    """A description whose S3 destinations each have an EncryptionConfiguration."""
    if isinstance(shown, list):
        return [_with_encryption(one) for one in shown]
    if not isinstance(shown, dict):
        return shown
    none = {"EncryptionConfiguration": {"NoEncryptionConfig": "NoEncryption"}}
    inner = {key: _with_encryption(value, key) for key, value in shown.items()}
    return {**(none if name.endswith("S3DestinationDescription") else {}), **inner}


def _classifiers_show_their_output() -> None:
    """A document classifier shows OutputDataConfig, empty if it was not given."""
    from moto.comprehend.models import DocumentClassifier

    original = DocumentClassifier.to_dict

    @functools.wraps(original)
    def shown(self: Any) -> dict[str, Any]:
        return {**original(self), "OutputDataConfig": self.output_data_config or {}}

    DocumentClassifier.to_dict = shown  # type: ignore[method-assign]


def _security_configurations_end_with_an_empty_token() -> None:
    """GetSecurityConfigurations ends its last page with an empty NextToken."""
    from moto.core.responses import ActionResult
    from moto.glue.responses import GlueResponse

    original = GlueResponse.get_security_configurations

    @functools.wraps(original)
    def get(self: Any) -> ActionResult:
        result = original(self)
        shown: Any = result.result
        return ActionResult({**shown, "NextToken": ""})

    GlueResponse.get_security_configurations = get  # type: ignore[method-assign]


def _bot_aliases_without_logs_show_none() -> None:
    """DescribeBotAlias leaves out conversationLogSettings if there are none."""
    from moto.lexv2models.models import LexModelsV2Backend

    original = LexModelsV2Backend.describe_bot_alias

    @functools.wraps(original)
    def describe(self: Any, bot_alias_id: str, bot_id: str) -> dict[str, Any]:
        shown = original(self, bot_alias_id, bot_id)
        if not shown["conversationLogSettings"]:
            del shown["conversationLogSettings"]
        return shown

    LexModelsV2Backend.describe_bot_alias = describe  # type: ignore[method-assign]


def _time_series_are_served_here() -> None:
    """DescribeEndpoints names this server, and not a host of the real AWS."""
    from moto.timestreamwrite.responses import TimestreamWriteResponse

    def describe(self: Any) -> str:
        here = f"http://{self.headers['Host']}"
        return json.dumps({"Endpoints": [{"Address": here, "CachePeriodInMinutes": 1440}]})

    TimestreamWriteResponse.describe_endpoints = describe  # type: ignore[method-assign]


def _keys_are_found_by_their_tags() -> None:
    """GetResources shows tagged keys even if moto's own KMS has not been called yet."""
    from moto.kms.models import kms_backends
    from moto.resourcegroupstaggingapi import models

    original = models.iter_taggable_backends

    def backends(account_id: str, region_name: str) -> Any:
        kms_backends[account_id][region_name]  # which moto thereby counts as in use
        return original(account_id, region_name)

    models.iter_taggable_backends = backends


def _public_parameters_are_aws_own() -> None:
    """DescribeParameters shows the account's own parameters, without AWS's public ones."""
    from moto.ssm.models import Parameter, SimpleSystemManagerBackend

    original = SimpleSystemManagerBackend.describe_parameters

    @functools.wraps(original)
    def describe(self: Any, *args: Any, **kwargs: Any) -> list[Parameter]:
        found = original(self, *args, **kwargs)
        return [one for one in found if not one.name.startswith("/aws/")]

    SimpleSystemManagerBackend.describe_parameters = describe  # type: ignore[method-assign]


_WAITING: dict[str, tuple[Callable[[], None], ...]] = {
    "ec2": (
        _snapshots_carry_their_key,
        _snapshots_of_their_owners,
        _default_key_of_new_volumes,
        _images_have_the_devices_they_were_registered_with,
        _images_have_snapshots_with_keys,
    ),
    "redshift": (_warehouse_snapshots_carry_their_key, _warehouses_have_a_namespace),
    "rds": (_clusters_show_the_arn_of_their_key,),
    "secretsmanager": (_secret_versions_name_their_keys,),
    "codebuild": (_build_projects_keep_their_key,),
    "comprehend": (_classifiers_show_their_output,),
    "firehose": (_streams_say_that_they_are_not_encrypted,),
    "fsx": (_backups_carry_their_key,),
    "glue": (_security_configurations_end_with_an_empty_token,),
    "lex": (_bot_aliases_without_logs_show_none,),
    "kafka": (_kafka_clusters_keep_their_key,),
    "ssm": (_public_parameters_are_aws_own,),
    "tagging": (_keys_are_found_by_their_tags,),
    "timestream": (_time_series_are_served_here,),
    "cloudformation": (_stack_of_a_resource,),
}
