"""From plans, templates, playbooks and manifests to keys."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from textwrap import dedent
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.stub import Stubber
from code_findings import SHOP, finding, key, led, only, state, traced
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keysweep.remediation.errors import AccountUnavailable, BadInput, KeysweepError
from keysweep.remediation.iac import ansible, crossplane, read_code
from keysweep.remediation.iac.cloudformation import Stack, StackKey, StackOption, read_stack
from keysweep.remediation.iac.key_names import FILE_CHANGED, KeyName, Unresolved
from keysweep.remediation.models import AccountRegion, CodeLocation

# --- Terraform's plans -------------------------------------------------------------------------


def planned(address: str = "aws_kms_key.a", *actions: str, **more: Any):
    return finding(address, "/plan.json", "terraform_plan", actions=actions, **more)


@pytest.mark.parametrize("action", ["no-op", "update", "read"])
def test_a_plan_that_keeps_the_key_names_it(action: str) -> None:
    found = traced([planned("aws_kms_key.a", action, arn=key(1))])
    assert led(found) == {"aws_kms_key.a": key(1)}
    (declared,) = found.declared_in(key(1))
    assert (declared.tool, declared.owner) == ("terraform", "aws_kms_key.a")
    assert (declared.file, declared.line) == ("/plan.json", 1)
    assert "apply" in declared.fix


@pytest.mark.parametrize(
    ("actions", "reason"),
    [
        (("create",), "creates"),
        (("delete", "create"), "replaces"),
        (("create", "delete"), "replaces"),
        (("delete",), "does not keep"),
        (("forget",), "does not keep"),
        (("something-new",), "does not keep"),
    ],
)
def test_a_key_that_the_plan_does_not_keep_is_never_acted_on(actions, reason: str) -> None:
    found = traced([planned("aws_kms_key.a", *actions, arn=key(1))])
    assert led(found) == {"aws_kms_key.a": None}
    assert reason in only(found).reason
    assert not found.declared_in(key(1))


def test_checkovs_own_check_leads_to_the_key_of_ours() -> None:
    theirs = planned(check="CKV_AWS_227")
    found = traced([theirs, planned("aws_kms_key.a", "no-op", arn=key(1))])
    assert [f.key_arn for f in found.findings] == [key(1), key(1)]
    elsewhere = planned("aws_kms_key.a", "no-op", arn=key(1), source="other.json")
    found = traced([theirs, elsewhere])
    assert [f.key_arn for f in found.findings] == [None, key(1)]
    assert "keysweep path checkov" in only(found).step


def test_checkovs_own_check_does_not_lead_to_a_key_that_is_replaced() -> None:
    replaced = planned("aws_kms_key.a", "delete", "create")
    found = traced([planned(check="CKV_AWS_227", arn=key(1)), replaced])
    assert [f.key_arn for f in found.findings] == [None, None]


def test_a_plan_and_a_state_of_one_key_are_one_declaration() -> None:
    found = traced([planned("aws_kms_key.a", "no-op", arn=key(1))], state("aws_kms_key.a"))
    assert [d.source for d in found.declared_in(key(1))] == ["a.tfstate"]


# --- CloudFormation ----------------------------------------------------------------------------


def template(logical_id: str, file: str = "/keys.yaml", framework: str = "cloudformation", **more):
    return finding(f"AWS::KMS::Key.{logical_id}", file, framework, **more)


def owned(stack: str, logical_id: str, number: int, template: str | None = None) -> StackKey:
    return StackKey(stack, logical_id, "AWS::KMS::Key", key(number), template)


@pytest.mark.parametrize("framework", ["cloudformation", "serverless"])
def test_the_logical_id_in_a_stack_is_the_key(framework: str) -> None:
    found = traced(
        [template("Orders", framework=framework, line=7)],
        stacks=(owned("shop", "Orders", 1), owned("shop", "Other", 2)),
    )
    assert led(found) == {"AWS::KMS::Key.Orders": key(1)}
    (declared,) = found.declared_in(key(1))
    assert (declared.tool, declared.owner, declared.source) == (
        "cloudformation",
        "shop Orders",
        "eu-west-1",
    )
    assert (declared.file, declared.line) == ("/keys.yaml", 7)
    assert "update the stack" in declared.fix


def test_without_the_stack_the_option_is_named() -> None:
    assert only(traced([template("Orders")])).step == "add --cfn-stack NAME[@REGION]"


def test_a_logical_id_of_another_type_is_not_the_one() -> None:
    replica = finding("AWS::KMS::ReplicaKey.Orders", "/keys.yaml", "cloudformation")
    assert only(traced([replica], stacks=(owned("shop", "Orders", 1),)))


def test_a_logical_id_of_two_stacks_is_ambiguous_until_the_template_is_given() -> None:
    code = template("Key", "/infra/a.yaml")
    stacks = (owned("blue", "Key", 1), owned("green", "Key", 2))
    unmapped = only(traced([code], stacks=stacks))
    assert {text.split(":")[0] for text in unmapped.candidates} == {"blue Key", "green Key"}
    assert "--cfn-stack infra/a.yaml=NAME[@REGION]" in unmapped.step
    owners = (owned("blue", "Key", 1, "infra/a.yaml"), owned("green", "Key", 2, "b.yaml"))
    assert led(traced([code], stacks=owners)) == {"AWS::KMS::Key.Key": key(1)}


def test_a_logical_id_of_two_templates_is_ambiguous_until_the_template_is_given(tmp_path) -> None:
    one = template("Key", "/a.yaml")
    two = template("Key", "/b.yaml", absolute_file=str(tmp_path / "b.yaml"))
    found = traced([one, two], stacks=(owned("blue", "Key", 1),))
    assert [f.key_arn for f in found.findings] == [None, None]
    assert {u.candidates for u in found.unmapped} == {(f"blue Key: {key(1)}",)}
    assert all("--cfn-stack" in u.step for u in found.unmapped)
    found = traced([one, two], stacks=(owned("blue", "Key", 1, str(tmp_path / "b.yaml")),))
    assert [f.key_arn for f in found.findings] == [None, key(1)]


@pytest.mark.parametrize(
    ("text", "option"),
    [
        ("shop", StackOption("shop")),
        ("shop@eu-west-1", StackOption("shop", "eu-west-1")),
        (
            "infra/a=b.yaml=shop-2@us-gov-west-1",
            StackOption("shop-2", "us-gov-west-1", "infra/a=b.yaml"),
        ),
        (
            "arn:aws:cloudformation:eu-west-1:111122223333:stack/shop/1-a",
            StackOption("arn:aws:cloudformation:eu-west-1:111122223333:stack/shop/1-a"),
        ),
    ],
)
def test_the_option_names_stack_region_and_template(text: str, option: StackOption) -> None:
    assert StackOption.parse(text) == option


@pytest.mark.parametrize(
    "text",
    [
        "",
        "shop@",
        "shop@here",
        "1shop",
        "=shop",
        "a b",
        "arn:aws:s3:::x",
        "arn:aws:cloudformation:eu-west-1:111122223333:stack/shop/1-a@eu-west-1",
    ],
)
def test_an_option_that_names_no_stack_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="--cfn-stack"):
        StackOption.parse(text)


class Here:
    """One account with stubbed clients."""

    changes_roles = True
    account_id, region, partition = SHOP, "eu-west-1", "aws"

    def __init__(self, service: str) -> None:
        self._client: Any = boto3.client(
            service,
            region_name=self.region,
            aws_access_key_id="AKIAIOSFODNN7EXAMPLE",
            aws_secret_access_key="example",
        )
        self.stub = Stubber(self._client)
        self.stub.activate()
        self.entered: list[object] = []

    def client(self, _service: str) -> Any:
        return self._client

    def own_connection(self, region: str | None = None) -> Here:
        self.entered.append(region)
        return self

    def connect(self, account_region: AccountRegion) -> Here:
        self.entered.append(account_region)
        return self


def listed(
    logical_id: str, physical: str, kind: str = "AWS::KMS::Key", status: str = "CREATE_COMPLETE"
):
    return {
        "LogicalResourceId": logical_id,
        "PhysicalResourceId": physical,
        "ResourceType": kind,
        "ResourceStatus": status,
        "LastUpdatedTimestamp": "2026-01-01T00:00:00Z",
    }


NESTED = f"arn:aws:cloudformation:eu-west-1:{SHOP}:stack/shop-Keys-1X/0a1b"


def test_a_stack_is_read_to_its_last_page_and_into_its_nested_stacks() -> None:
    here = Here("cloudformation")
    pages = [
        (
            {"StackName": "shop"},
            [listed("Orders", key(1).key_id), listed("Role", "role", "AWS::IAM::Role")],
            "more",
        ),
        (
            {"StackName": "shop", "NextToken": "more"},
            [
                listed("Keys", NESTED, "AWS::CloudFormation::Stack"),
                listed("Gone", key(8).key_id, status="DELETE_COMPLETE"),
                listed("Kept", key(9).key_id, status="DELETE_SKIPPED"),
                {**listed("Failed", ""), "ResourceStatus": "CREATE_FAILED"},
            ],
            None,
        ),
        ({"StackName": NESTED}, [listed("Inner", str(key(2)), "AWS::KMS::ReplicaKey")], None),
    ]
    order = [pages[0], pages[1], pages[2]]
    for parameters, resources, token in order:
        answer: dict[str, Any] = {"StackResourceSummaries": resources}
        here.stub.add_response(
            "list_stack_resources", {**answer, "NextToken": token} if token else answer, parameters
        )
    found = read_stack(StackOption("shop", "eu-west-1", "a.yaml"), here)  # type: ignore[arg-type]
    assert not found.empty
    assert found.keys == (
        StackKey("shop", "Orders", "AWS::KMS::Key", key(1), "a.yaml"),
        StackKey("shop-Keys-1X", "Inner", "AWS::KMS::ReplicaKey", key(2), None),
    )
    assert here.entered == ["eu-west-1"]
    here.stub.assert_no_pending_responses()


def test_an_arn_says_account_and_region() -> None:
    here = Here("cloudformation")
    here.stub.add_response("list_stack_resources", {"StackResourceSummaries": []})
    assert read_stack(StackOption(NESTED), here) == Stack((), empty=True)  # type: ignore[arg-type]
    assert here.entered == [AccountRegion("aws", SHOP, "eu-west-1")]


@pytest.mark.parametrize(
    ("resources", "empty"),
    [
        ([], True),
        ([{**listed("Gone", str(key(1))), "ResourceStatus": "DELETE_COMPLETE"}], True),
        ([{**listed("Kept", str(key(1))), "ResourceStatus": "DELETE_SKIPPED"}], True),
        ([listed("Failed", "")], True),
        ([listed("Bucket", "a", "AWS::S3::Bucket")], False),
        ([listed("Key", str(key(1)))], False),
    ],
)
def test_only_a_stack_that_owns_something_counts_as_code(resources, empty: bool) -> None:
    here = Here("cloudformation")
    here.stub.add_response("list_stack_resources", {"StackResourceSummaries": resources})
    code = read_code([], ["shop@eu-west-1"], here)  # type: ignore[arg-type]
    assert code.owns_resources is not empty
    about = [one.startswith("--cfn-stack shop: ") for one in code.warnings]
    assert about == ([True] if empty else [])


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("ValidationError", f"account {SHOP}, eu-west-1"),
        ("AccessDenied", "allow cloudformation:ListStackResources"),
        ("Throttling", "run it again"),
    ],
)
def test_a_stack_that_cannot_be_read_is_refused(code: str, words: str) -> None:
    here = Here("cloudformation")
    denied = code == "AccessDenied"
    message = "because no identity-based policy allows the action" if denied else "no"
    here.stub.add_client_error("list_stack_resources", code, message, 400)
    with pytest.raises(KeysweepError) as refused:
        read_stack(StackOption("shop"), here)  # type: ignore[arg-type]
    assert words in str(refused.value)
    assert "--cfn-stack shop" in str(refused.value)
    assert refused.value.exit_code == (2 if code == "ValidationError" else 1)


def test_a_stack_of_an_account_that_cannot_be_entered_is_refused() -> None:
    def shut(_region: object) -> None:
        raise AccountUnavailable("no Region is configured")

    with pytest.raises(AccountUnavailable, match="--cfn-stack shop: no Region"):
        read_stack(StackOption("shop"), SimpleNamespace(own_connection=shut))  # type: ignore[arg-type]


# --- playbooks ---------------------------------------------------------------------------------

PLAYBOOK = dedent(
    """\
    - name: Keys
      hosts: localhost
      tasks:
        - name: by alias
          amazon.aws.kms_key:
            alias: archive
            region: eu-west-1
            enabled: false
        - name: by id
          kms_key:
            key_id: 00000000-0000-4000-8000-000000000001
            aws_region: eu-central-1
            enabled: false
        - name: by arn
          aws_kms:
            key_id: arn:aws:kms:eu-west-1:111122223333:key/00000000-0000-4000-8000-000000000001
            profile: other
            enabled: false
        - name: templated
          community.aws.aws_kms:
            alias: "{{ stage }}-archive"
            region: eu-west-1
        - name: of another account
          amazon.aws.kms_key:
            alias: archive
            profile: other
            region: eu-west-1
        - name: secret
          amazon.aws.kms_key:
            alias: !vault |
              $ANSIBLE_VAULT;1.1;AES256
            region: eu-west-1
        - name: elsewhere
          amazon.aws.kms_key:
            alias: alias/archive
          args:
            ec2_region: eu-west-1
        - name: no region
          amazon.aws.kms_key:
            alias: archive
        - block:
            - name: within
              amazon.aws.kms_key:
                alias: inner
                region: eu-west-1
    """
)


def task(
    tmp_path: Path, name: str, module: str = "amazon.aws.kms_key", text: str = PLAYBOOK
) -> CodeLocation:
    """Where Checkov 3.3.30 says that a task is: from the first line of its parameters."""
    path = tmp_path / "playbook.yml"
    path.write_text(text, encoding="utf-8")
    lines = PLAYBOOK.splitlines()
    line = next(n for n, text in enumerate(lines) if text.strip() == f"- name: {name}") + 3
    code = finding(
        f"tasks.{module}.{name}", "/playbook.yml", "ansible", line=line, absolute_file=str(path)
    ).code
    assert code is not None
    return code


@pytest.mark.parametrize(
    ("name", "module", "expected"),
    [
        ("by alias", "amazon.aws.kms_key", KeyName("alias/archive", "eu-west-1")),
        ("by id", "kms_key", KeyName(key(1).key_id, "eu-central-1")),
        ("by arn", "aws_kms", KeyName(str(key(1)), None)),
        ("elsewhere", "amazon.aws.kms_key", KeyName("alias/archive", "eu-west-1")),
        ("no region", "amazon.aws.kms_key", KeyName("alias/archive", None)),
        ("within", "amazon.aws.kms_key", KeyName("alias/inner", "eu-west-1")),
    ],
)
def test_a_task_names_its_key(tmp_path: Path, name: str, module: str, expected: KeyName) -> None:
    assert ansible.key_name(task(tmp_path, name, module)) == expected


@pytest.mark.parametrize(
    ("name", "module", "reason"),
    [
        ("templated", "community.aws.aws_kms", "template"),
        ("of another account", "amazon.aws.kms_key", "its own credentials"),
        ("secret", "amazon.aws.kms_key", "neither key_id nor alias"),
    ],
)
def test_a_task_that_does_not_say_which_key_leads_nowhere(tmp_path, name, module, reason) -> None:
    unresolved = ansible.key_name(task(tmp_path, name, module))
    assert isinstance(unresolved, Unresolved)
    assert reason in unresolved.reason
    assert unresolved.step


def test_a_task_that_checkov_has_no_name_for_names_its_key(tmp_path: Path) -> None:
    """A handler's address is the expression that found it, or the name of its play."""
    code = task(tmp_path, "by alias")
    for address in ('[].[handlers][][] | ["kms_key"].CKV_KEYSWEEP_001[4:6]', "tasks.hosts.keys"):
        named = ansible.key_name(code.model_copy(update={"address": address}))
        assert named == KeyName("alias/archive", "eu-west-1")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "- &a [*a]",
        "just: text\n",
        '"\\U00110000"',
        '"\\UFFFFFFFF"',
        PLAYBOOK.replace("by alias", "renamed"),
        "\n" * 9 + PLAYBOOK,
    ],
)
def test_a_playbook_that_has_changed_since_maps_to_no_key(tmp_path: Path, text: str) -> None:
    unresolved = ansible.key_name(task(tmp_path, "by alias", text=text))
    assert isinstance(unresolved, Unresolved)
    assert unresolved == FILE_CHANGED


