"""The name that code gives its key, and the live key of that name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from ..aws import Accounts
from ..aws.failures import explain
from ..errors import AccountUnavailable, BadInput, TruncatedResponse
from ..files import is_file, read_at_most
from ..models import CodeLocation, KeyArn

SCAN_WITH_PROWLER: Final = (
    "scan the account with Prowler and Keysweep's checks, and pass those results to plan too"
)
"""The step that always finds the live key."""

MOST_BYTES: Final = 2 * 1024 * 1024
"""Of a playbook or manifest."""

SUFFIXES: Final = frozenset({".yaml", ".yml", ".json"})
"""Of files that may be opened."""

_KEY_ID: Final = re.compile(r"mrk-[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_REGION: Final = re.compile(r"[a-z]{2,}(-[a-z]+)+-[0-9]+", re.ASCII)
_ALIAS: Final = re.compile(r"alias/[a-zA-Z0-9/_-]{1,250}", re.ASCII)


@dataclass(frozen=True)
class Unresolved:
    """Why a finding maps to no live key, and what to do."""

    reason: str
    step: str
    candidates: tuple[str, ...] = ()


FILE_CHANGED: Final = Unresolved(
    "its file has changed since Checkov read it", "scan it again with Checkov"
)


@dataclass(frozen=True)
class KeyName:
    """A key as code names it: by ARN, or by id or alias in a Region."""

    name: str
    region: str | None

    def resolve(self, accounts: Accounts) -> KeyArn | Unresolved:
        """Find the live key. An id or alias is looked up in the account of the credentials."""
        if self.name.startswith("arn:"):
            try:
                return KeyArn.parse(self.name)
            except ValueError:
                return Unresolved("its code names the ARN of no KMS key", SCAN_WITH_PROWLER)
        if not (_KEY_ID.fullmatch(self.name) or _ALIAS.fullmatch(self.name)):
            return Unresolved("only its tool can resolve the name of its key", SCAN_WITH_PROWLER)
        if self.region is None or not _REGION.fullmatch(self.region):
            return Unresolved(
                "its code names a key but no Region", f"add the Region, or {SCAN_WITH_PROWLER}"
            )
        return _describe(self.name, self.region, accounts)


def _describe(name: str, region: str, accounts: Accounts) -> KeyArn | Unresolved:
    try:
        connection = accounts.own_connection(region)
    except AccountUnavailable as error:
        return Unresolved(str(error), SCAN_WITH_PROWLER)
    try:
        answer = connection.client("kms").describe_key(KeyId=name)
        return KeyArn.parse(answer["KeyMetadata"]["Arn"])
    except ClientError as error:
        if error.response["Error"]["Code"] == "NotFoundException":
            return Unresolved(
                f"account {connection.account_id} has no key {name} in {region}",
                f"plan with credentials of the key's account, or {SCAN_WITH_PROWLER}",
            )
        return Unresolved(explain(error, connection).unreadable, SCAN_WITH_PROWLER)
    except (BotoCoreError, TruncatedResponse) as error:
        return Unresolved(explain(error, connection).unreadable, SCAN_WITH_PROWLER)
    except (LookupError, TypeError, ValueError):
        return Unresolved(f"AWS returned no ARN for key {name}", SCAN_WITH_PROWLER)


def source_text(code: CodeLocation) -> str | Unresolved:
    """Read a finding's file, if it is on this machine. Only playbooks and manifests are opened.

    Checkov's record does not contain what names the key.
    """
    absent = Unresolved(
        "the file that names its key is not on this machine",
        f"plan where Checkov scanned, with an absolute -d, or {SCAN_WITH_PROWLER}",
    )
    if code.absolute_file is None:
        return absent
    path = Path(code.absolute_file)
    if not path.is_absolute() or path.suffix not in SUFFIXES or not is_file(path):
        return absent
    try:
        return read_at_most(path, MOST_BYTES).decode()
    except (BadInput, UnicodeDecodeError):
        return absent
