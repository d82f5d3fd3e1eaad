"""Generated keys for benchmarks: an ARN determines everything about its key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final

OWN: Final = "000000000001"
"""Account of the given credentials."""

REGIONS: Final = (
    *("eu-west-1", "eu-central-1", "us-east-1", "us-west-2", "ap-south-1", "ap-northeast-1"),
    *("ap-northeast-2", "ap-northeast-3", "ap-southeast-1", "ap-southeast-2", "ca-central-1"),
    *("eu-north-1", "eu-west-2", "eu-west-3", "sa-east-1", "us-east-2", "us-west-1"),
)
"""Those that are enabled by default ("AWS Regions", AWS Account Management Reference Guide)."""


@dataclass(frozen=True)
class Scenario:
    """Accounts, Regions and keys: `keys` in each Region of each account."""

    accounts: int = 1
    regions: int = 1
    keys: int = 0
    disabled_one_in: int = 1
    """1: every key is disabled; 10: every tenth; the others are enabled."""
    kept: int = 0
    """Number of keys with the protecting tag, of each 20."""

    def arns(self) -> Iterator[str]:
        """All keys."""
        for number in range(1, self.accounts + 1):
            account = f"{number:012d}"
            for region in REGIONS[: self.regions]:
                for key in self.key_ids(account, region):
                    yield f"arn:aws:kms:{region}:{account}:key/{key}"

    def key_ids(self, account: str, region: str) -> tuple[str, ...]:
        """The ids of the keys of one account-Region."""
        return _key_ids(account, region, self.keys)

    def is_disabled(self, arn: str) -> bool:
        """Whether the key is disabled before any command runs."""
        return int(arn[-12:], 16) % self.disabled_one_in == 0

    def is_kept(self, arn: str) -> bool:
        """Whether the key has the tag that protects it."""
        return int(arn[-12:], 16) % 20 < self.kept


@cache
def _key_ids(account: str, region: str, keys: int) -> tuple[str, ...]:
    home = f"{int(account) % 16**8:08x}-{REGIONS.index(region):04x}-4000-8000-"
    return tuple(f"{home}{key:012x}" for key in range(keys))


def account_region_of(arn: str) -> tuple[str, str]:
    """Return account and Region of an ARN."""
    parts = arn.split(":")
    return parts[4], parts[3]


def access_key(account: str = OWN) -> str:
    """Return an access key id that contains the account."""
    return f"AKIA{account}"


def account_of_access_key(access_key_id: str) -> str:
    """Return the account of such an id."""
    return access_key_id[4:16]
