"""One message for every error of credentials, configuration and network: what, why, fix.

Credential providers run programs and read files, and let through whatever goes wrong there. What a
program printed, or a file holds, may be a secret: no message quotes it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Final

from botocore import exceptions as aws
from botocore.exceptions import BotoCoreError, ClientError

from ..errors import AccountUnavailable, KeysweepError, Misconfigured
from .failures import code_of

PROCESS: Final = "custom-process"
"""botocore's name of the provider that runs `credential_process`."""

_LONGEST: Final = 300

_UNUSABLE_CONFIGURATION: Final = (
    aws.ProfileNotFound,
    aws.ConfigNotFound,
    aws.ConfigParseError,
    aws.InvalidConfigError,
    aws.InvalidRegionError,
    aws.UnknownRegionError,
    aws.NoRegionError,
    aws.PartialCredentialsError,
    aws.UnknownCredentialError,
    aws.EndpointVariantError,
    aws.InvalidIMDSEndpointError,
    aws.InvalidIMDSEndpointModeError,
    aws.InvalidRetryConfigurationError,
    aws.InvalidSTSRegionalEndpointsConfigError,
    aws.InvalidProxiesConfigError,
    aws.InvalidDefaultsMode,
    aws.InvalidEndpointConfigurationError,
    aws.InvalidChecksumConfigError,
)
"""Configuration that cannot be parsed or names nothing. AWS was not called."""

_NO_SUCH_FILE: Final = (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError)

_QUOTES: Final = frozenset({"No closing quotation", "No escaped character"})
"""The messages of shlex, whose exception has no type of its own."""

_SIGN_IN_AGAIN: Final = (aws.SSOError, aws.LoginError, aws.TokenRetrievalError)

_NETWORK: Final = (aws.ConnectionError, aws.HTTPClientError)

_EXPIRED: Final = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})

_TOKEN_CODES: Final = frozenset(
    {"AuthFailure", "InvalidClientTokenId", "SignatureDoesNotMatch", "UnrecognizedClientException"}
)


class NoTerminal(EOFError):
    """A code of an MFA device is needed, and there is no terminal to ask on."""


class UnusableSettings(aws.InvalidConfigError):
    """Settings with which botocore makes no client."""


class ProviderError(aws.CredentialRetrievalError):
    """Whatever a credential provider raised, as an error of botocore that quotes nothing secret.

    Its `__cause__` is the provider's error.
    """

    def __init__(self, provider: str, error: Exception) -> None:
        super().__init__(provider=provider, error_msg=reason(error))

    def __reduce__(self) -> tuple[Callable[..., ProviderError], tuple[object, ...]]:
        return _provider_error, (self.kwargs, _sendable(self.__cause__))


def _provider_error(kwargs: dict[str, str], cause: Exception | None) -> ProviderError:
    """A ProviderError of another process."""
    error = ProviderError(kwargs["provider"], cause or ValueError())
    aws.CredentialRetrievalError.__init__(error, **kwargs)
    error.__cause__ = cause
    return error


def _sendable(cause: BaseException | None) -> BaseException | None:
    """The cause, if it is of botocore: others may hold a secret, or cannot be sent."""
    return cause if isinstance(cause, BotoCoreError | ClientError) else None


def unavailable(what: str, error: Exception, fix: str | None = None) -> AccountUnavailable:
    """The error for people: Misconfigured if the configuration cannot be used, whatever AWS says.

    `fix` replaces the advice where AWS refused a request.
    """
    if isinstance(error, AccountUnavailable):
        return error
    error = origin(error)
    kind = Misconfigured if is_misconfigured(error) else AccountUnavailable
    advice = fix if fix is not None and isinstance(error, ClientError) else _fix(error)
    return kind(f"{what}: {reason(error)}. Fix: {advice}")


def is_misconfigured(error: Exception) -> bool:
    """Whether the configuration cannot be parsed or names nothing."""
    return isinstance(error, (*_UNUSABLE_CONFIGURATION, *_NO_SUCH_FILE)) or _has_open_quotes(error)


def reason(error: Exception) -> str:
    """Why, in one line, without anything that may be a secret."""
    error = origin(error)
    if isinstance(error, ClientError):
        return f"AWS answered {code_of(error)} to {error.operation_name}"
    if _is_of_process(error):
        return "credential_process failed, or printed JSON that is not credentials"
    if isinstance(error, BotoCoreError | KeysweepError):
        return f"{_clean(str(error)).rstrip('.')} ({type(error).__name__})"
    if isinstance(error, OSError):
        about = f"{error.filename}: " if error.filename is not None else ""
        return _clean(f"{about}{error.strerror or type(error).__name__}")
    if _has_open_quotes(error):
        return "credential_process has unbalanced quotes"
    if isinstance(error, json.JSONDecodeError):
        return "the output of the credential provider is not JSON"
    if isinstance(error, EOFError):
        return "there is no terminal to ask for the MFA code"
    return f"the credential provider returned unusable output ({type(error).__name__})"


def configuration_error(error: Exception) -> UnusableSettings:
    """An error from making a client, such as an endpoint without a scheme."""
    text = _clean(str(error)) if isinstance(error, OSError | ValueError) else type(error).__name__
    return UnusableSettings(error_msg=text)


def origin(error: Exception) -> Exception:
    """The original error of a provider. A role's provider wraps that of its source credentials."""
    while isinstance(error, ProviderError) and isinstance(error.__cause__, Exception):
        error = error.__cause__
    return error


def _fix(error: Exception) -> str:
    if isinstance(error, ClientError):
        return _fix_of_code(code_of(error))
    if _has_open_quotes(error):
        return "correct credential_process in the AWS configuration"
    if isinstance(error, aws.ProfileNotFound):
        return "check --profile and AWS_PROFILE (aws configure list-profiles)"
    if isinstance(error, aws.NoCredentialsError):
        return "sign in, for example with aws sso login, or name a profile with --profile"
    if isinstance(error, _SIGN_IN_AGAIN):
        return "sign in again with aws sso login or aws login"
    if isinstance(error, _NETWORK):
        return "check the network, HTTPS_PROXY and AWS_ENDPOINT_URL"
    if isinstance(error, UnusableSettings):
        return "check AWS_ENDPOINT_URL (it begins with https://) and the other AWS settings"
    if isinstance(error, EOFError):
        return "run it in a terminal, or use temporary credentials (aws sts get-session-token)"
    if _is_of_process(error) or not isinstance(error, BotoCoreError | OSError | KeysweepError):
        return "run the profile's credential_process on its own and check its output"
    return "correct the AWS configuration (~/.aws/config, ~/.aws/credentials, AWS_ variables)"


def _fix_of_code(code: str) -> str:
    if code in _EXPIRED:
        return "renew the credentials, for example with aws sso login"
    if code in _TOKEN_CODES:
        return "check the access key and that the account has enabled the Region"
    return "check the environment, --profile and --role-name"


def _is_of_process(error: Exception) -> bool:
    """Whether the program of `credential_process` failed; its message quotes what it printed."""
    return (
        isinstance(error, aws.CredentialRetrievalError) and error.kwargs.get("provider") == PROCESS
    )


def _has_open_quotes(error: Exception) -> bool:
    return type(error) is ValueError and str(error) in _QUOTES


def _clean(text: str) -> str:
    """One line, without user and password of an address."""
    return re.sub(r"(//)[^/\s@]*@", r"\1", " ".join(text.split()))[:_LONGEST]
