"""The control API under /_embedded_aws: clock, truth, calls, faults, quotas, reset. All JSON."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from pydantic import ValidationError

from . import names
from . import scenario as schema
from .clock import iso
from .gateway import Gateway
from .http_message import Reply, Request
from .kms.keys import Key
from .kms.states import STATES
from .world import World

PREFIX = "/_embedded_aws/"
Json = dict[str, Any]


class Control:
    """Answers control requests and can put a new world into the gateway."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._routes: dict[tuple[str, str], Callable[[Json], object]] = {
            ("GET", "clock"): self._clock,
            ("POST", "clock/advance"): self._advance,
            ("GET", "keys"): self._keys,
            ("POST", "keys/state"): self._set_state,
            ("GET", "arns"): self._arns,
            ("GET", "calls"): self._calls,
            ("DELETE", "calls"): self._clear_calls,
            ("GET", "faults"): lambda _: self._world.faults.report(),
            ("POST", "faults"): self._add_fault,
            ("DELETE", "faults"): self._clear_faults,
            ("POST", "quotas"): self._quotas,
            ("POST", "sessions/expire"): self._expire,
            ("POST", "trail"): self._trail,
            ("POST", "reset"): self._reset,
        }

    @property
    def _world(self) -> World:
        return self._gateway.world

    def answer(self, request: Request) -> Reply:
        """Answer a control request; a mistake in it is status 400 with one sentence."""
        route = self._routes.get((request.method, request.path.removeprefix(PREFIX)))
        if route is None:
            return _reply(404, {"error": f"no {request.method} {request.path}"})
        try:
            return _reply(200, route(request.query | json.loads(request.body or b"{}")))
        except (ValidationError, ValueError, KeyError, TypeError) as error:
            return _reply(400, {"error": str(error)})

    def _clock(self, _: Json) -> Json:
        now = self._world.now()
        return {"now": now, "iso": iso(now), "offset_seconds": self._world.clock.offset}

    def _advance(self, body: Json) -> Json:
        with self._world.lock:
            seconds = body.get("days", 0) * 86_400 + body.get("hours", 0) * 3_600
            self._world.clock.advance(seconds + body.get("seconds", 0))
            return self._clock({})

    def _keys(self, requested: Json) -> list[Json]:
        """The truth about all keys, or those of an arn, account, region, name or state."""
        unknown = set(requested) - {"arn", "account", "region", "name", "state"}
        if unknown:
            raise ValueError(f"keys are not chosen by {', '.join(sorted(unknown))}")
        with self._world.lock:
            self._world.now()
            chosen = [
                key
                for key in self._world.keys
                if all(getattr(key, field) == value for field, value in requested.items())
            ]
            aliases = defaultdict(list)
            for account, region in {(key.account, key.region) for key in chosen}:
                for name, alias in self._world.keys.region(account, region).aliases.items():
                    aliases[account, region, alias.target].append(name)
            return [
                self._truth(key, sorted(aliases[key.account, key.region, key.id])) for key in chosen
            ]

    def _truth(self, key: Key, aliases: list[str]) -> Json:
        return {
            "arn": key.arn,
            "account": key.account,
            "region": key.region,
            "id": key.id,
            "name": key.name,
            "state": key.state,
            "manager": key.manager,
            "origin": key.origin,
            "description": key.description,
            "created": key.created,
            "deletion_date": key.deletion_date,
            "window_days": key.window,
            "tags": key.tags,
            "aliases": aliases,
            "grants": len(key.grants),
            "last_used": key.last_use.time if key.last_use else None,
        }

    def _set_state(self, body: Json) -> Json:
        """Put a key into a state as AWS itself would, as when a custom key store disconnects."""
        with self._world.lock:
            key = next((one for one in self._world.keys if one.arn == body["arn"]), None)
            if key is None or body["state"] not in STATES:
                raise ValueError(f"no key {body['arn']} or no state {body['state']}")
            key.state = body["state"]
            if key.state == "Enabled" and key.enable_later is False:
                key.state = "Disabled"
            return {}

    def _arns(self, _: Json) -> list[Json]:
        return [
            {"account": account, "region": region, "name": name, "arn": arn}
            for (account, region, name), arn in self._world.key_arns.items()
        ]

    def _calls(self, _: Json) -> list[Json]:
        return [asdict(call) for call in list(self._world.calls)]

    def _clear_calls(self, _: Json) -> Json:
        self._world.calls.clear()
        return {}

    def _add_fault(self, body: Json) -> Json:
        return asdict(self._world.faults.add(body))

    def _clear_faults(self, _: Json) -> Json:
        self._world.faults.clear()
        return {}

    def _quotas(self, body: Json) -> Json:
        self._world.quotas.configure(body["on"], body.get("limits", {}))
        return {"on": self._world.quotas.on, "limits": self._world.quotas.limits}

    def _expire(self, _: Json) -> Json:
        return {"expired": self._world.identities.expire_sessions()}

    def _trail(self, body: Json) -> Json:
        self._world.trail.delay = float(body["delay_seconds"])
        return {"delay_seconds": self._world.trail.delay}

    def _reset(self, body: Json) -> Json:
        content = schema.parse(body["scenario"]) if "scenario" in body else self._world.scenario
        self._gateway.replace(World(content))
        return {"accounts": list(content.accounts), "operator": names.OPERATOR}


def _reply(status: int, content: object) -> Reply:
    return Reply(status, {"Content-Type": "application/json"}, json.dumps(content).encode())
