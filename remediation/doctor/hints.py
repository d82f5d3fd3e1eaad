"""Signs that a service is unused. They are hints for a person, and never evidence."""

from __future__ import annotations

from botocore.exceptions import BotoCoreError, ClientError

from ..aws import Connection
from ..errors import TruncatedResponse


def hint(connection: Connection, region: str, prefix: str) -> str | None:
    """What CloudTrail's newest 50 events and the tagged resources of a service show in a Region.

    `prefix` is the service's prefix in IAM actions, which names its event source and resource types
    too. None: neither could be read.
    """
    parts = (_events(connection, region, prefix), _resources(connection, region, prefix))
    return "; ".join(part for part in parts if part) or None


def _events(connection: Connection, region: str, prefix: str) -> str | None:
    try:
        answer = connection.client("cloudtrail", region=region).lookup_events(
            LookupAttributes=[
                {"AttributeKey": "EventSource", "AttributeValue": f"{prefix}.amazonaws.com"}
            ],
            MaxResults=50,
        )
    except (ClientError, BotoCoreError, TruncatedResponse):
        return None
    events = answer.get("Events", ())
    writes = [event for event in events if event.get("ReadOnly") != "true"]
    if writes:
        return f"events in CloudTrail, such as {writes[0].get('EventName')}"
    return (
        f"no write among {len(events)} events in CloudTrail" if events else "no event in CloudTrail"
    )


def _resources(connection: Connection, region: str, prefix: str) -> str | None:
    try:
        answer = connection.client("resourcegroupstaggingapi", region=region).get_resources(
            ResourceTypeFilters=[prefix], ResourcesPerPage=1
        )
    except (ClientError, BotoCoreError, TruncatedResponse):
        return None
    return "tagged resources" if answer.get("ResourceTagMappingList") else "no tagged resource"
