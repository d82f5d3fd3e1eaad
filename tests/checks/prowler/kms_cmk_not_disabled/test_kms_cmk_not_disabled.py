"""Every state, every failure and every option of the Prowler check `kms_cmk_not_disabled`."""

from __future__ import annotations

import json
import logging
import threading
from collections import Counter
from datetime import datetime
from typing import Any

import pytest
from botocore import loaders
from prowler.providers.aws.lib.mutelist.mutelist import AWSMutelist
from prowler.providers.common.provider import Provider

from keysweep.services.kms.kms_cmk_not_disabled import kms_cmk_not_disabled as module
from keysweep.services.kms.kms_cmk_not_disabled.kms_cmk_not_disabled import kms_cmk_not_disabled
from keysweep.services.kms.kms_cmk_not_disabled.lib import kms_reading as reading

ACCOUNT = "111122223333"
DELETION = 1_900_000_000  # 2030-03-17T17:46:40Z
STATUSES = {
    "Disabled": "FAIL",
    "Enabled": "PASS",
    "PendingImport": "PASS",
    "Unavailable": "PASS",
    "Creating": "PASS",
    "Updating": "PASS",
    "SomeStateOfTheFuture": "PASS",
    "PendingReplicaDeletion": "PASS",
}


def unknown(region: str) -> str:
    """Return the ARN of the finding about a Region."""
    return f"arn:aws:kms:{region}:{ACCOUNT}:key/unknown"


def key_id(arn: str) -> str:
    return arn.rpartition("/")[2]


def statuses(findings: dict[str, Any]) -> dict[str, str]:
    return {arn: finding.status for arn, finding in findings.items()}


# --- states


@pytest.mark.parametrize("state", STATUSES)
def test_each_state_has_its_status_and_is_named(kms, run, state):
    arn = kms.key(state, tags={"team": "red"})
    findings = run()
    assert set(findings) == {arn}
    finding = findings[arn]
    assert finding.status == STATUSES[state]
    assert f" {key_id(arn)} is {state}" in finding.status_extended
    assert ("$1" in finding.status_extended) == (state == "Disabled")
    assert finding.resource_id == key_id(arn)
    assert finding.region == "eu-west-1"
    assert finding.resource["state"] == state
    # Tags are asked for disabled keys only, in the shape that Prowler's mutelist reads.
    tags = [{"Key": "team", "Value": "red"}] if state == "Disabled" else []
    assert finding.resource_tags == tags
    assert finding.resource["tags"] == tags


def test_a_key_pending_deletion_passes_with_its_date(kms, run):
    arn = kms.key("PendingDeletion", DeletionDate=DELETION)
    finding = run()[arn]
    assert finding.status == "PASS"
    assert f" {key_id(arn)} is PendingDeletion" in finding.status_extended
    assert " 2030-03-17." in finding.status_extended
    assert finding.resource["deletion_date"] == "2030-03-17T17:46:40+00:00"


def test_a_key_pending_deletion_without_a_date_is_reported_as_such(kms, run):
    arn = kms.key("PendingDeletion")
    finding = run()[arn]
    assert finding.status == "PASS"
    assert finding.status_extended.endswith(" unknown date.")


@pytest.mark.parametrize("partition", ["aws-cn", "aws-us-gov"])
def test_no_price_is_claimed_where_none_is_known(partition):
    key = reading.Key("1a", f"arn:{partition}:kms:region:{ACCOUNT}:key/1a", "region", "Disabled")
    status, sentence = module.evaluate(key)
    assert status == "FAIL"
    assert " 1a is Disabled" in sentence
    assert "$" not in sentence


