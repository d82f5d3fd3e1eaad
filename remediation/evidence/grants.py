"""Grants of a key. AWS services keep a grant for as long as their resource exists."""

from __future__ import annotations

from ..aws import Connection
from ..models import Cost, Evidence, Grant
from .source import Source


def _read(connection: Connection, evidence: Evidence) -> tuple[Grant, ...]:
    pages = connection.client("kms").get_paginator("list_grants")
    grants = [
        Grant(
            grant_id=grant["GrantId"],
            # A grant names a principal of an account, or an AWS service.
            grantee_principal=grant.get("GranteePrincipal") or grant["GranteeServicePrincipal"],
            retiring_principal=(
                grant.get("RetiringPrincipal") or grant.get("RetiringServicePrincipal")
            ),
            issuing_account=grant.get("IssuingAccount"),
            operations=tuple(grant.get("Operations", ())),
            name=grant.get("Name") or None,
        )
        for page in pages.paginate(KeyId=str(evidence.key_arn))
        for grant in page["Grants"]
    ]
    return tuple(sorted(grants, key=lambda grant: grant.grant_id))


SOURCE = Source("grants", Cost.KEY_CALL, ("kms:ListGrants",), read_key=_read)
