"""What all models share: the base model, and times."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict


class Model(BaseModel):
    """Base model: immutable, rejects unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


SLIM: Final = ConfigDict(extra="forbid")
"""For values that a run holds once per key. Pydantic dataclasses with slots validate the same and
take a tenth of a model's memory."""


def _utc(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("a time needs a time zone, for example 2026-01-31T00:00:00Z")
    try:
        return value.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("a time must be in the years 1 to 9999, in UTC") from error


Time = Annotated[datetime, AfterValidator(_utc)]
"""A time with a zone, converted to UTC."""


def _countable(value: datetime) -> datetime:
    if not 2 <= value.year <= 9000:
        raise ValueError("a time of Keysweep must be in the years 2 to 9000")
    return value


WrittenTime = Annotated[Time, AfterValidator(_countable)]
"""A time that Keysweep writes: minutes before it and years after it can be computed."""
