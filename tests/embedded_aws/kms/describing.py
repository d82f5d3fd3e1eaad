"""Operations that only read: metadata, listings, policies, tags, last use."""

from __future__ import annotations

import hashlib

from .. import names
from ..clock import wire
from ..errors import AwsError
from .call import Call, next_marker, unsupported
from .keys import PREDEFINED_ALIASES, Grant, Json, Key
from .service import keyed, keyless

_RSA_SIGNING = [
    *("RSASSA_PKCS1_V1_5_SHA_256", "RSASSA_PKCS1_V1_5_SHA_384", "RSASSA_PKCS1_V1_5_SHA_512"),
    *("RSASSA_PSS_SHA_256", "RSASSA_PSS_SHA_384", "RSASSA_PSS_SHA_512"),
]
_SIGNING = {
    "ECC_NIST_P256": ["ECDSA_SHA_256"],
    "ECC_SECG_P256K1": ["ECDSA_SHA_256"],
    "ECC_NIST_P384": ["ECDSA_SHA_384"],
    "ECC_NIST_P521": ["ECDSA_SHA_512"],
    "ECC_NIST_EDWARDS25519": ["ED25519_SHA_512", "ED25519_PH_SHA_512"],
    "SM2": ["SM2DSA"],
    "ML_DSA_44": ["ML_DSA_SHAKE_256"],
    "ML_DSA_65": ["ML_DSA_SHAKE_256"],
    "ML_DSA_87": ["ML_DSA_SHAKE_256"],
}

SIGNING = tuple(
    dict.fromkeys([*_RSA_SIGNING, *(one for some in _SIGNING.values() for one in some)])
)
ENCRYPTING = ("SYMMETRIC_DEFAULT", "RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256", "SM2PKE")


def algorithms(key: Key) -> Json:
    """Return the algorithm field that DescribeKey and GetPublicKey show for a key."""
    if key.usage == "ENCRYPT_DECRYPT":
        if key.spec == "SYMMETRIC_DEFAULT":
            return {"EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"]}
        return {"EncryptionAlgorithms": ["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"]}
    if key.usage == "SIGN_VERIFY":
        signing = _RSA_SIGNING if key.spec.startswith("RSA") else _SIGNING.get(key.spec, [])
        return {"SigningAlgorithms": signing}
    if key.usage == "GENERATE_VERIFY_MAC":
        return {"MacAlgorithms": [key.spec.replace("HMAC_", "HMAC_SHA_")]}
    if key.usage == "KEY_AGREEMENT":
        return {"KeyAgreementAlgorithms": ["ECDH"]}
    return {}


def metadata(call: Call, key: Key) -> Json:
    """Return a key's KeyMetadata."""
    state, deletion_date, window = key.state, key.deletion_date, key.window
    if call.stale and key.before is not None:
        state, deletion_date, window = key.before
    shown: Json = {
        "AWSAccountId": key.account,
        "KeyId": key.id,
        "Arn": key.arn,
        "CreationDate": wire(key.created),
        "Enabled": state == "Enabled",
        "Description": key.description,
        "KeyUsage": key.usage,
        "KeyState": state,
        "Origin": key.origin,
        "KeyManager": key.manager,
        "CustomerMasterKeySpec": key.spec,
        "KeySpec": key.spec,
        **algorithms(key),
        "MultiRegion": key.primary_region is not None,
    }
    if key.primary_region is not None:
        shown["MultiRegionConfiguration"] = _set(call, key)
    if state == "PendingDeletion" and deletion_date is not None:
        shown["DeletionDate"] = wire(deletion_date)
    if state == "PendingReplicaDeletion":
        shown["PendingDeletionWindowInDays"] = window
    if key.origin == "EXTERNAL" and key.state != "PendingImport":
        expires = key.valid_to is not None
        shown["ExpirationModel"] = (
            "KEY_MATERIAL_EXPIRES" if expires else "KEY_MATERIAL_DOES_NOT_EXPIRE"
        )
        if key.valid_to is not None:
            shown["ValidTo"] = wire(key.valid_to)
    if key.custom_key_store:
        shown["CustomKeyStoreId"] = key.custom_key_store
        if key.origin == "AWS_CLOUDHSM":
            store = call.keys.region(key.account, key.region).stores.get(key.custom_key_store, {})
            shown["CloudHsmClusterId"] = store.get("CloudHsmClusterId")
        else:
            shown["XksKeyConfiguration"] = {"Id": key.id}
    if rotates(key) and key.state != "Creating" and (key.origin == "AWS_KMS" or key.materials):
        shown["CurrentKeyMaterialId"] = material_id(key)
    return shown


