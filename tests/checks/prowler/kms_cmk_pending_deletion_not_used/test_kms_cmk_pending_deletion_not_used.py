"""Every story that CloudTrail may tell of a key pending deletion, and every failure to read it."""

from __future__ import annotations

import ast
import importlib.util
import json
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3.session
import pytest
from prowler.providers.aws.lib.mutelist.mutelist import AWSMutelist
from prowler.providers.common.provider import Provider

from keysweep.services.kms.kms_cmk_pending_deletion_not_used import (
    kms_cmk_pending_deletion_not_used as module,
)
from keysweep.services.kms.kms_cmk_pending_deletion_not_used.lib import event_history

ACCOUNT = "111122223333"
DAY = 86_400
NOW = int(time.time())
WHO = "arn:aws:iam::111122223333:user/app"


def ago(days: float) -> int:
    return int(NOW - days * DAY)


def date(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")


def event(name: str, days_ago: float, error: str = "", message: str = "", **more: Any) -> dict:
    """Return an event of LookupEvents as AWS writes it."""
    record = {"eventName": name, "userIdentity": {"arn": WHO}}
    if error:
        record |= {"errorCode": error, "errorMessage": message}
    return {
        "EventName": name,
        "EventTime": ago(days_ago),
        "EventSource": "kms.amazonaws.com",
        "Username": "app",
        "CloudTrailEvent": json.dumps(record),
        **more,
    }


def refused(name: str, days_ago: float) -> dict:
    """Return the event of a call that KMS refused because the key is pending deletion."""
    message = "arn:aws:kms:eu-west-1:111122223333:key/1 is pending deletion."
    return event(name, days_ago, "KMSInvalidStateException", message)


def scheduled(days_ago: float) -> dict:
    return event("ScheduleKeyDeletion", days_ago)


def pending(kms, *events: dict, days_ago: float = 10, window: int = 30, **metadata: Any) -> str:
    """Create a key whose deletion was scheduled then, with these events."""
    due = ago(days_ago) + window * DAY
    arn = kms.key("PendingDeletion", **{"DeletionDate": due, **metadata})
    kms.events[arn] = list(events)
    return arn


def key_id(arn: str) -> str:
    return arn.rpartition("/")[2]


def unknown(region: str) -> str:
    return f"arn:aws:kms:{region}:{ACCOUNT}:key/unknown"


def statuses(findings: dict[str, Any]) -> dict[str, str]:
    return {arn: finding.status for arn, finding in findings.items()}


# --- what counts as an attempt


@pytest.mark.parametrize("name", sorted(event_history.USES))
def test_every_refused_use_since_the_scheduling_fails(kms, run_pending, name):
    arn = pending(kms, scheduled(10), refused(name, 3), KeySpec="RSA_2048")
    finding = run_pending()[arn]
    assert finding.status == "FAIL"
    assert f" {key_id(arn)} is PendingDeletion" in finding.status_extended
    attempt = f" {name} at {date(ago(3))} by {WHO} (KMSInvalidStateException)."
    assert attempt in finding.status_extended
    assert f" {date(ago(10) + 30 * DAY)[:10]}." in finding.status_extended


@pytest.mark.parametrize("error", ["", "AccessDenied"])
def test_a_use_that_was_allowed_or_denied_fails_too(kms, run_pending, error):
    arn = pending(kms, scheduled(10), event("Decrypt", 3, error, "no" if error else ""))
    finding = run_pending()[arn]
    assert finding.status == "FAIL"
    assert finding.resource["attempt"] == {
        "event": "Decrypt",
        "time": date(ago(3)),
        "who": WHO,
        "error": error,
        "certain": True,
    }


@pytest.mark.parametrize(
    "name",
    ["DescribeKey", "GetKeyPolicy", "ListGrants", "TagResource", "RetireGrant"],
)
def test_reads_and_tags_are_no_use(kms, run_pending, name):
    arn = pending(kms, scheduled(10), event(name, 3))
    assert statuses(run_pending()) == {arn: "PASS"}


@pytest.mark.parametrize(
    ("spec", "status"),
    [
        ("SYMMETRIC_DEFAULT", "PASS"),
        ("HMAC_256", "PASS"),
        ("RSA_2048", "FAIL"),
        ("ECC_NIST_P256", "FAIL"),
        ("ML_DSA_44", "FAIL"),
        ("SM2", "FAIL"),
        ("", "FAIL"),
    ],
)
def test_fetching_the_public_key_is_use_where_there_is_one(kms, run_pending, spec, status):
    arn = pending(kms, scheduled(10), refused("GetPublicKey", 3), KeySpec=spec)
    assert statuses(run_pending()) == {arn: status}


def test_the_newest_attempt_is_reported(kms, run_pending):
    arn = pending(kms, scheduled(10), refused("Decrypt", 8), refused("Encrypt", 2))
    assert run_pending()[arn].resource["attempt"]["event"] == "Encrypt"


def test_use_before_the_scheduling_is_none_since(kms, run_pending):
    arn = pending(kms, event("Decrypt", 11), scheduled(10), event("DescribeKey", 1))
    finding = run_pending()[arn]
    assert finding.status == "PASS"
    assert f" {key_id(arn)} is PendingDeletion" in finding.status_extended
    assert f" {date(ago(10))[:10]}, " in finding.status_extended
    assert finding.status_extended.endswith(f" {date(ago(10) + 30 * DAY)[:10]}.")
    assert "Decrypt" not in finding.status_extended
    assert finding.resource["seen_since"] == date(ago(10))


def test_use_within_the_longest_window_but_before_the_scheduling_is_none_since(kms, run_pending):
    arn = pending(kms, event("Decrypt", 6), scheduled(5), days_ago=5, window=7)
    assert statuses(run_pending()) == {arn: "PASS"}


def test_a_scheduling_a_little_before_the_computed_time_is_found(kms, run_pending):
    arn = pending(kms, scheduled(10.001), event("Decrypt", 9))
    assert statuses(run_pending()) == {arn: "FAIL"}


def test_a_scheduling_that_was_refused_ends_nothing(kms, run_pending):
    late = event("ScheduleKeyDeletion", 2, "KMSInvalidStateException", "is pending deletion.")
    arn = pending(kms, scheduled(10), refused("Decrypt", 5), late)
    assert statuses(run_pending()) == {arn: "FAIL"}


def test_an_unreadable_scheduling_ends_nothing(kms, run_pending):
    arn = pending(kms, refused("Decrypt", 5), {**scheduled(2), "CloudTrailEvent": "{"})
    assert statuses(run_pending()) == {arn: "FAIL"}


@pytest.mark.parametrize("record", ["", "{", "[]", "null"])
def test_an_attempt_whose_record_is_unreadable_is_still_one(kms, run_pending, record):
    arn = pending(kms, scheduled(10), {**event("Decrypt", 3), "CloudTrailEvent": record})
    finding = run_pending()[arn]
    assert finding.status == "FAIL"
    assert f"Decrypt at {date(ago(3))} by app. " in finding.status_extended


def test_events_of_another_service_concern_no_key(kms, run_pending):
    other = {**event("Decrypt", 3), "EventSource": "payments.amazonaws.com"}
    arn = pending(kms, scheduled(10), other)
    assert statuses(run_pending()) == {arn: "PASS"}


# --- when the scheduling itself is not (yet) in the history


def test_without_its_event_the_dates_of_the_waiting_period_decide(kms, run_pending):
    """Scheduled for 7 to 30 days: it was pending for sure in the last 7 days before the date."""
    sure = pending(kms, event("Decrypt", 1), days_ago=5, window=7)
    doubtful = pending(kms, event("Decrypt", 6), days_ago=5, window=7)
    findings = run_pending()
    assert statuses(findings) == {sure: "FAIL", doubtful: "MANUAL"}
    assert findings[doubtful].resource["attempt"]["certain"] is False
    message = findings[doubtful].status_extended
    assert f" {key_id(doubtful)} is PendingDeletion" in message
    assert f" Decrypt at {date(ago(6))} by {WHO}, " in message
    assert message.endswith(f" {date(ago(5) + 7 * DAY)[:10]}.")


def test_a_doubtful_attempt_is_decided_by_an_older_page(kms, run_pending):
    kms.page_size = 1
    before = pending(
        kms, event("Decrypt", 20), scheduled(19), event("TagResource", 18), days_ago=19
    )
    after = pending(kms, scheduled(19), event("DescribeKey", 18), event("Decrypt", 17), days_ago=19)
    assert statuses(run_pending()) == {before: "PASS", after: "FAIL"}


def test_use_longer_ago_than_any_waiting_period_is_not_read(kms, run_pending):
    arn = pending(kms, event("Decrypt", 2), days_ago=0.001)
    finding = run_pending()[arn]
    assert finding.status == "PASS"
    due = datetime.fromtimestamp(ago(0.001), UTC)
    assert finding.resource["seen_since"] == date((due - timedelta(hours=1)).timestamp())


def test_an_earlier_pending_deletion_that_was_cancelled_is_over(kms, run_pending):
    """Its attempts explain why; the new scheduling may not be in the history yet."""
    arn = pending(
        kms,
        scheduled(14),
        refused("Decrypt", 12),
        event("CancelKeyDeletion", 11),
        days_ago=0.001,
        window=7,
    )
    finding = run_pending()[arn]
    assert finding.status == "PASS"
    assert finding.resource["seen_since"] == date(ago(11))


def test_all_kept_events_are_read_for_a_multi_region_primary(kms, run_pending):
    """Its deletion may have been scheduled long before its waiting period began."""
    arn = pending(
        kms,
        scheduled(60),
        refused("Decrypt", 50),
        MultiRegionConfiguration={"MultiRegionKeyType": "PRIMARY"},
    )
    assert statuses(run_pending()) == {arn: "FAIL"}


def test_events_are_read_for_a_primary_that_waits_for_its_replicas(kms, run_pending):
    in_use = kms.key("PendingReplicaDeletion")
    quiet = kms.key("PendingReplicaDeletion")
    kms.events[in_use] = [scheduled(80), event("Sign", 70)]
    kms.events[quiet] = []
    findings = run_pending()
    assert statuses(findings) == {in_use: "FAIL", quiet: "PASS"}
    for arn, finding in findings.items():
        assert f" {key_id(arn)} is PendingReplicaDeletion" in finding.status_extended
        assert "last replica key" in finding.status_extended
    assert findings[quiet].resource["seen_since"][:10] == date(time.time() - 90 * DAY)[:10]


def test_a_date_that_aws_did_not_give_is_reported_as_unknown(kms, run_pending):
    arn = kms.key("PendingDeletion")
    finding = run_pending()[arn]
    assert finding.status == "PASS"
    assert finding.status_extended.endswith(" unknown date.")


# --- which keys, how many calls


@pytest.mark.parametrize(
    "state", ["Enabled", "Disabled", "PendingImport", "Unavailable", "Creating", "Updating"]
)
def test_keys_in_other_states_have_no_finding_and_cost_no_lookup(kms, run_pending, state):
    arn = kms.key(state)
    kms.events[arn] = [event("Decrypt", 1)]
    assert run_pending() == {}
    assert Counter(kms.operations()) == {"ListKeys": 1, "DescribeKey": 1}


def test_aws_managed_keys_are_left_out(kms, run_pending):
    kms.key("PendingDeletion", KeyManager="AWS")
    assert run_pending() == {}


def test_all_pages_are_read_before_a_pass(kms, run_pending):
    kms.page_size = 2
    arn = pending(kms, scheduled(10), *(event("DescribeKey", day) for day in range(9)))
    assert statuses(run_pending()) == {arn: "PASS"}
    assert kms.operations().count("LookupEvents") == 5


def test_an_attempt_on_a_later_page_fails(kms, run_pending):
    kms.page_size = 2
    arn = pending(
        kms, scheduled(10), refused("Decrypt", 9), *(event("DescribeKey", day) for day in range(8))
    )
    assert statuses(run_pending()) == {arn: "FAIL"}


def test_a_page_a_half_second_is_asked_for_in_a_region(kms, run_pending):
    kms.page_size = 1
    for _ in range(2):
        pending(kms, scheduled(10), event("DescribeKey", 3), event("DescribeKey", 2))
    run_pending()
    assert kms.operations().count("LookupEvents") == 6
    assert kms.pauses.count(0.5) == 6


def test_each_region_is_read_with_its_own_history(kms, run_pending):
    kms.regions = ("us-east-1", "eu-west-1")
    far = pending(kms, scheduled(10), refused("Decrypt", 1), region="us-east-1")
    near = pending(kms, scheduled(10))
    findings = run_pending()
    assert list(findings) == [near, far]
    assert statuses(findings) == {far: "FAIL", near: "PASS"}
    assert kms.operations("us-east-1").count("LookupEvents") == 1


def test_resource_arn_leaves_the_other_keys_alone(kms, run_pending):
    chosen, _ = pending(kms, scheduled(10)), pending(kms, scheduled(10))
    assert set(run_pending(resource_arn=[chosen])) == {chosen}
    assert kms.operations().count("LookupEvents") == 1


def test_prowlers_mutelist_matches_the_tag(kms, run_pending):
    arn = pending(kms, scheduled(10), refused("Decrypt", 1), tags={"team": "red"})
    rule = {"Regions": ["*"], "Resources": ["*"], "Tags": ["team=red"]}
    mutelist = AWSMutelist(
        mutelist_content={
            "Accounts": {"*": {"Checks": {"kms_cmk_pending_deletion_not_used": rule}}}
        },
        session=None,
        aws_account_id=ACCOUNT,
    )
    assert mutelist.is_finding_muted(run_pending()[arn], ACCOUNT)


def test_the_resource_metadata_has_all_that_was_read(kms, run_pending):
    arn = pending(kms, scheduled(10), refused("Decrypt", 1), tags={"team": "red"})
    resource = run_pending()[arn].resource
    assert resource == {
        "id": key_id(arn),
        "arn": arn,
        "region": "eu-west-1",
        "state": "PendingDeletion",
        "manager": "CUSTOMER",
        "origin": "AWS_KMS",
        "spec": "SYMMETRIC_DEFAULT",
        "usage": "ENCRYPT_DECRYPT",
        "multi_region_type": "",
        "creation_date": "2023-11-14T22:13:20+00:00",
        "deletion_date": date(ago(10) + 30 * DAY),
        "seen_since": "",
        "attempt": {
            "event": "Decrypt",
            "time": date(ago(1)),
            "who": WHO,
            "error": "KMSInvalidStateException",
            "certain": True,
        },
        "tags": [{"Key": "team", "Value": "red"}],
        "error": "",
        "error_code": "",
    }
    assert json.loads(json.dumps(resource)) == resource


# --- what cannot be read


def test_a_history_that_may_not_be_read_is_manual_and_the_others_are_evaluated(kms, run_pending):
    hidden, open_ = pending(kms, refused("Decrypt", 1)), pending(kms, refused("Decrypt", 1))
    kms.deny("LookupEvents", key_id=key_id(hidden))
    findings = run_pending()
    assert statuses(findings) == {hidden: "MANUAL", open_: "FAIL"}
    message = findings[hidden].status_extended
    assert f" {key_id(hidden)} is PendingDeletion" in message
    assert "(AccessDeniedException)" in message
    assert message.endswith(f" {date(ago(10) + 30 * DAY)[:10]}.")


@pytest.mark.parametrize("way", ["deny", "cut"])
def test_a_history_that_fails_on_its_second_page_never_passes(kms, run_pending, way):
    kms.page_size = 1
    arn = pending(kms, scheduled(10), event("DescribeKey", 1))
    getattr(kms, way)("LookupEvents", page=2)
    assert statuses(run_pending()) == {arn: "MANUAL"}


def test_a_certain_attempt_needs_no_second_page(kms, run_pending):
    kms.page_size = 1
    arn = pending(kms, scheduled(10), refused("Decrypt", 1))
    kms.deny("LookupEvents", page=2)
    assert statuses(run_pending()) == {arn: "FAIL"}


def test_throttling_is_retried_longer_than_prowler_would(kms, run_pending):
    arn = pending(kms, scheduled(10))
    kms.fault("LookupEvents", code="ThrottlingException")
    finding = run_pending()[arn]
    assert finding.status == "MANUAL"
    assert "(ThrottlingException)" in finding.status_extended
    assert kms.operations().count("LookupEvents") == 10


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"Events": None},
        {"Events": [{"EventName": "Decrypt"}]},
        {"Events": [{"EventTime": 7}]},
        {"Events": 7},
    ],
)
def test_an_incomplete_history_never_passes(kms, run_pending, answer):
    arn = pending(kms, scheduled(10))
    kms.fault("LookupEvents", answer=lambda _: json.dumps(answer).encode())
    finding = run_pending()[arn]
    assert finding.status == "MANUAL"
    assert finding.resource["error_code"]


