"""A KMS behind botocore's HTTP layer: provider, parsing and retries are the real ones."""

from __future__ import annotations

import copy
import functools
import json
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import boto3
import botocore.endpoint
import botocore.httpsession
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import EndpointConnectionError
from prowler.config.config import default_config_file_path, load_and_validate_config_file
from prowler.lib.check.models import Check, Check_Report_AWS
from prowler.providers.aws import aws_provider
from prowler.providers.aws.aws_provider import AwsProvider
from prowler.providers.common.models import Audit_Metadata

from keysweep.services.kms.kms_cmk_not_disabled.kms_cmk_not_disabled import kms_cmk_not_disabled
from keysweep.services.kms.kms_cmk_pending_deletion_not_used import (
    kms_cmk_pending_deletion_not_used as pending_deletion_module,
)

ACCOUNT = "111122223333"
CREATED = 1_700_000_000  # 2023-11-14T22:13:20Z
GET_CALLER_IDENTITY = f"""<GetCallerIdentityResponse><GetCallerIdentityResult>
<Arn>arn:aws:iam::{ACCOUNT}:user/auditor</Arn><UserId>AIDAEXAMPLE</UserId>
<Account>{ACCOUNT}</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"""


CONFIG = load_and_validate_config_file("aws", default_config_file_path)
"""Of Prowler; read once, as are its Regions: each takes as long as a scan."""
read_regions = functools.cache(aws_provider.read_aws_regions_file)