# --- manifests ---------------------------------------------------------------------------------

MANIFEST = dedent(
    """\
    apiVersion: kms.aws.upbound.io/v1beta1
    kind: Key
    metadata:
      name: orders.v1
      annotations:
        crossplane.io/external-name: 00000000-0000-4000-8000-000000000001
    spec:
      forProvider: {region: eu-west-1, isEnabled: false}
    ---
    apiVersion: kms.cnrm.cloud.google.com/v1beta1
    kind: Key
    metadata: {name: foreign}
    ---
    kind: List
    items:
      - apiVersion: kms.aws.m.upbound.io/v1beta1
        kind: ReplicaKey
        metadata: {name: inner, namespace: storage}
        spec: {forProvider: {region: eu-west-1}}
    ---
    apiVersion: kms.aws.crossplane.io/v1alpha1
    kind: Key
    metadata: {name: twice}
    ---
    apiVersion: kms.aws.crossplane.io/v1alpha1
    kind: Key
    metadata: {name: twice}
    """
)


def manifest(tmp_path: Path, address: str, text: str = MANIFEST) -> CodeLocation:
    path = tmp_path / "keys.yaml"
    path.write_text(text, encoding="utf-8")
    code = finding(address, "/keys.yaml", "kubernetes", absolute_file=str(path)).code
    assert code is not None
    return code


