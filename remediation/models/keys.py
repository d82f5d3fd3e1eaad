"""Key ARNs, and the account-Regions that they name."""

from __future__ import annotations

import dataclasses
import re
import sys
from typing import Any, Final, Self

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

_KEY_ARN: Final = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):kms:(?P<region>[a-z]{2,}(?:-[a-z]+)+-[0-9]+)"
    r":(?P<account_id>[0-9]{12}):key/"
    r"(?P<key_id>mrk-[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})",
    re.ASCII,
)


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class AccountRegion:
    """One Region of one account."""

    partition: str
    account_id: str
    region: str


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class KeyArn:
    """The ARN of a KMS key. It identifies the key, because multi-Region keys share a key ID.

    Partition, account and Region always come from it. Format:
    `arn:PARTITION:kms:REGION:ACCOUNT:key/ID`. ID is a UUID, or `mrk-` and 32 hexadecimal digits
    (AWS KMS Developer Guide, "Key identifiers (KeyId)").
    """

    partition: str
    account_id: str
    region: str
    key_id: str

    @classmethod
    def parse(cls, text: object) -> Self:
        """Parse an ARN. Raises ValueError for anything else."""
        if isinstance(text, cls):
            return text
        if isinstance(text, str) and (match := _KEY_ARN.fullmatch(text)):
            # Many keys share few partitions, accounts and Regions. Interning saves memory.
            partition, account_id, region = map(
                sys.intern, match.group("partition", "account_id", "region")
            )
            return cls(partition, account_id, region, match["key_id"])
        raise ValueError(f"{str(text)[:200]!r} is not the ARN of a KMS key")

    def __str__(self) -> str:
        return f"arn:{self.partition}:kms:{self.region}:{self.account_id}:key/{self.key_id}"

    @property
    def account_region(self) -> AccountRegion:
        """Account-Region of the key."""
        return AccountRegion(self.partition, self.account_id, self.region)

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: type[Any], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls.parse, serialization=core_schema.to_string_ser_schema()
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        nameless = re.sub(r"\?P<\w+>", "?:", _KEY_ARN.pattern)
        return {"type": "string", "pattern": f"^{nameless}$"}
