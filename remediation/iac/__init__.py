"""Infrastructure code and live keys: which key a finding of code means, and what code owns a key.

`look_at` reads the Terraform states and the stacks that the user named; `Code.trace` leads findings
to keys by them, and says who declares a key. A finding still only nominates; what is ambiguous
leads nowhere, and nothing is matched by a description or tag.
"""

from __future__ import annotations

from .code import NOTHING, Code, Traced, look_at

__all__ = ["NOTHING", "Code", "Traced", "look_at"]
