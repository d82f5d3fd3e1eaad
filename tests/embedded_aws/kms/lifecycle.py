"""Operations that change a key: creation, state, deletion, aliases, tags, policy, rotation."""

from __future__ import annotations

import json
import re
import uuid

from .. import names
from ..clock import wire
from ..errors import AwsError, constraint, validation
from ..iam_policy import ANY_RESOURCE, Ask, Effect, evaluate
from . import crypto, describing
from .call import Call, unsupported
from .keys import Alias, Json, Key
from .service import MOST_TAGS, keyed, keyless, tags_of

_USAGES = {
    "SYMMETRIC_DEFAULT": ("ENCRYPT_DECRYPT",),
    "RSA": ("ENCRYPT_DECRYPT", "SIGN_VERIFY"),
    "ECC": ("SIGN_VERIFY", "KEY_AGREEMENT"),
    "SM2": ("SIGN_VERIFY", "ENCRYPT_DECRYPT", "KEY_AGREEMENT"),
    "HMAC": ("GENERATE_VERIFY_MAC",),
    "ML_DSA": ("SIGN_VERIFY",),
    "ML_KEM": ("ENCAPSULATE_DECAPSULATE",),
}
SPECS = (
    *("SYMMETRIC_DEFAULT", "RSA_2048", "RSA_3072", "RSA_4096", "SM2"),
    *("ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521", "ECC_SECG_P256K1"),
    *("ECC_NIST_EDWARDS25519", "HMAC_224", "HMAC_256", "HMAC_384", "HMAC_512"),
    *("ML_DSA_44", "ML_DSA_65", "ML_DSA_87", "ML_KEM_512", "ML_KEM_768", "ML_KEM_1024"),
)


USAGES = tuple(dict.fromkeys(usage for some in _USAGES.values() for usage in some))


def usages(spec: str) -> tuple[str, ...]:
    """Return what a key spec can be used for, the default first."""
    return next(allowed for prefix, allowed in _USAGES.items() if spec.startswith(prefix))


def new_key_id(multi_region: bool) -> str:
    """Return a random key id."""
    identifier = uuid.uuid4()
    return f"mrk-{identifier.hex}" if multi_region else str(identifier)


@keyless("CreateKey")
def create_key(call: Call) -> Json:
    """Answer CreateKey."""
    call.authorize(None, "kms:CreateKey")
    params = call.params
    spec = params.get("KeySpec") or params.get("CustomerMasterKeySpec") or "SYMMETRIC_DEFAULT"
    if spec not in SPECS:
        raise constraint(spec, "keySpec", f"satisfy enum value set: [{', '.join(SPECS)}]")
    usage = params.get("KeyUsage") or ("ENCRYPT_DECRYPT" if spec == "SYMMETRIC_DEFAULT" else None)
    if usage is None:
        raise validation(
            "You must specify a KeyUsage value for all KMS keys except for symmetric encryption "
            "keys."
        )
    if usage not in USAGES:
        raise constraint(usage, "keyUsage", f"satisfy enum value set: [{', '.join(USAGES)}]")
    if usage not in usages(spec):
        raise validation(f"KeyUsage {usage} is not compatible with KeySpec {spec}")
    origin = params.get("Origin", "AWS_KMS")
    store = params.get("CustomKeyStoreId")
    if store is not None and store not in call.home.stores:
        raise AwsError("CustomKeyStoreNotFoundException", "The custom key store was not found.")
    if (origin in ("AWS_CLOUDHSM", "EXTERNAL_KEY_STORE")) != (store is not None):
        raise validation("Origin and CustomKeyStoreId do not fit each other.")
    multi_region = bool(params.get("MultiRegion"))
    key = Key(
        call.identity.account,
        call.region,
        new_key_id(multi_region),
        call.now,
        description=params.get("Description", ""),
        state="PendingImport" if origin == "EXTERNAL" else "Enabled",
        origin=origin,
        spec=spec,
        usage=usage,
        primary_region=call.region if multi_region else None,
        policy=_safe_policy(call, params.get("Policy")),
        tags=tags_of(params.get("Tags")),
        custom_key_store=store,
    )
    call.key = call.home.add(key)
    return {"KeyMetadata": describing.metadata(call, key)}


