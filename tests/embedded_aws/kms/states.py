"""Which operation AWS refuses in which key state.

Source: "Key states of AWS KMS keys" (AWS KMS developer guide). Operations and states that are
not listed work.
"""

from __future__ import annotations

from ..errors import AwsError

INVALID = "KMSInvalidStateException"
DISABLED = "DisabledException"

PENDING = ("PendingDeletion", "PendingReplicaDeletion")
STATES = (
    *("Enabled", "Disabled", *PENDING, "PendingImport", "Unavailable", "Creating", "Updating"),
)

CRYPTOGRAPHIC = frozenset(
    {
        "Encrypt",
        "Decrypt",
        "ReEncrypt",
        "GenerateDataKey",
        "GenerateDataKeyWithoutPlaintext",
        "GenerateDataKeyPair",
        "GenerateDataKeyPairWithoutPlaintext",
        "Sign",
        "Verify",
        "GenerateMac",
        "VerifyMac",
        "DeriveSharedSecret",
        "Encapsulate",
        "Decapsulate",
    }
)
"""Operations that use the key material; they alone count as use of a key."""

_DURING_SETUP = ("PendingImport", "Creating", "Updating")


def _refusals() -> dict[str, dict[str, str]]:
    pending = dict.fromkeys(PENDING, INVALID)
    setup = dict.fromkeys(_DURING_SETUP, INVALID)
    table = {
        "ScheduleKeyDeletion": pending | {"Updating": INVALID},
        "CancelKeyDeletion": {state: INVALID for state in STATES if state not in PENDING},
        "CreateGrant": pending
        | {"Disabled": DISABLED, "PendingImport": INVALID, "Creating": INVALID},
        "PutKeyPolicy": {},
        "GetPublicKey": pending | setup | {"Disabled": DISABLED, "Unavailable": INVALID},
    }
    for name in ("EnableKey", "DisableKey"):
        table[name] = pending | setup
    for name in (
        *("TagResource", "UntagResource", "CreateAlias", "UpdateAlias", "UpdateKeyDescription"),
        *("GetParametersForImport", "ImportKeyMaterial", "DeleteImportedKeyMaterial"),
    ):
        table[name] = pending
    for name in (
        *("EnableKeyRotation", "DisableKeyRotation", "RotateKeyOnDemand"),
        *("ReplicateKey", "UpdatePrimaryRegion"),
    ):
        table[name] = pending | setup | {"Disabled": DISABLED}
    for name in CRYPTOGRAPHIC:
        table[name] = {state: INVALID for state in STATES if state != "Enabled"}
        table[name]["Disabled"] = DISABLED
    return table


REFUSALS = _refusals()

_SENTENCES = {
    "Disabled": "is disabled.",
    "PendingDeletion": "is pending deletion.",
    "PendingReplicaDeletion": "is pending replica deletion.",
    "PendingImport": "is pending import.",
    "Unavailable": "is unavailable.",
    "Creating": "is creating.",
    "Updating": "is updating.",
}


def check(operation: str, state: str, arn: str) -> None:
    """Raise the error with which AWS refuses an operation in a key state."""
    code = REFUSALS.get(operation, {}).get(state)
    if code is None:
        return
    sentence = "is not pending deletion." if operation == "CancelKeyDeletion" else _SENTENCES[state]
    raise AwsError(code, f"{arn} {sentence}")
