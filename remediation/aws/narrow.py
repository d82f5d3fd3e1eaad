"""Sessions whose clients know a few operations only, made in a fraction of the time and memory.

A scan of references makes a client of every service in every account and Region, for one or two
operations each. botocore gives a client a method for each operation that its service's model has,
700 for EC2: without the others, and the texts of the documentation, that is most of a scan's work.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Any, Final

from botocore import handlers
from botocore.credentials import CredentialResolver
from botocore.loaders import Loader
from botocore.session import Session

from .sessions import Given

Operations = frozenset[str]
"""As `service:Operation`, both as boto3 names them."""

_MODEL: Final = "service-2"


class NarrowLoader(Loader):
    """Reads service models without what is not called. Services that are not named stay whole."""

    def __init__(self, given: Loader, operations: Operations) -> None:
        super().__init__()
        self._given = given
        self._operations: dict[str, set[str]] = {}
        for operation in operations:
            service, name = operation.split(":")
            self._operations.setdefault(service, set()).add(name)
        self._narrowed: dict[tuple[str, str | None], Any] = {}
        self._lock = threading.Lock()

    def load_service_model(
        self, service_name: str, type_name: str, api_version: str | None = None
    ) -> Any:
        """The model of a service, or another of its documents, as botocore has it."""
        if type_name != _MODEL or service_name not in self._operations:
            return self._given.load_service_model(service_name, type_name, api_version)
        wanted = (service_name, api_version)
        with self._lock:
            if wanted not in self._narrowed:
                # A loader of its own, since the given one would keep the whole model.
                once = Loader([*self._given.search_paths], include_default_search_paths=False)
                whole = once.load_service_model(service_name, type_name, api_version)
                self._narrowed[wanted] = narrowed(whole, self._operations[service_name])
            return self._narrowed[wanted]

    def load_data(self, name: str) -> Any:
        """Any other document."""
        return self._given.load_data(name)

    def load_data_with_path(self, name: str) -> Any:
        """Any other document, and where it was found."""
        return self._given.load_data_with_path(name)


def narrow_session(session: Session, loader: Loader) -> Session:
    """The same credentials and configuration, with this loader."""
    made = Session(profile=session.profile, include_builtin_handlers=False)
    _register_handlers(made)
    made.register_component("data_loader", loader)
    given = Given(session.get_credentials())
    made.register_component("credential_provider", CredentialResolver([given]))
    return made


def _register_handlers(session: Session) -> None:
    """botocore's own, but for those that write documentation: each client copies all of them."""
    events = session.get_component("event_emitter")
    register = {
        handlers.REGISTER_FIRST: events.register_first,
        handlers.REGISTER_LAST: events.register_last,
    }
    for event, handler, *when in handlers.BUILTIN_HANDLERS:
        if not event.startswith("docs."):
            register.get(when[0] if when else None, events.register)(event, handler)


def narrowed(model: Mapping[str, Any], operations: Iterable[str]) -> Any:
    """A service model with these operations alone, their shapes, and no documentation."""
    kept = {name: model["operations"][name] for name in operations if name in model["operations"]}
    shapes: dict[str, Any] = {}
    todo = [name for operation in kept.values() for name in _shapes_of(operation)]
    while todo:
        name = todo.pop()
        if name not in shapes:
            shapes[name] = model["shapes"][name]
            todo += _shapes_of(shapes[name])
    return _bare({**model, "operations": kept, "shapes": shapes})


def _shapes_of(part: Any) -> Iterable[str]:
    """The names of the shapes that a part of a model refers to."""
    if isinstance(part, list):
        for one in part:
            yield from _shapes_of(one)
    elif isinstance(part, dict):
        for name, value in part.items():
            if name == "shape" and isinstance(value, str):
                yield value
            else:
                yield from _shapes_of(value)


def _bare(part: Any) -> Any:
    """With empty texts for people; a member called `documentation` is no text, and stays."""
    if isinstance(part, list):
        return [_bare(one) for one in part]
    if isinstance(part, dict):
        return {
            name: "" if name == "documentation" and isinstance(value, str) else _bare(value)
            for name, value in part.items()
        }
    return part
