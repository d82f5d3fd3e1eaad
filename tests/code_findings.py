"""Findings of code as the reader of Checkov's results makes them."""

from __future__ import annotations

from typing import Any

from keysweep.remediation.iac import Code, MappedFindings
from keysweep.remediation.iac.terraform_addresses import Address
from keysweep.remediation.iac.terraform_findings import GivenState
from keysweep.remediation.iac.terraform_states import OwnedKey, State
from keysweep.remediation.models import CodeLocation, Finding, FindingStatus, KeyArn, Unmapped

SHOP = "111122223333"


def key(number: int, region: str = "eu-west-1", account: str = SHOP) -> KeyArn:
    """The ARN of a key of that number."""
    return KeyArn("aws", account, region, f"00000000-0000-4000-8000-{number:012}")


def finding(
    address: str,
    file: str = "/main.tf",
    framework: str = "terraform",
    *,
    check: str = "CKV_KEYSWEEP_001",
    status: FindingStatus = FindingStatus.FAIL,
    line: int = 1,
    arn: KeyArn | None = None,
    source: str = "checkov.json",
    **code: Any,
) -> Finding:
    """A finding of one resource; by default failed, in a root that is the scanned folder."""
    return Finding(
        scanner="checkov",
        check_id=check,
        status=status,
        source=source,
        position="record 1",
        key_arn=arn,
        code=CodeLocation(
            framework=framework,
            file=file,
            first_line=line,
            last_line=line + 2,
            address=address,
            **code,
        ),
    )


def state(*addresses: str, file: str = "a.tfstate", folder: str | None = None) -> GivenState:
    """A state that owns keys 1, 2, ... under these addresses."""
    owned = tuple(
        OwnedKey(Address.parse(text), key(number), key(number).key_id, deposed=False)
        for number, text in enumerate(addresses, 1)
    )
    return GivenState(folder, State(file, owned, empty=not owned))


class NoAccounts:
    """Credentials of the shop, without a call to AWS."""

    changes_roles = True

    def own_connection(self, region: str | None = None) -> Any:
        raise AssertionError("AWS was called")


def traced(
    findings: list[Finding], *states: GivenState, accounts: Any = None, **code: Any
) -> MappedFindings:
    """What these states make of the findings."""
    return Code(states, **code).map_findings(findings, accounts or NoAccounts())


def led(found: MappedFindings) -> dict[str, KeyArn | None]:
    """The key of each finding, by address."""
    return {f.code.address: f.key_arn for f in found.findings if f.code is not None}


def only(found: MappedFindings) -> Unmapped:
    """The one finding without a key."""
    (unmapped,) = found.unmapped
    return unmapped
