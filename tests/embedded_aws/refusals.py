"""How services refuse: the rows of ordinary.yaml, and refusals that a scenario names."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

FILE = Path(__file__).with_name("ordinary.yaml")

Answered = Literal[
    *("absent", "not-in-region", "never-enabled", "closed", "organization", "unclear"),
]
"""How Keysweep reports a refusal; `absent`: as no coverage gap."""

PAGE = b"<!DOCTYPE html><html><head><title>Not Found</title></head><body></body></html>"
"""What a gateway answers where it has no service."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Refusal(_Strict):
    """One operation's refusal. `{who}`, `{account}` and `{region}` in the message are filled in."""

    service: str
    """boto3's name."""
    operation: str
    """`*`: every operation of the service that has no refusal of its own."""
    code: str
    message: str = ""
    status: int = 400
    page: bool = False
    """An HTML page of a gateway instead of an error document."""


class Row(Refusal):
    """A refusal that was seen."""

    meaning: str
    answered: Annotated[Answered, Field(alias="class")]
    regions: tuple[str, ...] | Literal["all"]
    of: str | None = None
    source: str

    def seen_in(self, region: str) -> bool:
        """Whether the row counts in a Region."""
        return self.regions == "all" or region in self.regions


class MissingHost(_Strict):
    """A host without a DNS record in some Regions."""

    host: str
    service: str
    regions: tuple[str, ...]
    source: str


class Table(_Strict):
    """The whole file."""

    rows: tuple[Row, ...]
    hosts: tuple[MissingHost, ...]

    def refusals(self, met: frozenset[str], region: str) -> tuple[Refusal, ...]:
        """The refusals of these classes in a Region, one an operation."""
        chosen: dict[tuple[str, str], Refusal] = {}
        for row in self.rows:
            if row.answered in met and row.seen_in(region):
                chosen.setdefault((row.service, row.operation), row)
        return tuple(chosen.values())

    def missing_hosts(self) -> frozenset[str]:
        """All hosts without a DNS record."""
        return frozenset(
            one.host.format(region=region) for one in self.hosts for region in one.regions
        )


@cache
def table() -> Table:
    """The rows of ordinary.yaml."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return Table.model_validate(yaml.load(FILE.read_text(encoding="utf-8"), Loader=loader))
