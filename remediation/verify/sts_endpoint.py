"""Becomes the `sitecustomize` of a Prowler that names AWS's own STS endpoint itself.

Prowler before 5.30.0 does so, which goes before AWS_ENDPOINT_URL: its proof would ask the real
AWS who is calling. Nothing but that one address is changed.
"""

from __future__ import annotations

import os
from typing import Any

import botocore.session

_create = botocore.session.Session.create_client


def _create_client(self: Any, *arguments: Any, **options: Any) -> Any:
    if "//sts." in (options.get("endpoint_url") or ""):
        options["endpoint_url"] = os.environ["AWS_ENDPOINT_URL"]
    return _create(self, *arguments, **options)


botocore.session.Session.create_client = _create_client  # type: ignore[method-assign]
