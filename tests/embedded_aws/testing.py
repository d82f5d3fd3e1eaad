"""Short ways for tests: one scenario, clients for it, outcomes of calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from .process import EmbeddedAws

ACCOUNT, OTHER = "111122223333", "444455556666"
_SESSION = boto3.session.Session()
"""Shared, for it keeps the service models that it has read."""


class Lab:
    """A server with one scenario in two accounts; clients call once, without retries."""

    def __init__(self, aws: EmbeddedAws) -> None:
        self.aws = aws

    def scenario(self, *keys: dict[str, Any], region: str = "eu-west-1", **account: Any) -> None:
        """Begin anew with these keys in one Region of ACCOUNT; `account` adds to the account."""
        regions = {region: {"keys": list(keys)}, "us-east-1": {}, "eu-central-1": {}}
        other = {"regions": {region: {}}, "roles": ["Reader"]}
        self.aws.reset({"accounts": {ACCOUNT: {"regions": regions, **account}, OTHER: other}})

    def client(self, service: str, region: str = "eu-west-1", account: str = ACCOUNT) -> Any:
        """Return a boto3 client of an account's operator."""
        config = Config(
            retries={"total_max_attempts": 1, "mode": "standard"},
            read_timeout=60,
            inject_host_prefix=False,
        )
        make: Any = _SESSION.client
        return make(service, config=config, **self.aws.client_arguments(account, region))

    def arn(self, name: str, region: str = "eu-west-1", account: str = ACCOUNT) -> str:
        """Return the ARN of the scenario's key of that name."""
        return self.aws.key_arn(account, region, name)


def outcome(call: Callable[..., Any], **arguments: Any) -> str:
    """Return `ok` or the error code of a boto3 call."""
    try:
        call(**arguments)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return "ok"
