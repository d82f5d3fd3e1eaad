"""A `sitecustomize` for Prowler before 5.30.0, which sets AWS's STS endpoint explicitly.

That takes precedence over AWS_ENDPOINT_URL, so that verifying would call the real STS. Only this
endpoint is changed.
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
