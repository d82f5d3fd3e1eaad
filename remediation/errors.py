"""The family of errors that people see: one sentence each, never a traceback.

Every error says what is wrong, where, and what mends it; `exit_code` is the command's contract:
2 for bad input or usage, 3 for a refusal. In both cases AWS was not changed; `plan`, which may be
refused for its number of keys, has written its plan all the same.
"""

from __future__ import annotations

from typing import TypeVar

T = TypeVar("T")

INTERRUPTED = "interrupted; nothing more was done"
"""What Ctrl-C is told where no command is at work that has an answer of its own."""


class KeysweepError(Exception):
    """Base of all errors for people; its text is the sentence that the command prints."""

    exit_code = 2


class BadInput(KeysweepError):
    """A file, an option or a value that cannot be used, named with its place and the mend."""


class Refused(KeysweepError):
    """Everything was understood, and is not done for safety: an expired plan, too many keys."""

    exit_code = 3


class AccountUnavailable(KeysweepError):
    """No usable session for an account: a row for each of its keys, and the others go on."""


class CutAnswer(KeysweepError):
    """An answer from AWS that is shorter than announced, does not parse, or came to no good end.

    It is never read as less than it was: promise 6 of README.md.
    """


class Unexpected(KeysweepError):
    """An error of Keysweep itself; the log has its traceback."""

    exit_code = 1


class InvariantError(Exception):
    """A bug in Keysweep: the code does not keep what it promises itself.

    Raised where other code would `assert`, so that `python -O` changes nothing.
    """


def demand(holds: bool, invariant: str) -> None:
    """Raise InvariantError with this sentence unless the invariant holds."""
    if not holds:
        raise InvariantError(invariant)


def present(value: T | None, what: str) -> T:
    """The value, which cannot be missing here. Raises InvariantError when it is."""
    if value is None:
        raise InvariantError(f"{what} is missing")
    return value
