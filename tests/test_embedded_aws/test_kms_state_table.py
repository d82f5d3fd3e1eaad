"""The embedded AWS against AWS's table of key states, operation by operation and state by state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from embedded_aws.testing import ACCOUNT, Lab, outcome

TABLE = yaml.safe_load((Path(__file__).parent / "key_states.yaml").read_text(encoding="utf-8"))
CODES = {"ok": "ok", "i": "KMSInvalidStateException", "d": "DisabledException"}
CASES = [
    (operation, state, CODES[answer])
    for operation, answers in TABLE["operations"].items()
    for state, answer in zip(TABLE["states"], answers, strict=True)
]
SPECS = {
    "Sign": ("ECC_NIST_P256", "SIGN_VERIFY"),
    "Verify": ("ECC_NIST_P256", "SIGN_VERIFY"),
    "GenerateMac": ("HMAC_256", "GENERATE_VERIFY_MAC"),
    "VerifyMac": ("HMAC_256", "GENERATE_VERIFY_MAC"),
}
GRANTEE = f"arn:aws:iam::{ACCOUNT}:role/app"
"""Who may use the key by grant; any ARN would do."""


def snake(operation: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in operation).lstrip("_")


def arguments(kms: Any, operation: str, arn: str) -> dict[str, Any]:
    """Return a request's arguments, prepared while the key is still enabled."""
    if operation in ("Decrypt", "ReEncrypt"):
        blob = kms.encrypt(KeyId=arn, Plaintext=b"secret")["CiphertextBlob"]
        more = {"DestinationKeyId": arn} if operation == "ReEncrypt" else {}
        return {"CiphertextBlob": blob, **more}
    if operation in ("RevokeGrant", "RetireGrant"):
        grant = kms.create_grant(KeyId=arn, GranteePrincipal=GRANTEE, Operations=["Decrypt"])
        return {"KeyId": arn, "GrantId": grant["GrantId"]}
    signed = {"KeyId": arn, "Message": b"m", "SigningAlgorithm": "ECDSA_SHA_256"}
    mac = {"KeyId": arn, "Message": b"m", "MacAlgorithm": "HMAC_SHA_256"}
    if operation == "Verify":
        return {**signed, "Signature": kms.sign(**signed)["Signature"]}
    if operation == "VerifyMac":
        return {**mac, "Mac": kms.generate_mac(**mac)["Mac"]}
    if operation == "DeleteAlias":
        return {"AliasName": "alias/kept"}
    tags = {"Tags": [{"TagKey": "a", "TagValue": "b"}]}
    policy = kms.get_key_policy(KeyId=arn, PolicyName="default")["Policy"]
    more = {
        "ScheduleKeyDeletion": {"PendingWindowInDays": 7},
        "TagResource": tags,
        "UntagResource": {"TagKeys": ["a"]},
        "UpdateKeyDescription": {"Description": "x"},
        "CreateGrant": {"GranteePrincipal": GRANTEE, "Operations": ["Decrypt"]},
        "Encrypt": {"Plaintext": b"secret"},
        "GenerateDataKey": {"KeySpec": "AES_256"},
        "GenerateDataKeyPair": {"KeyPairSpec": "ECC_NIST_P256"},
        "GenerateDataKeyPairWithoutPlaintext": {"KeyPairSpec": "ECC_NIST_P256"},
        "PutKeyPolicy": {"PolicyName": "default", "Policy": policy},
        "GetKeyPolicy": {"PolicyName": "default"},
    }.get(operation, {})
    if operation == "Sign":
        return signed
    if operation == "GenerateMac":
        return mac
    if operation == "CreateAlias":
        return {"AliasName": "alias/new", "TargetKeyId": arn}
    return {"KeyId": arn, **more}


@pytest.mark.parametrize(("operation", "state", "expected"), CASES)
def test_an_operation_in_a_state(lab: Lab, operation: str, state: str, expected: str) -> None:
    spec, usage = SPECS.get(operation, ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"))
    replicas = ["us-east-1"] if state == "PendingReplicaDeletion" else []
    lab.scenario(
        {
            "name": "key",
            "spec": spec,
            "usage": usage,
            "replicas": replicas,
            "aliases": ["alias/kept"],
        }
    )
    kms, arn = lab.client("kms"), lab.arn("key")
    prepared = arguments(kms, operation, arn)
    if state in ("PendingDeletion", "PendingReplicaDeletion"):
        kms.schedule_key_deletion(KeyId=arn, PendingWindowInDays=7)
    elif state != "Enabled":
        lab.aws.set_state(arn, state)
    assert (lab.aws.key(arn) or {})["state"] == state

    assert outcome(getattr(kms, snake(operation)), **prepared) == expected


def test_the_table_knows_every_state_of_the_service_model(lab: Lab) -> None:
    model = lab.client("kms").meta.service_model
    assert set(TABLE["states"]) == set(model.shape_for("KeyState").enum)


@pytest.mark.parametrize(
    ("state", "sentence"),
    [("Disabled", "is disabled."), ("PendingDeletion", "is pending deletion.")],
)
def test_a_refused_use_names_the_key_and_its_state(lab: Lab, state: str, sentence: str) -> None:
    lab.scenario({"name": "key", "state": state})
    kms, arn = lab.client("kms"), lab.arn("key")
    with pytest.raises(kms.exceptions.ClientError) as caught:
        kms.encrypt(KeyId=arn, Plaintext=b"x")
    assert caught.value.response["Error"]["Message"] == f"{arn} {sentence}"


def test_cancelling_lands_in_disabled_from_both_pending_states(lab: Lab) -> None:
    lab.scenario({"name": "one"}, {"name": "set", "replicas": ["us-east-1"]})
    kms = lab.client("kms")
    for name in ("one", "set"):
        kms.schedule_key_deletion(KeyId=lab.arn(name), PendingWindowInDays=7)
        kms.cancel_key_deletion(KeyId=lab.arn(name))
    truth = lab.aws.keys()
    assert {one["state"] for one in truth if one["region"] == "eu-west-1"} == {"Disabled"}


def test_enabling_an_unavailable_key_takes_effect_later(lab: Lab) -> None:
    lab.scenario({"name": "key", "state": "Unavailable"})
    kms, arn = lab.client("kms"), lab.arn("key")
    kms.disable_key(KeyId=arn)
    assert kms.describe_key(KeyId=arn)["KeyMetadata"]["KeyState"] == "Unavailable"
    lab.aws.set_state(arn, "Enabled")
    assert kms.describe_key(KeyId=arn)["KeyMetadata"]["KeyState"] == "Disabled"
