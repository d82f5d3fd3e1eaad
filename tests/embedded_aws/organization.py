"""AWS Organizations: the accounts of the scenario, whose first one manages the organization."""

from __future__ import annotations

from typing import Any

from .errors import AwsError
from .scenario import Scenario

PAGE = 20
"""Most accounts of a page ("ListAccounts", AWS Organizations API Reference)."""


def list_accounts(scenario: Scenario, caller: str, params: dict[str, Any]) -> dict[str, Any]:
    """Answer ListAccounts, or raise AwsError."""
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
            "Arn": f"arn:aws:organizations::{accounts[0]}:account/o-exampleorgid/{account}",
            "Name": scenario.accounts[account].name or account,
            "Status": scenario.accounts[account].status,
            "State": scenario.accounts[account].status,
        }
        for account in accounts[start : start + most]
    ]
    more = {"NextToken": str(start + most)} if start + most < len(accounts) else {}
    return {"Accounts": shown, **more}
