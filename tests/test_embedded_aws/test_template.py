"""Servers that are forked from one process share what it has loaded, and no state."""

from __future__ import annotations

import contextlib
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from embedded_aws.process import EmbeddedAws
from embedded_aws.template import VARIABLE, template
from embedded_aws.testing import ACCOUNT, Lab

KEYS = {"regions": {"eu-west-1": {"keys": [{"name": "one"}]}}}


@pytest.fixture(scope="module")
def forks() -> Iterator[None]:
    """The session's template, or one of its own without `-n`."""
    with contextlib.nullcontext() if VARIABLE in os.environ else template():
        yield


@pytest.mark.usefixtures("forks")
def test_servers_share_no_state() -> None:
    with EmbeddedAws({"accounts": {ACCOUNT: KEYS}}) as first, EmbeddedAws() as second:
        queue = Lab(first).client("sqs").create_queue(QueueName="q")["QueueUrl"]
        assert queue.rsplit("/", 1)[1] == "q"
        second.reset({"accounts": {ACCOUNT: {"regions": {"eu-west-1": {}}}}})
        assert "QueueUrls" not in Lab(second).client("sqs").list_queues()
        assert len(Lab(first).client("sqs").list_queues()["QueueUrls"]) == 1
        assert [len(aws.keys()) for aws in (first, second)] == [1, 0]
        second.advance(days=30)
        assert second.now() - first.now() > 29 * 86_400


@pytest.mark.usefixtures("forks")
def test_a_server_ends_when_it_is_stopped() -> None:
    with EmbeddedAws() as aws:
        assert aws.now()
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(aws.endpoint, timeout=60)


@pytest.mark.usefixtures("forks")
def test_a_server_reads_its_scenario_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "scenario.yaml"
    path.write_text(
        f"accounts: {{'{ACCOUNT}': {{regions: {{eu-west-1: {{keys: [{{name: a}}]}}}}}}}}",
        encoding="utf-8",
    )
    with EmbeddedAws(path) as aws:
        assert [key["name"] for key in aws.keys()] == ["a"]
    path.write_text("accounts: 1", encoding="utf-8")
    with pytest.raises(RuntimeError):
        EmbeddedAws(path).start()
