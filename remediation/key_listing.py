"""The keys of account-Regions, and what reads nothing but their descriptions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from .aws import Accounts, Connection
from .aws.failures import explain
from .errors import AccountUnavailable, Misconfigured, TruncatedResponse
from .models import AccountRegion, Evidence, KeyArn

LIST_PERMISSION: Final = "kms:ListKeys"


def named_account_regions(
    accounts: Accounts, regions: Iterable[str], account_ids: Iterable[str]
) -> tuple[AccountRegion, ...]:
    """These Regions of these accounts; without names, the configured one, and the session's own.

    Raises AccountUnavailable if the credentials do not work, or there is no such Region.
    """
    named: list[str | None] = [*regions]
    own = [accounts.own_account_region(region) for region in named or [None]]
    return tuple(
        AccountRegion(one.partition, account_id, one.region)
        for account_id in sorted(account_ids) or [own[0].account_id]
        for one in own
    )


def list_keys(connection: Connection) -> list[KeyArn]:
    """Every key of the account-Region. Raises AccountUnavailable if they could not be listed."""
    try:
        pages = connection.client("kms").get_paginator("list_keys").paginate()
        return [KeyArn.parse(key["KeyArn"]) for page in pages for key in page["Keys"]]
    except (ClientError, BotoCoreError, TruncatedResponse) as error:
        kind = AccountUnavailable if connection.is_known else Misconfigured
        raise kind(
            f"The keys of account {connection.account_id} in {connection.region} could not be "
            f"listed: {explain(error, connection, (LIST_PERMISSION,)).unreadable}. "
            f"Fix: check --region, allow {LIST_PERMISSION}, or leave out the Region."
        ) from error


class DescriptionOnly:
    """Only the description is needed."""

    def __call__(self, evidence: Evidence) -> frozenset[str]:
        return frozenset({"description"} if evidence.description is None else ())

    def only(self, _keys: Iterable[KeyArn]) -> DescriptionOnly:
        """The same for these keys."""
        return self
