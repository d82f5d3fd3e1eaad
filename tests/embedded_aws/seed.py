"""Turns a scenario into keys, aliases, grants and past CloudTrail events."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from typing import Any

from . import names
from . import scenario as schema
from .clock import DAY
from .kms.granting import new_grant_ids
from .kms.keys import Alias, Grant, Key, Keys, Use
from .kms.lifecycle import scheduled, usages
from .trail import Event, Trail


class Seeder:
    """Fills keys and trail from a scenario, at one moment of the embedded clock."""

    def __init__(self, keys: Keys, trail: Trail, now: float) -> None:
        self._keys = keys
        self._trail = trail
        self._now = now
        self.arns: dict[tuple[str, str, str], str] = {}
        """ARN by account, Region and the scenario's name of the key."""

    def seed(self, content: schema.Scenario) -> None:
        """Create everything that the scenario's `keys`, `managed` and stores describe."""
        for account, one in content.accounts.items():
            for region, inside in one.regions.items():
                for store in inside.custom_key_stores:
                    self._store(account, region, store)
                for service in inside.managed:
                    self._key(account, region, _managed(service))
                for described in inside.keys:
                    for key in described.expand():
                        self._key(account, region, key)

    def _ago(self, days: float) -> float:
        return self._now - days * DAY

    def _store(self, account: str, region: str, store: schema.CustomKeyStore) -> None:
        digest = hashlib.sha256(f"{account}/{region}/{store.name}".encode()).hexdigest()
        shown = {
            "CustomKeyStoreId": f"cks-{digest[:17]}",
            "CustomKeyStoreName": store.name,
            "ConnectionState": store.connection,
            "CustomKeyStoreType": store.type,
            "CreationDate": round(self._ago(store.created_days_ago), 3),
        }
        if store.type == "AWS_CLOUDHSM":
            shown["CloudHsmClusterId"] = f"cluster-{digest[:11]}"
        self._keys.region(account, region).stores[str(shown["CustomKeyStoreId"])] = shown

    def _key(self, account: str, region: str, one: schema.Key) -> None:
        identifier = names.key_id(account, region, one.name, one.multi_region)
        key = Key(
            account,
            region,
            identifier,
            self._ago(one.created_days_ago),
            name=one.name,
            description=one.description,
            manager=one.manager,
            origin=one.origin,
            spec=one.spec,
            usage=one.usage or usages(one.spec)[0],
            primary_region=region if one.multi_region else None,
            policy=_policy(one.policy, account, region),
            tags=dict(one.tags),
            custom_key_store=self._store_id(account, region, one.custom_key_store),
            rotation_period=one.rotation_period_days,
            rotation_since=self._ago(one.created_days_ago),
        )
        if one.valid_for_days is not None:
            key.valid_to = self._now + one.valid_for_days * DAY
        step = one.created_days_ago / (one.rotations + 1)
        key.rotations = [
            (key.created + number * step * DAY, "AUTOMATIC")
            for number in range(1, one.rotations + 1)
        ]
        for grant in one.grants:
            self._grant(key, grant)
        self._place(key, one.name, one.aliases)
        self._past(key, "CreateKey", one.created_days_ago, "operator", {})
        for other, replica in one.replicas.items():
            self._replica(key, other, replica, one)
        self._settle_state(key, one.state, one, one.last_used)
        if one.restored_days_ago is not None:
            self._past(key, "CancelKeyDeletion", one.restored_days_ago, "operator")
        for event in one.events:
            self._event(key, event)

    def _store_id(self, account: str, region: str, name: str | None) -> str | None:
        if name is None:
            return None
        for identifier, store in self._keys.region(account, region).stores.items():
            if store["CustomKeyStoreName"] == name:
                return identifier
        raise ValueError(f"{account} {region} has no custom key store {name!r}")

    def _place(self, key: Key, name: str, aliases: tuple[str, ...]) -> None:
        store = self._keys.region(key.account, key.region)
        if key.id in store.keys:
            raise ValueError(f"{key.account} {key.region}: key {name!r} is there twice")
        store.add(key)
        self.arns[key.account, key.region, name] = key.arn
        for alias in aliases:
            if alias in store.aliases:
                raise ValueError(f"{key.account} {key.region}: {alias} is there twice")
            store.aliases[alias] = Alias(key.id, key.created, key.created)

    def _replica(self, primary: Key, region: str, replica: schema.Replica, one: schema.Key) -> None:
        days = replica.created_days_ago
        if days is None:
            days = one.created_days_ago
        key = Key(
            primary.account,
            region,
            primary.id,
            self._ago(days),
            name=one.name,
            description=primary.description if replica.description is None else replica.description,
            origin=primary.origin,
            spec=primary.spec,
            usage=primary.usage,
            primary_region=primary.region,
            tags=dict(primary.tags if replica.tags is None else replica.tags),
        )
        self._place(key, one.name, replica.aliases)
        self._past(key, "CreateKey", days, "operator", {})
        self._settle_state(key, replica.state, replica, replica.last_used)

    def _settle_state(
        self,
        key: Key,
        state: str,
        one: schema.Key | schema.Replica,
        last_used: schema.LastUse | None,
    ) -> None:
        """Bring a key into its state, with the events that brought it there."""
        key.state = state
        key.materials = int(key.origin == "EXTERNAL" and state != "PendingImport")
        age = (self._now - key.created) / DAY
        disabled = one.disabled_days_ago
        if disabled is None:
            disabled = min(age, 365.0)
        if state in ("Disabled", "PendingDeletion", "PendingReplicaDeletion"):
            by = one.disabled_by if isinstance(one, schema.Key) else "operator"
            self._past(key, "DisableKey", disabled, by)
        if state in ("PendingDeletion", "PendingReplicaDeletion"):
            moment = self._ago(one.scheduled_days_ago)
            self._keys.schedule(key, one.window_days, moment)
            key.state = state
            self._past(
                key,
                "ScheduleKeyDeletion",
                one.scheduled_days_ago,
                "operator",
                {"keyId": key.id, "pendingWindowInDays": one.window_days},
                scheduled(key, one.window_days),
            )
        if last_used is not None:
            key.last_use = Use(
                last_used.operation,
                self._ago(last_used.days_ago),
                str(uuid.uuid4()),
                str(uuid.uuid4()),
            )
            self._past(key, last_used.operation, last_used.days_ago, "operator")

    def _grant(self, key: Key, grant: schema.Grant) -> None:
        for _ in range(grant.count):
            identifier, token = new_grant_ids()
            key.grants[identifier] = Grant(
                identifier,
                token,
                self._ago(grant.created_days_ago),
                list(grant.operations),
                key.account,
                grantee=_fill(grant.grantee, key),
                grantee_service=grant.grantee_service,
                retiring=_fill(grant.retiring, key),
                name=grant.name,
                constraints=grant.constraints,
            )

    def _past(
        self,
        key: Key,
        name: str,
        days_ago: float,
        by: str,
        parameters: dict[str, object] | None = None,
        answer: Mapping[str, Any] | None = None,
    ) -> None:
        event = schema.Event(name=name, days_ago=days_ago, by=by)
        self._event(key, event, {"keyId": key.id} if parameters is None else parameters, answer)

    def _event(
        self,
        key: Key,
        event: schema.Event,
        parameters: dict[str, object] | None = None,
        answer: Mapping[str, Any] | None = None,
    ) -> None:
        message = event.message
        if event.error and message is None:
            pending = event.error == "KMSInvalidStateException"
            message = f"{key.arn} is {'pending deletion' if pending else 'disabled'}."
        by = event.by
        principal = by if ":" in by else names.user_arn(key.account, key.region)
        if ":" not in by and by != names.OPERATOR:
            principal = _session_arn(key, by)
        named = key.arn if event.key_id is None else event.key_id.replace("{id}", key.id)
        shown = (key.arn,)
        if event.alias:
            shown = (names.alias_arn(key.account, key.region, event.alias), key.arn)
            target = {} if event.name == "DeleteAlias" else {"targetKeyId": key.id}
            parameters = {"aliasName": event.alias, **target}
        parameters = dict(event.request) if event.request is not None else parameters
        for _ in range(event.count):
            self._trail.record(
                Event(
                    self._ago(event.days_ago),
                    event.name,
                    event.account or key.account,
                    key.region,
                    principal,
                    keys=shown if event.with_resources else (),
                    parameters={"keyId": named} if parameters is None else parameters,
                    error=event.error,
                    message=message if event.error else None,
                    shared=event.shared,
                    answer=answer,
                )
            )


def _managed(service: str) -> schema.Key:
    return schema.Key(
        name=f"aws/{service}",
        manager="AWS",
        aliases=(f"alias/aws/{service}",),
        description=f"Default key that protects my {service} data when no other key is defined",
    )


def _policy(policy: object, account: str, region: str) -> str | None:
    if policy is None or isinstance(policy, str):
        return policy
    text = json.dumps(policy)
    return text.replace("{account}", account).replace("{region}", region)


def _fill(principal: str | None, key: Key) -> str | None:
    if principal is None:
        return None
    return principal.replace("{account}", key.account).replace("{region}", key.region)


def _session_arn(key: Key, role: str) -> str:
    partition = names.partition(key.region)
    return f"arn:{partition}:sts::{key.account}:assumed-role/{role}/session"
