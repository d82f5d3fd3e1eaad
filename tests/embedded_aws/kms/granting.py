"""Operations on grants."""

from __future__ import annotations

import secrets

from ..errors import AwsError, validation
from .call import Call
from .keys import Grant, Json, Key
from .service import keyed, keyless

OPERATIONS = frozenset(
    {
        "Decrypt",
        "Encrypt",
        "GenerateDataKey",
        "GenerateDataKeyWithoutPlaintext",
        "ReEncryptFrom",
        "ReEncryptTo",
        "Sign",
        "Verify",
        "GetPublicKey",
        "CreateGrant",
        "RetireGrant",
        "DescribeKey",
        "GenerateDataKeyPair",
        "GenerateDataKeyPairWithoutPlaintext",
        "GenerateMac",
        "VerifyMac",
        "DeriveSharedSecret",
        "Encapsulate",
        "Decapsulate",
    }
)


def new_grant_ids() -> tuple[str, str]:
    """Return a grant's id and token."""
    return secrets.token_hex(32), secrets.token_urlsafe(60)


@keyed("CreateGrant", cross_account=True)
def create_grant(call: Call, key: Key) -> Json:
    """Answer CreateGrant."""
    params = call.params
    operations = params.get("Operations")
    if not isinstance(operations, list) or not set(operations) <= OPERATIONS:
        raise validation("1 validation error detected: Value at 'operations' is not valid")
    grantee, service = params.get("GranteePrincipal"), params.get("GranteeServicePrincipal")
    if (grantee is None) == (service is None):
        raise validation("Specify either GranteePrincipal or GranteeServicePrincipal.")
    identifier, token = new_grant_ids()
    key.grants[identifier] = Grant(
        identifier,
        token,
        call.now,
        list(operations),
        call.identity.account,
        grantee=grantee,
        grantee_service=service,
        retiring=params.get("RetiringPrincipal"),
        retiring_service=params.get("RetiringServicePrincipal"),
        name=params.get("Name"),
        constraints=params.get("Constraints"),
    )
    return {"GrantId": identifier, "GrantToken": token}


@keyed("RevokeGrant", cross_account=True)
def revoke_grant(call: Call, key: Key) -> Json:
    """Answer RevokeGrant: it works in every key state."""
    if key.grants.pop(call.text("GrantId"), None) is None:
        raise AwsError("NotFoundException", f"Grant ID {call.text('GrantId')} not found")
    return {}


@keyless("RetireGrant")
def retire_grant(call: Call) -> Json:
    """Answer RetireGrant by token, or by key and grant id: it works in every key state."""
    token = call.params.get("GrantToken")
    if token is None:
        key = call.key = call.find(call.text("KeyId"), alias=False, cross_account=True)
        identifier = call.text("GrantId")
        if key.grants.pop(identifier, None) is None:
            raise AwsError("NotFoundException", f"Grant ID {identifier} not found")
        return {}
    for key in call.keys:
        for identifier, grant in list(key.grants.items()):
            if grant.token == token:
                del key.grants[identifier]
                call.key = key
                return {}
    raise AwsError("InvalidGrantTokenException", "The grant token is not valid.")
