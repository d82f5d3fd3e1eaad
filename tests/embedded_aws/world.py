"""Everything one embedded AWS knows, made anew from a scenario by `reset`."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .athena import Athena
from .clock import Clock
from .faults import Faults
from .identity import Identities
from .kms.keys import Keys
from .quotas import Quotas
from .refusals import Refusal, table
from .scenario import Scenario
from .seed import Seeder
from .tasks import Tasks
from .trail import Event, Trail


@dataclass(slots=True, frozen=True)
class LoggedCall:
    """One call as the control API reports it; time on the embedded clock."""

    time: float
    account: str | None
    region: str
    service: str
    operation: str
    key: str | None
    outcome: str
    """`ok`, AWS's error code, or the fault that hit it, as `fault:drop_before`."""
    principal: str | None
    status: int


class World:
    """One scenario at one time; `lock` guards the keys."""

    def __init__(self, scenario: Scenario, quotas_on: bool = False) -> None:
        self.lock = threading.RLock()
        self.clock = Clock()
        self.scenario = scenario
        self.keys = Keys()
        self.trail = Trail()
        self.identities = Identities(scenario)
        self.tasks = Tasks(scenario.images, self.identities)
        self.faults = Faults()
        self.quotas = Quotas()
        self.quotas.on = quotas_on
        self.calls: list[LoggedCall] = []
        self.answers: dict[tuple[str, str, str, str], dict[str, Any]] = {}
        """What listings contain, by account, Region, service (botocore's name) and operation."""
        self.refusals = _refusals(scenario)
        now = self.clock.now()
        self.athena = Athena(scenario, self.trail, now)
        self.tracking_started = now - scenario.tracking_started_days_ago * 86_400
        seeder = Seeder(self.keys, self.trail, now)
        seeder.seed(scenario)
        self.key_arns: Mapping[tuple[str, str, str], str] = seeder.arns
        self.keys.settle(now)

    def now(self) -> float:
        """Return the embedded time, after deleting every key whose time is over."""
        now = self.clock.now()
        with self.lock:
            gone = self.keys.settle(now)
        for key in gone:
            self.trail.record(
                Event(
                    key.deletion_date or now,
                    "DeleteKey",
                    key.account,
                    key.region,
                    "kms.amazonaws.com",
                    keys=(key.arn,),
                    parameters={"keyId": key.id},
                )
            )
        return now


def _refusals(scenario: Scenario) -> dict[tuple[str, str, str, str], Refusal]:
    """Refusals by account, Region, service and operation; a Region's own ones count first."""
    found = {}
    for account, content in scenario.accounts.items():
        for region, inside in content.regions.items():
            usual = table().refusals(frozenset(content.refused), region) if content.refused else ()
            for one in (*usual, *inside.refusals):
                found[account, region, one.service, one.operation] = one
    return found
