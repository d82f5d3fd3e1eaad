"""Any value that Checkov may hand over gets one of three verdicts, and nothing is raised.

A check that raises makes its finding vanish without a word.
"""

from __future__ import annotations

import datetime as dt
import math

import pytest
from checkov.ansible.checks.registry import registry as ansible_registry
from checkov.cloudformation.checks.resource.registry import cfn_registry
from checkov.common.checks.base_check import BaseCheck
from checkov.common.checks.base_check_registry import BaseCheckRegistry
from checkov.common.models.enums import CheckResult
from checkov.kubernetes.checks.resource.registry import registry as kubernetes_registry
from checkov.serverless.checks.complete.registry import complete_registry
from checkov.terraform.checks.resource.registry import resource_registry
from checkov.yaml_doc.registry import registry as yaml_registry
from checkov_cases import CHECKS, STATE, WINDOW
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

WORDS = ["false", "False", " TRUE ", "no", "${var.x}", "{{ x }}", "7", "-1", "6.5", "9" * 5000, ""]

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.just(10**400)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(WORDS)
    | st.binary(max_size=5)
    | st.just(dt.date(2026, 1, 1))
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=8) | st.integers() | st.none(), inner, max_size=3)
        | st.sets(st.integers() | st.text(max_size=5), max_size=2)
    ),
    max_leaves=8,
)


def blocks(*names: str) -> st.SearchStrategy[dict[str, object]]:
    """A mapping with some of the names that a check looks for, and whatever else."""
    known = st.dictionaries(st.sampled_from(names), values | st.lists(values, max_size=2))
    other = st.dictionaries(st.text(max_size=8) | st.integers(), values, max_size=2)
    return st.builds(lambda first, second: {**first, **second}, other, known)


SETTINGS = ("is_enabled", "isEnabled", "enabled", "Enabled", "PendingWindowInDays", "state")
WINDOWS = ("deletion_window_in_days", "deletionWindowInDays", "pending_window", "deletion_delay")
inner = blocks(*SETTINGS, *WINDOWS, "Fn::If")

CASES = {
    "terraform": (
        resource_registry,
        "aws_kms_key",
        blocks("is_enabled", "deletion_window_in_days", "count", "for_each", "arn")
        | blocks("__change_actions__", "__address__", "__start_line__", "is_enabled"),
    ),
    "cloudformation": (
        cfn_registry,
        "AWS::KMS::Key",
        blocks("Properties") | st.builds(lambda found: {"Properties": found}, inner),
    ),
    "crossplane": (
        kubernetes_registry,
        "Key",
        blocks("apiVersion", "kind", "spec")
        | st.builds(
            lambda provider, initial, policies: {
                "apiVersion": "kms.aws.upbound.io/v1beta1",
                "kind": "Key",
                "spec": {
                    "forProvider": provider,
                    "initProvider": initial,
                    "managementPolicies": policies,
                },
            },
            inner | values,
            inner | values,
            values,
        ),
    ),
    "ansible": (
        ansible_registry,
        '[] | [?"amazon.aws.kms_key"||"community.aws.aws_kms"||"kms_key"||"aws_kms"]',
        blocks("kms_key", "aws_kms", "when", "args", "name", "check_mode", "module_defaults")
        | st.builds(lambda found, args: {"kms_key": found, "args": args}, inner, inner | values)
        | values,
    ),
    "serverless": (
        complete_registry,
        "serverless_aws",
        st.builds(
            lambda name, key: {"resources": {name: {"Resources": {"key": key}}}},
            st.text(max_size=8),
            values | st.builds(lambda found: {"Type": "AWS::KMS::Key", "Properties": found}, inner),
        )
        | st.builds(lambda found: {"resources": found}, values),
    ),
    "pulumi": (
        yaml_registry,
        "([@.resources][?type(@)=='object' && length(values(@)[?type(@)!='object'])==`2`] | [0])"
        " || `[]`",
        blocks("type", "properties", "__startline__", "get")
        | st.builds(
            lambda found, line: {"type": "aws:kms:Key", "properties": found, "__startline__": line},
            inner | values,
            values,
        )
        | values,
    ),
}


@pytest.fixture(scope="module", autouse=True)
def _loaded() -> None:
    resource_registry.load_external_checks(str(CHECKS))


def checks(registry: BaseCheckRegistry, entity: str) -> list[BaseCheck]:
    registered = [*registry.checks[entity], *registry.wildcard_checks[entity]]
    return [check for check in registered if check.id in {STATE, WINDOW}]


@pytest.mark.parametrize("family", CASES)
def test_both_checks_are_registered(family: str) -> None:
    registry, entity, _ = CASES[family]
    assert {check.id for check in checks(registry, entity)} == {STATE, WINDOW}


@pytest.mark.parametrize("family", CASES)
@settings(
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.differing_executors],
)
@given(data=st.data())
def test_a_check_never_raises(family: str, data: st.DataObject) -> None:
    registry, entity, confs = CASES[family]
    conf = data.draw(confs)
    for check in checks(registry, entity):
        check.graph = None
        result = check.run(
            scanned_file="/nowhere",
            entity_configuration=conf,
            entity_name="key",
            entity_type=entity,
            skip_info={},
        )["result"]
        assert (result[0] if isinstance(result, tuple) else result) in CheckResult


def evaluate(check_id: str, value: object) -> CheckResult:
    check = next(c for c in checks(cfn_registry, "AWS::KMS::Key") if c.id == check_id)
    return check.scan_entity_conf(
        {"Properties": {"Enabled": value, "PendingWindowInDays": value}}, "AWS::KMS::Key"
    )


@given(values)
@example(value=0)
@example(value=0.0)
@example(value=1)
@example(value="0")
@example(value="no")
def test_only_a_literal_is_a_state(value: object) -> None:
    word = value.strip().lower() if isinstance(value, str) else value
    expected = CheckResult.UNKNOWN
    if word is False or word == "false":
        expected = CheckResult.FAILED
    elif word is True or word is None or word == "true":
        expected = CheckResult.PASSED
    assert evaluate(STATE, value) is expected


@given(scalars)
@example(value=math.nan)
@example(value=math.inf)
@example(value=True)
@example(value=7.5)
@example(value="7.5")
@example(value=10**400)
@example(value="9" * 5000)
@example(value="٣")
def test_only_a_number_outside_7_to_30_fails(value: object) -> None:
    verdict = evaluate(WINDOW, value)
    try:
        days = float(str(value)) if isinstance(value, str) else value
    except ValueError:
        days = None
    is_number = isinstance(days, int | float) and not isinstance(days, bool)
    if verdict is CheckResult.FAILED:
        assert is_number
        assert days < 7 or days > 30
    elif verdict is CheckResult.PASSED:
        assert value is None or (is_number and 7 <= days <= 30 and int(days) == days)
    elif is_number and isinstance(value, int):
        pytest.fail("a whole number is always evaluated")


@pytest.mark.parametrize("days", range(-1, 40))
def test_each_day_of_the_window(days: int) -> None:
    expected = CheckResult.PASSED if 7 <= days <= 30 else CheckResult.FAILED
    assert evaluate(WINDOW, days) is expected
    assert evaluate(WINDOW, str(days)) is expected
