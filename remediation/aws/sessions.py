"""Sessions of the user, and of roles, whose credentials renew automatically."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from botocore.credentials import (
    AssumeRoleCredentialFetcher,
    CredentialProvider,
    CredentialResolver,
    Credentials,
    DeferredRefreshableCredentials,
)
from botocore.exceptions import CredentialRetrievalError
from botocore.session import Session
from botocore.utils import parse_timestamp

METHOD: Final = "assume-role"


class Given(CredentialProvider):
    """The only credentials of a session, in place of the environment's chain."""

    METHOD = METHOD

    def __init__(self, credentials: Credentials | None) -> None:
        super().__init__()
        self._credentials = credentials

    def load(self) -> Credentials | None:
        return self._credentials


def own_session(profile: str | None) -> Session:
    """The user's session, through the usual credential chain. Raises BotoCoreError."""
    session = Session(profile=profile)
    session.get_credentials()  # now, because some providers of the chain use the network
    return session


def role_session(
    own: Session,
    profile: str | None,
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
                error_msg=f"those of {role_arn} had expired on arrival. Fix: set this machine's "
                "clock",
            )
        return found

    session = Session(profile=profile)
    session.register_component("data_loader", own.get_component("data_loader"))
    given = Given(DeferredRefreshableCredentials(fetch, METHOD))
    session.register_component("credential_provider", CredentialResolver([given]))
    return session