def test_a_manifest_names_its_key_by_the_external_name(tmp_path: Path) -> None:
    assert crossplane.key_name(manifest(tmp_path, "Key.default.orders.v1")) == KeyName(
        key(1).key_id, "eu-west-1"
    )


def test_a_manifest_without_external_name_maps_to_no_key(tmp_path: Path) -> None:
    unresolved = crossplane.key_name(manifest(tmp_path, "ReplicaKey.storage.inner"))
    assert isinstance(unresolved, Unresolved)
    assert "crossplane.io/external-name" in unresolved.step


@pytest.mark.parametrize("address", ["Key.default.foreign", "Key.default.twice", "Key", ""])
def test_a_file_that_is_not_one_manifest_of_the_provider_maps_to_no_key(
    tmp_path, address: str
) -> None:
    assert isinstance(crossplane.key_name(manifest(tmp_path, address)), Unresolved)


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "- 1", "a: !!python/object:os.system {}", "2026-99-99", "!!bool x"),
        *("!!timestamp x", "!!float ''", '"\\UFFFFFFFF"'),
    ],
)
def test_a_manifest_that_has_changed_since_maps_to_no_key(tmp_path: Path, text: str) -> None:
    unresolved = crossplane.key_name(manifest(tmp_path, "Key.default.orders.v1", text))
    assert isinstance(unresolved, Unresolved)


