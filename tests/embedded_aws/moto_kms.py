"""Shows our keys to moto's other services, and lets them create keys among ours.

CloudFormation, EBS, DynamoDB, RDS and the tagging API of moto reach into moto's KMS backend;
this backend of the same shape reads and writes the embedded AWS's own keys.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from moto.core.common_models import CloudFormationModel
from moto.core.resource_tagging import TaggedResource
from moto.kms import models as moto_models

from . import names
from .errors import AwsError
from .identity import Identity
from .kms.call import Call
from .kms.keys import Alias, Key, Region
from .kms.lifecycle import new_key_id, usages

if TYPE_CHECKING:
    from .world import World


class KeyView:
    """One of our keys with the attributes that moto's services read and set."""

    def __init__(self, world: World, key: Key) -> None:
        self._world = world
        self._key = key
        self.id = key.id
        self.arn = key.arn
        self.account_id = key.account
        self.region = key.region
        self.policy = key.policy_document
        self.description = key.description

    @property
    def key_state(self) -> str:
        """The key's state."""
        return self._key.state

    @property
    def enabled(self) -> bool:
        """Whether the key is enabled; setting it is how a stack disables its key."""
        return self._key.state == "Enabled"

    @enabled.setter
    def enabled(self, value: bool | str) -> None:
        self._key.state = "Enabled" if str(value).lower() == "true" else "Disabled"

    @property
    def key_rotation_status(self) -> bool:
        """Whether the key rotates by itself."""
        return self._key.rotation_period is not None

    @key_rotation_status.setter
    def key_rotation_status(self, value: bool | str) -> None:
        self._key.rotation_period = 365 if str(value).lower() == "true" else None


class _Keys(Mapping[str, KeyView]):
    def __init__(self, world: World, region: Region) -> None:
        self._world = world
        self._region = region

    def __getitem__(self, identifier: str) -> KeyView:
        return KeyView(self._world, self._region.keys[identifier])

    def __iter__(self) -> Iterator[str]:
        return iter(self._region.keys)

    def __len__(self) -> int:
        return len(self._region.keys)


def backend_class(current: Callable[[], World]) -> type[moto_models.KmsBackend]:
    """Return a KMS backend for moto that works on the world `current` returns."""

    class Backend(moto_models.KmsBackend):
        def __init__(self, region_name: str, account_id: str | None = None) -> None:
            self.region_name = region_name
            self.account_id = account_id or ""

        @property
        def _region(self) -> Region:
            return current().keys.region(self.account_id, self.region_name)

        @property
        def keys(self) -> Mapping[str, KeyView]:  # type: ignore[override]
            return _Keys(current(), self._region)

        def _find(self, key_id: str) -> Key:
            """Return a key by id, ARN, alias or alias ARN; KeyError as moto's own if none."""
            world = current()
            call = Call(
                world.keys,
                Identity(self.account_id, ""),
                self.region_name,
                "DescribeKey",
                {},
                world.now(),
                0.0,
            )
            try:
                return call.find(key_id, alias=True, cross_account=True)
            except AwsError:
                raise KeyError(key_id) from None

        def describe_key(self, key_id: str) -> KeyView:  # type: ignore[override]
            return KeyView(current(), self._find(key_id))

        def list_keys(self) -> Iterable[KeyView]:  # type: ignore[override]
            return self.keys.values()

        def create_key(  # type: ignore[override]
            self,
            policy: str | None,
            key_usage: str,
            key_spec: str,
            description: str,
            tags: list[dict[str, str]] | None,
            multi_region: bool = False,
            origin: str = "AWS_KMS",
        ) -> KeyView:
            world = current()
            spec = key_spec or "SYMMETRIC_DEFAULT"
            key = Key(
                self.account_id,
                self.region_name,
                new_key_id(multi_region),
                world.now(),
                description=description or "",
                origin=origin,
                spec=spec,
                usage=key_usage or usages(spec)[0],
                primary_region=self.region_name if multi_region else None,
                policy=policy or None,
                tags={
                    tag.get("TagKey", tag.get("Key", "")): tag.get("TagValue", tag.get("Value", ""))
                    for tag in tags or []
                },
            )
            return KeyView(world, self._region.add(key))

        def delete_key(self, key_id: str) -> None:
            key = self._find(key_id)
            if key.state not in ("PendingDeletion", "PendingReplicaDeletion"):
                current().keys.schedule(key, 30, current().now())

        def alias_exists(self, alias_name: str) -> bool:
            return alias_name in self._region.aliases

        def create_alias(  # type: ignore[override]
            self, target_key_id: str, alias_name: str
        ) -> AliasView:
            key = self._find(target_key_id)
            now = current().now()
            if alias_name.startswith("alias/aws/"):
                key.manager, key.policy = "AWS", None
                key.name = alias_name.removeprefix("alias/")
            self._region.aliases[alias_name] = Alias(key.id, now, now)
            return AliasView(self, alias_name)

        def update_alias(  # type: ignore[override]
            self, target_key_id: str, alias_name: str
        ) -> AliasView:
            return self.create_alias(target_key_id, alias_name)

        def delete_alias(self, alias_name: str) -> None:
            self._region.aliases.pop(alias_name, None)

        def get_key_id_from_alias(self, alias_name: str) -> str | None:
            alias = self._region.aliases.get(alias_name)
            return alias.target if alias else None

        def iter_tagged_resources(self) -> Iterator[TaggedResource]:
            for key in list(self._region.keys.values()):
                yield TaggedResource(arn=key.arn, tags=key.tags, resource_type="kms:key")

        def tag_resource(self, arn: str, tags: dict[str, str]) -> None:
            self._find(arn).tags.update(tags)

        def untag_resource(self, arn: str, tag_keys: list[str]) -> None:
            key = self._find(arn)
            key.tags = {name: value for name, value in key.tags.items() if name not in tag_keys}

    return Backend


