"""Sessions: the user's own, and those of roles, whose credentials renew themselves."""

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
    """The only credentials of a session: the environment's chain is not looked at."""

    METHOD = METHOD

    def __init__(self, credentials: Credentials | None) -> None:
        super().__init__()
        self._credentials = credentials

    def load(self) -> Credentials | None:
        return self._credentials


def own_session(profile: str | None) -> Session:
    """The user's session, by the whole usual chain. Raises BotoCoreError."""
    session = Session(profile=profile)
    session.get_credentials()  # here, since some providers of the chain call the network
    return session


def role_session(
    own: Session,
    profile: str | None,
    role_arn: str,
    parameters: Mapping[str, str],
    make_client: Callable[..., Any],
) -> Session:
    """A session of a role, with credentials that are got when first used, and again in time.

    `parameters` are those of AssumeRole besides the role; `make_client(service, **credentials)`
    makes the client that assumes it. It shares the service models that `own` has read: they take
    50 ms and megabytes for each service.
    """
    fetcher = AssumeRoleCredentialFetcher(
        make_client, own.get_credentials(), role_arn, extra_args=dict(parameters)
    )

    def fetch() -> dict[str, Any]:
        found: dict[str, Any] = fetcher.fetch_credentials()
        if parse_timestamp(found["expiry_time"]) <= datetime.now(UTC):
            raise CredentialRetrievalError(
                provider=METHOD,
                error_msg=f"those of {role_arn} had expired when they came; set this machine's "
                "clock",
            )
        return found

    session = Session(profile=profile)
    session.register_component("data_loader", own.get_component("data_loader"))
    given = Given(DeferredRefreshableCredentials(fetch, METHOD))
    session.register_component("credential_provider", CredentialResolver([given]))
    return session