def material_id(key: Key, number: int | None = None) -> str:
    """Return the id of a key material, by default of the current one; each rotation adds one."""
    numbered = f"{key.arn}/{len(key.rotations) if number is None else number}"
    return hashlib.sha256(numbered.encode()).hexdigest()


def rotates(key: Key) -> bool:
    """Tell whether a key can have several key materials."""
    return key.spec == "SYMMETRIC_DEFAULT" and key.origin in ("AWS_KMS", "EXTERNAL")


def _set(call: Call, key: Key) -> Json:
    replicas: list[Json] = []
    primary: Json = {}
    for one in call.keys.members(key):
        entry = {"Arn": one.arn, "Region": one.region}
        if one.region == one.primary_region:
            primary = entry
        else:
            replicas.append(entry)
    kind = "PRIMARY" if key.region == key.primary_region else "REPLICA"
    return {"MultiRegionKeyType": kind, "PrimaryKey": primary, "ReplicaKeys": replicas}


@keyed("DescribeKey", alias=True, cross_account=True)
def describe_key(call: Call, key: Key) -> Json:
    """Answer DescribeKey."""
    return {"KeyMetadata": metadata(call, key)}


@keyless("ListKeys")
def list_keys(call: Call) -> Json:
    """Answer ListKeys: 100 a page by default, at most 1000."""
    call.authorize(None, "kms:ListKeys")
    limit = call.number("Limit", 100, 1, 1000)
    identifiers, more = call.home.page(call.marker(), limit)
    arn = names.key_arn
    account, region = call.identity.account, call.region
    return {
        "Keys": [{"KeyId": one, "KeyArn": arn(account, region, one)} for one in identifiers],
        **next_marker(identifiers[-1] if more else None),
    }


@keyless("ListAliases")
def list_aliases(call: Call) -> Json:
    """Answer ListAliases: 50 a page by default, at most 100; of one key or of all."""
    key: Key | None = None
    if call.params.get("KeyId") is not None:
        key = call.key = call.find(call.text("KeyId"), alias=False, cross_account=False)
    call.authorize(None, "kms:ListAliases")
    home = call.home
    entries: dict[str, Json] = {}
    for name, alias in home.aliases.items():
        if key is None or alias.target == key.id:
            entries[name] = {
                "AliasName": name,
                "AliasArn": names.alias_arn(home.account, home.region, name),
                "TargetKeyId": alias.target,
                "CreationDate": wire(alias.created),
                "LastUpdatedDate": wire(alias.updated),
            }
    if key is None:
        for name in PREDEFINED_ALIASES:
            arn = names.alias_arn(home.account, home.region, name)
            entries.setdefault(name, {"AliasName": name, "AliasArn": arn})
    ordered = [entries[name] for name in sorted(entries)]
    chosen, rest = call.page(ordered, 50, 100, lambda one: str(one["AliasName"]))
    return {"Aliases": chosen, **rest}


@keyed("ListResourceTags")
def list_resource_tags(call: Call, key: Key) -> Json:
    """Answer ListResourceTags: 50 a page."""
    chosen, rest = call.page(sorted(key.tags), 50, 50, str)
    return {"Tags": [{"TagKey": one, "TagValue": key.tags[one]} for one in chosen], **rest}


def grant_entry(key: Key, grant: Grant) -> Json:
    """Return a grant as ListGrants shows it."""
    shown: Json = {
        "KeyId": key.arn,
        "GrantId": grant.id,
        "Name": grant.name or "",
        "CreationDate": wire(grant.created),
        "GranteePrincipal": grant.grantee or grant.grantee_service,
        "IssuingAccount": f"arn:{names.partition(key.region)}:iam::{grant.issuing_account}:root",
        "Operations": grant.operations,
    }
    if grant.grantee_service:
        shown["GranteeServicePrincipal"] = grant.grantee_service
    if grant.retiring:
        shown["RetiringPrincipal"] = grant.retiring
    if grant.retiring_service:
        shown["RetiringServicePrincipal"] = grant.retiring_service
    if grant.constraints:
        shown["Constraints"] = grant.constraints
    return shown


@keyed("ListGrants", cross_account=True)
def list_grants(call: Call, key: Key) -> Json:
    """Answer ListGrants: 50 a page by default, at most 100."""
    params = call.params
    grants = [
        grant
        for _, grant in sorted(key.grants.items())
        if params.get("GrantId") in (None, grant.id)
        and params.get("GranteePrincipal") in (None, grant.grantee)
        and params.get("GranteeServicePrincipal") in (None, grant.grantee_service)
    ]
    chosen, rest = call.page(grants, 50, 100, lambda one: one.id)
    return {"Grants": [grant_entry(key, one) for one in chosen], **rest}