@pytest.mark.parametrize("body", [b"", b"<html>proxy</html>", b"[]", b"null"])
@pytest.mark.parametrize("operation", ["ListKeys", "DescribeKey", "LookupEvents"])
def test_an_answer_of_the_wrong_shape_never_passes(kms, run_pending, operation, body):
    arn = pending(kms, scheduled(10))
    kms.fault(operation, answer=lambda _: body)
    about = unknown("eu-west-1") if operation == "ListKeys" else arn
    findings = run_pending()
    assert statuses(findings) == {about: "MANUAL"}
    assert findings[about].resource["error_code"]


def test_tags_that_may_not_be_read_hide_no_attempt(kms, run_pending):
    in_use, quiet = pending(kms, scheduled(10), refused("Sign", 1)), pending(kms, scheduled(10))
    kms.deny("ListResourceTags")
    findings = run_pending()
    assert statuses(findings) == {in_use: "FAIL", quiet: "PASS"}
    assert findings[quiet].resource["error_code"] == "AccessDeniedException"


def test_a_key_that_may_not_be_described_is_manual(kms, run_pending):
    hidden, arn = kms.key("PendingDeletion"), pending(kms, scheduled(10))
    kms.deny("DescribeKey", key_id=key_id(hidden))
    findings = run_pending()
    assert statuses(findings) == {hidden: "MANUAL", arn: "PASS"}
    assert f" {key_id(hidden)} " in findings[hidden].status_extended
    assert "(AccessDeniedException)" in findings[hidden].status_extended


