"""Evidence that could not be read, and keys that were not found."""

from __future__ import annotations

from typing import Literal, TypeVar

from ..errors import InvariantError
from .base import Model

T = TypeVar("T")


AnswerClass = Literal[
    "permission",
    "organization",
    "boundary",
    "not-in-region",
    "never-enabled",
    "closed",
    "token",
    "network",
    "unclear",
]
"""Why AWS did not show something, by AWS's own words:

* `permission`: an identity-based policy of the role. Only this class names an IAM action.
* `organization`: a service or resource control policy, or a call for the organization's
  administrator.
* `boundary`: a permissions boundary, or a session, VPC endpoint or resource-based policy.
* `not-in-region`, `never-enabled`: the service may be absent, but evidence is missing.
* `closed`: the service or feature is closed to the account.
* `token`: the credentials are not accepted, for example in an opt-in Region.
* `network`: no connection, a proxy, or a time-out.
* `unclear`: everything else, such as bare denials, empty messages, 5xx and throttling."""


class Unreadable(Model):
    """Evidence that could not be read. It never counts as absent."""

    unreadable: str
    """Why, with AWS's error code and its message, shortened."""
    operation: str | None = None
    """Operation that was not answered; None as below."""
    code: str | None = None
    """AWS's error code, or the name of another error; None as below."""
    message: str | None = None
    """AWS's message, shortened; None as below."""
    answer_class: AnswerClass | None = None
    """Class of AWS's answer; None: Keysweep did not ask, or did not understand."""
    permission: str | None = None
    """IAM action that is missing; only if AWS says that no identity-based policy allows it."""


class NotFound(Model):
    """Key not found: deleted, or never existed."""

    not_found: Literal[True] = True
    """Distinguishes this from the description of a key."""


def known(piece: T | Unreadable | NotFound | None) -> T:
    """Return evidence that is known to be readable. Raises InvariantError otherwise."""
    if piece is None or isinstance(piece, Unreadable | NotFound):
        raise InvariantError(f"evaluated without its evidence: {piece!r}")
    return piece