@keyless("ListRetirableGrants")
def list_retirable_grants(call: Call) -> Json:
    """Answer ListRetirableGrants of one principal."""
    principal = call.text("RetiringPrincipal")
    call.authorize(None, "kms:ListRetirableGrants")
    pairs = sorted(
        (
            (grant, key)
            for key in call.home.keys.values()
            for grant in key.grants.values()
            if grant.retiring == principal
        ),
        key=lambda pair: pair[0].id,
    )
    chosen, rest = call.page(pairs, 50, 100, lambda pair: pair[0].id)
    return {"Grants": [grant_entry(key, grant) for grant, key in chosen], **rest}


@keyed("GetKeyPolicy")
def get_key_policy(call: Call, key: Key) -> Json:
    """Answer GetKeyPolicy."""
    _default_policy(call)
    return {"Policy": key.policy_document, "PolicyName": "default"}


@keyed("ListKeyPolicies")
def list_key_policies(call: Call, key: Key) -> Json:
    """Answer ListKeyPolicies: there is only `default`."""
    chosen, rest = call.page(["default"], 100, 1000, str)
    return {"PolicyNames": chosen, **rest}


def _default_policy(call: Call) -> None:
    if call.params.get("PolicyName", "default") != "default":
        raise AwsError("NotFoundException", "No such policy exists")


@keyed("GetKeyRotationStatus", cross_account=True)
def get_key_rotation_status(call: Call, key: Key) -> Json:
    """Answer GetKeyRotationStatus."""
    if not rotates(key):
        raise unsupported()
    if key.origin != "AWS_KMS":
        raise unsupported(key)
    shown: Json = {"KeyId": key.arn, "KeyRotationEnabled": key.rotation_period is not None}
    if key.rotation_period is not None:
        shown["RotationPeriodInDays"] = key.rotation_period
        shown["NextRotationDate"] = wire(key.rotation_since + key.rotation_period * 86_400)
    return shown


@keyed("ListKeyRotations")
def list_key_rotations(call: Call, key: Key) -> Json:
    """Answer ListKeyRotations: 100 a page by default, at most 1000, oldest first."""
    if not rotates(key):
        raise unsupported()
    numbered = [(number, *one) for number, one in enumerate(sorted(key.rotations), 1)]
    chosen, rest = call.page(numbered, 100, 1000, lambda one: f"{one[0]:06}")
    rotations = [
        {
            "KeyId": key.arn,
            "KeyMaterialId": material_id(key, number),
            "KeyMaterialState": "CURRENT" if number == len(numbered) else "NON_CURRENT",
            "RotationDate": wire(date),
            "RotationType": kind,
        }
        for number, date, kind in chosen
    ]
    return {"Rotations": rotations, **rest}


@keyed("GetKeyLastUsage")
def get_key_last_usage(call: Call, key: Key) -> Json:
    """Answer GetKeyLastUsage; an empty KeyLastUsage means none since TrackingStartDate."""
    usage: Json = {}
    if key.last_use is not None:
        usage = {
            "Operation": key.last_use.operation,
            "Timestamp": wire(key.last_use.time),
            "CloudTrailEventId": key.last_use.event_id,
            "KmsRequestId": key.last_use.request_id,
        }
    return {
        "KeyId": key.id,
        "KeyLastUsage": usage,
        "TrackingStartDate": wire(max(call.tracking_started, key.created)),
        "KeyCreationDate": wire(key.created),
    }


@keyless("DescribeCustomKeyStores")
def describe_custom_key_stores(call: Call) -> Json:
    """Answer DescribeCustomKeyStores of all stores, or of one by id or name."""
    call.authorize(None, "kms:DescribeCustomKeyStores")
    identifier, name = call.params.get("CustomKeyStoreId"), call.params.get("CustomKeyStoreName")
    found = [
        store
        for _, store in sorted(call.home.stores.items())
        if identifier in (None, store["CustomKeyStoreId"])
        and name in (None, store["CustomKeyStoreName"])
    ]
    if not found and (identifier or name):
        raise AwsError("CustomKeyStoreNotFoundException", "The custom key store was not found.")
    chosen, rest = call.page(found, 100, 1000, lambda one: str(one["CustomKeyStoreId"]))
    return {"CustomKeyStores": chosen, **rest}
