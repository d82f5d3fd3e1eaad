"""Infrastructure code and live keys: which key a finding in code means, and which code owns a key.

`read_code` reads the Terraform states and the stacks that the user names. `Code.map_findings` finds
the key of each finding in them, and says which code declares a key. A finding only makes a
candidate. An ambiguous finding maps to no key, and nothing is matched by a description or tag.
"""

from __future__ import annotations

from .code import NO_CODE, Code, MappedFindings, read_code

__all__ = ["NO_CODE", "Code", "MappedFindings", "read_code"]
