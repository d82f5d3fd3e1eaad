"""What CloudTrail and AWS KMS record about a key: state changes, aliases, use."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from .base import Model, Time


class StateChange(Model):
    """A CloudTrail event that changed the key state."""

    event: str
    """Event name, such as `DisableKey` or `CancelKeyDeletion`."""
    time: Time
    """Time of the event."""
    who: str | None = None
    """ARN of the identity, or name of the service or user; None: not in the event."""


ENDS_DISABLED: Final = frozenset({"DisableKey", "CancelKeyDeletion"})
"""Events that leave a key Disabled ("Key states of AWS KMS keys", Developer Guide)."""


class KeyHistory(Model):
    """Changes of the key state in CloudTrail."""

    since: Time
    """Start of the readable history."""
    last_change: StateChange | None = None
    """Last change of the key state; None: none since `since`."""
    cancellations: tuple[StateChange, ...] = ()
    """Cancellations of its deletion."""

    @property
    def disabled_since(self) -> datetime | None:
        """Time since which a disabled key has been disabled, at the latest: `since` if that was
        before the history begins. None: events are missing.
        """
        if self.last_change is None:
            return self.since
        return self.last_change.time if self.last_change.event in ENDS_DISABLED else None


class AliasMove(Model):
    """An alias that was moved from one key to another."""

    alias: str
    """Name of the alias, as `alias/NAME`."""
    key_id: str
    """ID of the key that it was moved to."""
    time: Time
    """Time of the event."""
    who: str | None = None
    """ARN of the identity, or name of the service or user; None: not in the event."""


class AliasMoves(Model):
    """Aliases moved from this key to another, in the readable history."""

    since: Time
    """Start of the readable history."""
    moved: tuple[AliasMove, ...] = ()
    """Last move of each alias away from this key, sorted by alias."""
    possible: tuple[AliasMove, ...] = ()
    """Up to 20 moves, newest first, away from a key that CloudTrail does not name. It can be this
    key, which is older than the move and had no other alias."""


class LaterAlias(Model):
    """An alias on another key."""

    alias: str
    """Name of the alias, as `alias/NAME`."""
    key_id: str
    """ID of its key."""
    updated: Time
    """When the alias was last associated with a key (LastUpdatedDate)."""


class LaterAliases(Model):
    """Aliases associated with other keys after this key was created; they might have been on this
    key before. Reported only; never holds a key."""

    count: int
    """Number of these aliases."""
    newest: tuple[LaterAlias, ...] = ()
    """Up to 20 of them: those changed by UpdateAlias, then the others, each newest first."""


class LastUse(Model):
    """Response of GetKeyLastUsage: last use, never used, or not used since tracking began."""

    used: Time | None = None
    """Time of the last successful use; None: none since `tracking_start`."""
    operation: str | None = None
    """Operation of the last use, such as `Decrypt`."""
    tracking_start: Time
    """When AWS began to track the use of the key. Earlier use is unknown."""
    never: bool = False
    """True: the key was created after tracking began, and was never used."""


class UseAttempt(Model):
    """A cryptographic operation, CreateGrant or GetPublicKey on the key, successful or refused."""

    event: str
    """Event name, such as `Decrypt` or `CreateGrant`."""
    time: Time
    """Time of the event."""
    who: str | None = None
    """ARN of the identity, or name of the service or user; None: not in the event."""
    error: str | None = None
    """Error code, such as `KMSInvalidStateException`; None: successful."""


class UseAttempts(Model):
    """Attempts to use the key, in the readable history. An empty list proves nothing."""

    since: Time
    """Start of the readable history."""
    attempts: tuple[UseAttempt, ...] = ()
    """Attempts, newest first."""
    all_read: bool = True
    """False: older events were not read, because the newest ones decide."""
