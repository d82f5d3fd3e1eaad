"""The Step Functions template and image: AWS would take them, and their commands exist."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from cfn_lint import demand_clean
from organization import (
    DOCKERFILE,
    ENTRY_POINT,
    FOLDER,
    TEMPLATE,
    Deployment,
    commands,
    instructions,
    states,
    template,
)
from organization_runs import GIVEN, HISTORY

from documents.member_roles import ROLES, TEMPLATE_SIZE
from keysweep.remediation.cli import main
from keysweep.remediation.cli.lazy_command import LazyCommand

ROOT = Path(__file__).resolve().parents[2]
RESOURCES: Any = template()["Resources"]
MACHINE = RESOURCES["StateMachine"]["Properties"]["Definition"]
STATES = states(MACHINE)


def test_cloudformation_would_take_the_template() -> None:
    demand_clean(TEMPLATE)
    assert len(TEMPLATE.read_bytes()) <= TEMPLATE_SIZE


def test_the_folder_holds_what_the_page_names() -> None:
    assert {path.name for path in FOLDER.iterdir() if path.is_file()} == {
        TEMPLATE.name,
        DOCKERFILE.name,
        ENTRY_POINT.name,
    }


@pytest.mark.parametrize("state", ["Doctor", "Plan", "Index"])
def test_the_command_of_a_task_is_one_that_keysweep_takes(state: str) -> None:
    words = commands()[state]
    name, *given = words[words.index("keysweep") + 1 :]
    command = main.keysweep.commands[name]
    assert isinstance(command, LazyCommand)
    command.load().make_context(name, [word.replace("{}", "111122223333") for word in given])


def test_no_task_changes_a_key() -> None:
    run = {
        words[words.index("keysweep") + 1] for words in commands().values() if "keysweep" in words
    }
    assert run == {"doctor", "plan", "index"}
    assert {name for name, words in commands().items() if "keysweep" not in words} == {"Scan"}


def test_every_task_that_can_fail_is_caught_or_ends_the_run() -> None:
    tasks = {name: one for name, one in STATES.items() if one["Type"] == "Task"}
    listing = {"FirstPage", "NextPage", "KeepAccounts"}
    for name, task in tasks.items():
        caught = [error for one in task.get("Catch", ()) for error in one["ErrorEquals"]]
        assert caught == ([] if name in listing else ["States.ALL"]), name
        # Step Functions retries States.TaskFailed whatever the exit code was.
        retried = {error for one in task.get("Retry", ()) for error in one["ErrorEquals"]}
        assert not retried & {"States.ALL", "States.TaskFailed"}, name


def test_every_state_is_reached() -> None:
    named = set(re.findall(r'"(?:Next|Default|StartAt)": "(\w+)"', json.dumps(MACHINE)))
    assert named == set(STATES)


def test_what_is_substituted_is_given_and_used() -> None:
    used = set(re.findall(r"\$\{(\w+)\}", json.dumps(MACHINE)))
    assert used == set(RESOURCES["StateMachine"]["Properties"]["DefinitionSubstitutions"])


def test_the_roles_of_the_stackset_are_the_default() -> None:
    assert template()["Parameters"]["PlanRoleName"]["Default"] in ROLES


def test_only_these_services_of_this_account_take_the_roles() -> None:
    for name, one in RESOURCES.items():
        if one["Type"] != "AWS::IAM::Role":
            continue
        (statement,) = one["Properties"]["AssumeRolePolicyDocument"]["Statement"]
        service = "states" if name == "StateMachineRole" else "ecs-tasks"
        assert statement["Principal"] == {"Service": f"{service}.amazonaws.com"}
        assert statement["Condition"] == {
            "StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
        }


def test_what_needs_any_resource_is_known() -> None:
    """ECS logs in to the registry, and Organizations lists accounts, without a resource to name."""
    wide = {
        action
        for one in RESOURCES.values()
        if one["Type"] == "AWS::IAM::Role"
        for policy in one["Properties"]["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Resource"] == "*"
        for action in [statement["Action"]]
    }
    assert wide == {"ecr:GetAuthorizationToken", "organizations:ListAccounts"}


def test_the_plan_task_has_the_permissions_of_the_history_document() -> None:
    """The same actions on the same kinds of resources, with this account's and Region's names."""
    keys = "arn:aws:kms:eu-west-1:111122223333:key/1,arn:aws:kms:eu-west-1:444455556666:key/2"
    made = Deployment("111122223333", "eu-west-1", {**GIVEN, **HISTORY, "HistoryKeyArns": keys})
    text = (ROOT / "policies" / "iam" / "history.json").read_text(encoding="utf-8")
    for service in ("athena", "glue"):
        text = text.replace(f"arn:aws:{service}:*:", f"arn:aws:{service}:eu-west-1:")
    for name in ("WORKGROUP", "DATABASE", "TABLE"):
        text = text.replace(name, HISTORY[f"History{name.capitalize()}"])
    text = text.replace('"arn:aws:kms:*:111122223333:key/*"', json.dumps(keys.split(",")))
    given = {
        json.dumps(each(statement), sort_keys=True)
        for document in made.roles["PlanTaskRole"]
        for statement in document["Statement"]
    }
    needed = {
        json.dumps(each(statement), sort_keys=True) for statement in json.loads(text)["Statement"]
    }
    assert needed <= given
    (without,) = Deployment("111122223333", "eu-west-1", GIVEN).roles["PlanTaskRole"]
    assert {json.dumps(each(one), sort_keys=True) for one in without["Statement"]} == given - needed
    others = {name for name in made.roles if name != "PlanTaskRole"}
    assert not {"athena", "glue"} & {
        action.partition(":")[0]
        for name in others
        for document in made.roles[name]
        for statement in document["Statement"]
        for action in each(statement)["Action"]
    }


def each(statement: dict[str, Any]) -> dict[str, Any]:
    """The statement with lists of actions and resources."""
    return {
        name: [value] if name in {"Action", "Resource"} and isinstance(value, str) else value
        for name, value in statement.items()
    }


@pytest.mark.parametrize("missing", HISTORY)
def test_history_in_athena_is_given_whole_or_not_at_all(missing: str) -> None:
    given = {name: value for name, value in HISTORY.items() if name != missing}
    with pytest.raises(ValueError, match=r"History(IsComplete|HasWorkgroup)"):
        Deployment("111122223333", "eu-west-1", {**GIVEN, **given})


def test_the_image_has_the_tested_prowler_and_starts_the_script() -> None:
    found = instructions()
    (entry,) = [json.loads(given) for name, given in found if name == "ENTRYPOINT"]
    (copied,) = [given.split() for name, given in found if name == "COPY"]
    assert copied == [ENTRY_POINT.name, entry[-1]]
    pinned = (ROOT / "tests" / "requirements-prowler.txt").read_text(encoding="utf-8")
    (prowler,) = re.findall(r"^prowler==\S+", pinned, re.MULTILINE)
    assert ("ARG", f"PROWLER={prowler}") in found
