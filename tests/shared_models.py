"""Read each document of botocore once a process: parsing them is most of what its clients take."""

from __future__ import annotations

import functools
import os
from typing import Any

COMPLETE_MODELS = 32
"""Complete service models to keep. All of them take a gigabyte."""

CHANGED = ("/s3/", "/s3control/")
"""Models that botocore changes as it makes a client. Moto reads them too, and needs them whole."""


def share_documents() -> None:
    """Let all sessions of this process share what they load, and the names of events."""
    from botocore.hooks import EventAliaser
    from botocore.loaders import JSONFileLoader, Loader

    load_file = JSONFileLoader().load_file
    load_model = functools.lru_cache(COMPLETE_MODELS)(load_file)
    load_other = functools.cache(load_file)
    list_services = functools.cache(Loader().list_available_services)

    def load(_loader: JSONFileLoader, path: str) -> Any:
        if not path.endswith("service-2"):
            return load_other(path)
        changed = any(name in path.replace(os.sep, "/") for name in CHANGED)
        return load_file(path) if changed else load_model(path)

    names: dict[str, str] = {}
    aliaser = EventAliaser.__init__

    def share_names(self: EventAliaser, emitter: Any, event_aliases: Any = None) -> None:
        aliaser(self, emitter, event_aliases)
        if event_aliases is None:  # of 120 events, four fifths of the time that a session takes
            self._alias_name_cache = names

    EventAliaser.__init__ = share_names
    JSONFileLoader.load_file = load
    Loader.list_available_services = lambda _loader, type_name: list_services(type_name)


def share_reduced_models() -> None:
    """Reduce a model to the same operations once."""
    from keysweep.remediation.aws.reduced_models import ReducedLoader

    load = ReducedLoader.load_service_model
    models: dict[object, Any] = {}

    def load_once(
        loader: ReducedLoader, service_name: str, type_name: str, api_version: str | None = None
    ) -> Any:
        operations = frozenset(loader._operations.get(service_name, ()))
        key = (service_name, type_name, api_version, operations)
        if key not in models:
            models[key] = load(loader, service_name, type_name, api_version)
        return models[key]

    ReducedLoader.load_service_model = load_once  # type: ignore[method-assign]