def test_the_resource_metadata_has_all_that_was_read(kms, run):
    arn = kms.key(
        Origin="EXTERNAL",
        KeySpec="RSA_4096",
        KeyUsage="SIGN_VERIFY",
        MultiRegionConfiguration={"MultiRegionKeyType": "REPLICA"},
        tags={"team": "red"},
    )
    resource = run()[arn].resource
    assert resource == {
        "id": key_id(arn),
        "arn": arn,
        "region": "eu-west-1",
        "state": "Disabled",
        "manager": "CUSTOMER",
        "origin": "EXTERNAL",
        "spec": "RSA_4096",
        "usage": "SIGN_VERIFY",
        "multi_region_type": "REPLICA",
        "creation_date": "2023-11-14T22:13:20+00:00",
        "deletion_date": "",
        "tags": [{"Key": "team", "Value": "red"}],
        "error": "",
        "error_code": "",
    }
    assert json.loads(json.dumps(resource)) == resource
    assert datetime.fromisoformat(resource["creation_date"]).timestamp() == 1_700_000_000


def test_aws_managed_keys_are_left_out(kms, run):
    kms.key("Disabled", KeyManager="AWS")
    kms.key("Enabled", KeyManager="AWS")
    assert run() == {}


def test_an_account_without_keys_has_no_findings(kms, run):
    assert run() == {}
    assert kms.operations() == ["ListKeys"]


# --- Regions, pages, calls


def test_every_enabled_region_is_read_and_the_order_is_stable(kms, run):
    kms.regions = ("us-east-1", "eu-west-1", "ap-south-1")
    arns = [
        kms.key(region=region, KeyId=name)
        for region in kms.regions
        for name in ("2b2b2b2b-0000-0000-0000-000000000000", "1a1a1a1a-0000-0000-0000-000000000000")
    ]
    findings = run()
    assert list(findings) == sorted(arns)
    assert {finding.region for finding in findings.values()} == set(kms.regions)


def test_prowlers_region_option_is_kept(kms, run):
    kms.regions = ("us-east-1", "eu-west-1")
    kms.key(region="us-east-1")
    arn = kms.key(region="eu-west-1")
    assert set(run(regions={"eu-west-1"})) == {arn}
    assert kms.operations("us-east-1") == []


def test_all_pages_are_read(kms, run):
    kms.page_size = 2
    arns = {kms.key() for _ in range(5)}
    assert statuses(run()) == dict.fromkeys(arns, "FAIL")
    assert kms.operations().count("ListKeys") == 3


def test_all_pages_of_tags_are_read(kms, run):
    arn = kms.key(tags={"a": "1", "b": "2", "c": "3"})
    kms.page_size = 2
    assert [tag["Key"] for tag in run()[arn].resource_tags] == ["a", "b", "c"]


def test_one_call_a_page_one_a_key_and_one_a_disabled_key(kms, run):
    kms.regions = ("us-east-1", "eu-west-1")
    for region in kms.regions:
        for state in ("Disabled", "Enabled", "PendingDeletion"):
            for _ in range(4):
                kms.key(state, region)
        kms.key("Enabled", region, KeyManager="AWS")
    run()
    assert Counter(kms.operations()) == {
        "ListKeys": 2,
        "DescribeKey": 2 * 13,
        "ListResourceTags": 2 * 4,
    }


# --- what cannot be read


def test_a_key_that_may_not_be_described_is_manual_and_the_others_are_evaluated(kms, run):
    hidden, disabled = kms.key(), kms.key()
    kms.deny("DescribeKey", key_id=key_id(hidden))
    findings = run()
    assert statuses(findings) == {hidden: "MANUAL", disabled: "FAIL"}
    finding = findings[hidden]
    assert f" {key_id(hidden)} " in finding.status_extended
    assert "(AccessDeniedException)" in finding.status_extended
    assert (finding.resource_id, finding.region) == (key_id(hidden), "eu-west-1")
    assert "DescribeKey is refused" in finding.resource["error"]
    assert finding.resource["state"] == ""


