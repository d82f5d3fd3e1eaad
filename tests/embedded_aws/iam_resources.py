"""The resource and condition keys of requests of the few services where policies name them.

Sources: "Actions, resources, and condition keys" of each service (AWS service authorization
reference). Requests of other services are about any resource.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .http_message import Request
from .iam_policy import ANY_RESOURCE


def resource_of(action: str, request: Request, account: str) -> str:
    """The ARN that IAM compares with a statement's Resource."""
    if action.startswith("s3:") and request.path != "/":
        bucket, _, key = request.path.lstrip("/").partition("/")
        return f"arn:aws:s3:::{bucket}" if not key else f"arn:aws:s3:::{bucket}/{key}"
    if action == "sts:AssumeRole":
        return request.form.get("RoleArn", ANY_RESOURCE)
    if action == "ecs:RunTask":
        return str(request.json().get("taskDefinition", ANY_RESOURCE))
    if action in {"ecs:DescribeTasks", "ecs:StopTask"}:
        named: list[Any] = request.json().get("tasks") or [request.json().get("task")]
        return str(named[0])
    if action.startswith("athena:") and "WorkGroup" in request.json():
        name = request.json()["WorkGroup"]
        return f"arn:aws:athena:{request.region}:{account}:workgroup/{name}"
    if action == "glue:GetTable":
        name = "{DatabaseName}/{Name}".format_map(request.json())
        return f"arn:aws:glue:{request.region}:{account}:table/{name}"
    return ANY_RESOURCE


def resource_context(request: Request) -> Mapping[str, str]:
    """Condition keys, in lower case."""
    if request.service == "s3" and "prefix" in request.query:
        return {"s3:prefix": request.query["prefix"]}
    if request.service == "s3" and "if-none-match" in request.headers:
        return {"s3:if-none-match": request.headers["if-none-match"]}
    if request.service == "ecs" and request.operation == "RunTask":
        return {"ecs:cluster": str(request.json().get("cluster"))}
    return {}
