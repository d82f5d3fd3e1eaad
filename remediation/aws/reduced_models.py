"""Create clients faster, from service models with only the operations that a run calls.

A scan of references creates a client for every service in every account-Region and calls one or two
operations of each. botocore creates a method for every operation of a service, 700 for EC2. Without
the unused operations and the documentation, a scan takes a third of the processor time.

This uses botocore's loaders and handlers, which are no public API. Therefore, `Clients` falls back
to ordinary sessions if anything here fails, and no other module imports this one.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Any, Final

from botocore import handlers
from botocore.credentials import CredentialResolver, Credentials
from botocore.loaders import Loader
from botocore.session import Session

from .sessions import Given

Operations = frozenset[str]
"""Each as `service:Operation`, with boto3's names."""

_MODEL: Final = "service-2"


class ReducedLoader(Loader):
    """Load the models of the named services with only these operations.

    Models of other services are complete.
    """

    def __init__(self, given: Loader, operations: Operations) -> None:
        super().__init__()
        self._given = given
        self._operations: dict[str, set[str]] = {}
        for operation in operations:
            service, name = operation.split(":")
            self._operations.setdefault(service, set()).add(name)
        self._reduced: dict[tuple[str, str | None], Any] = {}
        self._lock = threading.Lock()

    def load_service_model(
        self, service_name: str, type_name: str, api_version: str | None = None
    ) -> Any:
        """Load the model of a service, or another of its documents."""
        if type_name != _MODEL or service_name not in self._operations:
            return self._given.load_service_model(service_name, type_name, api_version)
        key = (service_name, api_version)
        with self._lock:
            if key not in self._reduced:
                # A separate loader, because the given one would keep the complete model.
                once = _SingleUseLoader(self._given)
                complete = once.load_service_model(service_name, type_name, api_version)
                self._reduced[key] = reduced_model(complete, self._operations[service_name])
            return self._reduced[key]

    def load_data(self, name: str) -> Any:
        """Load any other document."""
        return self._given.load_data(name)

    def load_data_with_path(self, name: str) -> Any:
        """Load any other document, with its path."""
        return self._given.load_data_with_path(name)


class _SingleUseLoader(Loader):
    """Load models without the cache of another loader, but use its list of services."""

    def __init__(self, given: Loader) -> None:
        super().__init__([*given.search_paths], include_default_search_paths=False)
        self._given = given

    def list_available_services(self, type_name: str) -> list[str]:
        """List the services, from the cache of the other loader."""
        services: list[str] = self._given.list_available_services(type_name)
        return services


def reduced_session(
    session: Session, loader: Loader, credentials: Credentials | None = None
) -> Session:
    """Create a session with the same configuration, this loader, and these credentials.

    Without credentials, it has those of the session.
    """
    made = Session(profile=session.profile, include_builtin_handlers=False)
    _register_handlers(made)
    made.register_component("data_loader", loader)
    given = Given(credentials or session.get_credentials())
    made.register_component("credential_provider", CredentialResolver([given]))
    return made


def _register_handlers(session: Session) -> None:
    """Register botocore's handlers except those for documentation: every client copies them."""
    events = session.get_component("event_emitter")
    register = {
        handlers.REGISTER_FIRST: events.register_first,
        handlers.REGISTER_LAST: events.register_last,
    }
    for event, handler, *when in handlers.BUILTIN_HANDLERS:
        if not event.startswith("docs."):
            register.get(when[0] if when else None, events.register)(event, handler)


def reduced_model(model: Mapping[str, Any], operations: Iterable[str]) -> Any:
    """Copy a service model with only these operations, their shapes, and no documentation."""
    kept = {name: model["operations"][name] for name in operations if name in model["operations"]}
    shapes: dict[str, Any] = {}
    todo = [name for operation in kept.values() for name in _shapes_of(operation)]
    while todo:
        name = todo.pop()
        if name not in shapes:
            shapes[name] = model["shapes"][name]
            todo += _shapes_of(shapes[name])
    return _without_documentation({**model, "operations": kept, "shapes": shapes})


def _shapes_of(part: Any) -> Iterable[str]:
    """Yield the names of the shapes that a part of a model refers to."""
    if isinstance(part, list):
        for one in part:
            yield from _shapes_of(one)
    elif isinstance(part, dict):
        for name, value in part.items():
            if name == "shape" and isinstance(value, str):
                yield value
            else:
                yield from _shapes_of(value)


def _without_documentation(part: Any) -> Any:
    """Empty the texts named `documentation`, but keep structure members of that name."""
    if isinstance(part, list):
        return [_without_documentation(one) for one in part]
    if isinstance(part, dict):
        return {
            name: ""
            if name == "documentation" and isinstance(value, str)
            else _without_documentation(value)
            for name, value in part.items()
        }
    return part