class _Body:
    """What urllib3 hands to botocore."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self) -> Iterator[bytes]:
        yield self._content


@dataclass
class Fault:
    """What a matching call gets instead of its answer: an error, a cut answer, or no connection."""

    operation: str
    region: str | None = None
    key_id: str | None = None
    page: int | None = None
    code: str = ""
    status: int = 400
    answer: Callable[[bytes], bytes] | None = None
    unreachable: bool = False

    def matches(self, operation: str, region: str, request: dict[str, Any]) -> bool:
        """Say whether the call is meant; `page` counts from 1."""
        page = int(request.get("Marker") or request.get("NextToken") or "0") + 1
        key_id = request.get("KeyId")
        if operation == "LookupEvents":
            key_id = request["LookupAttributes"][0]["AttributeValue"].rpartition("/")[2]
        return (
            operation == self.operation
            and self.region in (None, region)
            and self.key_id in (None, key_id)
            and self.page in (None, page)
        )


@dataclass
class FakeKms:
    """Answers as AWS KMS and CloudTrail's event history do: pages, ARNs, errors.

    `calls` holds (operation, Region, request), `pauses` the seconds slept.
    """

    regions: tuple[str, ...] = ("eu-west-1",)
    page_size: int = 1000
    keys: dict[str, dict[str, Any]] = field(default_factory=dict)
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    events: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    calls: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def key(
        self,
        state: str = "Disabled",
        region: str = "eu-west-1",
        tags: dict[str, str] | None = None,
        **metadata: Any,
    ) -> str:
        """Create a key with this KeyMetadata and return its ARN."""
        key_id = metadata.pop("KeyId", None) or str(uuid.uuid4())
        arn = f"arn:aws:kms:{region}:{ACCOUNT}:key/{key_id}"
        self.keys[arn] = {
            "AWSAccountId": ACCOUNT,
            "KeyId": key_id,
            "Arn": arn,
            "CreationDate": CREATED,
            "Enabled": state == "Enabled",
            "Description": "",
            "KeyUsage": "ENCRYPT_DECRYPT",
            "KeyState": state,
            "Origin": "AWS_KMS",
            "KeyManager": "CUSTOMER",
            "KeySpec": "SYMMETRIC_DEFAULT",
            "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT",
            "MultiRegion": False,
            **metadata,
        }
        self.tags[arn] = tags or {}
        return arn

    def fault(self, operation: str, **what: Any) -> None:
        """Make matching calls fail."""
        self.faults.append(Fault(operation, **what))

    def deny(self, operation: str, **where: Any) -> None:
        """Refuse matching calls as IAM does."""
        self.fault(operation, code="AccessDeniedException", **where)

    def cut(self, operation: str, **where: Any) -> None:
        """Answer matching calls with the first half of the body."""
        self.fault(operation, answer=lambda body: body[: len(body) // 2], **where)

    def operations(self, region: str | None = None) -> list[str]:
        """Return the names of the calls made, sorted; optionally of one Region."""
        return sorted(operation for operation, where, _ in self.calls if region in (None, where))

    def send(self, request: AWSPreparedRequest) -> AWSResponse:
        """Replace `botocore.httpsession.URLLib3Session.send`."""
        host = request.url.split("/")[2]
        target = request.headers.get("X-Amz-Target", b"")
        service, _, operation = (
            target.decode() if isinstance(target, bytes) else target
        ).rpartition(".")
        if service == "TrentService" or operation == "LookupEvents":
            return self._kms(request.url, operation, host.split(".")[1], json.loads(request.body))
        if service.startswith("ResourceGroupsTaggingAPI"):
            return _response(request.url, 200, self._tagged(host, json.loads(request.body)))
        if host.startswith("sts."):
            return _response(request.url, 200, GET_CALLER_IDENTITY.encode())
        if host.startswith("ec2."):
            names = "".join(
                f"<item><regionName>{name}</regionName></item>" for name in self.regions
            )
            body = f"<Answer><regionInfo>{names}</regionInfo></Answer>"
            return _response(request.url, 200, body.encode())
        return _response(request.url, 400, b'{"__type": "AccessDeniedException", "message": "no"}')

    def _kms(self, url: str, operation: str, region: str, request: dict[str, Any]) -> AWSResponse:
        with self.lock:
            self.calls.append((operation, region, request))
        fault = next((one for one in self.faults if one.matches(operation, region, request)), None)
        if fault and fault.unreachable:
            raise EndpointConnectionError(endpoint_url=url)
        if fault and fault.code:
            error = {"__type": fault.code, "message": f"{operation} is refused"}
            return _response(url, fault.status, json.dumps(error).encode())
        body = json.dumps(self._answer(operation, region, request)).encode()
        return _response(url, 200, fault.answer(body) if fault and fault.answer else body)

    def _answer(self, operation: str, region: str, request: dict[str, Any]) -> dict[str, Any]:
        if operation == "ListKeys":
            listed = [
                {"KeyId": arn.rpartition("/")[2], "KeyArn": arn}
                for arn in self.keys
                if arn.split(":")[3] == region
            ]
            return _page("Keys", listed, min(self.page_size, request.get("Limit", 100)), request)
        if operation == "LookupEvents":
            return self._history(request)
        arn = f"arn:aws:kms:{region}:{ACCOUNT}:key/{request['KeyId']}"
        if operation == "DescribeKey":
            return {"KeyMetadata": self.keys[arn]}
        assert operation == "ListResourceTags", f"the check has no business with {operation}"
        listed = [{"TagKey": name, "TagValue": value} for name, value in self.tags[arn].items()]
        return _page("Tags", listed, min(self.page_size, 50), request)

    def _history(self, request: dict[str, Any]) -> dict[str, Any]:
        (query,) = request["LookupAttributes"]
        assert query["AttributeKey"] == "ResourceName"
        found = [
            event
            for event in self.events.get(query["AttributeValue"], [])
            if event["EventTime"] >= request["StartTime"]
        ]
        found.sort(key=lambda event: event["EventTime"], reverse=True)
        size, number = min(self.page_size, 50), int(request.get("NextToken", "0"))
        answer: dict[str, Any] = {"Events": found[number * size : (number + 1) * size]}
        if len(found) > (number + 1) * size:
            answer["NextToken"] = str(number + 1)
        return answer

    def _tagged(self, host: str, request: dict[str, Any]) -> bytes:
        wanted = {(one["Key"], value) for one in request["TagFilters"] for value in one["Values"]}
        found = [
            {"ResourceARN": arn}
            for arn, tags in self.tags.items()
            if arn.split(":")[3] in host and wanted <= set(tags.items())
        ]
        return json.dumps({"ResourceTagMappingList": found, "PaginationToken": ""}).encode()


def _page(
    name: str, listed: list[dict[str, str]], size: int, request: dict[str, Any]
) -> dict[str, Any]:
    """Cut a listing into pages; the marker is the number of pages seen."""
    number = int(request.get("Marker", "0"))
    page: dict[str, Any] = {name: listed[number * size : (number + 1) * size]}
    if len(listed) > (number + 1) * size:
        return {**page, "Truncated": True, "NextMarker": str(number + 1)}
    return {**page, "Truncated": False}


def _response(url: str, status: int, body: bytes) -> AWSResponse:
    headers = {"Content-Type": "application/x-amz-json-1.1", "Content-Length": str(len(body))}
    return AWSResponse(url, status, headers, _Body(body))


@pytest.fixture
def kms(monkeypatch: pytest.MonkeyPatch) -> FakeKms:
    """A KMS with one Region; nothing of the machine's AWS configuration is read."""
    fake = FakeKms()
    for name, value in {
        "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "example",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    }.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_MAX_ATTEMPTS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    monkeypatch.setattr(
        botocore.httpsession.URLLib3Session, "send", lambda _, request: fake.send(request)
    )
    monkeypatch.setattr(botocore.endpoint.time, "sleep", fake.pauses.append)
    monkeypatch.setattr(aws_provider, "read_aws_regions_file", read_regions)
    return fake


Run = Callable[..., dict[str, Check_Report_AWS]]


@pytest.fixture
def run(kms: FakeKms) -> Run:
    """Run `kms_cmk_not_disabled` with Prowler's own provider; findings by resource ARN.

    Keyword arguments are those of Prowler's AwsProvider.
    """
    return _runner(kms, kms_cmk_not_disabled)


@pytest.fixture
def run_pending(kms: FakeKms) -> Run:
    """Run `kms_cmk_pending_deletion_not_used` in the same way."""
    return _runner(kms, pending_deletion_module.kms_cmk_pending_deletion_not_used)


def _runner(kms: FakeKms, check: type[Check]) -> Run:
    def scan(**options: Any) -> dict[str, Check_Report_AWS]:
        provider = AwsProvider(config_content=copy.deepcopy(CONFIG), **options)
        provider.audit_metadata = Audit_Metadata(
            services_scanned=0, expected_checks=[], completed_checks=0, audit_progress=0
        )
        kms.calls.clear()
        findings = check().execute()
        by_arn = {finding.resource_arn: finding for finding in findings}
        assert len(by_arn) == len(findings), "two findings of one resource"
        return by_arn

    return scan
