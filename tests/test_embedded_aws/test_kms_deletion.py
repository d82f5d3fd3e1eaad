"""Scheduling, cancelling and the end of the window, where moto differs from AWS."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import pytest

from embedded_aws.testing import ACCOUNT, OTHER, Lab, outcome

DAY = 86_400


def seconds(moment: datetime) -> float:
    return moment.astimezone(UTC).timestamp()


@pytest.mark.parametrize("window", [1, 6, 31, 365])
def test_a_window_outside_7_to_30_is_refused_and_changes_nothing(lab: Lab, window: int) -> None:
    lab.scenario({"name": "dead", "state": "Disabled"})
    kms, arn = lab.client("kms"), lab.arn("dead")
    call = kms.schedule_key_deletion
    assert outcome(call, KeyId=arn, PendingWindowInDays=window) == "ValidationException"
    assert kms.describe_key(KeyId=arn)["KeyMetadata"]["KeyState"] == "Disabled"


@pytest.mark.parametrize("window", [7, 30])
def test_the_answer_of_schedule_has_arn_date_state_and_window(lab: Lab, window: int) -> None:
    lab.scenario({"name": "dead", "state": "Disabled"})
    kms, arn = lab.client("kms"), lab.arn("dead")
    answer = kms.schedule_key_deletion(KeyId=arn.split("/")[1], PendingWindowInDays=window)
    expected = lab.aws.now() + window * DAY
    assert seconds(answer.pop("DeletionDate")) == pytest.approx(expected, abs=2)
    del answer["ResponseMetadata"]
    assert answer == {"KeyId": arn, "KeyState": "PendingDeletion", "PendingWindowInDays": window}


def test_the_window_is_30_days_when_none_is_sent(lab: Lab) -> None:
    lab.scenario({"name": "dead", "state": "Disabled"})
    answer = lab.client("kms").schedule_key_deletion(KeyId=lab.arn("dead"))
    assert answer["PendingWindowInDays"] == 30


def test_scheduling_twice_is_refused_and_keeps_the_date(lab: Lab) -> None:
    lab.scenario({"name": "dead", "state": "Disabled"})
    kms, arn = lab.client("kms"), lab.arn("dead")
    date = kms.schedule_key_deletion(KeyId=arn, PendingWindowInDays=9)["DeletionDate"]
    call = kms.schedule_key_deletion
    assert outcome(call, KeyId=arn, PendingWindowInDays=30) == "KMSInvalidStateException"
    assert kms.describe_key(KeyId=arn)["KeyMetadata"]["DeletionDate"] == date


def test_the_answer_of_cancel_is_the_arn_and_the_date_goes(lab: Lab) -> None:
    lab.scenario({"name": "dead", "state": "PendingDeletion"})
    kms, arn = lab.client("kms"), lab.arn("dead")
    assert kms.cancel_key_deletion(KeyId=arn.split("/")[1])["KeyId"] == arn
    shown = kms.describe_key(KeyId=arn)["KeyMetadata"]
    assert (shown["KeyState"], "DeletionDate" in shown) == ("Disabled", False)


@pytest.mark.parametrize("operation", ["schedule_key_deletion", "cancel_key_deletion"])
def test_neither_takes_an_alias(lab: Lab, operation: str) -> None:
    lab.scenario({"name": "dead", "state": "Disabled", "aliases": ["alias/dead"]})
    call = getattr(lab.client("kms"), operation)
    assert outcome(call, KeyId="alias/dead") == "NotFoundException"
    arn = f"arn:aws:kms:eu-west-1:{ACCOUNT}:alias/dead"
    assert outcome(call, KeyId=arn) == "NotFoundException"


@pytest.mark.parametrize("operation", ["schedule_key_deletion", "cancel_key_deletion"])
def test_neither_takes_a_key_of_another_account(lab: Lab, operation: str) -> None:
    lab.scenario({"name": "dead", "state": "Disabled"})
    call = getattr(lab.client("kms", account=OTHER), operation)
    assert outcome(call, KeyId=lab.arn("dead")) == "AccessDeniedException"
    assert {one["state"] for one in lab.aws.keys()} == {"Disabled"}


def test_a_key_of_another_region_is_not_found_here(lab: Lab) -> None:
    lab.scenario({"name": "dead", "state": "Disabled"})
    call = lab.client("kms", region="us-east-1").describe_key
    assert outcome(call, KeyId=lab.arn("dead")) == "NotFoundException"


def test_enable_and_disable_take_arns(lab: Lab) -> None:
    lab.scenario({"name": "key"})
    kms, arn = lab.client("kms"), lab.arn("key")
    kms.disable_key(KeyId=arn)
    assert kms.describe_key(KeyId=arn)["KeyMetadata"]["Enabled"] is False
    kms.enable_key(KeyId=arn)
    assert kms.describe_key(KeyId=arn)["KeyMetadata"]["Enabled"] is True


def test_a_key_lives_until_the_end_of_its_window_and_not_longer(lab: Lab) -> None:
    lab.scenario({"name": "dead", "state": "Disabled", "aliases": ["alias/dead"]})
    kms, arn = lab.client("kms"), lab.arn("dead")
    kms.schedule_key_deletion(KeyId=arn, PendingWindowInDays=7)
    lab.aws.advance(days=6, hours=23)
    assert kms.describe_key(KeyId=arn)["KeyMetadata"]["KeyState"] == "PendingDeletion"
    lab.aws.advance(hours=2)
    assert outcome(kms.describe_key, KeyId=arn) == "NotFoundException"
    assert outcome(kms.describe_key, KeyId="alias/dead") == "NotFoundException"
    assert outcome(kms.cancel_key_deletion, KeyId=arn) == "NotFoundException"
    assert kms.list_keys()["Keys"] == []
    aliases = kms.list_aliases()["Aliases"]
    assert "alias/dead" not in {one["AliasName"] for one in aliases}


def test_a_cancelled_key_outlives_its_old_date(lab: Lab) -> None:
    lab.scenario({"name": "dead", "state": "PendingDeletion", "window_days": 7})
    kms, arn = lab.client("kms"), lab.arn("dead")
    kms.cancel_key_deletion(KeyId=arn)
    lab.aws.advance(days=40)
    assert kms.describe_key(KeyId=arn)["KeyMetadata"]["KeyState"] == "Disabled"


def test_a_primary_waits_for_its_replicas_and_shows_its_window_but_no_date(lab: Lab) -> None:
    lab.scenario({"name": "set", "state": "Disabled", "replicas": ["us-east-1"]})
    kms, arn = lab.client("kms"), lab.arn("set")
    answer = kms.schedule_key_deletion(KeyId=arn, PendingWindowInDays=8)
    assert answer["KeyState"] == "PendingReplicaDeletion"
    assert "DeletionDate" not in answer
    shown = kms.describe_key(KeyId=arn)["KeyMetadata"]
    assert shown["PendingDeletionWindowInDays"] == 8
    assert "DeletionDate" not in shown
    lab.aws.advance(days=400)
    assert kms.describe_key(KeyId=arn)["KeyMetadata"]["KeyState"] == "PendingReplicaDeletion"


def test_the_window_of_a_primary_starts_when_its_last_replica_is_deleted(lab: Lab) -> None:
    lab.scenario({"name": "set", "state": "Disabled", "replicas": ["us-east-1", "eu-central-1"]})
    kms, arn = lab.client("kms"), lab.arn("set")
    kms.schedule_key_deletion(KeyId=arn, PendingWindowInDays=8)
    for region in ("us-east-1", "eu-central-1"):
        replica = lab.arn("set", region)
        lab.client("kms", region).schedule_key_deletion(KeyId=replica, PendingWindowInDays=7)
    start = lab.aws.now()
    lab.aws.advance(days=7, hours=1)
    shown = kms.describe_key(KeyId=arn)["KeyMetadata"]
    assert shown["KeyState"] == "PendingDeletion"
    assert shown["MultiRegionConfiguration"]["ReplicaKeys"] == []
    assert seconds(shown["DeletionDate"]) == pytest.approx(start + 15 * DAY, abs=5)
    lab.aws.advance(days=8)
    assert lab.aws.keys() == []


def test_a_long_move_of_the_clock_ends_both_windows_in_turn(lab: Lab) -> None:
    lab.scenario({"name": "set", "state": "Disabled", "replicas": ["us-east-1"]})
    lab.client("kms").schedule_key_deletion(KeyId=lab.arn("set"))
    lab.client("kms", "us-east-1").schedule_key_deletion(KeyId=lab.arn("set", "us-east-1"))
    lab.aws.advance(days=365)
    assert lab.aws.keys() == []


def test_a_replica_alone_is_scheduled_like_any_key(lab: Lab) -> None:
    lab.scenario({"name": "set", "replicas": ["us-east-1"]})
    kms = lab.client("kms", "us-east-1")
    answer = kms.schedule_key_deletion(KeyId=lab.arn("set", "us-east-1"), PendingWindowInDays=7)
    assert (answer["KeyState"], "DeletionDate" in answer) == ("PendingDeletion", True)
    primary = lab.client("kms").describe_key(KeyId=lab.arn("set"))["KeyMetadata"]
    assert primary["KeyState"] == "Enabled"


def test_an_aws_managed_key_shows_it_and_cannot_be_scheduled(lab: Lab) -> None:
    lab.aws.reset({"accounts": {ACCOUNT: {"regions": {"eu-west-1": {"managed": ["ebs"]}}}}})
    kms = lab.client("kms")
    shown = kms.describe_key(KeyId="alias/aws/ebs")["KeyMetadata"]
    assert shown["KeyManager"] == "AWS"
    for call in (kms.schedule_key_deletion, kms.disable_key, kms.enable_key):
        assert outcome(call, KeyId=shown["Arn"]) == "AccessDeniedException"


def test_every_answer_carries_the_embedded_clock_in_its_date(lab: Lab) -> None:
    lab.aws.advance(days=100)
    expected = lab.aws.now()
    for answer in (
        lab.client("kms").list_keys(),
        lab.client("sts").get_caller_identity(),
        lab.client("ec2").describe_regions(),
        lab.client("s3").list_buckets(),
    ):
        date = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
        assert date.timestamp() == pytest.approx(expected, abs=5)


def test_an_error_too_carries_the_embedded_clock(lab: Lab) -> None:
    lab.aws.advance(days=100)
    kms = lab.client("kms")
    with pytest.raises(kms.exceptions.NotFoundException) as caught:
        kms.describe_key(KeyId="alias/none")
    date = caught.value.response["ResponseMetadata"]["HTTPHeaders"]["date"]
    expected = lab.aws.now()
    assert parsedate_to_datetime(date).timestamp() == pytest.approx(expected, abs=5)


def test_creation_dates_come_from_the_embedded_clock(lab: Lab) -> None:
    now = lab.aws.advance(days=50)
    kms = lab.client("kms")
    made = kms.create_key()["KeyMetadata"]
    assert seconds(made["CreationDate"]) == pytest.approx(now, abs=5)


def test_time_does_not_run_backwards(lab: Lab) -> None:
    with pytest.raises(ValueError, match="forward"):
        lab.aws.advance(days=-1)
