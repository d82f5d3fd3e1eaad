"""The account that a thread acts for, where clients serve several accounts.

A client takes 5 to 10 ms of processor time and connections of its own, and a scan calls it once or
twice. So accounts share the clients of a scan: a request is signed, limited and logged for the
account that the calling thread has named. Without one, nothing is sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import InvariantError

if TYPE_CHECKING:
    from botocore.credentials import Credentials


@dataclass(frozen=True)
class Actor:
    """An account, and the credentials that were checked to belong to it."""

    account_id: str
    credentials: Credentials


_current: ContextVar[Actor | None] = ContextVar("account that this thread acts for", default=None)


@contextmanager
def acting_as(actor: Actor) -> Iterator[None]:
    """Let this thread's requests of shared clients be those of this account."""
    before = _current.set(actor)
    try:
        yield
    finally:
        _current.reset(before)


def current() -> Actor:
    """The account that this thread acts for. Raises InvariantError if there is none."""
    actor = _current.get()
    if actor is None:
        raise InvariantError("a shared client was called for no account")
    return actor
