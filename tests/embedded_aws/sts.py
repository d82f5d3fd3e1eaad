"""STS and the few answers about an account that every scanner asks for at its start."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from xml.sax.saxutils import escape

from . import names
from .clock import iso
from .errors import AwsError, constraint
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
        role, session = _required(params, "RoleArn"), _session_name(params)
        seconds = int(params.get("DurationSeconds", "3600"))
        kept = _transitive_tags(params, caller)
        external_id = params.get("ExternalId")
        assumed = identities.assume(caller, role, session, seconds, external_id, kept)
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


def _session_name(params: Mapping[str, str]) -> str:
    name = _required(params, "RoleSessionName")
    if not re.fullmatch(r"[\w+=,.@-]*", name, re.ASCII):
        wanted = r"satisfy regular expression pattern: [\w+=,.@-]*"
        raise constraint(name, "roleSessionName", wanted, "ValidationError")
    return name


def _transitive_tags(params: Mapping[str, str], caller: Identity) -> frozenset[str]:
    """Keys of the transitive tags of a new session, in lower case. Raises AwsError."""
    tags = [v.lower() for k, v in params.items() if re.fullmatch(r"Tags\.member\.\d+\.Key", k)]
    kept = {v.lower() for k, v in params.items() if k.startswith("TransitiveTagKeys.member.")}
    if len(tags) > len(set(tags)):
        reason = "Duplicate tag keys found. Please note that Tag keys are case insensitive."
    elif kept & caller.transitive:
        reason = (
            "One of the specified transitive tag keys can't be set because it conflicts with a "
            "transitive tag key from the calling session."
        )
    elif kept - set(tags):
        reason = "The specified transitive tag key must be included in the requested tags."
    else:
        return frozenset(kept)
    raise AwsError("InvalidParameterValue", reason)


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
