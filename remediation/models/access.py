"""Who can use a key: grants and the key policy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from .base import Model


class Grant(Model):
    """A grant, as ListGrants returns it."""

    grant_id: str
    """Id of the grant, for RevokeGrant."""
    grantee_principal: str
    """ARN or AWS service that can use the key, such as `rds.eu-west-1.amazonaws.com`."""
    retiring_principal: str | None = None
    """ARN or AWS service that can retire the grant; None: none."""
    issuing_account: str | None = None
    """Account that issued the grant, such as `arn:aws:iam::111122223333:root`."""
    operations: tuple[str, ...] = ()
    """Allowed operations, such as `Decrypt`."""
    name: str | None = None
    """Name of the grant; None: none."""

    def outsiders(self, account_id: str) -> Iterator[tuple[str, str]]:
        """Yield role and name of each principal outside the account.

        A service belongs to the account that issued the grant, and is outside if no account is
        named. A principal without an account (the unique ID of a deleted role) is outside too,
        because its account is unknown.
        """
        for role, principal in (
            ("grantee", self.grantee_principal),
            ("retiring principal", self.retiring_principal),
            ("issuing account", self.issuing_account),
        ):
            if principal is None or account_of(principal) == account_id:
                continue
            if self.issuing_account is None or not _SERVICE.fullmatch(principal):
                yield role, principal


_SERVICE: Final = re.compile(r"[a-z0-9.-]+\.amazonaws\.com(\.cn)?")
"""A service principal, regional or not: `rds.amazonaws.com`, `dynamodb.eu-west-1.amazonaws.com`."""


_ACCOUNT: Final = re.compile(r"[0-9]{12}", re.ASCII)
_PRINCIPAL: Final = re.compile(r"arn:aws[a-z-]*:(iam|sts)::(?P<account>[^:]*):.+")


def account_of(principal: str) -> str | None:
    """Account of a principal, from an account ID or an IAM or STS ARN; None if it cannot be known.

    A deleted user or role leaves only its unique ID, such as AROA...
    """
    if _ACCOUNT.fullmatch(principal):
        return principal
    match = _PRINCIPAL.fullmatch(principal)
    return match["account"] if match else None


class KeyPolicy(Model):
    """Who else can use the key, according to its key policy."""

    sha256: str
    """SHA-256 digest of the key policy; `apply` compares it."""
    outside: tuple[str, ...] = ()
    """Principals of other accounts, or everyone, each with its statement."""
    unpinned: tuple[str, ...] = ()
    """Services that can use the key without a condition on the account, each with its statement."""
    account_root: bool
    """Whether a statement lets IAM policies of the account control access to the key. Without it,
    the deletion might be impossible to cancel."""
    undo_denied: tuple[str, ...] = ()
    """Statements that deny the cancellation, but not the scheduling."""
    problem: str | None = None
    """Why the key policy could not be evaluated: invalid JSON, or `NotPrincipal`."""
