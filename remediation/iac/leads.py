"""What a piece of code says about its live key, before anybody has asked AWS."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from ..aws import Accounts
from ..aws.failures import explain
from ..errors import AccountUnavailable, CutAnswer
from ..models import KeyArn

BY_PROWLER: Final = (
    "scan the account with Prowler and the keysweep pack, and plan those results too"
)
"""The step that always leads to the live key."""

_KEY_ID: Final = re.compile(r"mrk-[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_REGION: Final = re.compile(r"[a-z]{2,}(-[a-z]+)+-[0-9]+", re.ASCII)
_ALIAS: Final = re.compile(r"alias/[a-zA-Z0-9/_-]{1,250}", re.ASCII)


@dataclass(frozen=True)
class Nowhere:
    """Why a finding leads to no live key, and what would resolve it."""

    reason: str
    step: str
    candidates: tuple[str, ...] = ()


@dataclass(frozen=True)
class Lead:
    """A key as code names it: by ARN, or by id or alias in a Region."""

    name: str
    region: str | None

    def follow(self, accounts: Accounts) -> KeyArn | Nowhere:
        """The live key. Ids and aliases are looked up in the own account of the credentials."""
        if self.name.startswith("arn:"):
            try:
                return KeyArn.parse(self.name)
            except ValueError:
                return Nowhere("what it names is not the ARN of a KMS key", BY_PROWLER)
        if not (_KEY_ID.fullmatch(self.name) or _ALIAS.fullmatch(self.name)):
            return Nowhere("it names its key in a way that only its tool resolves", BY_PROWLER)
        if self.region is None or not _REGION.fullmatch(self.region):
            return Nowhere(
                "it names a key, and no Region", f"write its region there, or {BY_PROWLER}"
            )
        return _described(self.name, self.region, accounts)


def _described(name: str, region: str, accounts: Accounts) -> KeyArn | Nowhere:
    try:
        connection = accounts.own_connection(region)
    except AccountUnavailable as error:
        return Nowhere(str(error), BY_PROWLER)
    try:
        answer = connection.client("kms").describe_key(KeyId=name)
        return KeyArn.parse(answer["KeyMetadata"]["Arn"])
    except ClientError as error:
        if error.response["Error"]["Code"] == "NotFoundException":
            return Nowhere(
                f"account {connection.account_id} has no key {name} in {region}",
                f"plan with the credentials of the account that it is in, or {BY_PROWLER}",
            )
        return Nowhere(explain(error, connection).unreadable, BY_PROWLER)
    except (BotoCoreError, CutAnswer) as error:
        return Nowhere(explain(error, connection).unreadable, BY_PROWLER)
    except (LookupError, TypeError, ValueError):
        return Nowhere(f"AWS did not say which key {name} is", BY_PROWLER)
