"""Read the reference list in an account: which entries in which Region, with how many threads.

The answers become an `Index`, in which all keys of the account-Region are then looked up.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from ...aws import Connection
from ...aws.answers import answer_of
from ...aws.failures import verb
from ...errors import TruncatedResponse
from ...models import LISTS_REGIONS, CoverageGap
from ..once import OfEachRun
from .absence import witnesses_of
from .entries import REGIONS_PERMISSION, Entry, ReferenceList
from .index import Index
from .reading import Reading
from .shapes import Compared

ENTRY_WORKERS: Final = 12
ITEM_WORKERS: Final = 12
"""Threads of one scan, for entries and for calls that follow an item. Nothing that runs in one of
these pools waits for a thread of the same pool."""


def scan_region(
    connection: Connection, references: ReferenceList, *, sample: bool = False
) -> Index:
    """Read all entries of the key's own Region.

    `sample`: only try the calls, each follow-up call for the first item alone.
    """
    targets = [
        (entry, connection.region) for entry in references.entries if entry.reach == "region"
    ]
    return _scan(connection, references, targets, sample=sample)


def scan_account(
    connection: Connection, references: ReferenceList, *, sample: bool = False
) -> Index:
    """Read entries that concern all Regions, once for each account.

    These are answers that cover all Regions and, in every enabled Region, entries that can name a
    key of another one. `sample` as above.
    """
    once = [(entry, connection.region) for entry in references.entries if entry.reach == "account"]
    everywhere = [entry for entry in references.entries if entry.reach == "every-region"]
    regions, gaps = _enabled_regions(connection, everywhere)
    targets = once + [(entry, region) for entry in everywhere for region in regions]
    index = _scan(connection, references, targets, sample=sample)
    index.gaps += gaps
    return index


def _enabled_regions(
    connection: Connection, entries: Sequence[Entry]
) -> tuple[list[str], list[CoverageGap]]:
    if not entries:
        return [], []
    try:
        listed = connection.client("ec2").describe_regions()
    except (ClientError, BotoCoreError, TruncatedResponse) as error:
        answer = answer_of(error)
        services = dict.fromkeys(entry.service for entry in entries)
        return [connection.region], [
            CoverageGap(
                service=service,
                region=connection.region,
                operation=LISTS_REGIONS,
                code=answer.code,
                message=answer.message,
                answer_class=answer.answer_class,
                why=f"the account's Regions could not be read: {LISTS_REGIONS} "
                f"{verb(answer.answer_class)}: {answer}",
                permission=REGIONS_PERMISSION if answer.lacks_action else None,
                every_region=True,
            )
            for service in services
        ]
    names = {region["RegionName"] for region in listed["Regions"]}
    return sorted({connection.region, *names}), []


_compared_of: Final = OfEachRun(Compared)
"""Entries that were compared with botocore's models in a run."""


def _scan(
    connection: Connection,
    references: ReferenceList,
    targets: Iterable[tuple[Entry, str]],
    *,
    sample: bool,
) -> Index:
    index = Index()
    witnesses, compared = witnesses_of(connection), _compared_of(connection)
    connection = connection.limited_to(references.operations())
    with ThreadPoolExecutor(ENTRY_WORKERS) as entries, ThreadPoolExecutor(ITEM_WORKERS) as items:
        readings = [
            Reading(connection, references, entry, region, witnesses, items, compared, sample)
            for entry, region in targets
        ]
        for reading in entries.map(Reading.run, readings):
            for name, reference in reading.found:
                index.add(name, reference)
            index.gaps += reading.gaps()
            index.untried.update(reading.untried())
            if reading.absent is None:
                index.read += 1
            else:
                index.absent.add(reading.absent)
    return index
