"""The embedded AWS answers as recordings of real AWS do: the same fields, forms and errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import boto3
import pytest
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import ClientError

from embedded_aws.testing import ACCOUNT, OTHER, Lab
from recorded_answers import answers, differences, error_form

Call = tuple[str, dict[str, Any]]
KMS = answers("kms")
NOBODY = {
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"AWS": "arn:aws:iam::{account}:role/none"},
            "Action": "kms:*",
            "Resource": "*",
        }
    ]
}
KEYS: tuple[dict[str, Any], ...] = (
    {"name": "key", "aliases": ["alias/orders"], "tags": {"Owner": "payments"}, "rotations": 2},
    {"name": "rotating", "rotation_period_days": 365},
    {"name": "off", "state": "Disabled"},
    {"name": "used", "last_used": 40},
    {"name": "unused"},
    {"name": "private", "policy": NOBODY},
    {"name": "rsa", "spec": "RSA_2048", "usage": "ENCRYPT_DECRYPT"},
    {"name": "sign", "spec": "RSA_2048", "usage": "SIGN_VERIFY"},
    {"name": "agree", "spec": "ECC_NIST_P256", "usage": "KEY_AGREEMENT"},
    {"name": "mac", "spec": "HMAC_256", "usage": "GENERATE_VERIFY_MAC"},
    {"name": "empty", "origin": "EXTERNAL", "state": "PendingImport"},
    {"name": "imported", "origin": "EXTERNAL"},
    {"name": "primary", "multi_region": True, "replicas": ["us-east-1"]},
)
MISSING = "00000000-0000-0000-0000-000000000000"
ONE_BYTE = b"x"
MAC = {"Message": ONE_BYTE, "MacAlgorithm": "HMAC_SHA_256"}
SIGN = {"Message": ONE_BYTE, "SigningAlgorithm": "RSASSA_PSS_SHA_256"}
PEER = {"PublicKey": b"none", "KeyAgreementAlgorithm": "ECDH"}


@pytest.fixture
def recorded(lab: Lab) -> Lab:
    lab.scenario(*KEYS)
    return lab


def _client(lab: Lab) -> Any:
    """A client that sends what AWS would refuse."""
    config = Config(parameter_validation=False, retries={"total_max_attempts": 1})
    arguments: Any = lab.aws.client_arguments(ACCOUNT, "eu-west-1")
    return boto3.client("kms", config=config, **arguments)


def _failing(lab: Lab) -> Iterator[Call]:
    """Calls that AWS refuses; between them, each error of the table."""
    arn = lab.arn
    elsewhere = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/{MISSING}"
    yield "CreateAlias", {"AliasName": "orders", "TargetKeyId": arn("key")}
    yield "CreateKey", {"KeySpec": "HMAC_256"}
    yield "CreateKey", {"KeySpec": "HMAC_random", "KeyUsage": "GENERATE_VERIFY_MAC"}
    yield "CreateKey", {"KeySpec": "HMAC_256", "KeyUsage": "RANDOM"}
    yield "CreateKey", {"KeySpec": "RSA_2048", "KeyUsage": "KEY_AGREEMENT"}
    for tags in (
        {str(number): "" for number in range(51)},
        {"tag": "v" * 257},
        {"aws:tag": ""},
        {"t" * 129: ""},
    ):
        yield "CreateKey", {"Tags": [{"TagKey": k, "TagValue": v} for k, v in tags.items()]}
    twice = [{"TagKey": "tag", "TagValue": value} for value in "ab"]
    yield "TagResource", {"KeyId": arn("key"), "Tags": twice}
    yield "TagResource", {"KeyId": arn("key"), "Tags": [{"TagKey": "AWS:a", "TagValue": ""}]}
    blob = _client(lab).encrypt(KeyId=arn("key"), Plaintext=b"x")["CiphertextBlob"]
    yield "Decrypt", {"KeyId": arn("mac"), "CiphertextBlob": blob}
    yield "Decrypt", {"CiphertextBlob": blob, "EncryptionContext": {"a": "b"}}
    yield (
        "ReEncrypt",
        {
            "SourceKeyId": arn("unused"),
            "DestinationKeyId": arn("unused"),
            "CiphertextBlob": blob,
        },
    )
    yield "DeriveSharedSecret", {"KeyId": arn("key"), **PEER}
    yield "DeriveSharedSecret", {"KeyId": arn("agree"), **PEER}
    yield "DeriveSharedSecret", {"KeyId": arn("agree"), **PEER, "KeyAgreementAlgorithm": "NONE"}
    for named in ("alias/none", "none", MISSING, f"mrk-{MISSING}", elsewhere, arn("private")):
        yield "DescribeKey", {"KeyId": named}
    for key in ("rsa", "empty", "sign", "key"):
        algorithm = {"EncryptionAlgorithm": "RSAES_OAEP_SHA_1"} if key == "rsa" else {}
        size = {"rsa": 215, "key": 4097}.get(key, 1)
        yield "Encrypt", {"KeyId": arn(key), "Plaintext": b"x" * size, **algorithm}
    pair = {"KeyId": arn("key"), "KeyPairSpec": "RSA_2048", "DryRun": True}
    yield "GenerateDataKeyPair", pair
    yield "GenerateDataKeyPairWithoutPlaintext", pair
    yield "GenerateMac", {**MAC, "KeyId": "key_id"}
    yield "GenerateMac", {**MAC, "KeyId": arn("key")}
    yield "VerifyMac", {**MAC, "KeyId": "key_id", "Mac": b"x"}
    yield "VerifyMac", {**MAC, "KeyId": arn("mac"), "Mac": b"x"}
    for algorithm_name in ("HMAC_SHA_512", "NONE"):
        changed = {"KeyId": arn("mac"), "Message": b"x", "MacAlgorithm": algorithm_name}
        yield "GenerateMac", changed
        yield "VerifyMac", {**changed, "Mac": b"x"}
    for number in ({}, {"NumberOfBytes": 0}, {"NumberOfBytes": 1025}):
        yield "GenerateRandom", number
    yield "GetKeyRotationStatus", {"KeyId": arn("imported")}
    wrapping = {"WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"}
    yield "GetParametersForImport", {"KeyId": arn("key"), **wrapping}
    token = _client(lab).get_parameters_for_import(KeyId=arn("imported"), **wrapping)["ImportToken"]
    material = {"KeyId": arn("imported"), "ImportToken": token, "EncryptedKeyMaterial": b"x"}
    yield "ImportKeyMaterial", {**material, "ExpirationModel": "KEY_MATERIAL_EXPIRES"}
    yield "RotateKeyOnDemand", {"KeyId": arn("imported")}
    further = {"ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE", "ImportType": "NEW_KEY_MATERIAL"}
    _client(lab).import_key_material(**material, **further)
    yield "ImportKeyMaterial", {**material, **further}
    yield "ListKeyRotations", {"KeyId": arn("private")}
    yield "ReplicateKey", {"KeyId": arn("key"), "ReplicaRegion": "us-east-1"}
    for key in ("off", "sign", "empty"):
        yield "RotateKeyOnDemand", {"KeyId": arn(key)}
    yield "RotateKeyOnDemand", {"KeyId": MISSING}
    for _ in range(25):
        _client(lab).rotate_key_on_demand(KeyId=arn("key"))
    yield "RotateKeyOnDemand", {"KeyId": arn("key")}
    yield "Sign", {**SIGN, "KeyId": arn("sign"), "MessageType": "DIGEST"}
    yield "Sign", {**SIGN, "KeyId": arn("mac")}
    yield "Verify", {**SIGN, "KeyId": arn("sign"), "Signature": b"x"}
    yield "Verify", {**SIGN, "KeyId": arn("key"), "Signature": b"x"}


NEWER_FORM = "User: {arn} is not authorized to perform: kms:DescribeKey on resource: {key-arn}"
"""Recorded in 2021. AWS has since added the reason, as in the recording of ListKeyRotations."""


def test_kms_refuses_in_the_words_of_each_recorded_error(recorded: Lab) -> None:
    seen: dict[str, set[str]] = {}
    other: list[tuple[str, str, str]] = []
    for operation, params in _failing(recorded):
        with pytest.raises(ClientError) as raised:
            getattr(_client(recorded), xform_name(operation))(**params)
        response: Any = raised.value.response
        code, message = response["Error"]["Code"], response["Error"]["Message"]
        status = response["ResponseMetadata"]["HTTPStatusCode"]
        form = error_form(KMS[operation], code, status, message)
        if form is None and not message.startswith("User: "):
            other.append((operation, code, message))
        seen.setdefault(operation, set()).add(form or "")
    assert other == []
    wanted = {
        operation: {f"{e['code']}: {e['message']}" for e in one["errors"]}
        for operation, one in KMS.items()
        if "errors" in one
    }
    missing = {op: forms - seen.get(op, set()) for op, forms in wanted.items()}
    assert {op: f for op, f in missing.items() if f} == {
        "DescribeKey": {f"AccessDeniedException: {NEWER_FORM}"}
    }


def _answered(lab: Lab, client: Any) -> Mapping[str, Callable[[], list[Any]]]:
    """Answers to each recorded operation that AWS answers with more than an empty object."""
    arn = lab.arn

    def of(method: str, *keys: str, **params: Any) -> Callable[[], list[Any]]:
        named = [{"KeyId": arn(key)} for key in keys] or [{}]
        return lambda: [getattr(client, method)(**one, **params) for one in named]

    def sealed() -> bytes:
        blob: bytes = client.encrypt(KeyId=arn("key"), Plaintext=b"x")["CiphertextBlob"]
        return blob

    wrapping = {"WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"}
    return {
        "CancelKeyDeletion": lambda: [
            client.schedule_key_deletion(KeyId=arn("off"), PendingWindowInDays=7)
            and client.cancel_key_deletion(KeyId=arn("off"))
        ],
        "CreateKey": of("create_key"),
        "Decrypt": lambda: [client.decrypt(CiphertextBlob=sealed())],
        "DeriveSharedSecret": lambda: [
            client.derive_shared_secret(
                KeyId=arn("agree"),
                KeyAgreementAlgorithm="ECDH",
                PublicKey=client.get_public_key(KeyId=arn("agree"))["PublicKey"],
            )
        ],
        "DescribeKey": of(
            "describe_key", *(key["name"] for key in KEYS if key["name"] != "private")
        ),
        "DisableKey": of("disable_key", "key"),
        "EnableKey": of("enable_key", "off"),
        "Encrypt": of("encrypt", "key", Plaintext=b"x"),
        "GenerateDataKey": of("generate_data_key", "key", KeySpec="AES_256"),
        "GenerateDataKeyPair": of("generate_data_key_pair", "key", KeyPairSpec="RSA_2048"),
        "GenerateDataKeyPairWithoutPlaintext": of(
            "generate_data_key_pair_without_plaintext", "key", KeyPairSpec="RSA_2048"
        ),
        "GenerateDataKeyWithoutPlaintext": of(
            "generate_data_key_without_plaintext", "key", KeySpec="AES_256"
        ),
        "GenerateMac": of("generate_mac", "mac", **MAC),
        "GetKeyLastUsage": of("get_key_last_usage", "used"),
        "GetKeyPolicy": of("get_key_policy", "key"),
        "GetKeyRotationStatus": of("get_key_rotation_status", "key", "rotating"),
        "GetParametersForImport": of("get_parameters_for_import", "empty", **wrapping),
        "GetPublicKey": of("get_public_key", "rsa"),
        "ImportKeyMaterial": lambda: [
            client.import_key_material(
                KeyId=arn("empty"),
                ImportToken=client.get_parameters_for_import(KeyId=arn("empty"), **wrapping)[
                    "ImportToken"
                ],
                EncryptedKeyMaterial=b"x",
                ExpirationModel="KEY_MATERIAL_DOES_NOT_EXPIRE",
            )
        ],
        "ListAliases": lambda: [client.list_aliases(), client.list_aliases(Limit=2)],
        "ListGrants": of("list_grants", "key"),
        "ListKeyRotations": of("list_key_rotations", "key", "unused"),
        "ListKeys": of("list_keys"),
        "ListResourceTags": of("list_resource_tags", "key", "unused"),
        "ReEncrypt": lambda: [
            client.re_encrypt(CiphertextBlob=sealed(), DestinationKeyId=arn("unused"))
        ],
        "ReplicateKey": of("replicate_key", "primary", ReplicaRegion="eu-central-1"),
        "RotateKeyOnDemand": of("rotate_key_on_demand", "key"),
        "ScheduleKeyDeletion": of("schedule_key_deletion", "off", PendingWindowInDays=7),
        "Sign": of("sign", "sign", **SIGN),
        "Verify": lambda: [
            client.verify(
                KeyId=arn("sign"),
                Signature=client.sign(KeyId=arn("sign"), **SIGN)["Signature"],
                **SIGN,
            )
        ],
        "VerifyMac": lambda: [
            client.verify_mac(
                KeyId=arn("mac"),
                Mac=client.generate_mac(KeyId=arn("mac"), **MAC)["Mac"],
                **MAC,
            )
        ],
    }


NOT_RECORDED = {
    "CreateKey": {"KeyMetadata.CurrentKeyMaterialId"},
    "DescribeKey": {"KeyMetadata.KeyAgreementAlgorithms"},
    "GetKeyPolicy": {"PolicyName"},
    "GetPublicKey": {"KeySpec"},
    "ListKeys": {"NextMarker"},
    "ReplicateKey": {"ReplicaTags"},
}
"""Members of today's answers ("API Reference", AWS KMS) that the recordings, older or of other
keys, lack."""


@pytest.mark.parametrize(
    "operation", [op for op, one in KMS.items() if one.get("fields") or "errors" not in one]
)
def test_kms_answers_with_the_recorded_fields(recorded: Lab, operation: str) -> None:
    more = frozenset(NOT_RECORDED.get(operation, ()))
    for answer in _answered(recorded, _client(recorded))[operation]():
        assert differences(KMS[operation], answer, more) == set()


SPECS_OF = {"ENCRYPT_DECRYPT": ("SYMMETRIC", "RSA"), "GENERATE_VERIFY_MAC": ("HMAC",)}


@pytest.mark.parametrize(
    "kind",
    KMS["DescribeKey"]["kinds"],
    ids=lambda kind: "-".join(str(kind[name]) for name in ("KeyState", "Origin", "KeySpec")),
)
def test_a_key_of_each_recorded_kind_has_its_fields(lab: Lab, kind: dict[str, Any]) -> None:
    spec = kind["KeySpec"]
    usage = next((u for u, some in SPECS_OF.items() if spec.startswith(some)), "SIGN_VERIFY")
    lab.scenario(
        {
            "name": "key",
            "state": kind["KeyState"],
            "origin": kind["Origin"],
            "spec": spec,
            "usage": usage,
            "multi_region": kind["MultiRegion"],
        }
    )
    metadata = lab.client("kms").describe_key(KeyId=lab.arn("key"))["KeyMetadata"]
    always = {*KMS["DescribeKey"]["every"], *kind["always"]}
    assert always - set(metadata) == set()
    assert set(metadata) - always - set(kind.get("sometimes", ())) == set()
    assert (metadata["Origin"], metadata["KeySpec"]) == (kind["Origin"], spec)


# --- other services -------------------------------------------------------------------------------

ADVANCED = {
    "AdvancedEventSelectors": [
        {"FieldSelectors": [{"Field": "eventCategory", "Equals": ["Management"]}]}
    ]
}
TRAIL = f"arn:aws:cloudtrail:eu-west-1:{ACCOUNT}:trail/all"
ROLE = {"RoleArn": f"arn:aws:iam::{ACCOUNT}:role/Reader", "RoleSessionName": "test"}


@pytest.fixture
def account(lab: Lab) -> Lab:
    here = {"eu-west-1": {"keys": [{"name": "key"}], "athena": {"days": 1}}}
    there = {"eu-west-1": {"athena": {"days": 1, "selectors": ADVANCED}}}
    accounts = {ACCOUNT: {"regions": here, "roles": ["Reader"]}, OTHER: {"regions": there}}
    lab.aws.reset({"accounts": accounts})
    return lab


def _session(lab: Lab, **tags: Any) -> Any:
    """STS with the credentials of a session of the role."""
    made = lab.client("sts").assume_role(**ROLE, **tags)["Credentials"]
    return boto3.client(
        "sts",
        endpoint_url=lab.aws.endpoint,
        region_name="eu-west-1",
        aws_access_key_id=made["AccessKeyId"],
        aws_secret_access_key=made["SecretAccessKey"],
        aws_session_token=made["SessionToken"],
    )


def _other_answers(lab: Lab) -> Iterator[tuple[str, str, Any]]:
    sts, organizations, trail = (
        lab.client(service) for service in ("sts", "organizations", "cloudtrail")
    )
    yield "sts", "AssumeRole", sts.assume_role(**ROLE)
    for caller in (sts, _session(lab)):
        yield "sts", "GetCallerIdentity", caller.get_caller_identity()
    yield "organizations", "DescribeOrganization", organizations.describe_organization()
    yield "organizations", "ListAccounts", organizations.list_accounts()
    group = lab.client("athena").get_work_group(WorkGroup="history")
    yield "athena", "GetWorkGroup", group
    yield "cloudtrail", "DescribeTrails", trail.describe_trails()
    yield "cloudtrail", "GetTrailStatus", trail.get_trail_status(Name=TRAIL)
    for owner in (ACCOUNT, OTHER):
        selectors = lab.client("cloudtrail", account=owner).get_event_selectors
        shown = selectors(TrailName=TRAIL.replace(ACCOUNT, owner))
        yield "cloudtrail", "GetEventSelectors", shown
    lab.client("kms").disable_key(KeyId=lab.arn("key"))
    yield "cloudtrail", "LookupEvents", trail.lookup_events()


NEWER = {
    "DescribeTrails": {"trailList[].S3KeyPrefix"},
    "GetWorkGroup": {"WorkGroup.Configuration.BytesScannedCutoffPerQuery"},
    "ListAccounts": {"Accounts[].State"},
    "LookupEvents": {
        *("Events[].AccessKeyId", "Events[].EventSource", "Events[].ReadOnly"),
        *("Events[].Resources[].ResourceName", "Events[].Resources[].ResourceType"),
    },
}
"""Members of botocore's models that the recordings, older or of other resources, lack."""