def test_a_region_that_may_not_be_listed_is_manual_and_the_others_are_read(kms, run):
    kms.regions = ("us-east-1", "eu-west-1")
    arn = kms.key()
    kms.deny("ListKeys", region="us-east-1")
    findings = run()
    assert statuses(findings) == {arn: "FAIL", unknown("us-east-1"): "MANUAL"}
    finding = findings[unknown("us-east-1")]
    assert " us-east-1 " in finding.status_extended
    assert "(AccessDeniedException)" in finding.status_extended
    assert "disabled keys" in finding.status_extended
    assert (finding.resource_id, finding.region) == ("unknown", "us-east-1")
    assert "ListKeys is refused" in finding.resource["error"]


@pytest.mark.parametrize("way", ["deny", "cut"])
def test_a_listing_that_breaks_on_its_second_page_keeps_the_first(kms, run, way):
    kms.page_size = 2
    arns = [kms.key() for _ in range(4)]
    getattr(kms, way)("ListKeys", page=2)
    assert statuses(run()) == {
        arns[0]: "FAIL",
        arns[1]: "FAIL",
        unknown("eu-west-1"): "MANUAL",
    }


def test_a_disabled_key_whose_tags_may_not_be_read_still_fails(kms, run):
    arn = kms.key(tags={"team": "red"})
    kms.deny("ListResourceTags")
    finding = run()[arn]
    assert finding.status == "FAIL"
    assert f" {key_id(arn)} is Disabled" in finding.status_extended
    assert finding.resource_tags == []
    assert finding.resource["error_code"] == "AccessDeniedException"
    assert "ListResourceTags is refused" in finding.resource["error"]


def test_a_key_deleted_between_listing_and_describing_is_not_reported(kms, run):
    gone, arn = kms.key(), kms.key()
    kms.fault("DescribeKey", key_id=key_id(gone), code="NotFoundException")
    assert statuses(run()) == {arn: "FAIL"}


def test_an_unreachable_region_is_manual(kms, run):
    kms.regions = ("us-east-1", "eu-west-1")
    arn = kms.key()
    kms.fault("ListKeys", region="us-east-1", unreachable=True)
    findings = run()
    assert statuses(findings) == {arn: "FAIL", unknown("us-east-1"): "MANUAL"}
    assert "(EndpointConnectionError)" in findings[unknown("us-east-1")].status_extended


def test_an_endpoint_that_goes_down_after_the_listing_leaves_no_key_out(kms, run):
    arns = {kms.key() for _ in range(3)}
    kms.fault("DescribeKey", unreachable=True)
    findings = run()
    assert statuses(findings) == dict.fromkeys(arns, "MANUAL")
    assert {finding.resource["error_code"] for finding in findings.values()} == {
        "EndpointConnectionError"
    }


def test_throttling_is_retried_as_prowler_is_configured(kms, run):
    arn = kms.key()
    kms.fault("DescribeKey", code="ThrottlingException")
    assert "(ThrottlingException)" in run(retries_max_attempts=5)[arn].status_extended
    assert kms.operations().count("DescribeKey") == 6
    run()
    assert kms.operations().count("DescribeKey") == 4


def test_a_truncated_listing_is_manual(kms, run):
    kms.key()
    kms.cut("ListKeys")
    findings = run()
    assert statuses(findings) == {unknown("eu-west-1"): "MANUAL"}
    assert "(IncompleteAnswer)" in findings[unknown("eu-west-1")].status_extended


def test_a_truncated_description_is_manual(kms, run):
    arn = kms.key("Enabled")
    kms.cut("DescribeKey")
    finding = run()[arn]
    assert finding.status == "MANUAL"
    assert "(IncompleteAnswer)" in finding.status_extended


def test_truncated_tags_leave_the_key_disabled_with_a_note(kms, run):
    arn = kms.key(tags={"team": "red"})
    kms.cut("ListResourceTags")
    finding = run()[arn]
    assert finding.status == "FAIL"
    assert finding.resource["error_code"] == "IncompleteAnswer"


@pytest.mark.parametrize("lacking", ["KeyId", "KeyManager", "KeyState"])
def test_a_description_that_lacks_a_field_of_the_evaluation_is_manual(kms, run, lacking):
    arn = kms.key("Enabled")
    del kms.keys[arn][lacking]
    finding = run()[arn]
    assert finding.status == "MANUAL"
    assert "(IncompleteAnswer)" in finding.status_extended


