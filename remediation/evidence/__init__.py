"""From key ARNs to evidence.

A source is a module or package here with a `SOURCE`: the field of `Evidence` that it fills, its
cost, the IAM actions that it needs, and a function that reads. The registry finds the modules. The
order of reads and the IAM policies follow from the declarations. `references/` reads what
`policies/key_references.yaml` lists, and `history/` reads CloudTrail's events.
"""

from __future__ import annotations

from .collector import Collector
from .registry import SOURCES
from .source import Source

__all__ = ["SOURCES", "Collector", "Source"]
