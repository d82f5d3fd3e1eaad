"""Parts of scenarios that many tests share. embedded_aws/README.md shows the schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SHOP, DATA = "111122223333", "444455556666"
"""The operator's account, and another one."""

DEAD: Mapping[str, Any] = {"state": "Disabled", "created_days_ago": 900, "disabled_days_ago": 400}
"""A key that no rule of the default policy holds; dead_key.py has the evidence of one."""


def in_shop(*keys: Mapping[str, Any]) -> dict[str, Any]:
    """These keys, in one Region of the operator's account."""
    return {"accounts": {SHOP: {"regions": {"eu-west-1": {"keys": [*keys]}}}}}