@pytest.mark.parametrize("lacking", [False, True], ids=["null", "missing"])
def test_only_id_manager_and_state_of_a_description_must_be_there(lacking):
    """Past botocore, which drops nulls itself, every optional member of KeyMetadata is empty."""
    required = {"KeyId": "1a", "KeyManager": "CUSTOMER", "KeyState": "Disabled"}
    members = loaders.Loader().load_service_model("kms", "service-2")["shapes"]["KeyMetadata"]
    optional = dict.fromkeys(set(members["members"]) - set(required))
    assert {"MultiRegionConfiguration", "KeySpec", "DeletionDate"} <= set(optional)
    key = reading.Key("1a", f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/1a", "eu-west-1")
    reading._fill(key, required if lacking else {**optional, **required})
    assert vars(key) == {
        **vars(reading.Key(key.id, key.arn, key.region)),
        "manager": "CUSTOMER",
        "state": "Disabled",
    }


@pytest.mark.parametrize("state", [7, ["Disabled"], {"Disabled": True}])
def test_a_state_that_is_not_a_string_is_no_answer(state):
    key = reading.Key("1a", f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/1a", "eu-west-1")
    with pytest.raises(reading.IncompleteAnswer):
        reading._fill(key, {"KeyId": "1a", "KeyManager": "CUSTOMER", "KeyState": state})
    assert key.state == ""


def test_a_description_of_another_key_is_manual(kms, run):
    arn, other = kms.key("Disabled"), kms.key("Enabled")
    answer = json.dumps({"KeyMetadata": kms.keys[other]}).encode()
    kms.fault("DescribeKey", key_id=key_id(arn), answer=lambda _: answer)
    assert statuses(run()) == {arn: "MANUAL", other: "PASS"}


def test_an_unknown_manager_is_manual(kms, run):
    arn = kms.key("Enabled", KeyManager="SOMEBODY")
    assert statuses(run()) == {arn: "MANUAL"}


@pytest.mark.parametrize(
    "answer",
    [
        {"Keys": []},
        {"Keys": [], "Truncated": True},
        {"Truncated": False},
        {"Keys": [{"KeyId": "x"}], "Truncated": False},
        {"Keys": None, "Truncated": False},
        {},
    ],
)
def test_a_listing_that_does_not_show_its_end_is_manual(kms, run, answer):
    kms.fault("ListKeys", answer=lambda _: json.dumps(answer).encode())
    assert statuses(run()) == {unknown("eu-west-1"): "MANUAL"}


@pytest.mark.parametrize(
    "body", [b"", b"<html>proxy</html>", b"[]", b"null", b'{"KeyMetadata": 7}']
)
@pytest.mark.parametrize("operation", ["ListKeys", "DescribeKey", "ListResourceTags"])
def test_an_answer_of_the_wrong_shape_never_passes(kms, run, operation, body):
    arn = kms.key("Disabled")
    kms.fault(operation, answer=lambda _: body)
    expected = {
        "ListKeys": {unknown("eu-west-1"): "MANUAL"},
        "DescribeKey": {arn: "MANUAL"},
        "ListResourceTags": {arn: "FAIL"},
    }
    findings = run()
    assert statuses(findings) == expected[operation]
    assert all(finding.resource["error_code"] for finding in findings.values())


def test_no_region_to_read_is_manual(kms, run):
    kms.regions = ("us-east-1",)
    findings = run(regions={"eu-west-1"})
    (finding,) = findings.values()
    assert finding.status == "MANUAL"
    assert "(NoRegion)" in finding.status_extended
    assert "disabled keys" in finding.status_extended


def test_clients_that_cannot_be_made_are_manual(kms, run, monkeypatch):
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no clients today")

    run()
    provider = Provider.get_global_provider()
    monkeypatch.setattr(provider, "generate_regional_clients", broken)
    (finding,) = kms_cmk_not_disabled().execute()
    assert (finding.status, finding.resource["error_code"]) == ("MANUAL", "RuntimeError")


@pytest.mark.parametrize("missing", ["_identity", "audit_metadata", "_session"])
def test_a_provider_that_is_not_complete_is_manual(kms, run, monkeypatch, missing):
    """Prowler's service class then fails before it knows account, partition or Region."""
    run()
    monkeypatch.setattr(Provider.get_global_provider(), missing, None)
    (finding,) = kms_cmk_not_disabled().execute()
    assert (finding.status, finding.resource["error_code"]) == ("MANUAL", "AttributeError")
    assert finding.resource_arn.endswith(":key/unknown")


def test_no_provider_is_manual(kms, run, monkeypatch):
    run()
    monkeypatch.setattr(Provider, "get_global_provider", lambda: None)
    (finding,) = kms_cmk_not_disabled().execute()
    assert (finding.status, finding.resource_arn) == ("MANUAL", "arn:aws:kms:::key/unknown")


def test_errors_are_logged_as_prowler_does(kms, run, caplog):
    kms.deny("ListKeys")
    with caplog.at_level(logging.ERROR):
        run()
    assert "AccessDeniedException" in caplog.text


# --- Prowler's options


def test_resource_arn_leaves_the_other_keys_alone(kms, run):
    chosen, _ = kms.key(), kms.key()
    assert set(run(resource_arn=[chosen])) == {chosen}
    assert kms.operations().count("DescribeKey") == 1


def test_resource_tag_leaves_the_other_keys_alone(kms, run):
    chosen, _ = kms.key(tags={"team": "red"}), kms.key(tags={"team": "blue"})
    assert set(run(resource_tags=["team=red"])) == {chosen}


@pytest.mark.parametrize(
    ("tags", "resources", "muted"),
    [
        (["team=red"], ["*"], True),
        (["team=blue"], ["*"], False),
        (["*"], ["ffffffff-0000"], False),
        (["*"], ["^1a1a1a1a"], True),
    ],
)
def test_prowlers_mutelist_matches_tag_and_key_id(kms, run, tags, resources, muted):
    arn = kms.key(KeyId="1a1a1a1a-0000-0000-0000-000000000000", tags={"team": "red"})
    rule = {"Regions": ["*"], "Resources": resources, "Tags": tags}
    mutelist = AWSMutelist(
        mutelist_content={"Accounts": {"*": {"Checks": {"kms_cmk_not_disabled": rule}}}},
        session=None,
        aws_account_id=ACCOUNT,
    )
    assert mutelist.is_finding_muted(run()[arn], ACCOUNT) is muted


# --- pace


class StandingClock:
    """A clock that stands still, so that each pause says how far ahead a turn is."""

    def __init__(self) -> None:
        self.pauses: list[float] = []

    def monotonic(self) -> float:
        return 1000.0

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)


def test_keys_are_described_at_a_quarter_of_the_quota_in_each_region(
    kms: Any, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = StandingClock()
    monkeypatch.setattr(reading, "time", clock)
    kms.regions = ("eu-west-1", "us-east-1")
    for region in kms.regions:
        for _ in range(60):
            kms.key(region=region)
    run(regions=set(kms.regions))
    turns = [number / 480 for number in range(60)]
    assert sorted(clock.pauses) == pytest.approx(sorted(turns * 2))


def test_more_keys_are_read_at_a_time_than_prowler_has_threads(
    kms: Any, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = threading.Barrier(30, timeout=120)
    fill = reading._fill

    def meeting(key: Any, metadata: dict[str, Any]) -> None:
        together.wait()
        fill(key, metadata)

    monkeypatch.setattr(reading, "_fill", meeting)
    arns = {kms.key() for _ in range(30)}
    found = run()
    assert {arn for arn, finding in found.items() if finding.status == "FAIL"} == arns
