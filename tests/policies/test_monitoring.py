"""The alarms that people install: whole, the same in both tools, and true to AWS's message."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from botocore.exceptions import ClientError
from cfn_lint import demand_clean

from embedded_aws.process import EmbeddedAws
from keysweep.remediation.policy import policies_folder

SHOP = "111122223333"
FOLDER = Path(str(policies_folder())) / "monitoring"
TEMPLATE = FOLDER / "pending-key-use.yaml"
MODULE = FOLDER / "terraform" / "main.tf"


class _Loader(yaml.SafeLoader):
    """Reads CloudFormation's short functions as their names and arguments."""


def _function(loader: yaml.Loader, name: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return {name: loader.construct_scalar(node)}
    assert isinstance(node, yaml.SequenceNode)
    return {name: loader.construct_sequence(node, deep=True)}


_Loader.add_multi_constructor("!", _function)  # type: ignore[no-untyped-call]


def template() -> Any:
    return yaml.load(TEMPLATE.read_text(encoding="utf-8"), _Loader)


def rule() -> Any:
    return template()["Resources"]["Rule"]["Properties"]


@pytest.mark.sample
def test_cloudformation_would_take_the_template() -> None:
    demand_clean(TEMPLATE)


@pytest.mark.sample
def test_terraform_reads_the_module_and_it_makes_the_same() -> None:
    checkov = os.environ.get("KEYSWEEP_CHECKOV", "")
    assert Path(checkov).is_file(), "no checkov: run these tests with `make test`"
    done = subprocess.run(
        [checkov, "-d", str(MODULE.parent), "--framework", "terraform", "-o", "json", "--quiet"],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        timeout=240,
    )
    report = json.loads(done.stdout)
    assert report["summary"]["parsing_errors"] == 0, done.stdout
    assert report["summary"]["resource_count"] == len(template()["Resources"]) + 1, (
        "a target is a resource of its own in Terraform"
    )


def test_template_and_module_match_the_same_events() -> None:
    text = MODULE.read_text(encoding="utf-8")
    resources = template()["Resources"]
    pattern = rule()["EventPattern"]["detail"]
    assert f'state       = "{rule()["State"]}"' in text
    assert f'errorMessage = [{{ suffix = "{pattern["errorMessage"][0]["suffix"]}" }}]' in text
    assert f'eventSource  = ["{pattern["eventSource"][0]}"]' in text
    escaped = resources["MetricFilter"]["Properties"]["FilterPattern"].replace('"', '\\"')
    assert escaped in text


def test_the_pattern_matches_the_error_of_a_refused_call() -> None:
    with EmbeddedAws(
        {
            "accounts": {
                SHOP: {
                    "regions": {"eu-west-1": {"keys": [{"name": "k", "state": "PendingDeletion"}]}}
                }
            }
        }
    ) as aws:
        kms = boto3.client("kms", **aws.client_arguments(SHOP, "eu-west-1"))
        with pytest.raises(ClientError) as refused:
            kms.encrypt(KeyId=aws.key_arn(SHOP, "eu-west-1", "k"), Plaintext=b"x")
    message = refused.value.response["Error"]["Message"]
    (wanted,) = rule()["EventPattern"]["detail"]["errorMessage"]
    assert message.endswith(wanted["suffix"])
    found = re.search(
        r'errorMessage = "\*(.*)"',
        template()["Resources"]["MetricFilter"]["Properties"]["FilterPattern"],
    )
    assert found is not None
    assert message.endswith(found[1])


def test_the_rule_matches_read_events_too() -> None:
    assert rule()["State"] == "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"


def test_only_this_account_may_notify() -> None:
    (statement,) = template()["Resources"]["TopicPolicy"]["Properties"]["PolicyDocument"][
        "Statement"
    ]
    assert statement["Condition"] == {
        "StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    }
