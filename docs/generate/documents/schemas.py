"""JSON Schemas of what people write and scripts read, made from the models."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from keysweep.remediation.evidence.references.entries import ReferenceList
from keysweep.remediation.journal import Line
from keysweep.remediation.plan import Plan
from keysweep.remediation.policy import PolicyFile

from .formatting import Json


def schemas() -> dict[str, Json]:
    """JSON Schemas of what people write and scripts read."""
    journal: TypeAdapter[Any] = TypeAdapter(Line)
    return {
        "policy": {**PolicyFile.model_json_schema(), "title": "Decision policy of Keysweep"},
        "plan": {**Plan.model_json_schema(mode="serialization"), "title": "Plan of Keysweep"},
        "key_references": {
            **ReferenceList.model_json_schema(),
            "title": "Reference list of Keysweep",
        },
        "journal-line": {
            **journal.json_schema(mode="serialization"),
            "title": "Line of a journal of Keysweep",
        },
    }
