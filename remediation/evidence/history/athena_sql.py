"""Queries that read KMS events of many keys from a CloudTrail table, each log file once.

A query costs by the data that it scans, whatever it asks, so one is about all keys of a Region. It
lists the ends of their ids, as long as they fit, and reads every key if they do not. So there are
rows of other keys, which the reader leaves out. There are six kinds of rows:

* `day`: the days, counted from the first, on which an account-Region logged a read of KMS;
* `change`: a change of a key's state;
* `alias`: a change of an alias;
* `use`: the last of a key's uses with the same names, caller's account, operation and error. Uses
  that name a key by its alias alone are among them, whatever the key;
* `trail`: a change of a trail, in the query of a trail's home Region;
* `seen`: the days on which the trail's account logged anything there.

Only validated names and numbers become part of the text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, timedelta
from typing import Final

from ...errors import demand
from .athena_table import Part, TrailTable
from .events import (
    ALIAS_CHANGES,
    IN_REQUEST,
    IN_RESPONSE,
    KEY,
    KEY_IN_TEXT,
    STATE_CHANGES,
    TWO_KEYS,
    USES,
)
from .trail_log import IN_TRAIL, TRAIL_CHANGES

MOST_BYTES: Final = 262_144
"""Bytes that a query may have ("Service Quotas", Amazon Athena User Guide)."""

MOST_PARTITIONS: Final = 1_000_000
"""Folders that a query may read (the same page)."""

LISTED: Final = (8, 7, 6, 5)
"""How many of the last characters of each key's id a query may list. Fewer bring too many rows of
other keys."""

_REST: Final = 8_192
"""Bytes for the rest of a query. Its longest names have 255 characters each."""

COLUMNS: Final = (
    *("kind", "account", "event", "error", "names", "alias", "target"),
    *("changed", "latest", "who", "shared", "days", "total"),
)
"""Columns of the result. `total` is the number of its rows."""

_STATEMENT: Final = """\
SELECT kind, account, event, error, names, alias, target, changed,
  max(moment) AS latest, max_by(caller, moment) AS who, max_by(sharing, moment) AS shared,
  array_join(array_sort(array_agg(DISTINCT day) FILTER (
    WHERE kind IN ('seen', 'trail') OR (kind = 'day' AND reads = 'true')
  )), ' ') AS days,
  count(*) OVER () AS total
