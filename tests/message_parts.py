"""What messages must hold whatever their wording: tests compare these parts, and not sentences."""

from __future__ import annotations

import re


def figures(message: str) -> list[str]:
    """Numbers, dates and account ids, in their order."""
    return re.findall(r"(?<![\w.-])\d[\d-]*\b(?![.-]\w)", message)
