"""Sessions of the user, and of roles, whose credentials renew automatically."""

from __future__ import annotations

import math
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from botocore.credentials import (
    AssumeRoleCredentialFetcher,
    CredentialProvider,
    CredentialResolver,
    Credentials,
    DeferredRefreshableCredentials,
    ReadOnlyCredentials,
)
from botocore.exceptions import CredentialRetrievalError
from botocore.session import Session
from botocore.utils import parse_timestamp

from .access_errors import NoTerminal, ProviderError
from .acting import current

METHOD: Final = "assume-role"


class Given(CredentialProvider):
    """The only credentials of a session, in place of the environment's chain."""

    METHOD = METHOD

    def __init__(self, credentials: Credentials | None) -> None:
        super().__init__()
        self._credentials = credentials

    def load(self) -> Credentials | None:
        return self._credentials


class Guarded(Credentials):
    """Credentials that raise a ProviderError if they cannot be renewed, whatever went wrong."""

    def __init__(self, given: Credentials) -> None:
        # Without the base's: no values are kept here.
        self._given = given
        self.method = given.method

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        try:
            return self._given.get_frozen_credentials()
        except Exception as error:
            raise ProviderError(self.method, error) from error

    def get_deferred_property(self, property_name: str) -> Callable[[], Any]:
        return lambda: getattr(self.get_frozen_credentials(), property_name, None)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._given, name)


class Relayed(Credentials):
    """Credentials of another process, fetched again after `FRESH` seconds.

    That process renews them minutes before they expire.
    """

    FRESH: Final = 30.0

    def __init__(self, method: str, fetch: Callable[[], ReadOnlyCredentials]) -> None:
        # Without the base's, as above.
        self.method = method
        self._fetch = fetch
        self._lock = threading.Lock()
        self._fetched = -math.inf
        self._frozen: ReadOnlyCredentials | None = None

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        with self._lock:
            now = time.monotonic()
            if self._frozen is None or now - self._fetched > self.FRESH:
                self._frozen, self._fetched = self._fetch(), now
            return self._frozen

    def get_deferred_property(self, property_name: str) -> Callable[[], Any]:
        return lambda: getattr(self.get_frozen_credentials(), property_name, None)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.get_frozen_credentials(), name)


class Acting(Credentials):
    """Credentials of the account that the calling thread acts for."""

    def __init__(self) -> None:
        # Without the base's: no values are kept here.
        self.method = "acting"

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        return current().credentials.get_frozen_credentials()

    def get_deferred_property(self, property_name: str) -> Callable[[], Any]:
        return lambda: getattr(self.get_frozen_credentials(), property_name, None)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.get_frozen_credentials(), name)


def own_session(profile: str | None) -> Session:
    """The user's session, through the usual credential chain.

    Raises ProviderError or BotoCoreError, or NoTerminal if a code of an MFA device is needed.
    """
    session = Session(profile=profile)
    demand_terminal_for_mfa(session)
    try:  # now, because some providers of the chain use the network
        credentials = session.get_component("credential_provider").load_credentials()
    except Exception as error:
        raise ProviderError("the AWS configuration", error) from error
    given = None if credentials is None else Guarded(credentials)
    session.register_component("credential_provider", CredentialResolver([Given(given)]))
    return session


def base_session(profile: str | None) -> Session:
    """A session without credentials, whose service models others share."""
    session = Session(profile=profile)
    session.register_component("credential_provider", CredentialResolver([]))
    return session


def session_like(given: Session, credentials: Credentials) -> Session:
    """A session with other credentials, which shares the service models."""
    session = Session(profile=given.profile)
    session.register_component("data_loader", given.get_component("data_loader"))
    session.register_component("credential_provider", CredentialResolver([Given(credentials)]))
    return session


def demand_terminal_for_mfa(session: Session) -> None:
    """Raise NoTerminal if botocore would ask for a code and there is no terminal.

    Without one it would read the code from standard input, which may hold the results.
    """
    profiles = session.full_config.get("profiles", {})
    name: str | None = session.profile or "default"
    visited: set[str] = set()
    while name is not None and name not in visited:
        visited.add(name)
        profile = profiles.get(name, {})
        if "role_arn" in profile and "mfa_serial" in profile and not _has_terminal():
            raise NoTerminal
        name = profile.get("source_profile")


def _has_terminal() -> bool:
    """Whether there is a terminal to ask on, as getpass looks for it."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return sys.stdin is not None and sys.stdin.isatty()
    return True


def role_session(
    own: Session,
    role_arn: str,
    parameters: Mapping[str, str],
    make_client: Callable[..., Any],
) -> Session:
    """A session of a role. Its credentials are fetched at first use, and renewed in time.

    `parameters` are those of AssumeRole besides the role. `make_client(service, **credentials)`
    creates the client that assumes it. The session shares the service models that `own` loaded,
    each of which takes 50 ms and megabytes.
    """
    fetcher = AssumeRoleCredentialFetcher(
        make_client, own.get_credentials(), role_arn, extra_args=dict(parameters)
    )

    def fetch() -> dict[str, Any]:
        found: dict[str, Any] = fetcher.fetch_credentials()
        if parse_timestamp(found["expiry_time"]) <= datetime.now(UTC):
            raise CredentialRetrievalError(
                provider=METHOD,
                error_msg=f"the credentials of {role_arn} were already expired. Fix: set this "
                "machine's clock",
            )
        return found

    return session_like(own, Guarded(DeferredRefreshableCredentials(fetch, METHOD)))