@pytest.mark.parametrize(
    "file", [None, "keys.yaml", "/absent/keys.yaml", "/etc/hostname", "/dev/zero", "/"]
)
@pytest.mark.parametrize("read", [ansible.key_name, crossplane.key_name])
def test_only_code_that_lies_here_is_opened(read: Any, file: str | None) -> None:
    code = finding("Key.default.a", "/keys.yaml", "kubernetes", absolute_file=file).code
    unresolved = read(code)
    assert isinstance(unresolved, Unresolved)
    assert "Checkov scanned" in unresolved.step


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(alphabet=st.sampled_from("-:&*a![]{}'\"\n #|kindKey"), max_size=40))
def test_any_text_is_read_or_maps_to_no_key(tmp_path: Path, text: str) -> None:
    assert isinstance(crossplane.key_name(manifest(tmp_path, "Key.default.a", text)), Unresolved)
    assert isinstance(ansible.key_name(task(tmp_path, "by alias", text=text)), Unresolved)


# --- asking AWS --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "region"), [("alias/archive", "eu-west-1"), (key(1).key_id, "eu-west-1")]
)
def test_an_alias_or_id_is_described_in_the_own_account(name: str, region: str) -> None:
    here = Here("kms")
    here.stub.add_response(
        "describe_key",
        {"KeyMetadata": {"KeyId": key(1).key_id, "Arn": str(key(1))}},
        {"KeyId": name},
    )
    assert KeyName(name, region).resolve(here) == key(1)  # type: ignore[arg-type]
    assert here.entered == [region]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (KeyName("alias/archive", None), "no Region"),
        (KeyName("alias/archive", "everywhere"), "no Region"),
        (KeyName("archive", "eu-west-1"), "only its tool"),
        (KeyName("arn:aws:s3:::x", None), "no KMS key"),
        (KeyName("alias/a b", "eu-west-1"), "only its tool"),
    ],
)
def test_a_name_of_no_key_is_not_looked_up(name: KeyName, reason: str) -> None:
    unresolved = name.resolve(Here("kms"))  # type: ignore[arg-type]
    assert isinstance(unresolved, Unresolved)
    assert reason in unresolved.reason


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("NotFoundException", "no key alias/archive in eu-west-1"),
        ("AccessDeniedException", "AccessDeniedException"),
    ],
)
def test_a_key_that_aws_does_not_describe_maps_to_no_key(code: str, reason: str) -> None:
    here = Here("kms")
    here.stub.add_client_error("describe_key", code, "no", 400)
    unresolved = KeyName("alias/archive", "eu-west-1").resolve(here)  # type: ignore[arg-type]
    assert isinstance(unresolved, Unresolved)
    assert reason in unresolved.reason


