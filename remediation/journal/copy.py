"""Copy a journal to a new file or bucket. An incomplete copy never passes for a journal."""

from __future__ import annotations

import uuid

from ..errors import BadInput
from .lines import encode
from .locations import Location, exists, store_of
from .reader import undamaged_lines


def copy(source: Location, target: Location) -> tuple[int, str | None]:
    """Copy the complete lines of a journal, including open intents, to a new journal.

    Holds the locks of both. Returns the number of lines, and a message about locks that could not
    be released. Raises BadInput if the source does not exist or is damaged, or if the target
    exists; Refused if a run is writing to either; and AccessRefused.
    """
    if not exists(source):
        raise BadInput(f"{source}: There is no journal. Fix: check the name.")
    run = uuid.uuid4().hex
    locked = store_of(source).open(run)
    try:
        copied = [encode(line) for line in undamaged_lines(source)]
        if not copied:
            raise BadInput(f"{source}: This journal has no lines. Fix: check the name.")
        left = store_of(target).create(run, copied)
    finally:
        left_of_source = locked.close()
    return len(copied), " ".join(filter(None, (left, left_of_source))) or None
