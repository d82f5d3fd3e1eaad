"""Starts the embedded AWS as a process, for tests and demo, and talks to its control API."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from . import names
from .template import VARIABLE, fork_server

Json = dict[str, Any]


class EmbeddedAws:
    """Context manager around one server process.

    `scenario` is a YAML file or the same content as a mapping; without it there is one empty
    account. `quotas` throttles as AWS does.
    """

    def __init__(
        self, scenario: Path | str | Mapping[str, Any] | None = None, *, quotas: bool = False
    ) -> None:
        self._scenario = scenario
        self._quotas = quotas
        self._process: subprocess.Popen[bytes] | None = None
        self._forked: socket.socket | None = None
        self._arns: dict[tuple[str, str, str], str] | None = None
        self.endpoint = ""
        """URL for AWS_ENDPOINT_URL."""

    def start(self) -> Self:
        """Start the process and wait until it serves; raise RuntimeError if it does not."""
        template = os.environ.get(VARIABLE)
        if template:
            path = None
            if isinstance(self._scenario, Path | str):
                path = str(Path(self._scenario).resolve())
            self._forked, self.endpoint = fork_server(template, path, self._quotas)
        else:
            self._start_process()
        if isinstance(self._scenario, Mapping):
            self.reset(self._scenario)
            if self._quotas:
                self.quotas(True)
        return self

    def _start_process(self) -> None:
        command = [sys.executable, "-P", "-m", "embedded_aws", "--exit-with-parent"]
        if isinstance(self._scenario, Path | str):
            command += ["--scenario", str(self._scenario)]
        if self._quotas:
            command.append("--quotas")
        folder = str(Path(__file__).resolve().parent.parent)
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": folder},
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the embedded AWS did not start (exit {self._process.wait()})")
        self.endpoint = json.loads(line)["endpoint"]

    def stop(self) -> None:
        """End the process."""
        if self._forked is not None:
            self._forked.shutdown(socket.SHUT_WR)
            self._forked.recv(1)  # it has ended
            self._forked.close()
            self._forked = None
        if self._process is None:
            return
        self._process.terminate()
        self._process.communicate()
        self._process = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def environment(self, account: str, region: str = "us-east-1") -> dict[str, str]:
        """Return the variables that make AWS's SDKs call this server as the operator."""
        return names.environment(self.endpoint, region, *names.access_key(account))

    def process_environment(
        self, account: str, region: str = "us-east-1", **variables: str
    ) -> dict[str, str]:
        """Return this process's variables without those of AWS, with the operator's and these."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        return {**kept, **self.environment(account, region), **variables}

    def client_arguments(self, account: str, region: str = "us-east-1") -> dict[str, str]:
        """Return the keyword arguments of `boto3.client` for the operator of an account."""
        key, secret = names.access_key(account)
        return {
            "endpoint_url": self.endpoint,
            "aws_access_key_id": key,
            "aws_secret_access_key": secret,
            "region_name": region,
        }

    def reset(self, scenario: Mapping[str, Any] | None = None) -> None:
        """Start over with another scenario or the same: clock, keys, logs, faults and quotas."""
        self._arns = None
        self._ask("POST", "reset", {} if scenario is None else {"scenario": scenario})

    def now(self) -> float:
        """Return the embedded time in seconds since the epoch."""
        return float(self._ask("GET", "clock")["now"])

    def advance(self, *, days: float = 0, hours: float = 0, seconds: float = 0) -> float:
        """Move the embedded clock forward and return the new time."""
        body = {"days": days, "hours": hours, "seconds": seconds}
        return float(self._ask("POST", "clock/advance", body)["now"])

    def keys(self, **requested: str) -> list[Json]:
        """Return the truth about existing keys: arn, account, region, name, state, dates, tags.

        They may be chosen by `arn`, `account`, `region`, `name` and `state`.
        """
        query = urllib.parse.urlencode(requested)
        found: list[Json] = self._ask("GET", f"keys?{query}" if query else "keys")
        return found

    def key(self, arn: str) -> Json | None:
        """Return the truth about one key, or None if it does not exist (any more)."""
        return next(iter(self.keys(arn=arn)), None)

    def key_arn(self, account: str, region: str, name: str) -> str:
        """Return the ARN of the scenario's key of that name, even after its deletion."""
        if self._arns is None:
            self._arns = {
                (one["account"], one["region"], one["name"]): one["arn"]
                for one in self._ask("GET", "arns")
            }
        return self._arns[account, region, name]

    def set_state(self, arn: str, state: str) -> None:
        """Put a key into a state as AWS itself would."""
        self._ask("POST", "keys/state", {"arn": arn, "state": state})

    def calls(self, *, service: str | None = None, operation: str | None = None) -> list[Json]:
        """Return the log of calls, oldest first; optionally of one service or operation."""
        calls: list[Json] = self._ask("GET", "calls")
        return [
            call
            for call in calls
            if service in (None, call["service"]) and operation in (None, call["operation"])
        ]

    def clear_calls(self) -> None:
        """Forget the log of calls."""
        self._ask("DELETE", "calls")

    def fault(self, kind: str, **where: object) -> Json:
        """Make matching calls fail: see `faults.Fault` for the kinds and fields."""
        added: Json = self._ask("POST", "faults", {"kind": kind, **where})
        return added

    def faults(self) -> list[Json]:
        """Return all faults with how often they were seen and hit."""
        found: list[Json] = self._ask("GET", "faults")
        return found

    def clear_faults(self) -> None:
        """Forget all faults; calls that hang are let go."""
        self._ask("DELETE", "faults")

    def quotas(self, on: bool, limits: Mapping[str, float] | None = None) -> None:
        """Switch throttling; limits are calls a second by `service:Operation`."""
        self._ask("POST", "quotas", {"on": on, "limits": dict(limits or {})})

    def delay_trail(self, *, minutes: float) -> None:
        """Let CloudTrail's event history show each event only so many minutes later."""
        self._ask("POST", "trail", {"delay_seconds": minutes * 60})

    def expire_sessions(self) -> int:
        """Make every assumed role's session so far expired; return how many there were."""
        return int(self._ask("POST", "sessions/expire")["expired"])

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        request = urllib.request.Request(
            f"{self.endpoint}/_embedded_aws/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=120) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            raise ValueError(json.load(error)["error"]) from None