def test_an_account_that_cannot_be_entered_or_reached_is_unreadable() -> None:
    def shut(_region: object) -> None:
        raise AccountUnavailable("bad credentials")

    name = KeyName("alias/archive", "eu-west-1")
    unresolved = name.resolve(SimpleNamespace(own_connection=shut))  # type: ignore[arg-type]
    assert isinstance(unresolved, Unresolved)
    assert unresolved.reason == "bad credentials"

    def unreachable(**_: object) -> None:
        raise EndpointConnectionError(endpoint_url="https://kms")

    connection = SimpleNamespace(
        client=lambda _: SimpleNamespace(describe_key=unreachable),
        account_id=SHOP,
        region="eu-west-1",
    )
    there = name.resolve(SimpleNamespace(own_connection=lambda _: connection))  # type: ignore[arg-type]
    assert isinstance(there, Unresolved)


@pytest.mark.parametrize(
    ("framework", "read", "address"),
    [("ansible", task, "by arn"), ("kubernetes", manifest, "Key.default.orders.v1")],
)
def test_what_names_its_key_declares_it(tmp_path, framework: str, read: Any, address: str) -> None:
    here = Here("kms")
    here.stub.add_response("describe_key", {"KeyMetadata": {"KeyId": "x", "Arn": str(key(1))}})
    code = read(tmp_path, address, "aws_kms") if framework == "ansible" else read(tmp_path, address)
    one = finding(code.address, code.file, framework)
    found = traced([replace(one, code=code)], accounts=here)
    (declared,) = found.declared_in(key(1))
    assert declared.tool == {"kubernetes": "crossplane"}.get(framework, framework)
    assert (declared.file, declared.line) == (code.file, code.first_line)
    assert declared.fix


@pytest.mark.parametrize(
    ("framework", "words"), [("yaml", "pulumi stack export"), ("bicep", "Prowler")]
)
def test_a_finding_that_maps_to_no_key_names_what_would(framework: str, words: str) -> None:
    unmapped = only(traced([finding("a", framework=framework)]))
    assert words in unmapped.step
    assert unmapped.reason
