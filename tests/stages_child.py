"""What test_kills.py kills: one stage in a process of its own.

A module of its own, since a child finds functions by modules that can be imported.
"""

from __future__ import annotations

import os
import time
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.httpsession import URLLib3Session
from command_runs import send_at_once
from stages import Stages, state_only

from embedded_aws.process import EmbeddedAws
from keysweep.remediation import planfile
from keysweep.remediation import write as write_stage

WISHES = {"protected_tag": "keysweep:keep", "enable": True}


def child(
    what: str,
    environment: dict[str, str],
    endpoint: str,
    folder: str,
    connection: Connection,
    answer_seconds: float,
) -> None:
    """A run of a stage in a process of its own; says when it begins and when it has ended."""
    os.environ.update(environment)
    with pytest.MonkeyPatch.context() as patch:
        send_at_once(patch)
        answer_late(patch, answer_seconds)
        patch.setattr(write_stage, "READ_BACK_PAUSES", (0.0, 0.1, 0.3))
        aws = EmbeddedAws()
        aws.endpoint = endpoint
        run = Stages(aws, Path(folder), state_only())
        plan = planfile.load(run.folder / "plan.json")
        connection.send("begin")
        if what == "apply":
            run.apply(plan)
        else:
            run.cancel(**WISHES)
        connection.send("end")


def answer_late(patch: pytest.MonkeyPatch, seconds: float) -> None:
    """Let a request and its answer be on their way for half of this time each."""
    send = URLLib3Session.send

    def late(session: URLLib3Session, request: AWSPreparedRequest) -> AWSResponse:
        time.sleep(seconds / 2)
        answer = send(session, request)
        time.sleep(seconds / 2)
        return answer

    patch.setattr(URLLib3Session, "send", late)