@keyed("ReplicateKey")
def replicate_key(call: Call, key: Key) -> Json:
    """Answer ReplicateKey: the replica is a key of its own that shares id and material."""
    region = call.text("ReplicaRegion")
    _demand_primary(key)
    target = call.keys.region(key.account, region)
    if key.id in target.keys:
        raise AwsError("AlreadyExistsException", f"A replica of {key.arn} exists in {region}.")
    replica = Key(
        key.account,
        region,
        key.id,
        call.now,
        description=call.params.get("Description", ""),
        state="Creating",
        origin=key.origin,
        spec=key.spec,
        usage=key.usage,
        primary_region=key.region,
        policy=_safe_policy(call, call.params.get("Policy")),
        tags=tags_of(call.params.get("Tags")),
    )
    target.add(replica)
    shown = describing.metadata(call, replica)
    replica.state = "PendingImport" if key.origin == "EXTERNAL" else "Enabled"
    return {
        "ReplicaKeyMetadata": shown,
        "ReplicaPolicy": replica.policy_document,
        "ReplicaTags": [{"TagKey": k, "TagValue": v} for k, v in replica.tags.items()],
    }


def _demand_primary(key: Key) -> None:
    if key.primary_region != key.region:
        why = f"{key.arn} is not a multi-region primary key."
        raise AwsError("UnsupportedOperationException", why)


@keyed("UpdatePrimaryRegion")
def update_primary_region(call: Call, key: Key) -> Json:
    """Answer UpdatePrimaryRegion: an existing replica becomes the primary."""
    region = call.text("PrimaryRegion")
    _demand_primary(key)
    if region not in {one.region for one in call.keys.replicas(key)}:
        raise AwsError("NotFoundException", f"{key.arn} has no replica in {region}.")
    for member in call.keys.members(key):
        member.primary_region = region
    return {}


@keyed("EnableKey")
def enable_key(call: Call, key: Key) -> Json:
    """Answer EnableKey; on an unavailable key it takes effect later."""
    return _switch(key, True)


@keyed("DisableKey")
def disable_key(call: Call, key: Key) -> Json:
    """Answer DisableKey; on an unavailable key it takes effect later."""
    return _switch(key, False)


def _switch(key: Key, enable: bool) -> Json:
    if key.state == "Unavailable":
        key.enable_later = enable
    else:
        key.move("Enabled" if enable else "Disabled")
    return {}


@keyed("ScheduleKeyDeletion")
def schedule_key_deletion(call: Call, key: Key) -> Json:
    """Answer ScheduleKeyDeletion: id or ARN, own account only, 7 to 30 days, 30 by default."""
    window = call.number("PendingWindowInDays", 30, 7, 30)
    call.keys.schedule(key, window, call.now)
    return scheduled(key, window)


def scheduled(key: Key, window: int) -> Json:
    """Return the answer of ScheduleKeyDeletion about a key that is pending deletion."""
    shown: Json = {"KeyId": key.arn, "KeyState": key.state, "PendingWindowInDays": window}
    if key.deletion_date is not None:
        shown["DeletionDate"] = wire(key.deletion_date)
    return shown


@keyed("CancelKeyDeletion")
def cancel_key_deletion(call: Call, key: Key) -> Json:
    """Answer CancelKeyDeletion: the key lands in Disabled."""
    key.move("Disabled")
    return {"KeyId": key.arn}


@keyed("UpdateKeyDescription")
def update_key_description(call: Call, key: Key) -> Json:
    """Answer UpdateKeyDescription."""
    description = call.params.get("Description")
    if not isinstance(description, str) or len(description) > 8192:
        raise constraint(description, "description", "have length less than or equal to 8192")
    key.description = description
    return {}