class AliasView:
    """An alias with the attributes that moto's services read."""

    def __init__(self, backend: Any, name: str) -> None:
        self.alias_name = name
        self.alias_arn = names.alias_arn(backend.account_id, backend.region_name, name)


class StackKey(CloudFormationModel):
    """AWS::KMS::Key; defined after moto's own, which it replaces.

    A stack that goes schedules the deletion of its key.
    """

    def __init__(self, view: KeyView) -> None:
        self.view = view

    @property
    def physical_resource_id(self) -> str:
        """CloudFormation's name of a key is its id."""
        return self.view.id

    def delete(self, account_id: str, region_name: str) -> None:
        """Schedule the key's deletion."""
        _backend(account_id, region_name).delete_key(self.view.id)

    def is_created(self) -> bool:
        """A key exists at once."""
        return True

    @staticmethod
    def cloudformation_name_type() -> str:
        """Keys have no name of their own."""
        return ""

    @staticmethod
    def cloudformation_type() -> str:
        """Name of the resource type."""
        return "AWS::KMS::Key"

    @classmethod
    def has_cfn_attr(cls, attr: str) -> bool:
        """What Fn::GetAtt may ask of a key."""
        return attr in ("Arn", "KeyId")

    def get_cfn_attribute(self, attribute_name: str) -> str:
        """Answer Fn::GetAtt."""
        return self.view.arn if attribute_name == "Arn" else self.view.id

    @classmethod
    def create_from_cloudformation_json(
        cls,
        resource_name: str,
        cloudformation_json: Mapping[str, Any],
        account_id: str,
        region_name: str,
        **kwargs: Any,
    ) -> StackKey:
        """Create the key with the properties that moto forgets."""
        properties = cloudformation_json.get("Properties", {})
        adopted = properties.get("AdoptKeyId")
        if adopted is not None:  # the scenario's own way to give a stack a key that exists
            return cls(_backend(account_id, region_name).describe_key(adopted))
        policy = properties.get("KeyPolicy")
        view = _backend(account_id, region_name).create_key(
            json.dumps(policy) if isinstance(policy, Mapping) else policy,
            properties.get("KeyUsage", ""),
            properties.get("KeySpec", ""),
            properties.get("Description", ""),
            properties.get("Tags"),
            multi_region=str(properties.get("MultiRegion", False)).lower() == "true",
            origin=properties.get("Origin", "AWS_KMS"),
        )
        return cls._set(view, properties)

    @classmethod
    def update_from_cloudformation_json(
        cls,
        original_resource: StackKey,
        new_resource_name: str,
        cloudformation_json: Mapping[str, Any],
        account_id: str,
        region_name: str,
    ) -> StackKey:
        """Enable, disable, rotate: what an update of a stack changes on its key."""
        return cls._set(original_resource.view, cloudformation_json.get("Properties", {}))

    @classmethod
    def _set(cls, view: KeyView, properties: Mapping[str, Any]) -> StackKey:
        view.key_rotation_status = properties.get("EnableKeyRotation", False)
        view.enabled = properties.get("Enabled", True)
        return cls(view)


class StackAlias(CloudFormationModel):
    """AWS::KMS::Alias; defined after moto's own, which it replaces."""

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def physical_resource_id(self) -> str:
        """CloudFormation's name of an alias is its own."""
        return self.name

    def delete(self, account_id: str, region_name: str) -> None:
        """Delete the alias."""
        _backend(account_id, region_name).delete_alias(self.name)

    def is_created(self) -> bool:
        """An alias exists at once."""
        return True

    @staticmethod
    def cloudformation_name_type() -> str:
        """The property that names an alias."""
        return "AliasName"

    @staticmethod
    def cloudformation_type() -> str:
        """Name of the resource type."""
        return "AWS::KMS::Alias"

    @classmethod
    def has_cfn_attr(cls, attr: str) -> bool:
        """An alias has no attribute for Fn::GetAtt."""
        return False

    @classmethod
    def create_from_cloudformation_json(
        cls,
        resource_name: str,
        cloudformation_json: Mapping[str, Any],
        account_id: str,
        region_name: str,
        **kwargs: Any,
    ) -> StackAlias:
        """Create the alias, or move it."""
        properties = cloudformation_json["Properties"]
        name = properties["AliasName"]
        _backend(account_id, region_name).create_alias(properties["TargetKeyId"], name)
        return cls(name)

    @classmethod
    def update_from_cloudformation_json(
        cls,
        original_resource: StackAlias,
        new_resource_name: str,
        cloudformation_json: Mapping[str, Any],
        account_id: str,
        region_name: str,
    ) -> StackAlias:
        """Move the alias to another key."""
        return cls.create_from_cloudformation_json(
            new_resource_name, cloudformation_json, account_id, region_name
        )


def _backend(account: str, region: str) -> Any:
    return moto_models.kms_backends[account][region]


def install(current: Callable[[], World]) -> None:
    """Replace moto's keys with ours."""
    moto_models.kms_backends.backend = backend_class(current)
