"""AWS Organizations: the accounts of the scenario, whose first one manages the organization."""

from __future__ import annotations

from typing import Any

from .errors import AwsError
from .scenario import Scenario

OPERATIONS = frozenset({"DescribeOrganization", "ListAccounts"})

PAGE = 20
"""Most accounts of a page ("ListAccounts", AWS Organizations API Reference)."""


JOINED = 1_600_000_000
"""When each account joined; nothing depends on it."""

ID = "o-exampleorgid"


def answer(
    operation: str, scenario: Scenario, caller: str, params: dict[str, Any]
) -> dict[str, Any]:
    """Answer ListAccounts or DescribeOrganization, or raise AwsError."""
    if operation == "ListAccounts":
        return _accounts(scenario, caller, params)
    manager = next(iter(scenario.accounts))
    arn = f"arn:aws:organizations::{manager}"
    return {
        "Organization": {
            "Id": ID,
            "Arn": f"{arn}:organization/{ID}",
            "FeatureSet": "ALL",
            "MasterAccountArn": f"{arn}:account/{ID}/{manager}",
            "MasterAccountId": manager,
            "MasterAccountEmail": _email(manager),
            "AvailablePolicyTypes": [{"Type": "SERVICE_CONTROL_POLICY", "Status": "ENABLED"}],
        }
    }


def _email(account: str) -> str:
    return f"{account}@example.com"


def _accounts(scenario: Scenario, caller: str, params: dict[str, Any]) -> dict[str, Any]:
    accounts = list(scenario.accounts)
    if caller != accounts[0]:
        raise AwsError(
            "AccessDeniedException",
            "You don't have permissions to access this resource.",
        )
    start = int(params.get("NextToken", "0"))
    most = min(params.get("MaxResults", PAGE), PAGE)
    shown = [
        {
            "Id": account,
            "Arn": f"arn:aws:organizations::{accounts[0]}:account/{ID}/{account}",
            "Email": _email(account),
            "Name": scenario.accounts[account].name or account,
            "Status": scenario.accounts[account].status,
            "State": scenario.accounts[account].status,
            "JoinedMethod": "INVITED",
            "JoinedTimestamp": JOINED,
        }
        for account in accounts[start : start + most]
    ]
    more = {"NextToken": str(start + most)} if start + most < len(accounts) else {}
    return {"Accounts": shown, **more}