def test_other_services_answer_with_the_recorded_fields(account: Lab) -> None:
    compared = set()
    for service, operation, answer in _other_answers(account):
        more = frozenset(NEWER.get(operation, ()))
        assert differences(answers(service)[operation], answer, more) == set(), operation
        compared.add((service, operation))
    listed = {("athena", "ListWorkGroups")}  # compared as a listing of the reference list
    recorded = {
        (service, operation)
        for service in ("athena", "cloudtrail", "organizations", "sts")
        for operation in answers(service)
    }
    assert recorded - compared == listed


def test_sts_refuses_in_the_words_of_each_recorded_error(account: Lab) -> None:
    tags = [{"Key": "one", "Value": ""}]
    session = _session(account, Tags=tags, TransitiveTagKeys=["one"])
    refused: list[tuple[Any, dict[str, Any]]] = [
        (account.client("sts"), {"Tags": tags, "TransitiveTagKeys": ["two"]}),
        (account.client("sts"), {"Tags": [*tags, {"Key": "ONE", "Value": ""}]}),
        (session, {"Tags": tags, "TransitiveTagKeys": ["one"]}),
        (account.client("sts"), {"RoleArn": f"arn:aws:iam::{ACCOUNT}:user/operator"}),
        (account.client("sts"), {"RoleSessionName": "with spaces"}),
    ]
    forms = set()
    for client, changed in refused:
        with pytest.raises(ClientError) as raised:
            client.assume_role(**ROLE | changed)
        response: Any = raised.value.response
        error = response["Error"]
        status = response["ResponseMetadata"]["HTTPStatusCode"]
        facts = answers("sts")["AssumeRole"]
        forms.add(error_form(facts, error["Code"], status, error["Message"]))
    assert forms == {f"{e['code']}: {e['message']}" for e in answers("sts")["AssumeRole"]["errors"]}
