"""Start the lightweight AWS in its own process, configure it and read its counts."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from .scenario import REGIONS, Scenario, access_key

REGION = REGIONS[0]


@dataclass(frozen=True)
class Counts:
    """Requests that the server has received since `set_up`."""

    requests: Mapping[str, int]
    """By `service:Operation`."""
    throttled: Mapping[str, int]
    most_a_second: Mapping[str, int]
    """Highest of any operation in one account and Region."""
    most_in_flight: int

    def of(self, service: str) -> int:
        """The requests to one service."""
        return sum(n for name, n in self.requests.items() if name.startswith(f"{service}:"))


class Aws(AbstractContextManager["Aws"]):
    """The server's process."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.aws_server"],
            cwd=Path(__file__).resolve().parent.parent,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def set_up(
        self,
        scenario: Scenario,
        *,
        latency: float = 0.0,
        quotas: bool = False,
        fresh: bool = True,
    ) -> None:
        """Start a new count. `latency` is in seconds; `fresh` resets the states of all keys."""
        order = {
            "latency": latency,
            "quotas": quotas,
            "scenario": asdict(scenario),
            "fresh": fresh,
        }
        self._ask("POST", "/control", order)

    def counts(self) -> Counts:
        """The counts since the last `set_up`."""
        return Counts(**self._ask("GET", "/counts"))

    def environment(self) -> dict[str, str]:
        """Variables that make AWS's SDKs call this server as the operator of the first account."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_ACCESS_KEY_ID": access_key(),
            "AWS_SECRET_ACCESS_KEY": "s",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
            "NO_PROXY": "127.0.0.1",
        }

    def _ask(self, method: str, path: str, order: object = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        connection.request(method, path, None if order is None else json.dumps(order))
        answer = json.loads(connection.getresponse().read())
        connection.close()
        return answer
