"""Evidence that could not be read, and keys that were not found."""

from __future__ import annotations

from typing import Literal, TypeVar

from ..errors import InvariantError
from .base import Model

T = TypeVar("T")


class Unreadable(Model):
    """Evidence that could not be read. It never counts as absent."""

    unreadable: str
    """Why, such as `ListGrants in account 111122223333, eu-west-1 was denied
    (AccessDeniedException)`."""
    permission: str | None = None
    """IAM action that is missing, if that is the cause."""


class NotFound(Model):
    """Key not found: deleted, or never existed."""

    not_found: Literal[True] = True
    """Distinguishes this from the description of a key."""


def known(piece: T | Unreadable | NotFound | None) -> T:
    """Return evidence that is known to be readable. Raises InvariantError otherwise."""
    if piece is None or isinstance(piece, Unreadable | NotFound):
        raise InvariantError(f"evaluated without its evidence: {piece!r}")
    return piece
