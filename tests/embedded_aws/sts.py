"""STS and the few answers about an account that every scanner asks for at its start."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from xml.sax.saxutils import escape

from . import names
from .clock import iso
from .errors import AwsError
from .identity import Identities, Identity

_STS = "https://sts.amazonaws.com/doc/2011-06-15/"
_EC2 = "http://ec2.amazonaws.com/doc/2016-11-15/"
_NOT_OPTED_IN = ("af-south-1", "ap-east-1", "me-south-1")
"""Shown by DescribeRegions with AllRegions, as AWS shows Regions that an account did not enable."""


def answer(
    operation: str,
    params: Mapping[str, str],
    caller: Identity,
    region: str,
    identities: Identities,
    request_id: str,
) -> str:
    """Answer an STS request in XML, or raise AwsError."""
    if operation == "GetCallerIdentity":
        arn = caller.arn(region)
        result = (
            f"<Arn>{arn}</Arn><UserId>{_user_id(caller)}</UserId>"
            f"<Account>{caller.account}</Account>"
        )
    elif operation == "AssumeRole":
        role, session = _required(params, "RoleArn"), _required(params, "RoleSessionName")
        seconds = int(params.get("DurationSeconds", "3600"))
        assumed = identities.assume(caller, role, session, seconds, params.get("ExternalId"))
        result = _credentials(assumed) + (
            f"<AssumedRoleUser><AssumedRoleId>{_user_id(assumed)}</AssumedRoleId>"
            f"<Arn>{escape(assumed.arn(region))}</Arn></AssumedRoleUser>"
        )
    elif operation == "GetSessionToken":
        seconds = int(params.get("DurationSeconds", "43200"))
        result = _credentials(identities.session_of(caller, seconds))
    else:
        raise AwsError("InvalidAction", f"Could not find operation {operation} for version", 400)
    return (
        f'<{operation}Response xmlns="{_STS}"><{operation}Result>{result}</{operation}Result>'
        f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>"
        f"</{operation}Response>"
    )


def describe_regions(params: Mapping[str, str], enabled: list[str], request_id: str) -> str:
    """Answer EC2's DescribeRegions: an account has the Regions that the scenario gives it."""
    regions = dict.fromkeys(enabled, "opt-in-not-required")
    if params.get("AllRegions") == "true":
        regions |= {name: "not-opted-in" for name in _NOT_OPTED_IN if name not in regions}
    requested = {value for name, value in params.items() if name.startswith("RegionName.")}
    unknown = requested - set(regions)
    if unknown:
        raise AwsError("InvalidParameterValue", f"Invalid region name: {', '.join(unknown)}")
    items = "".join(
        f"<item><regionName>{name}</regionName><regionEndpoint>ec2.{name}.amazonaws.com"
        f"</regionEndpoint><optInStatus>{status}</optInStatus></item>"
        for name, status in sorted(regions.items())
        if (not requested or name in requested) and _passes(params, name, status)
    )
    return (
        f'<DescribeRegionsResponse xmlns="{_EC2}"><requestId>{request_id}</requestId>'
        f"<regionInfo>{items}</regionInfo></DescribeRegionsResponse>"
    )


def _passes(params: Mapping[str, str], name: str, status: str) -> bool:
    shown = {"opt-in-status": status, "region-name": name}
    number = 1
    while filter_name := params.get(f"Filter.{number}.Name"):
        prefix = f"Filter.{number}.Value."
        values = {value for key, value in params.items() if key.startswith(prefix)}
        if shown.get(filter_name) not in values:
            return False
        number += 1
    return True


def _required(params: Mapping[str, str], name: str) -> str:
    if not params.get(name):
        raise AwsError("MissingParameter", f"The request must contain the parameter {name}")
    return params[name]


def _user_id(identity: Identity) -> str:
    owner = f"{identity.account}/{identity.role or names.OPERATOR}"
    prefix = "AROA" if identity.role else "AIDA"
    identifier = prefix + hashlib.sha256(owner.encode()).hexdigest()[:17].upper()
    return f"{identifier}:{identity.session}" if identity.role else identifier


def _credentials(identity: Identity) -> str:
    secret = hashlib.sha256(identity.access_key.encode()).hexdigest()[:40]
    expires = iso(identity.expires or 0.0)
    return (
        f"<Credentials><AccessKeyId>{identity.access_key}</AccessKeyId>"
        f"<SecretAccessKey>{secret}</SecretAccessKey>"
        f"<SessionToken>session-{identity.access_key}</SessionToken>"
        f"<Expiration>{expires}</Expiration></Credentials>"
    )
