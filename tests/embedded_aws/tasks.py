"""Amazon ECS: each task runs its container's command as a process of this machine.

RunTask, DescribeTasks and StopTask are answered here, and clusters and task definitions by moto.
What AWS takes from the image, its ENTRYPOINT and ENV, the scenario gives (`images`). A container
has the credentials of the task role, and nothing of this process's own environment.
"""

from __future__ import annotations

import subprocess
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from .errors import AwsError
from .identity import Identities, Identity
from .names import environment, partition
from .scenario import Image

Json = dict[str, Any]

OPERATIONS = frozenset({"RunTask", "DescribeTasks", "StopTask"})

_EXITED = "EssentialContainerExited"
_STOPPED_BY_USER = "UserInitiated"
_NOT_STARTED = "TaskFailedToStart"


@dataclass
class _Task:
    """One task with its one container."""

    shown: Json
    """What DescribeTasks shows, but for the container's end."""
    process: subprocess.Popen[bytes] | None = None
    stop_code: str | None = None
    reason: str = ""
    started: float = field(default_factory=time.time)

    def described(self) -> Json:
        """The task as of now."""
        code = None if self.process is None else self.process.poll()
        if self.process is not None and code is None:
            return {**self.shown, "lastStatus": "RUNNING", "startedAt": self.started}
        container: Json = {**self.shown["containers"][0], "lastStatus": "STOPPED"}
        if code is not None:
            # As a shell and container runtimes count: 128 and the signal.
            container["exitCode"] = code if code >= 0 else 128 - code
        return {
            **self.shown,
            "lastStatus": "STOPPED",
            "desiredStatus": "STOPPED",
            "startedAt": self.started,
            "stoppedAt": time.time(),
            "stopCode": self.stop_code or _EXITED,
            "stoppedReason": self.reason or "Essential container in task exited",
            "containers": [container],
        }


class Tasks:
    """The tasks of one embedded AWS."""

    def __init__(self, images: Mapping[str, Image], identities: Identities) -> None:
        self._images = images
        self._identities = identities
        self._tasks: dict[str, _Task] = {}
        self._lock = threading.Lock()

    def answer(
        self, operation: str, identity: Identity, region: str, params: Json, endpoint: str
    ) -> Json:
        """Answer a request, or raise AwsError."""
        if operation == "RunTask":
            return self._run(identity, region, params, endpoint)
        if operation == "StopTask":
            task = self._find(params.get("task"))
            if task.process is not None and task.process.poll() is None:
                task.stop_code, task.reason = _STOPPED_BY_USER, str(params.get("reason", ""))
                task.process.terminate()
                task.process.wait()
            return {"task": task.described()}
        tasks = [self._find(name) for name in params.get("tasks", ())]
        return {"tasks": [task.described() for task in tasks], "failures": []}

    def end(self) -> None:
        """Kill what still runs."""
        with self._lock:
            running = [task.process for task in self._tasks.values() if task.process is not None]
        for process in running:
            if process.poll() is None:
                process.kill()
                process.wait()

    def _find(self, name: object) -> _Task:
        with self._lock:
            task = self._tasks.get(str(name).rsplit("/", 1)[-1])
        if task is None:
            raise AwsError("InvalidParameterException", "The referenced task was not found.")
        return task

    def _run(self, identity: Identity, region: str, params: Json, endpoint: str) -> Json:
        definition, cluster = _named(identity.account, region, params)
        network = params.get("networkConfiguration", {}).get("awsvpcConfiguration", {})
        if params.get("launchType") != "FARGATE" or not network.get("subnets"):
            raise AwsError("InvalidParameterException", "Network Configuration must be provided.")
        (container,) = definition["containerDefinitions"]
        overrides = params.get("overrides", {})
        (override,) = overrides.get("containerOverrides") or [{}]
        if override.get("name", container["name"]) != container["name"]:
            raise AwsError("InvalidParameterException", "Override for unknown container")
        if len(str(overrides)) > 8192:
            raise AwsError(
                "InvalidParameterException", "Container Overrides length must be <= 8192"
            )
        identifier = uuid.uuid4().hex
        arn = f"arn:{partition(region)}:ecs:{region}:{identity.account}:task/{cluster}/{identifier}"
        task = _Task(_shown(arn, cluster, definition, params))
        image = self._images.get(container["image"])
        if image is None:
            task.stop_code, task.reason = _NOT_STARTED, "CannotPullContainerError"
        else:
            session = self._identities.assume(
                identity, definition["taskRoleArn"], identifier, 3600, None
            )
            variables = [*container.get("environment", ()), *override.get("environment", ())]
            task.process = _start(
                [*image.entry_point, *(override.get("command") or container.get("command", ()))],
                {
                    **image.environment,
                    **{one["name"]: one["value"] for one in variables},
                    **_access(session, region, endpoint),
                },
                image.log and Path(image.log),
            )
        with self._lock:
            self._tasks[identifier] = task
        return {"tasks": [task.described()], "failures": []}


def _named(account: str, region: str, params: Json) -> tuple[Json, str]:
    """The task definition and the cluster's name."""
    from moto.ecs.models import ecs_backends

    backend = ecs_backends[account][region]
    definition = backend.describe_task_definition(params["taskDefinition"])
    cluster = str(params.get("cluster", "default")).rsplit("/", 1)[-1]
    if cluster not in backend.clusters:
        raise AwsError("ClusterNotFoundException", "Cluster not found.")
    return {
        "arn": definition.arn,
        "family": definition.family,
        "taskRoleArn": definition.task_role_arn,
        "containerDefinitions": definition.container_definitions,
    }, cluster


def _shown(arn: str, cluster: str, definition: Json, params: Json) -> Json:
    (container,) = definition["containerDefinitions"]
    return {
        "taskArn": arn,
        "clusterArn": f"{arn.split(':task/', maxsplit=1)[0]}:cluster/{cluster}",
        "taskDefinitionArn": definition["arn"],
        "group": f"family:{definition['family']}",
        "launchType": "FARGATE",
        "lastStatus": "PROVISIONING",
        "desiredStatus": "RUNNING",
        "startedBy": params.get("startedBy", ""),
        "overrides": params.get("overrides", {}),
        "createdAt": time.time(),
        "containers": [
            {
                "containerArn": arn.replace(":task/", ":container/"),
                "taskArn": arn,
                "name": container["name"],
                "image": container["image"],
                "lastStatus": "PENDING",
            }
        ],
    }


def _access(session: Identity, region: str, endpoint: str) -> dict[str, str]:
    """What leads AWS's SDKs to this server, as the task role."""
    variables = environment(endpoint, region, session.access_key, "secret")
    return {**variables, "AWS_SESSION_TOKEN": "token"}


def _start(
    command: list[str], environment: Mapping[str, str], log: Path | None
) -> subprocess.Popen[bytes]:
    output: IO[bytes] | int = subprocess.DEVNULL if log is None else log.open("ab")
    try:
        return subprocess.Popen(
            command,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    except OSError as error:
        raise AwsError("InvalidParameterException", f"{command[0]}: {error.strerror}") from error
    finally:
        if not isinstance(output, int):
            output.close()
