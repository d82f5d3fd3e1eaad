"""Describe errors of AWS: operation, account, Region, code and what to do."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from botocore.exceptions import BotoCoreError, ClientError

from ..errors import TruncatedResponse
from ..models import Unreadable

_DENIED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError")
_EXPIRED = ("ExpiredToken", "ExpiredTokenException", "RequestExpired")

Failure = ClientError | BotoCoreError | TruncatedResponse


class Where(Protocol):
    """The account-Region of a failed call."""

    @property
    def account_id(self) -> str: ...
    @property
    def region(self) -> str: ...


def code_of(error: Failure) -> str:
    """AWS's error code, or the exception's name."""
    if isinstance(error, ClientError):
        return error.response.get("Error", {}).get("Code", "Unknown")
    return type(error).__name__


def denied(code: str) -> bool:
    """Whether AWS's code means a denial."""
    return code in _DENIED


def explain(error: Failure, connection: Where, permissions: Collection[str] = ()) -> Unreadable:
    """Describe why evidence could not be read, with the permission that a denied call needs.

    `permissions` are the IAM actions of the failed calls.
    """
    code = code_of(error)
    where = f"in account {connection.account_id}, {connection.region}"
    if not isinstance(error, ClientError):
        return Unreadable(unreadable=f"{_first_line(error)} {where}; run it again")
    operation = error.operation_name
    if denied(code):
        return Unreadable(
            unreadable=f"{operation} {where} was denied ({code})",
            permission=_action(operation, permissions),
        )
    if code in _EXPIRED:
        return Unreadable(
            unreadable=f"the credentials expired ({code}) at {operation} {where}; renew them"
        )
    return Unreadable(unreadable=f"{operation} {where} failed ({code}); run it again")


def _action(operation: str, permissions: Collection[str]) -> str:
    return next((p for p in permissions if p.endswith(f":{operation}")), f"kms:{operation}")


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
