"""A key's description. It is read again right before every write."""

from __future__ import annotations

from botocore.exceptions import ClientError

from ..aws import Connection
from ..models import Cost, Evidence, KeyArn, KeyDescription, NotFound
from .source import Source


def describe(connection: Connection, key_arn: KeyArn) -> KeyDescription | NotFound:
    """Call DescribeKey. botocore's errors pass through, except NotFoundException."""
    try:
        answer = connection.client("kms").describe_key(KeyId=str(key_arn))
    except ClientError as error:
        if error.response["Error"]["Code"] == "NotFoundException":
            return NotFound()
        raise
    metadata = answer["KeyMetadata"]
    regions = metadata.get("MultiRegionConfiguration", {})
    return KeyDescription(
        key_manager=metadata["KeyManager"],
        key_state=metadata["KeyState"],
        origin=metadata["Origin"],
        key_spec=metadata["KeySpec"],
        key_usage=metadata["KeyUsage"],
        creation_date=metadata["CreationDate"],
        deletion_date=metadata.get("DeletionDate"),
        pending_window_days=metadata.get("PendingDeletionWindowInDays"),
        custom_key_store_id=metadata.get("CustomKeyStoreId"),
        multi_region_type=regions.get("MultiRegionKeyType"),
        primary=KeyArn.parse(regions["PrimaryKey"]["Arn"]) if regions else None,
        replicas=tuple(
            sorted(KeyArn.parse(replica["Arn"]) for replica in regions.get("ReplicaKeys", []))
        ),
        description=metadata.get("Description", ""),
    )


def _read(connection: Connection, evidence: Evidence) -> KeyDescription | NotFound:
    return describe(connection, evidence.key_arn)


SOURCE = Source("description", Cost.DESCRIBE, ("kms:DescribeKey",), read_key=_read)
