"""Describe errors of AWS: operation, account, Region, AWS's code and message, and what to do."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from ..errors import TruncatedResponse
from ..models import AnswerClass, Unreadable
from .answers import answer_of

_DENIED: Final = frozenset(
    {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError"}
)

Failure = ClientError | BotoCoreError | TruncatedResponse

_FIXES: Final[dict[AnswerClass, str]] = {
    "token": "renew the credentials, or enable the Region for their token",
    "network": "run it again",
    "unclear": "run it again",
}


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


def verb(answer_class: AnswerClass) -> str:
    """Whether a call failed or was denied, by the class of AWS's answer."""
    return "was denied" if answer_class in {"permission", "organization", "boundary"} else "failed"


def explain(error: Failure, connection: Where, permissions: Collection[str] = ()) -> Unreadable:
    """Describe why evidence could not be read.

    `permissions` are the IAM actions of the failed calls. One is named only if AWS says that an
    identity-based policy lacks it.
    """
    answer = answer_of(error)
    where = f"in account {connection.account_id}, {connection.region}"
    operation = error.operation_name if isinstance(error, ClientError) else "the call"
    if isinstance(error, TruncatedResponse):  # a sentence of our own, with nothing of AWS's in it
        what = f"{' '.join(str(error).split())} {where}"
    else:
        what = f"{operation} {where} {verb(answer.answer_class)} ({answer})"
    fix = _FIXES.get(answer.answer_class)
    return Unreadable(
        unreadable=f"{what}; {fix}" if fix else what,
        operation=error.operation_name if isinstance(error, ClientError) else None,
        code=answer.code,
        message=answer.message,
        answer_class=answer.answer_class,
        permission=_action(operation, permissions) if answer.lacks_action else None,
    )


def _action(operation: str, permissions: Collection[str]) -> str:
    return next((p for p in permissions if p.endswith(f":{operation}")), f"kms:{operation}")
