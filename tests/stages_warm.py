"""Imported by the process that test_kills.py forks its children from: reads what they need."""

from __future__ import annotations

from botocore.session import Session
from shared_models import share_documents

share_documents()
_session = Session()
_session.set_credentials("warm", "up")
for _service in ("kms", "sts"):
    _session.create_client(_service, "eu-west-1")
