"""Entering accounts: the right one, once, renewed in time, and none that was not named."""

from __future__ import annotations

import resource
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import botocore.credentials
import pytest
from botocore.exceptions import ClientError

from embedded_aws.process import EmbeddedAws
from keysweep.remediation.aws import Access, Accounts, ClientSettings
from keysweep.remediation.aws.clients import Clients
from keysweep.remediation.aws.failures import explain
from keysweep.remediation.errors import AccountUnavailable
from keysweep.remediation.evidence.description import describe
from keysweep.remediation.models import KeyArn, KeyDescription

SHOP, DATA, FAR = "111122223333", "444455556666", "777788889999"
Scenario = Callable[[Mapping[str, Any]], EmbeddedAws]
ROLE = Access(role_name="Sweep", session_name="friday-sweep")


@pytest.fixture
def three(aws: Scenario) -> EmbeddedAws:
    """Three accounts; the operator is of the first, the others have a role."""
    keys = {"keys": [{"name": "k-{n}", "count": 3, "state": "Disabled"}]}
    regions = {"eu-west-1": keys, "us-east-1": keys}
    return aws(
        {
            SHOP: {"regions": regions},
            DATA: {"regions": regions, "roles": ["Sweep"]},
            FAR: {"regions": regions, "roles": ["Sweep"]},
        }
    )


def key(aws: EmbeddedAws, account: str, region: str = "eu-west-1", name: str = "k-1") -> KeyArn:
    return KeyArn.parse(aws.key_arn(account, region, name))


def test_own_account_and_assumed_accounts_are_entered_once_each(three: EmbeddedAws) -> None:
    accounts = Accounts(ROLE)
    arns = [KeyArn.parse(one["arn"]) for one in three.keys()]
    with ThreadPoolExecutor(16) as threads:
        connections = list(threads.map(accounts.connect, [arn.account_region for arn in arns * 3]))
    assert {made.account_region for made in connections} == {arn.account_region for arn in arns}
    assert len({id(connection) for connection in connections}) == 6
    for arn in arns:
        assert isinstance(describe(accounts.connect(arn.account_region), arn), KeyDescription)
    assumed = three.calls(operation="AssumeRole")
    assert len(assumed) == 2
    by_account: dict[str, set[str]] = {}
    for call in three.calls(operation="DescribeKey"):
        by_account.setdefault(call["account"], set()).add(call["principal"].rsplit("/", 1)[-1])
    assert by_account == {SHOP: {"operator"}, DATA: {"friday-sweep"}, FAR: {"friday-sweep"}}


def test_an_account_that_is_slow_to_enter_stops_no_other(three: EmbeddedAws) -> None:
    three.fault("hang_before", operation="AssumeRole", times=1, seconds=300)
    accounts = Accounts(ROLE, ClientSettings(read_timeout=300))
    slow = threading.Thread(target=lambda: accounts.connect(key(three, DATA).account_region))
    slow.start()
    while not three.faults()[0]["hit"]:
        time.sleep(0.02)
    start = time.monotonic()
    accounts.connect(key(three, FAR).account_region)
    accounts.connect(key(three, SHOP).account_region)
    assert time.monotonic() - start < 120
    assert slow.is_alive()
    three.clear_faults()
    slow.join()
    assert accounts.connect(key(three, DATA).account_region).account_id == DATA


def test_an_account_that_cannot_be_entered_is_tried_once_and_shows_why(aws: Scenario) -> None:
    keys = {"keys": [{"name": "k-{n}", "count": 3, "state": "Disabled"}]}
    server = aws({SHOP: {"regions": {"eu-west-1": {}}}, DATA: {"regions": {"eu-west-1": keys}}})
    accounts = Accounts(ROLE)
    messages = set()
    for one in server.keys():
        with pytest.raises(AccountUnavailable) as caught:
            accounts.connect(KeyArn.parse(one["arn"]).account_region)
        messages.add(str(caught.value))
    (reason,) = messages
    for part in (DATA, "AccessDenied", f"arn:aws:iam::{DATA}:role/Sweep"):
        assert part in reason
    assert "--external-id" in reason
    assert len(server.calls(operation="AssumeRole")) == 1


def test_the_external_id_opens_the_role(aws: Scenario) -> None:
    keys = {"keys": [{"name": "k-1", "state": "Disabled"}]}
    role = {"Sweep": {"external_id": "s3cret"}}
    server = aws(
        {
            SHOP: {"regions": {"eu-west-1": {}}},
            DATA: {"regions": {"eu-west-1": keys}, "roles": role},
        }
    )
    arn = key(server, DATA)
    with pytest.raises(AccountUnavailable, match="AccessDenied"):
        Accounts(Access(role_name="Sweep")).connect(arn.account_region)
    opened = Accounts(Access(role_name="Sweep", external_id="s3cret")).connect(arn.account_region)
    assert isinstance(describe(opened, arn), KeyDescription)


def test_accounts_that_are_not_named_are_never_entered(three: EmbeddedAws) -> None:
    accounts = Accounts(Access(role_name="Sweep", only=frozenset({DATA})))
    assert accounts.connect(key(three, DATA).account_region).account_id == DATA
    for account in (SHOP, FAR):
        with pytest.raises(AccountUnavailable, match="--account"):
            accounts.connect(key(three, account).account_region)
    assert {call["account"] for call in three.calls(service="kms")} == set()
    assert len(three.calls(operation="AssumeRole")) == 1