def test_a_key_deleted_meanwhile_is_not_reported(kms, run_pending):
    gone = kms.key("PendingDeletion")
    kms.fault("DescribeKey", key_id=key_id(gone), code="NotFoundException")
    assert run_pending() == {}


def test_a_region_that_may_not_be_listed_is_manual_and_the_others_are_read(kms, run_pending):
    kms.regions = ("us-east-1", "eu-west-1")
    arn = pending(kms, scheduled(10))
    kms.deny("ListKeys", region="us-east-1")
    findings = run_pending()
    assert statuses(findings) == {arn: "PASS", unknown("us-east-1"): "MANUAL"}
    message = findings[unknown("us-east-1")].status_extended
    assert " us-east-1 " in message
    assert "(AccessDeniedException)" in message
    assert "keys pending deletion" in message


def test_an_unreachable_cloudtrail_is_manual(kms, run_pending):
    arn = pending(kms, scheduled(10))
    kms.fault("LookupEvents", unreachable=True)
    finding = run_pending()[arn]
    assert finding.status == "MANUAL"
    assert "(EndpointConnectionError)" in finding.status_extended


def test_no_region_to_read_is_manual(kms, run_pending):
    kms.regions = ("us-east-1",)
    (finding,) = run_pending(regions={"eu-west-1"}).values()
    assert finding.status == "MANUAL"
    assert "(NoRegion)" in finding.status_extended


