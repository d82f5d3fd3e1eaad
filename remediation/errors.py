"""Errors for people: each is printed as one message, without a traceback.

A message says what is wrong, where, and how to fix it. `exit_code` is the command's contract: 2 for
bad input, usage, or configuration that cannot be parsed or names nothing; 1 for configuration that
AWS or the network refuses; 3 for a refusal. AWS was not changed. `plan`, which may be refused for
its number of keys, has still written its plan.
"""

from __future__ import annotations

from typing import TypeVar

T = TypeVar("T")

INTERRUPTED = "interrupted; nothing more was done"
"""Message for Ctrl-C before a command runs, or where the command has none of its own."""

RUN_AGAIN = "run the same command again"
"""Fix for everything that a rerun finishes."""


class KeysweepError(Exception):
    """Base of all errors for people. Its text is what the command prints."""

    exit_code = 2


class BadInput(KeysweepError):
    """A file, option or value that cannot be used. The text says where, and how to fix it."""


class Refused(KeysweepError):
    """Valid input that is refused for safety, such as an expired plan or too many keys."""

    exit_code = 3


class AccessRefused(KeysweepError):
    """AWS or the network refused what valid configuration asks for."""

    exit_code = 1


class AccountUnavailable(AccessRefused):
    """No usable session for an account. Each of its keys gets a row; other accounts go on."""


class Misconfigured(AccountUnavailable):
    """The AWS configuration cannot be parsed, or names nothing."""

    exit_code = 2


class TruncatedResponse(KeysweepError):
    """A response of AWS that is incomplete or does not parse: rule 6 of docs/safety.md."""


class Unexpected(KeysweepError):
    """An error of Keysweep itself; the log has its traceback."""

    exit_code = 1


class InvariantError(Exception):
    """A bug in Keysweep: an invariant does not hold.

    Raised in place of `assert`, so that `python -O` changes nothing.
    """


def demand(holds: bool, invariant: str) -> None:
    """Raise InvariantError unless the invariant holds."""
    if not holds:
        raise InvariantError(invariant)


def present(value: T | None, what: str) -> T:
    """Return the value. Raises InvariantError if it is missing."""
    if value is None:
        raise InvariantError(f"{what} is missing")
    return value
