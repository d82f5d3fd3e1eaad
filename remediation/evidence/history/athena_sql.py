"""The query that reads KMS events of many keys from a CloudTrail table, in one scan.

A query costs by the data that it scans, whatever it asks, so one returns four kinds of rows:

* `day`: the days, counted from the first, on which an account-Region logged a read of KMS;
* `change`: a change of a key's state;
* `alias`: a change of an alias;
* `use`: the last of a key's uses with the same names, caller's account, operation and error. Uses
  that name a key by its alias alone are among them, whatever the key.

Only validated names and numbers become part of the text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import Final

from ...errors import demand
from .athena_table import TrailTable
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

MOST_KEYS: Final = 6_000
"""Keys of one query: 40 bytes each, of the 262,144 that a query may have ("Service Quotas", Amazon
Athena User Guide)."""

MOST_BYTES: Final = 262_144

COLUMNS: Final = (
    *("kind", "account", "region", "event", "error", "names", "alias", "target"),
    *("changed", "latest", "who", "shared", "days", "total"),
)
"""Columns of the result. `total` is the number of its rows."""

_STATEMENT: Final = """\
SELECT kind, account, region, event, error, names, alias, target, changed,
  max(moment) AS latest, max_by(caller, moment) AS who, max_by(sharing, moment) AS shared,
  array_join(array_sort(array_agg(DISTINCT day) FILTER (WHERE kind = 'day' AND reads = 'true')), \
' ') AS days,
  count(*) OVER () AS total
FROM (
  SELECT kind, account, region, moment, caller, sharing, reads,
    date_diff('day', DATE '{start}', CAST(substr(moment, 1, 10) AS date)) AS day,
    CASE WHEN kind = 'day' THEN '' ELSE event END AS event,
    CASE WHEN kind = 'day' THEN '' ELSE error END AS error,
    CASE WHEN kind = 'day' THEN '' ELSE names END AS names,
    CASE WHEN kind = 'alias' THEN alias ELSE '' END AS alias,
    CASE WHEN kind = 'alias' THEN target ELSE '' END AS target,
    CASE WHEN kind IN ('alias', 'change') THEN moment ELSE '' END AS changed
  FROM (
    SELECT events.*, CASE
        WHEN mark = 'day' THEN 'day'
        WHEN mark = 'alias' THEN 'alias'
        WHEN event IN ({changes}) THEN 'change'
        ELSE 'use'
      END AS kind
    FROM (
      SELECT recipientaccountid AS account, awsregion AS region, eventname AS event,
        eventtime AS moment, coalesce(errorcode, '') AS error, readonly AS reads,
        coalesce(useridentity.arn, useridentity.invokedby) AS caller, sharedeventid AS sharing,
        coalesce(json_extract_scalar(requestparameters, '$.aliasName'), '') AS alias,
        coalesce(json_extract_scalar(requestparameters, '$.targetKeyId'), '') AS target,
        concat_ws(' ', array_join(transform(resources, r -> r.arn), ' '), {names},
          array_join(regexp_extract_all(errormessage, '{in_text}'), ' ')) AS names
      FROM "{database}"."{table}"
      WHERE "{day}" >= '{start_folder}'{regions}
        AND eventsource = 'kms.amazonaws.com' AND awsregion = '{region}'
        AND eventtime >= '{start}'
    ) AS events
    CROSS JOIN UNNEST(concat(regexp_extract_all(names, '{key}', 1), ARRAY['day', CASE
        WHEN event IN ({aliases}) THEN 'alias'
        WHEN event IN ({uses}) AND (NOT regexp_like(names, '{key}')
          OR (event = '{two_keys}' AND names LIKE '%alias/%')) THEN 'named'
        ELSE 'day'
      END])) AS marks (mark)
    WHERE mark IN ('day', 'alias', 'named')
      OR (event IN ({changes}, {uses}) AND mark IN ({keys}))
  ) AS kinds
) AS rows_of_kinds
GROUP BY kind, account, region, event, error, names, alias, target, changed
"""


def statements(
    table: TrailTable, region: str, key_ids: Iterable[str], start: date
) -> Iterator[tuple[tuple[str, ...], str]]:
    """Queries for these keys of one Region, as many as fit into each, and the keys of each."""
    database, name = table.name.split(".")
    column = table.region.column
    ordered = sorted(set(key_ids))
    for first in range(0, len(ordered), MOST_KEYS):
        keys = tuple(ordered[first : first + MOST_KEYS])
        text = _STATEMENT.format(
            start=start.isoformat(),
            start_folder=f"{start:%Y/%m/%d}",
            region=region,
            regions="" if column is None else f"\n        AND \"{column}\" = '{region}'",
            database=database,
            table=name,
            day=table.day_column,
            changes=_listed(STATE_CHANGES),
            aliases=_listed(ALIAS_CHANGES),
            uses=_listed(USES),
            keys=_listed(keys),
            two_keys=TWO_KEYS,
            key=rf"(?:^|\s){KEY}",
            in_text=KEY_IN_TEXT.pattern,
            names=", ".join(
                f"json_extract_scalar({part}, '$.{path}')"
                for part, paths in (
                    ("requestparameters", IN_REQUEST),
                    ("responseelements", IN_RESPONSE),
                )
                for path in paths
            ),
        )
        demand(len(text.encode()) <= MOST_BYTES, "a query of so many keys is too long")
        yield keys, text


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