@pytest.mark.parametrize("missing", ["_identity", "audit_metadata", "_session"])
def test_a_provider_that_is_not_complete_is_manual(kms, run_pending, monkeypatch, missing):
    """Prowler's service class then fails before it knows account, partition or Region."""
    run_pending()
    monkeypatch.setattr(Provider.get_global_provider(), missing, None)
    (finding,) = module.kms_cmk_pending_deletion_not_used().execute()
    assert (finding.status, finding.resource["error_code"]) == ("MANUAL", "AttributeError")
    assert finding.resource_arn.endswith(":key/unknown")


def test_no_provider_is_manual(kms, run_pending, monkeypatch):
    run_pending()
    monkeypatch.setattr(Provider, "get_global_provider", lambda: None)
    (finding,) = module.kms_cmk_pending_deletion_not_used().execute()
    assert (finding.status, finding.resource_arn) == ("MANUAL", "arn:aws:kms:::key/unknown")


def test_a_client_of_cloudtrail_that_cannot_be_made_is_manual(kms, run_pending, monkeypatch):
    arn = pending(kms, scheduled(10))
    make = boto3.session.Session.client

    def client(session: Any, name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "cloudtrail":
            raise RuntimeError("no clients today")
        return make(session, name, *args, **kwargs)

    monkeypatch.setattr(boto3.session.Session, "client", client)
    finding = run_pending()[arn]
    assert (finding.status, finding.resource["error_code"]) == ("MANUAL", "RuntimeError")


def test_threads_that_cannot_be_started_are_manual(kms, run_pending, monkeypatch):
    def broken(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    arns = {pending(kms, scheduled(10)) for _ in range(2)}
    monkeypatch.setattr(event_history, "ThreadPoolExecutor", broken)
    findings = run_pending()
    assert statuses(findings) == dict.fromkeys(arns, "MANUAL")
    assert {finding.resource["error_code"] for finding in findings.values()} == {"RuntimeError"}


# --- one idea of use


def test_check_and_command_mean_the_same_by_use():
    """Neither may import the other: the scanner has no command, and the command no scanner."""
    spec = importlib.util.find_spec("keysweep.remediation")
    assert spec is not None
    (folder,) = spec.submodule_search_locations or ()
    source = (Path(folder) / "evidence" / "history" / "events.py").read_text("utf-8")
    (uses,) = (
        node.value
        for node in ast.parse(source).body
        if isinstance(node, ast.AnnAssign) and getattr(node.target, "id", "") == "USES"
    )
    assert set(ast.literal_eval(uses)) == event_history.USES