@keyed("TagResource")
def tag_resource(call: Call, key: Key) -> Json:
    """Answer TagResource: at most 50 tags a key."""
    merged = key.tags | tags_of(call.params.get("Tags"))
    if len(merged) > MOST_TAGS:
        raise AwsError("TagException", "Too many tags")
    key.tags = merged
    return {}


@keyed("UntagResource")
def untag_resource(call: Call, key: Key) -> Json:
    """Answer UntagResource."""
    gone = call.params.get("TagKeys") or []
    key.tags = {name: value for name, value in key.tags.items() if name not in gone}
    return {}


def _safe_policy(call: Call, document: object) -> str | None:
    """Check a key policy: it is JSON, and leaves the caller able to change it (unless waived)."""
    text = _policy(document)
    if text is None or call.params.get("BypassPolicyLockoutSafetyCheck"):
        return text
    ask = Ask("kms:PutKeyPolicy", ANY_RESOURCE, {"kms:calleraccount": call.identity.account})
    reach = evaluate(text, ask, call.identity.subject(call.region))
    if reach not in (Effect.ALLOW, Effect.DELEGATED):
        raise AwsError(
            "MalformedPolicyDocumentException",
            "The new key policy will not allow you to update the key policy in the future.",
        )
    return text


def _policy(document: object) -> str | None:
    """Check a key policy as far as JSON goes."""
    if document is None:
        return None
    try:
        parsed = json.loads(str(document))
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict) or "Statement" not in parsed:
        raise AwsError("MalformedPolicyDocumentException", "The policy is not valid JSON.")
    return str(document)


@keyed("PutKeyPolicy")
def put_key_policy(call: Call, key: Key) -> Json:
    """Answer PutKeyPolicy."""
    key.policy = _safe_policy(call, call.text("Policy"))
    return {}


def _alias_name(call: Call) -> str:
    name = call.text("AliasName")
    if not name.startswith("alias/"):
        raise validation(
            'Alias must start with the prefix "alias/". Please see '
            "https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html"
        )
    if not re.fullmatch(r"[a-zA-Z0-9:/_-]+", name):
        rule = "satisfy regular expression pattern: ^alias/[a-zA-Z0-9/_-]+$"
        raise constraint(name, "aliasName", rule)
    if name.startswith("alias/aws/"):
        raise AwsError("NotAuthorizedException", "Aliases that begin with alias/aws are reserved.")
    return name


@keyed("CreateAlias", parameter="TargetKeyId")
def create_alias(call: Call, key: Key) -> Json:
    """Answer CreateAlias."""
    name = _alias_name(call)
    if name in call.home.aliases:
        arn = names.alias_arn(key.account, key.region, name)
        raise AwsError("AlreadyExistsException", f"An alias with the name {arn} already exists")
    call.home.aliases[name] = Alias(key.id, call.now, call.now)
    return {}


@keyed("UpdateAlias", parameter="TargetKeyId")
def update_alias(call: Call, key: Key) -> Json:
    """Answer UpdateAlias."""
    name = _alias_name(call)
    alias = call.home.aliases.get(name)
    if alias is None:
        arn = names.alias_arn(key.account, key.region, name)
        raise AwsError("NotFoundException", f"Alias {arn} is not found.")
    alias.target, alias.updated = key.id, call.now
    return {}


@keyless("DeleteAlias")
def delete_alias(call: Call) -> Json:
    """Answer DeleteAlias: it works in every key state."""
    name = _alias_name(call)
    call.key = call.find(name, alias=True, cross_account=False)
    call.authorize(call.key, "kms:DeleteAlias")
    del call.home.aliases[name]
    return {}


MOST_ON_DEMAND = 25
"""On-demand rotations of a key ("Quotas", AWS KMS Developer Guide)."""


