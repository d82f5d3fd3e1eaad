"""State machines, ECS tasks as processes, the accounts of an organization, IAM's resources."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from embedded_aws.process import EmbeddedAws
from embedded_aws.testing import outcome

TOOL, OTHER, CLOSED, REGION = "111111111111", "222222222222", "333333333333", "eu-west-1"
TASK_ROLE = f"arn:aws:iam::{TOOL}:role/Task"
NETWORK = {"awsvpcConfiguration": {"subnets": ["subnet-1"]}}


def allowed(*actions: str, on: str = "*") -> dict[str, Any]:
    return {"Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": on}]}


def scenario(folder: Path) -> dict[str, Any]:
    shell = {"entry_point": ["/bin/sh", "-c"], "log": str(folder / "log")}
    roles = {
        "Task": {"policies": [allowed("s3:PutObject", on="arn:aws:s3:::here/mine/*")]},
        "Machine": {"policies": [allowed("ecs:*")]},
        "Bare": {"policies": [allowed("ecs:DescribeTasks")]},
    }
    return {
        "images": {"shell": shell},
        "accounts": {
            TOOL: {"regions": [REGION], "roles": roles},
            OTHER: {"regions": [REGION], "name": "other"},
            CLOSED: {"regions": [REGION], "status": "SUSPENDED"},
            **{f"4{n:011}": {"regions": [REGION]} for n in range(38)},
        },
    }


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedAws]:
    with EmbeddedAws() as aws:
        yield aws


@pytest.fixture
def aws(server: EmbeddedAws, tmp_path: Path) -> EmbeddedAws:
    server.reset(scenario(tmp_path))
    ecs = client(server, "ecs")
    ecs.create_cluster(clusterName="c")
    for image in ("shell", "missing"):
        ecs.register_task_definition(
            family=image,
            requiresCompatibilities=["FARGATE"],
            networkMode="awsvpc",
            cpu="256",
            memory="512",
            taskRoleArn=TASK_ROLE,
            containerDefinitions=[
                {
                    "name": "main",
                    "image": image,
                    "command": ["exit 0"],
                    "environment": [{"name": "GIVEN", "value": "defined"}],
                }
            ],
        )
    return server


def client(aws: EmbeddedAws, service: str, account: str = TOOL) -> Any:
    return boto3.client(service, **aws.client_arguments(account, REGION))


def run(aws: EmbeddedAws, *command: str, image: str = "shell", **more: Any) -> dict[str, Any]:
    """Start a task, which may override its command."""
    override = {"name": "main", **({"command": list(command)} if command else {}), **more}
    (task,) = client(aws, "ecs").run_task(
        cluster="c",
        taskDefinition=image,
        launchType="FARGATE",
        networkConfiguration=NETWORK,
        overrides={"containerOverrides": [override]},
    )["tasks"]
    return dict(task)


def ended(aws: EmbeddedAws, task: dict[str, Any]) -> dict[str, Any]:
    for _ in range(200):
        found = client(aws, "ecs").describe_tasks(cluster="c", tasks=[task["taskArn"]])
        if found["tasks"][0]["lastStatus"] == "STOPPED":
            return dict(found["tasks"][0])
        time.sleep(0.05)
    raise TimeoutError


def test_a_task_ends_with_its_processs_exit_code(aws: EmbeddedAws) -> None:
    codes = [
        ended(aws, run(aws, *command))["containers"][0]["exitCode"]
        for command in ((), ("exit 3",), ("kill -9 $$",))
    ]
    assert codes == [0, 3, 137]


def test_a_container_has_its_own_environment_and_the_task_role(
    aws: EmbeddedAws, tmp_path: Path
) -> None:
    more = [{"name": "MORE", "value": "overridden"}]
    ended(aws, run(aws, "echo $GIVEN $MORE $AWS_ACCESS_KEY_ID $HOME", environment=more))
    given, overridden, key, *home = (tmp_path / "log").read_text(encoding="utf-8").split()
    assert (given, overridden, home) == ("defined", "overridden", [])
    client(aws, "s3").create_bucket(
        Bucket="here", CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    s3 = boto3.client(
        "s3",
        endpoint_url=aws.endpoint,
        region_name=REGION,
        aws_access_key_id=key,
        aws_secret_access_key="secret",
        aws_session_token="token",
    )
    assert outcome(s3.put_object, Bucket="here", Key="mine/x", Body=b"") == "ok"
    assert outcome(s3.put_object, Bucket="here", Key="other/x", Body=b"") == "AccessDenied"


def test_what_cannot_start_has_no_exit_code(aws: EmbeddedAws) -> None:
    task = ended(aws, run(aws, image="missing"))
    assert task["stopCode"] == "TaskFailedToStart"
    assert "exitCode" not in task["containers"][0]
    ecs = client(aws, "ecs")
    where = {"cluster": "c", "taskDefinition": "shell", "launchType": "FARGATE"}
    assert outcome(ecs.run_task, **where) == "InvalidParameterException"
    elsewhere = {**where, "cluster": "d", "networkConfiguration": NETWORK}
    assert outcome(ecs.run_task, **elsewhere) == "ClusterNotFoundException"


def test_a_task_that_is_stopped_or_forgotten_ends(aws: EmbeddedAws, tmp_path: Path) -> None:
    task = run(aws, f"echo $$ > {tmp_path}/pid; exec sleep 60")
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text(encoding="utf-8"):
        time.sleep(0.05)
    client(aws, "ecs").stop_task(cluster="c", task=task["taskArn"], reason="enough")
    assert ended(aws, task)["stoppedReason"] == "enough"
    run(aws, f"echo $$ > {tmp_path}/other; exec sleep 60")
    while not (tmp_path / "other").exists() or not (tmp_path / "other").read_text(encoding="utf-8"):
        time.sleep(0.05)
    other = Path("/proc") / (tmp_path / "other").read_text(encoding="utf-8").strip()
    assert other.exists()
    aws.reset()
    assert not other.exists()


@pytest.mark.parametrize(
    ("role", "command", "code"),
    [("Machine", "exit 0", 0), ("Machine", "exit 2", 2), ("Bare", "exit 0", None)],
)
def test_a_state_machine_runs_tasks_as_its_role(
    aws: EmbeddedAws, role: str, command: str, code: int | None
) -> None:
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::ecs:runTask.sync",
        "Parameters": {
            "Cluster": "c",
            "TaskDefinition": "shell",
            "LaunchType": "FARGATE",
            "NetworkConfiguration": {"AwsvpcConfiguration": {"Subnets": ["subnet-1"]}},
            "Overrides": {"ContainerOverrides": [{"Name": "main", "Command": [command]}]},
        },
        "End": True,
    }
    states = client(aws, "stepfunctions")
    machine = states.create_state_machine(
        name="one",
        definition=json.dumps({"StartAt": "Run", "States": {"Run": task}}),
        roleArn=f"arn:aws:iam::{TOOL}:role/{role}",
    )["stateMachineArn"]
    execution = states.start_execution(stateMachineArn=machine)["executionArn"]
    found = states.describe_execution(executionArn=execution)
    while found["status"] == "RUNNING":
        time.sleep(0.1)
        found = states.describe_execution(executionArn=execution)
    assert found["status"] == ("SUCCEEDED" if code == 0 else "FAILED")
    if code is None:
        assert aws.calls(operation="RunTask")[-1]["outcome"] == "AccessDeniedException"
    else:
        described = json.loads(found["cause" if code else "output"])
        assert described["Containers"][0]["ExitCode"] == code
        assert found.get("error") == ("States.TaskFailed" if code else None)


def test_the_first_account_lists_all_in_pages(aws: EmbeddedAws) -> None:
    organizations = client(aws, "organizations")
    pages = [*organizations.get_paginator("list_accounts").paginate()]
    listed = [account for page in pages for account in page["Accounts"]]
    assert [len(page["Accounts"]) for page in pages] == [20, 20, 1]
    assert [account["Id"] for account in listed[:3]] == [TOOL, OTHER, CLOSED]
    assert {account["State"] for account in listed} == {"ACTIVE", "SUSPENDED"}
    other = client(aws, "organizations", OTHER)
    assert outcome(other.list_accounts) == "AccessDeniedException"