FROM (
  SELECT kind, account, moment, caller, sharing, reads,
    date_diff('day', DATE '{start}', CAST(substr(moment, 1, 10) AS date)) AS day,
    CASE WHEN kind IN ('day', 'seen') THEN '' ELSE event END AS event,
    CASE WHEN kind IN ('day', 'seen') THEN '' ELSE error END AS error,
    CASE WHEN kind IN ('day', 'seen', 'trail') THEN '' ELSE names END AS names,
    CASE WHEN kind IN ('alias', 'trail') THEN alias ELSE '' END AS alias,
    CASE WHEN kind = 'alias' THEN target ELSE '' END AS target,
    CASE WHEN kind IN ('alias', 'change', 'trail') THEN moment ELSE '' END AS changed
  FROM (
    SELECT events.*, CASE
        WHEN mark IN ('day', 'alias', 'seen', 'trail') THEN mark
        WHEN event IN ({changes}) THEN 'change'
        ELSE 'use'
      END AS kind
    FROM (
      SELECT recipientaccountid AS account, eventname AS event, eventtime AS moment,
        coalesce(errorcode, '') AS error, readonly AS reads, eventsource AS source,
        coalesce(useridentity.arn, useridentity.invokedby) AS caller, sharedeventid AS sharing,
        coalesce(json_extract_scalar(requestparameters, '$.aliasName'), {trail}, '') AS alias,
        coalesce(json_extract_scalar(requestparameters, '$.targetKeyId'), '') AS target,
        concat_ws(' ', array_join(transform(resources, r -> r.arn), ' '), {names},
          array_join(regexp_extract_all(errormessage, '{in_text}'), ' ')) AS names
      FROM "{database}"."{table}"
      WHERE "{day}" >= '{first_folder}' AND "{day}" < '{next_folder}'{partitions}
        AND (eventsource = 'kms.amazonaws.com'{trails})
        AND awsregion = '{region}' AND eventtime >= '{start}'
    ) AS events
    CROSS JOIN UNNEST(CASE
      WHEN source = 'kms.amazonaws.com'
      THEN concat(regexp_extract_all(names, '{key}', 1), ARRAY['day', CASE
        WHEN event IN ({aliases}) THEN 'alias'
        WHEN event IN ({uses}) AND (NOT regexp_like(names, '{key}')
          OR (event = '{two_keys}' AND names LIKE '%alias/%')) THEN 'named'
        ELSE 'day'
      END])
      WHEN source = 'cloudtrail.amazonaws.com' AND event IN ({trail_changes})
      THEN ARRAY['trail']
      ELSE ARRAY['seen']
    END) AS marks (mark)
    WHERE mark IN ('day', 'alias', 'named', 'seen', 'trail')
      OR (event IN ({changes}, {uses}){listed})
  ) AS kinds
) AS rows_of_kinds
GROUP BY kind, account, event, error, names, alias, target, changed
"""

_TRAILS: Final = """
          OR recipientaccountid IN ({owners})
          OR (eventsource = 'cloudtrail.amazonaws.com' AND eventname IN ({trail_changes}))"""

_ENDS: Final = """
        AND substr(mark, -{length}) IN (
          SELECT listed FROM UNNEST(regexp_extract_all('{ends}', '.{{{length}}}')) AS ends (listed)
        )"""


def statements(
    table: TrailTable,
    region: str,
    key_ids: Iterable[str],
    start: date,
    end: date,
    owners: Iterable[str] = (),
    only: Iterable[str] = (),
) -> list[str]:
    """Queries for all of these keys of one Region since a day; `end` is today.

    Each reads other days of the table's folders, as many as it may read, of all accounts or `only`
    of some. `owners` are the accounts of trails that are at home in this Region, and whose changes
    to look for.
    """
    some = sorted(only)
    conditions = {
        "listed": _listed_ids(frozenset(key_ids)),
        "trails": _trails(sorted(owners)),
        "partitions": _one_of(table.region, [region]) + _one_of(table.account, some),
    }
    days = max(1, MOST_PARTITIONS // max(1, len(some or table.account.values or ())))
    after = end + timedelta(days=1)
    first = [start + timedelta(days=n) for n in range(0, (after - start).days, days)]
    made = []
    for since, until in zip(first, [*first[1:], after], strict=True):
        text = _text(table, region, start, (since, until), **conditions)
        demand(len(text.encode()) <= MOST_BYTES, "a query of so many keys is too long")
        made.append(text)
    return made


def _listed_ids(key_ids: AbstractSet[str]) -> str:
    """The condition that a key's id ends as one of these; empty if they are too many to list."""
    for length in LISTED:
        ends = sorted({key_id[-length:] for key_id in key_ids})
        if length * len(ends) <= MOST_BYTES - _REST:
            return _ENDS.format(length=length, ends="".join(ends))
    return ""


def _trails(owners: Sequence[str]) -> str:
    """The condition that an event shows a change of a trail, or that its account logs events."""
    if not owners:
        return ""
    return _TRAILS.format(owners=_quoted(owners), trail_changes=_quoted(TRAIL_CHANGES))


def _one_of(part: Part, values: Sequence[str]) -> str:
    """The condition that folders are of these accounts or Regions; empty: of any."""
    if part.column is None or not values:
        return ""
    test = f"= '{values[0]}'" if len(values) == 1 else f"IN ({_quoted(values)})"
    return f'\n        AND "{part.column}" {test}'


def _text(
    table: TrailTable, region: str, start: date, folders: tuple[date, date], **conditions: str
) -> str:
    database, name = table.name.split(".")
    return _STATEMENT.format(
        start=start.isoformat(),
        day=table.day_column,
        first_folder=f"{folders[0]:%Y/%m/%d}",
        next_folder=f"{folders[1]:%Y/%m/%d}",
        region=region,
        **conditions,
        database=database,
        table=name,
        changes=_quoted(STATE_CHANGES),
        aliases=_quoted(ALIAS_CHANGES),
        uses=_quoted(USES),
        trail_changes=_quoted(TRAIL_CHANGES),
        trail=_extracted((("responseelements", ("trailARN",)), ("requestparameters", IN_TRAIL))),
        two_keys=TWO_KEYS,
        key=rf"(?:^|\s){KEY}",
        in_text=KEY_IN_TEXT.pattern,
        names=_extracted((("requestparameters", IN_REQUEST), ("responseelements", IN_RESPONSE))),
    )


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


def _extracted(parts: Iterable[tuple[str, Iterable[str]]]) -> str:
    """The values at these paths of columns."""
    return ", ".join(
        f"json_extract_scalar({part}, '$.{path}')" for part, paths in parts for path in paths
    )
