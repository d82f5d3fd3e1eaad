"""The stages of the command with a journal in S3."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import boto3
from scenarios import SHOP
from stages import Stages

from embedded_aws.process import EmbeddedAws
from keysweep.remediation import journal as journal_stage
from keysweep.remediation.aws import Accounts, ClientSettings
from keysweep.remediation.journal import JournalName
from keysweep.remediation.journal.s3_lock import LOCK
from keysweep.remediation.journal.s3_store import S3Store
from keysweep.remediation.journal.store import Reading

BUCKET = "audit-journal"
NAME = f"s3://{BUCKET}/team/"


def make_bucket(aws: EmbeddedAws) -> Any:
    """A bucket with versioning in the shop's account; its client."""
    client = boto3.client("s3", **aws.client_arguments(SHOP, "eu-west-1"))
    where = {"LocationConstraint": "eu-west-1"}
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration=where)
    client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    return client


class S3Stages(Stages):
    """Stages whose journal is in a bucket."""

    journal: S3Store  # type: ignore[assignment]

    def __post_init__(self) -> None:
        """Name the journal; each settings' client is made once."""

        @cache
        def client(settings: ClientSettings) -> Any:
            return Accounts(self.access, settings).own_client("s3")

        self.journal = S3Store(JournalName.parse(NAME), lambda: client(self.settings))

    def history(self) -> journal_stage.History:
        """What the journal says; nothing, before the first run."""
        if not self.journal.exists():
            return journal_stage.History({})
        return journal_stage.read([self.journal])

    def lines(self) -> list[dict[str, Any]]:
        """The journal's lines."""
        return list(self._lines())

    def _lines(self) -> Iterator[dict[str, Any]]:
        if self.journal.exists():
            reading = Reading()
            for _, raw in self.journal.read(reading):
                yield json.loads(raw)
            assert reading.problems == []

    def unlock(self) -> bool:
        """Remove the lock, as a person does after a killed run; whether there was one."""
        found = self.journal.bucket.get(LOCK)
        return found is not None and self.journal.bucket.delete(LOCK, found.etag)
