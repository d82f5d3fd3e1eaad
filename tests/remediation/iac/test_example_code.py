"""The example code and its state speak of keys that the example scenario has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from embedded_aws import names
from keysweep.remediation.iac.cloudformation import RESOURCE_TYPES
from keysweep.remediation.iac.terraform_states import read_state

EXAMPLES = Path(__file__).parents[3] / "examples"
CODE = EXAMPLES / "code"
SHOP = "111122223333"


def test_the_state_owns_the_keys_that_the_code_declares() -> None:
    state = read_state(EXAMPLES / "states" / "prod.json")
    assert {(str(key.address), key.key_id) for key in state.keys} == {
        (
            f'module.cart["cart.{number}"].aws_kms_key.this',
            names.key_id(SHOP, "eu-west-1", f"legacy-cart-{number}"),
        )
        for number in (4, 5)
    }


def test_the_manifest_names_its_key() -> None:
    manifest = yaml.safe_load((CODE / "crossplane" / "pilot.yaml").read_text(encoding="utf-8"))
    named = manifest["metadata"]["annotations"]["crossplane.io/external-name"]
    assert named == names.key_id(SHOP, manifest["spec"]["forProvider"]["region"], "pilot-2")


def test_the_task_names_an_alias_of_the_scenario() -> None:
    (play,) = yaml.safe_load((CODE / "ansible" / "cdn.yml").read_text(encoding="utf-8"))
    task = play["tasks"][0]["amazon.aws.kms_key"]
    region = _scenario()["accounts"][SHOP]["regions"][task["region"]]
    aliases = {alias for key in region["keys"] for alias in key.get("aliases", ())}
    assert f"alias/{task['alias']}" in aliases


def test_the_stack_of_the_scenario_owns_the_logical_id_of_the_template() -> None:
    template = yaml.safe_load((CODE / "cloudformation" / "pilot.yaml").read_text(encoding="utf-8"))
    (logical_id,) = template["Resources"]
    assert logical_id == "Key"
    assert template["Resources"][logical_id]["Type"] in RESOURCE_TYPES
    (stack,) = _scenario()["accounts"][SHOP]["regions"]["eu-central-1"]["resources"]
    assert stack == {"type": "stack", "name": "pilot", "key": "pilot-3"}


def _scenario() -> Any:
    return yaml.safe_load((EXAMPLES / "scenario.yaml").read_text(encoding="utf-8"))