@keyed("EnableKeyRotation")
def enable_key_rotation(call: Call, key: Key) -> Json:
    """Answer EnableKeyRotation: symmetric keys with material of KMS only."""
    _demand_rotation(key)
    if key.origin != "AWS_KMS":
        raise unsupported(key)
    key.rotation_period = call.number("RotationPeriodInDays", 365, 90, 2560)
    key.rotation_since = call.now
    return {}


@keyed("DisableKeyRotation")
def disable_key_rotation(call: Call, key: Key) -> Json:
    """Answer DisableKeyRotation."""
    _demand_rotation(key)
    key.rotation_period = None
    return {}


@keyed("RotateKeyOnDemand")
def rotate_key_on_demand(call: Call, key: Key) -> Json:
    """Answer RotateKeyOnDemand: to new material, or to imported material that waits for it."""
    _demand_rotation(key)
    if sum(kind == "ON_DEMAND" for _, kind in key.rotations) >= MOST_ON_DEMAND:
        raise AwsError(
            "LimitExceededException",
            "The on-demand rotations limit has been reached for the given keyId. No more "
            f"on-demand rotations can be performed for this key: {key.arn}",
        )
    if key.origin == "EXTERNAL" and not key.material_waits:
        raise AwsError(
            "KMSInvalidStateException",
            f"No available key material pending rotation for the key: {key.arn}.",
        )
    key.material_waits = False
    key.rotations.append((call.now, "ON_DEMAND"))
    return {"KeyId": key.arn}


def _demand_rotation(key: Key) -> None:
    if not describing.rotates(key):
        raise unsupported()


@keyed("GetParametersForImport")
def get_parameters_for_import(call: Call, key: Key) -> Json:
    """Answer GetParametersForImport with a token and a wrapping key."""
    if key.origin != "EXTERNAL":
        raise unsupported(key)
    return {
        "KeyId": key.arn,
        "ImportToken": crypto.encode(key.id.encode()),
        "PublicKey": crypto.encode(crypto.rsa_wrapping_key()),
        "ParametersValidTo": wire(call.now + 86_400),
    }


@keyed("ImportKeyMaterial")
def import_key_material(call: Call, key: Key) -> Json:
    """Answer ImportKeyMaterial: the key becomes Enabled; the material itself is not looked at."""
    if key.origin != "EXTERNAL":
        raise unsupported(key)
    if call.blob("ImportToken") != key.id.encode():
        raise AwsError("InvalidImportTokenException", "The import token is not of this key.")
    call.blob("EncryptedKeyMaterial")
    expires = call.params.get("ExpirationModel", "KEY_MATERIAL_EXPIRES") == "KEY_MATERIAL_EXPIRES"
    valid_to = call.params.get("ValidTo")
    key.valid_to = None
    if expires:
        if not isinstance(valid_to, int | float):
            raise validation(
                "A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES"
            )
        key.valid_to = float(valid_to)
    further = int(call.params.get("ImportType") == "NEW_KEY_MATERIAL" and key.materials > 0)
    material = describing.material_id(key, len(key.rotations) + further)
    if further and key.material_waits:
        raise AwsError(
            "KMSInvalidStateException",
            f"New key material (id: {describing.material_id(key, len(key.rotations) + 2)}) cannot "
            f"be imported into KMS key {key.arn}, because another key material (id: {material}) is "
            "pending rotation.",
        )
    key.material_waits = bool(further)
    key.materials += 1
    if key.state == "PendingImport":
        key.state = "Enabled"
    return {"KeyId": key.arn, **({"KeyMaterialId": material} if describing.rotates(key) else {})}


@keyed("DeleteImportedKeyMaterial")
def delete_imported_key_material(call: Call, key: Key) -> Json:
    """Answer DeleteImportedKeyMaterial: the key waits for its material again."""
    if key.origin != "EXTERNAL":
        raise unsupported(key)
    key.valid_to = None
    key.state = "PendingImport"
    return {"KeyId": key.arn}
