"""Credential providers that fail: one message, the right exit code, and no secret in either."""

from __future__ import annotations

import logging
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
from botocore.credentials import Credentials
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
)

from keysweep.remediation.aws import Access, Accounts
from keysweep.remediation.aws.access_errors import ProviderError, reason, unavailable
from keysweep.remediation.aws.clients import Clients
from keysweep.remediation.aws.sessions import Guarded, own_session
from keysweep.remediation.errors import AccountUnavailable, Misconfigured
from keysweep.remediation.models import AccountRegion

CANARY = "Canary4711"
IRELAND = AccountRegion("aws", "111122223333", "eu-west-1")
Profile = Callable[[str], None]


@pytest.fixture
def profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Profile:
    """Use these lines of a configuration as the profile, and nothing else of AWS."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("HOME", str(tmp_path))

    def write(lines: str) -> None:
        (tmp_path / "config").write_text(f"[profile p]\n{lines}\n", encoding="utf-8")

    return write


def refusal() -> AccountUnavailable:
    with pytest.raises(AccountUnavailable) as caught:
        Accounts(Access(profile="p")).demand_access([IRELAND])
    return caught.value


def program(folder: Path, body: str) -> str:
    path = folder / "program"
    path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    path.chmod(0o755)
    return f"credential_process = {path}"


ROLE = "role_arn = arn:aws:iam::111122223333:role/Sweep\n"


@pytest.mark.parametrize(
    ("lines", "named"),
    [
        ("credential_process = /nonexistent/program", "/nonexistent/program"),
        ('credential_process = /bin/echo "x', "credential_process"),
        (f"{ROLE}web_identity_token_file = /nonexistent/token", "/nonexistent/token"),
        (f"{ROLE}web_identity_token_file = /usr", "/usr"),
        (f"{ROLE}source_profile = absent", "absent"),
        ("sso_session = absent\nsso_account_id = 111122223333\nsso_role_name = r", "absent"),
        ("[profile", "config"),
    ],
)
def test_configuration_that_names_nothing_exits_with_2(
    lines: str, named: str, profile: Profile
) -> None:
    profile(lines)
    error = refusal()
    assert error.exit_code == 2
    assert named in str(error)
    assert "Fix: " in str(error)


@pytest.mark.parametrize(
    "body",
    [
        f"echo {CANARY}",
        f"echo '[\"{CANARY}\"]'",
        f"echo {CANARY}; echo {CANARY} >&2; exit 3",
        f"printf '\\377{CANARY}'",
        f'echo \'{{"Version": 1, "AccessKeyId": "{CANARY}"}}\'',
        f'echo \'{{"Version": 1, "AccessKeyId": null, "SecretAccessKey": ["{CANARY}"]}}\'',
        f'echo \'{{"Version": 1, "AccessKeyId": "{CANARY}", "SecretAccessKey": "{CANARY}", '
        f'"SessionToken": "{CANARY}", "Expiration": "{CANARY}"}}\'',
    ],
)
def test_a_program_that_prints_no_credentials_is_named_and_never_quoted(
    body: str, profile: Profile, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    profile(program(tmp_path, body))
    with caplog.at_level(logging.DEBUG, "keysweep"):
        error = refusal()
    assert error.exit_code == 1
    assert "credential_process" in str(error)
    assert CANARY not in str(error)
    assert not any(CANARY in record.getMessage() for record in caplog.records)


def test_a_token_of_single_sign_on_that_is_missing_exits_with_1(profile: Profile) -> None:
    profile(
        "sso_session = s\nsso_account_id = 111122223333\nsso_role_name = r\n"
        "[sso-session s]\nsso_region = eu-west-1\nsso_start_url = https://example.com/start"
    )
    error = refusal()
    assert error.exit_code == 1
    assert "aws sso login" in str(error)


def test_no_code_is_read_from_standard_input(
    profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keysweep.remediation.aws.sessions._has_terminal", lambda: False)
    profile(
        f"{ROLE}source_profile = q\nmfa_serial = arn:aws:iam::111122223333:mfa/me\n"
        "[profile q]\naws_access_key_id = A\naws_secret_access_key = B"
    )
    error = refusal()
    assert error.exit_code == 1
    assert "MFA" in str(error)


def test_an_endpoint_without_a_scheme_exits_with_2(
    profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile("aws_access_key_id = A\naws_secret_access_key = B")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "localhost:4566")
    error = refusal()
    assert error.exit_code == 2
    assert "localhost:4566" in str(error)
    with pytest.raises(BotoCoreError, match="localhost:4566"):
        Clients().make(own_session("p"), "", "kms", "eu-west-1")


def test_a_region_that_does_not_answer_is_not_the_last_one_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried: list[str] = []

    def identity(self: Accounts, session: object, account: str, region: str) -> tuple[str, str]:
        tried.append(region)
        if region != "eu-west-1":
            raise EndpointConnectionError(endpoint_url="https://sts.example.com")
        return "111122223333", "arn:aws:iam::111122223333:user/operator"

    monkeypatch.setattr(Accounts, "_identity", identity)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "A")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "B")
    accounts = Accounts()
    new = AccountRegion("aws", "111122223333", "me-new-1")
    accounts.demand_access([new, IRELAND])
    assert tried == ["me-new-1", "eu-west-1"]
    assert accounts.caller(new).endswith("user/operator")


class Failing(Credentials):
    """Credentials of a provider that cannot renew them any more."""

    def __init__(self, error: Exception) -> None:
        super().__init__("A", "B", method="custom-process")
        self.error = error

    def get_frozen_credentials(self) -> object:
        raise self.error


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(2, "No such file or directory", "program"),
        RuntimeError("still expired"),
        AttributeError("'list' object has no attribute 'get'"),
        ClientError({"Error": {"Code": "AccessDenied"}}, "AssumeRole"),
        NoCredentialsError(),
    ],
)
def test_any_error_of_a_renewal_is_an_error_of_botocore(error: Exception) -> None:
    with pytest.raises(ProviderError) as caught:
        Guarded(Failing(error)).get_frozen_credentials()
    assert isinstance(caught.value, BotoCoreError)
    assert reason(error) in str(caught.value)
    refused = unavailable("What", caught.value)
    assert isinstance(refused, Misconfigured) == isinstance(error, FileNotFoundError)


def test_no_message_has_a_password_of_an_address() -> None:
    error = EndpointConnectionError(endpoint_url=f"http://user:{CANARY}@example.com/")
    assert CANARY not in str(unavailable("What", error))


def test_a_role_names_what_its_source_credentials_lack() -> None:
    source = Guarded(Failing(FileNotFoundError(2, "No such file or directory", "/gone/program")))
    with pytest.raises(ProviderError) as inner:
        source.get_frozen_credentials()
    with pytest.raises(ProviderError) as outer:
        Guarded(Failing(inner.value)).get_frozen_credentials()
    assert "/gone/program" in str(outer.value)
    assert isinstance(unavailable("What", outer.value), Misconfigured)


@pytest.mark.parametrize(
    ("cause", "sent"),
    [(NoCredentialsError(), NoCredentialsError), (ValueError("s3cr3t"), type(None))],
)
def test_an_error_of_a_provider_reaches_another_process_without_secrets(
    cause: Exception, sent: type
) -> None:
    error = ProviderError("custom-process", cause)
    error.__cause__ = cause
    content = pickle.dumps(error)
    assert b"s3cr3t" not in content
    there = pickle.loads(content)
    assert type(there) is ProviderError
    assert (there.kwargs, type(there.__cause__)) == (error.kwargs, sent)
