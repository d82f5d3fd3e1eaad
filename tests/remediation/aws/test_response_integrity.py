"""Answers that a network cuts, over a real socket: never an empty list, in any protocol of AWS."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from keysweep.remediation.aws.response_integrity import reject_truncated_responses
from keysweep.remediation.errors import TruncatedResponse

BODIES = {
    "kms": b'{"Grants":[{"GrantId":"g1"}],"Truncated":false}',
    "cloudformation": (
        b'<DescribeStackResourcesResponse xmlns="http://cloudformation.amazonaws.com/doc/'
        b'2010-05-15/"><DescribeStackResourcesResult><StackResources><member><StackName>shop'
        b"</StackName></member></StackResources></DescribeStackResourcesResult>"
        b"<ResponseMetadata><RequestId>r</RequestId></ResponseMetadata>"
        b"</DescribeStackResourcesResponse>"
    ),
    "ec2": (
        b'<DescribeVolumesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r'
        b"</requestId><volumeSet><item><volumeId>vol-1</volumeId></item></volumeSet>"
        b"</DescribeVolumesResponse>"
    ),
    "s3": (
        b'<ListAllMyBucketsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Buckets>'
        b"<Bucket><Name>b</Name></Bucket></Buckets></ListAllMyBucketsResult>"
    ),
    "lambda": b'{"Functions":[{"FunctionName":"f"}]}',
}
"""One whole answer for each protocol: json, query, ec2, rest-xml, rest-json."""

CALLS: dict[str, Callable[[Any], Any]] = {
    "kms": lambda client: client.list_grants(KeyId="x").get("Grants"),
    "cloudformation": lambda client: client.describe_stack_resources(PhysicalResourceId="x").get(
        "StackResources"
    ),
    "ec2": lambda client: client.describe_volumes().get("Volumes"),
    "s3": lambda client: client.list_buckets().get("Buckets"),
    "lambda": lambda client: client.list_functions().get("Functions"),
}


class Wire:
    """A server on a socket that answers every request with these bytes."""

    def __init__(self) -> None:
        self.status = b"200 OK"
        self.head = b""
        self.body = b""
        wire = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                length = 0
                while line := self.rfile.readline().strip():
                    if line.lower().startswith(b"content-length:"):
                        length = int(line.split(b":")[1])
                self.rfile.read(length)
                head = b"HTTP/1.1 " + wire.status + b"\r\nConnection: close\r\n" + wire.head
                self.wfile.write(head + b"\r\n" + wire.body)

        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def cut(self, whole: bytes, at: int, how: str) -> None:
        """Answer with the first bytes of a body, announced in one of three ways."""
        self.body = whole[:at]
        self.head = {
            "announced in full": b"Content-Length: %d\r\n" % len(whole),
            "announced as it is": b"Content-Length: %d\r\n" % at,
            "not announced": b"",
            "chunked": b"Transfer-Encoding: chunked\r\n",
        }[how]
        if how == "chunked":
            self.body = b"%x\r\n" % len(whole) + self.body
            if at == len(whole):
                self.body += b"\r\n0\r\n\r\n"

    def client(self, service: str, *, checked: bool = True) -> Any:
        """A client of this server that tries once."""
        client = boto3.client(
            service,
            region_name="eu-west-1",
            endpoint_url=f"http://127.0.0.1:{self.server.server_address[1]}",
            aws_access_key_id="AKIAIOSFODNN7EXAMPLE",
            aws_secret_access_key="example",
            config=Config(
                retries={"total_max_attempts": 1, "mode": "standard"},
                s3={"addressing_style": "path"},
            ),
        )
        if checked:
            reject_truncated_responses(client)
        return client


@pytest.fixture
def wire() -> Iterator[Wire]:
    made = Wire()
    yield made
    made.server.shutdown()
    made.server.server_close()


WAYS = ["announced in full", "announced as it is", "not announced", "chunked"]


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("service", BODIES)
def test_a_whole_answer_passes(wire: Wire, service: str, how: str) -> None:
    wire.cut(BODIES[service], len(BODIES[service]), how)
    assert len(CALLS[service](wire.client(service))) == 1


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("service", BODIES)
def test_an_answer_truncated_at_any_byte_is_an_error(wire: Wire, service: str, how: str) -> None:
    client, whole = wire.client(service), BODIES[service]
    for at in [0, 1, *range(2, len(whole) - 1, 7), len(whole) - 1]:
        wire.cut(whole, at, how)
        with pytest.raises((TruncatedResponse, BotoCoreError, ClientError)):
            CALLS[service](client)


def test_without_the_integrity_check_a_truncated_answer_reads_as_empty(wire: Wire) -> None:
    """Why there is a check at all; when botocore mends this, it can go."""
    wire.cut(BODIES["kms"], 30, "announced as it is")
    assert CALLS["kms"](wire.client("kms", checked=False)) is None


@pytest.mark.parametrize("body", [b"", b"null x", b'"text"', b"17", b"<html></html>", b"[" * 99999])
def test_text_that_is_not_json_is_an_error(wire: Wire, body: bytes) -> None:
    wire.cut(body, len(body), "announced as it is")
    with pytest.raises(TruncatedResponse, match="KMS ListGrants"):
        CALLS["kms"](wire.client("kms"))


def test_more_pages_without_a_way_to_them_is_an_error(wire: Wire) -> None:
    body = b'{"Grants":[],"Truncated":true}'
    wire.cut(body, len(body), "announced in full")
    pages = wire.client("kms").get_paginator("list_grants").paginate(KeyId="x")
    with pytest.raises(TruncatedResponse, match="more pages"):
        list(pages)


def test_a_page_that_leads_back_to_itself_is_an_error(wire: Wire) -> None:
    body = b'{"Grants":[],"Truncated":true,"NextMarker":"again"}'
    wire.cut(body, len(body), "announced in full")
    pages = wire.client("kms").get_paginator("list_grants").paginate(KeyId="x")
    with pytest.raises(BotoCoreError, match="again"):
        list(pages)


def test_an_operation_without_an_answer_may_be_empty(wire: Wire) -> None:
    wire.cut(b"", 0, "announced in full")
    wire.client("kms").enable_key(KeyId="x")
    wire.client("s3").delete_bucket(Bucket="b")


def test_a_head_has_a_length_and_no_body(wire: Wire) -> None:
    wire.head = b"Content-Length: 4711\r\n"
    wire.client("s3").head_object(Bucket="b", Key="k")


def test_a_body_that_is_a_string_is_not_a_document(wire: Wire) -> None:
    body = b'{"Version": "2012-10-17"}'
    wire.cut(body, len(body), "announced in full")
    assert wire.client("s3").get_bucket_policy(Bucket="b")["Policy"] == body.decode()


@pytest.mark.parametrize("service", BODIES)
def test_a_refusal_stays_a_refusal(wire: Wire, service: str) -> None:
    wire.status = b"403 Forbidden"
    wire.head = b"x-amzn-ErrorType: AccessDeniedException\r\n"
    error = b"<Error><Code>AccessDeniedException</Code><Message>no</Message></Error>"
    if service == "cloudformation":
        error = b"<ErrorResponse>" + error + b"</ErrorResponse>"
    if service == "ec2":
        error = b"<Response><Errors>" + error + b"</Errors></Response>"
    if service in {"kms", "lambda"}:
        error = b'{"__type": "AccessDeniedException", "message": "no"}'
    wire.body = error
    with pytest.raises(ClientError) as refusal:
        CALLS[service](wire.client(service))
    assert refusal.value.response["Error"]["Code"] == "AccessDeniedException"


@pytest.mark.parametrize("service", BODIES)
def test_an_error_of_the_server_is_left_to_be_retried(wire: Wire, service: str) -> None:
    wire.status = b"503 Slow Down"
    wire.body = b"<html>busy"
    with pytest.raises((ClientError, BotoCoreError)):
        CALLS[service](wire.client(service))
