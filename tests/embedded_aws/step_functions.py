"""AWS Step Functions: moto's interpreter, connected to this server.

The interpreter calls other services as the role of its state machine, so that its permissions
count. Added is what moto 5.2.5 lacks: names of parameters and results as the integrations write
them, and failures of Amazon ECS. "Run Amazon ECS or Fargate tasks with Step Functions" (AWS Step
Functions Developer Guide): a task whose container ends with another exit code than 0 fails with
States.TaskFailed, and the cause is the task's description as JSON.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from typing import Any

import boto3
from botocore import xform_name
from botocore.client import BaseClient
from botocore.config import Config
from moto.core.config import default_user_config
from moto.core.utils import get_service_model
from moto.stepfunctions.parser.api import HistoryEventType, TaskFailedEventDetails
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import (
    FailureEvent,
    FailureEventException,
)
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import (
    StatesErrorName,
)
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import (
    StatesErrorNameType,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_map.item_reader.eval import (
    resource_eval_s3,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import (
    state_task_service,
    state_task_service_aws_sdk,
    state_task_service_ecs,
)
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails
from moto.stepfunctions.parser.asl.utils import json_path
from moto.stepfunctions.parser.asl.utils.encoding import to_json_str

Json = dict[str, Any]
Credentials = Mapping[str, str]

_AS_IT_IS = Config(parameter_validation=False, retries={"total_max_attempts": 1})


def connect(endpoint: str, credentials: Callable[[str], Credentials]) -> None:
    """Let the interpreter run, and call this endpoint; `credentials` of a role are boto3's."""
    default_user_config["stepfunctions"] = {"execute_state_machine": True}

    @functools.cache
    def made(region: str, service: str, role: str) -> BaseClient:
        return boto3.client(
            service,
            region_name=region,
            endpoint_url=endpoint,
            config=_AS_IT_IS,
            **credentials(role),
        )

    def client(region: str, service: str, state_credentials: Any) -> BaseClient:
        return made(region, service, state_credentials.role_arn)

    for module in (resource_eval_s3, state_task_service_aws_sdk, state_task_service_ecs):
        module.boto_client_for = client
    service = state_task_service.StateTaskService
    service._normalise_parameters = _to_request  # type: ignore[method-assign]
    service._normalise_response = _from_response  # type: ignore[method-assign]
    ecs = state_task_service_ecs.StateTaskServiceEcs
    ecs._build_sync_resolver = _ended_task  # type: ignore[method-assign]
    json_path._contains_slice_or_wildcard_array = _is_indefinite


def _shapes(task: Any, service: str | None, action: str | None) -> Any:
    """botocore's model of the operation that a task calls."""
    model = get_service_model(task._get_boto_service_name(service))
    wanted = task._get_boto_service_action(action)
    (name,) = [one for one in model.operation_names if xform_name(one) == xform_name(wanted)]
    return model.operation_model(name)


def _to_request(
    self: Any,
    parameters: Json,
    boto_service_name: str | None = None,
    service_action_name: str | None = None,
) -> None:
    """Parameters in PascalCase as the API's; a document for a body of bytes is JSON."""
    operation = _shapes(self, boto_service_name, service_action_name)
    self._to_boto_request(parameters, operation.input_shape)


def _from_response(
    self: Any,
    response: Any,
    boto_service_name: str | None = None,
    service_action_name: str | None = None,
) -> None:
    """Results in PascalCase, with times as texts."""
    operation = _shapes(self, boto_service_name, service_action_name)
    self._from_boto_response(response, operation.output_shape)
    plain = json.loads(to_json_str(response))
    response.clear()
    response.update(plain)


def _ended_task(
    self: Any,
    env: Any,
    resource_runtime_part: Any,
    normalised_parameters: Json,
    state_credentials: Any,
) -> Callable[[], Json | None]:
    """The description of a task that ended with 0, or None while it runs."""
    started = env.stack.pop()
    client = state_task_service_ecs.boto_client_for(
        resource_runtime_part.region, "ecs", state_credentials
    )
    (task,) = started["Tasks"]

    def look() -> Json | None:
        found = client.describe_tasks(cluster=task["ClusterArn"], tasks=[task["TaskArn"]])
        found.pop("ResponseMetadata")
        self._normalise_response(found, service_action_name="describe_tasks")
        (now,) = found["Tasks"]
        if now["LastStatus"] != "STOPPED":
            return None
        if all(one.get("ExitCode") == 0 for one in now["Containers"]):
            ended: Json = now
            return ended
        error = StatesErrorName(StatesErrorNameType.StatesTaskFailed)
        details = TaskFailedEventDetails(
            resource=self._get_sfn_resource(),
            resourceType=self._get_sfn_resource_type(),
            error=error.error_name,
            cause=to_json_str(now),
        )
        raise FailureEventException(
            FailureEvent(
                env,
                error,
                HistoryEventType.TaskFailed,
                EventDetails(taskFailedEventDetails=details),
            )
        )

    return look


def _is_indefinite(path: str) -> bool:
    """Whether a path that finds nothing is an empty list: it has a wildcard or a filter."""
    return "[*]" in path or "[?(" in path
