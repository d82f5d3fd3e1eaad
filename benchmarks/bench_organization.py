"""An organization: a plan over 1,000 accounts x 17 Regions x 500 keys, simulated.

`python -m benchmarks.simulate_organization` makes the tables of docs/scale.md.
"""

from __future__ import annotations

from typing import Final

from .environments import version
from .simulate_organization import (
    ACCOUNTS,
    CORES,
    REGIONS_EACH,
    SAMPLED,
    SHARES,
    credentials,
    measured,
    scaled,
    scan_seconds,
    seconds_on,
    simulate,
)
from .table import Row

MOST_RUNS: Final = 1
MOST_MINUTES: Final = 60


def measure(runs: int, quick: bool) -> list[Row]:
    """Simulate without held keys on 16 cores: the event history, and Athena without query time."""
    del runs
    regions = 1 if quick else SAMPLED
    _, cpu = measured(quick=quick)
    rows = []
    with credentials():
        turn = scan_seconds(regions)
        for share in SHARES:
            if share.kept or share.one_disabled_in == 1:
                continue
            one = scaled(simulate(share, 1, regions), 1 / regions)
            requests = one.total * REGIONS_EACH * ACCOUNTS
            minutes = seconds_on(one, cpu, turn, CORES) / 60
            rows.append(
                Row(
                    f"{share.name}, none held, {CORES} cores",
                    share.disabled * REGIONS_EACH * ACCOUNTS,
                    f"{minutes:.0f} min, {requests / 1e6:.1f} million requests, "
                    f"{cpu * 1000:.2f} ms CPU each"
                    + (f", and {REGIONS_EACH} queries" if share.athena else ""),
                    ratio=minutes / MOST_MINUTES,
                    target=f"≤ {MOST_MINUTES} min, queries left out" if share.athena else "",
                    met=minutes <= MOST_MINUTES if share.athena else None,
                )
            )
    return rows


def versions() -> dict[str, str]:
    """Versions of the measured programs."""
    return {"boto3": version("command", "boto3")}