@pytest.mark.parametrize("region", ["cn-north-1", "us-gov-west-1"])
def test_roles_are_assumed_in_the_partition_of_the_key(region: str, aws: Scenario) -> None:
    keys = {"keys": [{"name": "k-1", "state": "Disabled"}]}
    server = aws(
        {
            SHOP: {"regions": {region: {}}},
            DATA: {"regions": {region: keys}, "roles": ["Sweep"]},
        }
    )
    arn = key(server, DATA, region)
    partition = "aws-cn" if region.startswith("cn-") else "aws-us-gov"
    assert str(arn).startswith(f"arn:{partition}:kms:")
    connection = Accounts(ROLE).connect(arn.account_region)
    assert isinstance(describe(connection, arn), KeyDescription)
    principals = {c["principal"] for c in server.calls(operation="DescribeKey")}
    assert principals == {f"arn:{partition}:sts::{DATA}:assumed-role/Sweep/friday-sweep"}


def _identity_is(monkeypatch: pytest.MonkeyPatch, account: str, arn: str) -> None:
    """Make sts:GetCallerIdentity say this of every session."""
    ordinary = Clients.make

    def make(*args: Any, **keywords: Any) -> Any:
        client = ordinary(*args, **keywords)
        if args[3] == "sts":
            meta = {"HTTPHeaders": {}}
            client.get_caller_identity = lambda: {
                "Account": account,
                "Arn": arn,
                "ResponseMetadata": meta,
            }
        return client

    monkeypatch.setattr(Clients, "make", make)


def test_credentials_of_another_partition_enter_nothing(
    three: EmbeddedAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    _identity_is(monkeypatch, SHOP, f"arn:aws-cn:iam::{SHOP}:user/operator")
    with pytest.raises(AccountUnavailable, match=r"aws-cn.* aws\b"):
        Accounts(ROLE).connect(key(three, SHOP).account_region)


def test_a_role_of_another_account_enters_nothing(
    three: EmbeddedAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    _identity_is(monkeypatch, FAR, f"arn:aws:iam::{FAR}:user/operator")
    with pytest.raises(AccountUnavailable, match=f"leads to account {FAR}, not {DATA}"):
        Accounts(ROLE).connect(key(three, DATA).account_region)


def test_a_roles_credentials_are_renewed_before_they_expire(
    three: EmbeddedAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    arn = key(three, DATA)
    connection = Accounts(ROLE).connect(arn.account_region)
    describe(connection, arn)
    assert len(three.calls(operation="AssumeRole")) == 1
    first = connection.session.get_credentials().get_frozen_credentials().access_key

    def later() -> datetime:
        return datetime.now(UTC) + timedelta(minutes=50)

    monkeypatch.setattr(botocore.credentials, "_local_now", later)
    monkeypatch.setattr(connection.session.get_credentials()._given, "_time_fetcher", later)
    describe(connection, arn)
    assert len(three.calls(operation="AssumeRole")) == 2
    assert connection.session.get_credentials().get_frozen_credentials().access_key != first


def test_expired_credentials_are_named_with_the_key(three: EmbeddedAws) -> None:
    arn = key(three, DATA)
    connection = Accounts(ROLE).connect(arn.account_region)
    three.expire_sessions()
    with pytest.raises(ClientError) as caught:
        describe(connection, arn)
    message = explain(caught.value, connection).unreadable
    for part in ("ExpiredTokenException", "DescribeKey", DATA, "eu-west-1"):
        assert part in message


def test_credentials_that_come_expired_name_the_clock(
    three: EmbeddedAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch = botocore.credentials.AssumeRoleCredentialFetcher.fetch_credentials

    def stale(self: Any) -> dict[str, Any]:
        return {**fetch(self), "expiry_time": "2020-01-01T00:00:00Z"}

    monkeypatch.setattr(
        botocore.credentials.AssumeRoleCredentialFetcher, "fetch_credentials", stale
    )
    with pytest.raises(AccountUnavailable, match="set this machine's clock"):
        Accounts(ROLE).connect(key(three, DATA).account_region)


def test_an_unknown_profile_is_named(monkeypatch: pytest.MonkeyPatch, three: EmbeddedAws) -> None:
    with pytest.raises(AccountUnavailable, match=r"nobody.*--profile"):
        Accounts(Access(profile="nobody")).connect(key(three, SHOP).account_region)


def test_a_profile_that_assumes_a_role_is_followed(
    three: EmbeddedAws, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    secret = three.environment(SHOP)
    config = tmp_path / "config"
    config.write_text(
        f"[profile own]\naws_access_key_id = {secret['AWS_ACCESS_KEY_ID']}\n"
        f"aws_secret_access_key = {secret['AWS_SECRET_ACCESS_KEY']}\n"
        f"[profile chain]\nrole_arn = arn:aws:iam::{DATA}:role/Sweep\nsource_profile = own\n"
        "region = eu-west-1\n",
        encoding="utf-8",
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    accounts = Accounts(Access(profile="chain", role_name="Sweep"))
    assert accounts.caller(key(three, DATA).account_region).startswith(
        f"arn:aws:sts::{DATA}:assumed-role/Sweep/"
    )
    arn = key(three, FAR)
    assert isinstance(describe(accounts.connect(arn.account_region), arn), KeyDescription)


def test_few_clients_are_kept_for_many_account_regions(three: EmbeddedAws) -> None:
    accounts = Accounts(ROLE)
    clients = accounts.connect(key(three, SHOP).account_region).clients
    clients._most = 2
    for _ in range(2):
        for account in (SHOP, DATA, FAR):
            arn = key(three, account)
            assert isinstance(describe(accounts.connect(arn.account_region), arn), KeyDescription)
    assert len(clients._kept) == 2


def test_the_limit_of_open_files_is_raised() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert hard > 300
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        Accounts()
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == min(hard, 4096)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        Accounts()
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == hard
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
