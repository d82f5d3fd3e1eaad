"""DescribeKey, listings and their pages, key policies, rotations, last use, cryptography."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from embedded_aws.testing import ACCOUNT, OTHER, Lab, outcome

DAY = 86_400


def pages(call: Callable[..., Any], field: str, **arguments: Any) -> list[list[Any]]:
    """Return all pages of a listing."""
    found, marker = [], {}
    while True:
        answer = call(**arguments, **marker)
        found.append(answer[field])
        assert answer["Truncated"] == ("NextMarker" in answer)
        if not answer["Truncated"]:
            return found
        marker = {"Marker": answer["NextMarker"]}


def test_list_keys_pages_by_100_by_default(lab: Lab) -> None:
    lab.scenario({"name": "key-{n}", "count": 250})
    call = lab.client("kms").list_keys
    assert [len(page) for page in pages(call, "Keys")] == [100, 100, 50]
    assert [len(page) for page in pages(call, "Keys", Limit=1000)] == [250]
    assert [len(page) for page in pages(call, "Keys", Limit=125)] == [125, 125]
    seen = {key["KeyArn"] for page in pages(call, "Keys", Limit=7) for key in page}
    assert seen == {one["arn"] for one in lab.aws.keys()}


@pytest.mark.parametrize(
    ("operation", "arguments", "limit"),
    [
        ("list_keys", {}, 1001),
        ("list_aliases", {}, 101),
        ("list_grants", {"KeyId": "key"}, 101),
        ("list_resource_tags", {"KeyId": "key"}, 51),
        ("list_key_rotations", {"KeyId": "key"}, 1001),
    ],
)
def test_a_limit_beyond_the_operations_own_is_refused(
    lab: Lab, operation: str, arguments: dict[str, str], limit: int
) -> None:
    lab.scenario({"name": "key"})
    named = {name: lab.arn(value) for name, value in arguments.items()}
    call = getattr(lab.client("kms"), operation)
    assert outcome(call, **named, Limit=limit) == "ValidationException"
    assert outcome(call, **named, Limit=limit - 1) == "ok"


def test_a_foreign_marker_is_refused(lab: Lab) -> None:
    call = lab.client("kms").list_keys
    assert outcome(call, Marker="nonsense") == "InvalidMarkerException"


def test_aliases_page_by_50_and_list_those_of_one_key(lab: Lab) -> None:
    lab.scenario({"name": "key-{n}", "count": 120, "aliases": ["alias/key-{n}"]})
    call = lab.client("kms").list_aliases
    found = pages(call, "Aliases")
    assert [len(page) for page in found[:-1]] == [50, 50]
    names = [one["AliasName"] for page in found for one in page]
    assert {f"alias/key-{n}" for n in range(1, 121)} < set(names)
    assert len(names) == len(set(names))
    of_one = call(KeyId=lab.arn("key-7"))["Aliases"]
    assert [one["AliasName"] for one in of_one] == ["alias/key-7"]


def test_aliases_of_unused_aws_services_have_no_target(lab: Lab) -> None:
    aliases = lab.client("kms").list_aliases()["Aliases"]
    without = {one["AliasName"] for one in aliases if "TargetKeyId" not in one}
    assert "alias/aws/rds" in without


def test_grants_page_by_50(lab: Lab) -> None:
    grant = {"grantee": "arn:aws:iam::{account}:role/app", "count": 120}
    lab.scenario({"name": "key", "grants": [grant]})
    call = lab.client("kms").list_grants
    found = pages(call, "Grants", KeyId=lab.arn("key"))
    assert [len(page) for page in found] == [50, 50, 20]
    assert len({one["GrantId"] for page in found for one in page}) == 120
    shown = found[0][0]
    assert shown["GranteePrincipal"] == f"arn:aws:iam::{ACCOUNT}:role/app"
    assert shown["IssuingAccount"] == f"arn:aws:iam::{ACCOUNT}:root"


def test_describe_key_is_complete_for_a_multi_region_set(lab: Lab) -> None:
    lab.scenario({"name": "set", "replicas": ["us-east-1", "eu-central-1"]})
    expected = {
        "PrimaryKey": {"Arn": lab.arn("set"), "Region": "eu-west-1"},
        "ReplicaKeys": [
            {"Arn": lab.arn("set", region), "Region": region}
            for region in ("eu-central-1", "us-east-1")
        ],
    }
    for region, kind in (("eu-west-1", "PRIMARY"), ("us-east-1", "REPLICA")):
        shown = lab.client("kms", region).describe_key(KeyId=lab.arn("set", region))
        metadata = shown["KeyMetadata"]
        assert metadata["KeyId"].startswith("mrk-")
        configuration = metadata["MultiRegionConfiguration"]
        assert configuration == {"MultiRegionKeyType": kind, **expected}


def test_describe_key_shows_imported_material_and_custom_stores(lab: Lab) -> None:
    region = {
        "custom_key_stores": [{"name": "hsm", "connection": "DISCONNECTED"}],
        "keys": [
            {"name": "waiting", "origin": "EXTERNAL", "state": "PendingImport"},
            {"name": "imported", "origin": "EXTERNAL", "valid_for_days": 10},
            {"name": "forever", "origin": "EXTERNAL"},
            {"name": "hardware", "custom_key_store": "hsm", "state": "Unavailable"},
        ],
    }
    lab.aws.reset({"accounts": {ACCOUNT: {"regions": {"eu-west-1": region}}}})
    kms = lab.client("kms")

    def shown(name: str) -> dict[str, Any]:
        metadata: dict[str, Any] = kms.describe_key(KeyId=lab.arn(name))["KeyMetadata"]
        return metadata

    assert "ExpirationModel" not in shown("waiting")
    assert shown("imported")["ExpirationModel"] == "KEY_MATERIAL_EXPIRES"
    assert "ValidTo" in shown("imported")
    assert shown("forever")["ExpirationModel"] == "KEY_MATERIAL_DOES_NOT_EXPIRE"
    [store] = kms.describe_custom_key_stores()["CustomKeyStores"]
    hardware = shown("hardware")
    assert hardware["CustomKeyStoreId"] == store["CustomKeyStoreId"]
    assert hardware["CloudHsmClusterId"] == store["CloudHsmClusterId"]
    assert (hardware["Origin"], hardware["KeyState"]) == ("AWS_CLOUDHSM", "Unavailable")
    assert store["ConnectionState"] == "DISCONNECTED"


def test_imported_material_arrives_and_goes(lab: Lab) -> None:
    kms = lab.client("kms")
    arn = kms.create_key(Origin="EXTERNAL")["KeyMetadata"]["Arn"]
    assert kms.describe_key(KeyId=arn)["KeyMetadata"]["KeyState"] == "PendingImport"
    ticket = kms.get_parameters_for_import(
        KeyId=arn, WrappingAlgorithm="RSAES_OAEP_SHA_256", WrappingKeySpec="RSA_2048"
    )
    kms.import_key_material(
        KeyId=arn,
        ImportToken=ticket["ImportToken"],
        EncryptedKeyMaterial=b"x",
        ExpirationModel="KEY_MATERIAL_DOES_NOT_EXPIRE",
    )
    assert kms.describe_key(KeyId=arn)["KeyMetadata"]["KeyState"] == "Enabled"
    kms.delete_imported_key_material(KeyId=arn)
    assert kms.describe_key(KeyId=arn)["KeyMetadata"]["KeyState"] == "PendingImport"


@pytest.mark.parametrize("name", ["{id}", "{arn}", "alias/key", "{alias_arn}"])
def test_describe_key_takes_id_arn_alias_and_alias_arn(lab: Lab, name: str) -> None:
    lab.scenario({"name": "key", "aliases": ["alias/key"]})
    arn = lab.arn("key")
    alias_arn = f"arn:aws:kms:eu-west-1:{ACCOUNT}:alias/key"
    named = name.format(id=arn.split("/")[1], arn=arn, alias_arn=alias_arn)
    assert lab.client("kms").describe_key(KeyId=named)["KeyMetadata"]["Arn"] == arn


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("nonsense", "NotFoundException"),
        ("alias/none", "NotFoundException"),
        ("00000000-0000-0000-0000-000000000000", "NotFoundException"),
        ("arn:aws:s3:::bucket", "InvalidArnException"),
    ],
)
def test_a_key_that_does_not_exist_is_an_error(lab: Lab, name: str, code: str) -> None:
    assert outcome(lab.client("kms").describe_key, KeyId=name) == code


def test_last_use_reads_three_ways(lab: Lab) -> None:
    lab.scenario(
        {"name": "used", "last_used": {"days_ago": 40, "operation": "Encrypt"}},
        {"name": "young", "created_days_ago": 20},
        {"name": "old", "created_days_ago": 900},
    )
    kms, now = lab.client("kms"), lab.aws.now()

    def ago(moment: Any) -> int:
        return round((now - moment.timestamp()) / DAY)

    used = kms.get_key_last_usage(KeyId=lab.arn("used"))
    assert used["KeyLastUsage"]["Operation"] == "Encrypt"
    assert ago(used["KeyLastUsage"]["Timestamp"]) == 40
    young = kms.get_key_last_usage(KeyId=lab.arn("young"))
    assert young["KeyLastUsage"] == {}
    assert (ago(young["TrackingStartDate"]), ago(young["KeyCreationDate"])) == (20, 20)
    old = kms.get_key_last_usage(KeyId=lab.arn("old"))
    assert old["KeyLastUsage"] == {}
    assert (ago(old["TrackingStartDate"]), ago(old["KeyCreationDate"])) == (300, 900)


def test_only_a_successful_cryptographic_operation_counts_as_use(lab: Lab) -> None:
    lab.scenario({"name": "key"})
    kms, arn = lab.client("kms"), lab.arn("key")
    kms.describe_key(KeyId=arn)
    kms.create_grant(KeyId=arn, GranteePrincipal="app", Operations=["Decrypt"])
    kms.disable_key(KeyId=arn)
    assert outcome(kms.encrypt, KeyId=arn, Plaintext=b"x") == "DisabledException"
    assert kms.get_key_last_usage(KeyId=arn)["KeyLastUsage"] == {}
    kms.enable_key(KeyId=arn)
    kms.generate_data_key(KeyId=arn, KeySpec="AES_256")
    assert kms.get_key_last_usage(KeyId=arn)["KeyLastUsage"]["Operation"] == "GenerateDataKey"


def test_members_of_a_set_track_their_use_apart(lab: Lab) -> None:
    lab.scenario({"name": "set", "replicas": ["us-east-1"]})
    blob = lab.client("kms").encrypt(KeyId=lab.arn("set"), Plaintext=b"x")["CiphertextBlob"]
    other = lab.client("kms", "us-east-1")
    assert other.get_key_last_usage(KeyId=lab.arn("set", "us-east-1"))["KeyLastUsage"] == {}
    assert other.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"
    usage = other.get_key_last_usage(KeyId=lab.arn("set", "us-east-1"))["KeyLastUsage"]
    assert usage["Operation"] == "Decrypt"


def test_rotations_are_listed_and_unsupported_for_other_kinds(lab: Lab) -> None:
    lab.scenario(
        {"name": "rotated", "rotations": 2, "rotation_period_days": 365},
        {"name": "mac", "spec": "HMAC_256"},
    )
    kms = lab.client("kms")
    assert len(kms.list_key_rotations(KeyId=lab.arn("rotated"))["Rotations"]) == 2
    status = kms.get_key_rotation_status(KeyId=lab.arn("rotated"))
    assert (status["KeyRotationEnabled"], status["RotationPeriodInDays"]) == (True, 365)
    code = outcome(kms.list_key_rotations, KeyId=lab.arn("mac"))
    assert code == "UnsupportedOperationException"


def test_encryption_is_undone_by_decryption_with_the_same_context_only(lab: Lab) -> None:
    lab.scenario({"name": "key"}, {"name": "other"})
    kms = lab.client("kms")
    blob = kms.encrypt(KeyId=lab.arn("key"), Plaintext=b"x", EncryptionContext={"a": "b"})[
        "CiphertextBlob"
    ]
    right = {"CiphertextBlob": blob, "EncryptionContext": {"a": "b"}}
    assert kms.decrypt(**right)["Plaintext"] == b"x"
    assert outcome(kms.decrypt, CiphertextBlob=blob) == "InvalidCiphertextException"
    code = outcome(kms.decrypt, **right, KeyId=lab.arn("other"))
    assert code == "IncorrectKeyException"
    moved = kms.re_encrypt(
        CiphertextBlob=blob,
        SourceEncryptionContext={"a": "b"},
        DestinationKeyId=lab.arn("other"),
    )
    assert kms.decrypt(CiphertextBlob=moved["CiphertextBlob"])["KeyId"] == lab.arn("other")


def test_creating_a_key_is_cheap(lab: Lab) -> None:
    kms = lab.client("kms")
    kms.create_key()
    seconds = []
    for _ in range(50):
        start = lab.aws.now()
        kms.create_key()
        seconds.append(lab.aws.now() - start)
    assert min(seconds) < 0.03


# Key policies come first


def statement(principal: object, action: object = "kms:*", **more: object) -> dict[str, object]:
    return {
        "Effect": "Allow",
        "Principal": principal,
        "Action": action,
        "Resource": "*",
        **more,
    }


def policy(*statements: dict[str, object]) -> dict[str, object]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def test_without_the_root_statement_iam_is_useless(lab: Lab) -> None:
    only = policy(statement({"AWS": "arn:aws:iam::{account}:role/keeper"}))
    lab.scenario({"name": "locked", "state": "Disabled", "policy": only}, roles=["keeper"])
    kms = lab.client("kms")
    assert outcome(kms.describe_key, KeyId=lab.arn("locked")) == "AccessDeniedException"
    code = outcome(kms.schedule_key_deletion, KeyId=lab.arn("locked"))
    assert code == "AccessDeniedException"


def test_a_deny_in_the_key_policy_wins(lab: Lab) -> None:
    deny = statement("*", "kms:ScheduleKeyDeletion") | {"Effect": "Deny"}
    root = statement({"AWS": "arn:aws:iam::{account}:root"})
    lab.scenario({"name": "kept", "policy": policy(root, deny)})
    kms = lab.client("kms")
    assert outcome(kms.describe_key, KeyId=lab.arn("kept")) == "ok"
    code = outcome(kms.schedule_key_deletion, KeyId=lab.arn("kept"))
    assert code == "AccessDeniedException"


@pytest.mark.parametrize("principal", [f"arn:aws:iam::{OTHER}:root", OTHER])
def test_another_account_uses_a_key_that_its_policy_shares(lab: Lab, principal: str) -> None:
    shared = statement({"AWS": principal}, ["kms:Encrypt", "kms:DescribeKey"])
    root = statement({"AWS": "arn:aws:iam::{account}:root"})
    lab.scenario({"name": "shared", "policy": policy(root, shared)})
    kms = lab.client("kms", account=OTHER)
    assert outcome(kms.encrypt, KeyId=lab.arn("shared"), Plaintext=b"x") == "ok"
    assert outcome(kms.list_grants, KeyId=lab.arn("shared")) == "AccessDeniedException"


def test_the_two_guardrail_conditions_deny(lab: Lab) -> None:
    def deny(operator: str, key: str, value: str) -> dict[str, object]:
        return {
            "Statement": [
                {
                    "Effect": "Deny",
                    "Action": "kms:ScheduleKeyDeletion",
                    "Resource": "*",
                    "Condition": {operator: {key: value}},
                }
            ]
        }

    window = deny("NumericLessThan", "kms:ScheduleKeyDeletionPendingWindowInDays", "30")
    used = deny("NumericLessThan", "kms:TrailingDaysWithoutKeyUsage", "90")
    lab.scenario(
        {"name": "used", "last_used": 10},
        {"name": "unused"},
        service_control_policies=[window, used],
    )
    call = lab.client("kms").schedule_key_deletion
    denied = "AccessDeniedException"
    assert outcome(call, KeyId=lab.arn("unused"), PendingWindowInDays=7) == denied
    assert outcome(call, KeyId=lab.arn("used"), PendingWindowInDays=30) == denied
    assert outcome(call, KeyId=lab.arn("unused"), PendingWindowInDays=30) == "ok"


def test_a_key_policy_that_is_no_json_or_locks_its_caller_out_is_refused(lab: Lab) -> None:
    lab.scenario({"name": "key"})
    code = outcome(lab.client("kms").put_key_policy, KeyId=lab.arn("key"), Policy="nonsense")
    assert code == "MalformedPolicyDocumentException"
    locked = json.dumps(policy(statement({"AWS": f"arn:aws:iam::{OTHER}:root"})))
    call = lab.client("kms").put_key_policy
    assert outcome(call, KeyId=lab.arn("key"), Policy=locked) == code
    exceptions = {"BypassPolicyLockoutSafetyCheck": True}
    assert outcome(call, KeyId=lab.arn("key"), Policy=locked, **exceptions) == "ok"
    assert outcome(call, KeyId=lab.arn("key"), Policy=locked) == "AccessDeniedException"


def test_a_key_policy_is_put_and_shown(lab: Lab) -> None:
    lab.scenario({"name": "key"})
    good = json.dumps(policy(statement({"AWS": f"arn:aws:iam::{ACCOUNT}:root"})))
    lab.client("kms").put_key_policy(KeyId=lab.arn("key"), Policy=good)
    assert lab.client("kms").get_key_policy(KeyId=lab.arn("key"))["Policy"] == good
