"""Values of the decision policy: types, bounds and checks. Most errors name the fix."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo

from .key_globs import can_match_alias, can_match_key
from .models import KeyArn

ALL: Final = "all"
"""Matches every key, account or Region."""

MAX_COVERAGE_EXCEPTION: Final = timedelta(days=366)
"""A year: after that, a person decides again whether a service may stay unread."""

MIN_WINDOW_DAYS: Final = 7
MAX_WINDOW_DAYS: Final = 30
"""AWS's limits ("ScheduleKeyDeletion", AWS KMS API Reference). botocore allows 1 to 365."""

MIN_HISTORY_DAYS: Final = 90
"""What CloudTrail's event history always has ("Working with CloudTrail event history", CloudTrail
User Guide)."""

MAX_DAYS: Final = 36_500
"""A hundred years. More is probably a typing error."""

_ACCOUNT: Final = re.compile(r"[0-9]{12}", re.ASCII)
_REGION: Final = re.compile(r"[a-z]{2,}(-[a-z]+)+-[0-9]+", re.ASCII)
_PROBES: Final = tuple(
    f"arn:{partition}:kms:{region}:{digit * 12}:key/{key_id}"
    for partition in ("aws", "aws-cn", "aws-us-gov")
    for region, digit, key_id in (
        ("us-east-1", "1", "11111111-1111-1111-1111-111111111111"),
        ("eu-north-2", "9", "99999999-9999-9999-9999-999999999999"),
        ("ap-south-3", "8", "mrk-" + "8" * 32),
    )
)
"""Keys that share only what all keys of a partition share."""


def _account(text: str) -> str:
    if not _ACCOUNT.fullmatch(text):
        raise ValueError(f"{text!r} is not an account id. Fix: write its 12 digits in quotes")
    return text


def _region(text: str) -> str:
    if not _REGION.fullmatch(text):
        raise ValueError(f"{text!r} is not a Region. Fix: write its code, for example eu-west-1")
    return text


def _day(value: object) -> object:
    """Accept only dates. Pydantic would read numbers as seconds since 1970."""
    if isinstance(value, datetime) or not isinstance(value, date | str):
        raise ValueError(  # noqa: TRY004 - pydantic turns ValueError alone into its own
            f"{str(value)!r} is not a date. Fix: write it as 2026-12-31"
        )
    return value


def _key_glob(glob: str) -> str:
    """Check a key ARN or glob: it must match some keys, but not all of them by accident."""
    if glob == ALL:
        return glob
    if any(
        all(fnmatchcase(probe, glob) for probe in _PROBES if probe.startswith(f"arn:{partition}:"))
        for partition in ("aws", "aws-cn", "aws-us-gov")
    ):
        raise ValueError(f"{glob!r} matches every key. Fix: write {ALL} if you mean that")
    if not set(glob) & set("*?["):
        _literal_arn(glob)
    elif not can_match_key(glob):
        raise ValueError(
            f"{glob!r} matches no key. Fix: write arn:aws:kms:REGION:ACCOUNT:key/ID, with globs. "
            "ID is a lowercase UUID, or mrk- and 32 hexadecimal digits"
        )
    return glob


def _literal_arn(text: str) -> None:
    try:
        KeyArn.parse(text)
    except ValueError as error:
        raise ValueError(f"{error}. Fix: write the whole ARN, or a glob of ARNs") from error


def _protected(glob: str) -> str:
    """Check a key ARN or glob, or a glob of aliases: `alias/NAME` or the ARN of an alias."""
    if can_match_alias(glob) and not can_match_key(glob):
        return glob
    if glob.startswith("alias/"):
        raise ValueError(f"{glob!r} matches no alias; alias names contain only A-Z a-z 0-9 : / _ -")
    return _key_glob(glob)


@dataclass(frozen=True)
class FileContext:
    """What the exceptions of a policy file may say: the validation context of its model."""

    rules: tuple[str, ...]
    """Ids of all rules."""
    operations: Callable[[], Mapping[str, Collection[str]]]
    """Operations of the reference list by service; called only for a policy that names one."""
    today: date
    """In UTC."""


def _rule(rule: str, info: ValidationInfo) -> str:
    if rule == "unreadable-key":
        raise ValueError("unreadable-key takes no exception. Fix: allow kms:DescribeKey")
    known = info.context
    if isinstance(known, FileContext) and rule not in known.rules:
        raise ValueError(f"unknown rule {rule!r}; valid rules: {', '.join(known.rules)}")
    return rule


def _service(service: str, info: ValidationInfo) -> str:
    known = info.context
    if isinstance(known, FileContext) and service not in (services := known.operations()):
        raise ValueError(
            f"unknown service {service!r}; valid services: {', '.join(sorted(services))}"
        )
    return service


def _operation(operation: str, info: ValidationInfo) -> str:
    known, service = info.context, info.data.get("service")
    if isinstance(known, FileContext) and service is not None:
        operations = known.operations()[service]
        if operation not in operations:
            raise ValueError(
                f"{operation!r} is not read of {service}; valid: {', '.join(sorted(operations))}"
            )
    return operation


def _within_a_year(until: date, info: ValidationInfo) -> date:
    known = info.context
    if isinstance(known, FileContext) and until > known.today + MAX_COVERAGE_EXCEPTION:
        raise ValueError(f"{until} is more than a year away. Fix: write an earlier day")
    return until


def _or_all(value: object) -> object:
    if not isinstance(value, str):
        return value
    if value != ALL:
        raise ValueError(f"{value!r} is not a list. Fix: write a list, or the word {ALL}")
    return (ALL,)


def none_is_empty(value: object) -> object:
    """A list whose entries are all commented out."""
    return () if value is None else value


def _decided(text: str) -> str:
    if "<" in text:
        raise ValueError(f"{text!r} holds a placeholder. Fix: replace it")
    return text


def _phrase(phrase: str) -> str:
    if not any(character.isalpha() for character in phrase):
        raise ValueError(f"{phrase!r} has no letter. Fix: write words, for example do not delete")
    return phrase


Days = Annotated[int, Field(strict=True, ge=0, le=MAX_DAYS)]
Window = Annotated[int, Field(strict=True, ge=MIN_WINDOW_DAYS, le=MAX_WINDOW_DAYS)]
Text = Annotated[str, Field(min_length=1, pattern=r"\S")]
AccountId = Annotated[str, AfterValidator(_account)]
Region = Annotated[str, AfterValidator(_region)]
KeyGlob = Annotated[str, AfterValidator(_key_glob)]
Accounts = Annotated[
    tuple[
        Annotated[str, AfterValidator(lambda text: text if text == ALL else _account(text))], ...
    ],
    Field(min_length=1),
    BeforeValidator(_or_all, json_schema_input_type=tuple[str, ...] | Literal["all"]),
]
Regions = Annotated[
    tuple[Annotated[str, AfterValidator(lambda text: text if text == ALL else _region(text))], ...],
    Field(min_length=1),
    BeforeValidator(_or_all, json_schema_input_type=tuple[str, ...] | Literal["all"]),
]
Decided = Annotated[Text, AfterValidator(_decided)]
"""Text that a person wrote, without the placeholders of `doctor --policy-out`."""
Day = Annotated[date, BeforeValidator(_day)]
DayWithinAYear = Annotated[Day, AfterValidator(_within_a_year)]
Phrase = Annotated[str, AfterValidator(_phrase)]
ProtectedGlob = Annotated[str, AfterValidator(_protected)]
RuleId = Annotated[str, AfterValidator(_rule)]
Service = Annotated[str, AfterValidator(_service)]
Operation = Annotated[str, AfterValidator(_operation)]
