"""From Terraform's addresses to keys: the state of the same root, the same address, or nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from code_findings import SHOP, finding, key, led, only, state, traced

from keysweep.remediation.errors import AccountUnavailable, BadInput
from keysweep.remediation.iac import read_code
from keysweep.remediation.models import FindingStatus, Unmapped

REPO = "/repo"


def in_root(address: str, root: str = "", **more):
    """A finding of a resource that stands in a root folder of the repository itself."""
    file = f"/{root}/main.tf" if root else "/main.tf"
    return finding(address, file, absolute_file=f"{REPO}{file}", **more)


def in_module(address: str, root: str, file: str = "/modules/keys/main.tf", **more):
    """A finding of a resource in a module that a root folder calls."""
    return finding(
        address,
        file,
        absolute_file=f"{REPO}{file}",
        root_file=f"{REPO}/{root}/main.tf",
        **more,
    )


# --- addresses ---------------------------------------------------------------------------------


def test_the_same_address_in_the_state_is_the_key() -> None:
    found = traced(
        [in_root("aws_kms_key.a"), in_root('aws_kms_key.b["x.y"]'), in_root("aws_kms_key.c[1]")],
        state("aws_kms_key.a", 'aws_kms_key.b["x.y"]', "aws_kms_key.c[0]", "aws_kms_key.c[1]"),
    )
    assert led(found) == {
        "aws_kms_key.a": key(1),
        'aws_kms_key.b["x.y"]': key(2),
        "aws_kms_key.c[1]": key(4),
    }
    assert not list(found.unmapped)


def test_a_key_of_for_each_that_checkov_does_not_escape() -> None:
    found = traced([in_root('aws_kms_key.a["b"q"]')], state('aws_kms_key.a["b\\"q"]'))
    assert led(found) == {'aws_kms_key.a["b"q"]': key(1)}


def test_two_keys_that_read_alike_when_they_are_not_escaped_are_ambiguous() -> None:
    owned = state('aws_kms_key.a["b\\"q"]', 'aws_kms_key.a["b\\\\\\"q"]')
    found = traced([in_root('aws_kms_key.a["b\\"q"]')], owned)
    assert only(found).candidates


def test_a_bare_address_with_instances_in_the_state_leads_to_none_of_them() -> None:
    found = traced(
        [in_root("aws_kms_key.a"), in_root("aws_kms_key.sure")],
        state("aws_kms_key.a[0]", "aws_kms_key.a[1]", "aws_kms_key.sure"),
    )
    unmapped = only(found)
    assert unmapped.candidates == ("aws_kms_key.a[0]", "aws_kms_key.a[1]")
    assert "terraform plan -out" in unmapped.step
    assert led(found) == {"aws_kms_key.a": None, "aws_kms_key.sure": key(3)}


def test_one_instance_is_ambiguous_too() -> None:
    found = traced([in_root("aws_kms_key.a")], state('aws_kms_key.a["only"]'))
    assert only(found).candidates == ('aws_kms_key.a["only"]',)


def test_instances_of_the_module_are_ambiguous() -> None:
    found = traced(
        [in_module("module.m.aws_kms_key.a", "prod")],
        state('module.m["x"].aws_kms_key.a', folder="prod"),
    )
    assert only(found).candidates == ('module.m["x"].aws_kms_key.a',)


def test_a_replaced_key_that_still_waits_to_be_destroyed_is_not_the_one() -> None:
    owned = state("aws_kms_key.a")
    deposed = owned.state.keys[0].__class__(owned.state.keys[0].address, key(9), None, deposed=True)
    both = owned.__class__(
        None, owned.state.__class__("a.tfstate", (*owned.state.keys, deposed), empty=False)
    )
    found = traced([in_root("aws_kms_key.a")], both)
    assert led(found) == {"aws_kms_key.a": key(1)}
    assert [d.owner for d in found.declared_in(key(9))] == ["aws_kms_key.a"]


def test_an_address_that_is_not_in_the_state_comes_with_a_fix() -> None:
    found = traced([in_root("aws_kms_key.new"), in_root("aws_kms_key.a")], state("aws_kms_key.a"))
    assert "no such address" in only(found).reason
    assert "apply the code" in only(found).step


@pytest.mark.parametrize(
    ("address", "owned"),
    [
        ("aws_kms_key.a[2]", ("aws_kms_key.a[0]", "aws_kms_key.a[1]")),
        ('aws_kms_key.a["c"]', ('aws_kms_key.a["b"]',)),
        ("aws_kms_key.a[0]", ("aws_kms_key.a",)),
        ('module.m["c"].aws_kms_key.a', ('module.m["b"].aws_kms_key.a[0]',)),
    ],
)
def test_an_instance_that_is_not_in_the_state_is_not_ambiguous(
    address: str, owned: tuple[str, ...]
) -> None:
    blocks = [in_root(address)]
    if address.startswith("module."):
        blocks = [in_module(address, ".", file="/m/main.tf")]
    found = only(traced(blocks, state(*owned)))
    assert "no such address" in found.reason
    assert found.candidates == owned


def test_an_instance_of_a_module_without_its_own_key_is_ambiguous() -> None:
    owned = ('module.m["b"].aws_kms_key.a[0]', 'module.m["b"].aws_kms_key.a[1]')
    found = traced([in_module('module.m["b"].aws_kms_key.a', ".")], state(*owned))
    assert only(found).candidates == owned
    assert "terraform plan -out" in only(found).step


@pytest.mark.parametrize("order", [1, -1])
def test_a_block_without_a_key_is_listed_once_whatever_checks_ran(order: int) -> None:
    blocks = [
        in_root("aws_kms_key.a", "prod"),
        in_root("aws_kms_key.a", "prod", check="CKV_AWS_227"),
    ]
    found = traced([*blocks[::order], in_root("aws_kms_key.a", "test")])
    assert sorted((one.finding.check_id, _file(one)) for one in found.unmapped) == [
        ("CKV_KEYSWEEP_001", "/prod/main.tf"),
        ("CKV_KEYSWEEP_001", "/test/main.tf"),
    ]


def _file(unmapped: Unmapped) -> str:
    assert unmapped.finding.code
    return unmapped.finding.code.file


def test_a_failed_finding_without_a_key_is_listed_though_the_other_check_is_muted() -> None:
    muted = in_root("aws_kms_key.a", status=FindingStatus.MUTED)
    found = traced([muted, in_root("aws_kms_key.a", check="CKV_AWS_227")])
    assert only(found).finding.check_id == "CKV_AWS_227"


def test_a_key_without_an_arn_is_owned_but_maps_to_no_key() -> None:
    owned = state("aws_kms_key.a")
    bare = owned.state.keys[0].__class__(
        owned.state.keys[0].address, None, key(1).key_id, deposed=False
    )
    given = owned.__class__(None, owned.state.__class__("a.tfstate", (bare,), empty=False))
    found = traced([in_root("aws_kms_key.a")], given)
    assert "no ARN" in only(found).reason
    assert found.declared_in(key(1))
    assert not found.declared_in(key(2))


def test_json_has_addresses_without_a_type() -> None:
    found = traced(
        [
            finding("resource.a", "/cdk.tf.json", "terraform_json", check="CKV_AWS_227"),
            finding(
                "resource.b", "/cdk.tf.json", "terraform_json", resource_type="aws_kms_replica_key"
            ),
        ],
        state("aws_kms_key.a", "aws_kms_replica_key.a", "aws_kms_replica_key.b", "aws_kms_key.b"),
    )
    assert led(found) == {"resource.a": key(1), "resource.b": key(3)}


# --- roots -------------------------------------------------------------------------------------


def test_a_state_counts_for_its_own_root_alone() -> None:
    prod, dev = in_root("aws_kms_key.a", "envs/prod"), in_root("aws_kms_key.a", "envs/dev")
    found = traced([prod, dev], state("aws_kms_key.a", folder="envs/prod"))
    assert [f.key_arn for f in found.findings] == [key(1), None]
    unmapped = only(found)
    assert "terraform -chdir=envs/dev show -json" in unmapped.step
    assert "--tfstate envs/dev=state.json" in unmapped.step


def test_without_a_folder_it_is_of_the_scanned_folder_itself() -> None:
    found = traced([in_root("aws_kms_key.a", "infra")], state("aws_kms_key.a"))
    assert only(found).step.endswith("--tfstate infra=state.json")
    found = traced([in_root("aws_kms_key.a")], state("aws_kms_key.a"))
    assert led(found) == {"aws_kms_key.a": key(1)}


@pytest.mark.parametrize(
    "folder", ["envs/prod", "./envs/prod/", "/repo/envs/prod", "envs/x/../prod"]
)
def test_a_folder_is_named_from_the_scanned_one_or_in_full(folder: str) -> None:
    found = traced([in_root("aws_kms_key.a", "envs/prod")], state("aws_kms_key.a", folder=folder))
    assert led(found) == {"aws_kms_key.a": key(1)}


def test_a_folder_is_named_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code = finding("aws_kms_key.a", absolute_file=f"{tmp_path}/infra/main.tf")
    assert led(traced([code], state("aws_kms_key.a", folder="infra"))) == {"aws_kms_key.a": key(1)}


def test_the_root_of_a_module_is_the_folder_that_calls_it() -> None:
    address = "module.m.module.n[1].aws_kms_key.a"
    calls = [in_module(address, "envs/prod"), in_module(address, "envs/dev")]
    found = traced(calls, state(address, folder="envs/dev"))
    assert [f.key_arn for f in found.findings] == [None, key(1)]


def test_a_module_beside_the_scanned_root() -> None:
    code = finding(
        "module.m.aws_kms_key.a",
        "/../../modules/keys/main.tf",
        absolute_file=f"{REPO}/modules/keys/main.tf",
        root_file=f"{REPO}/envs/prod/main.tf",
    )
    found = traced([code], state("module.m.aws_kms_key.a"))
    assert led(found) == {"module.m.aws_kms_key.a": key(1)}


def test_a_module_of_an_unknown_root_maps_to_no_key() -> None:
    code = finding("module.m.aws_kms_key.a", absolute_file=f"{REPO}/main.tf")
    found = traced([code], state("module.m.aws_kms_key.a"))
    assert "root" in only(found).reason


def test_several_scanned_folders_are_not_mixed_up() -> None:
    one = finding("aws_kms_key.a", absolute_file="/one/main.tf")
    two = finding("aws_kms_key.a", absolute_file="/two/main.tf")
    found = traced([one, two], state("aws_kms_key.a"))
    assert [f.key_arn for f in found.findings] == [None, None]
    steps = {unmapped.step for unmapped in found.unmapped}
    options = {step.partition("--tfstate ")[2] for step in steps}
    assert options == {"/one=FILE", "/two=FILE"}
    found = traced([one, two], state("aws_kms_key.a", folder="/two"))
    assert [f.key_arn for f in found.findings] == [None, key(1)]


def test_two_states_of_one_root_are_ambiguous_where_both_have_the_address() -> None:
    found = traced(
        [in_root("aws_kms_key.a"), in_root("aws_kms_key.b")],
        state("aws_kms_key.a", file="blue.tfstate"),
        state("aws_kms_key.a", "aws_kms_key.b", file="green.tfstate"),
    )
    assert only(found).candidates == (
        "aws_kms_key.a in blue.tfstate",
        "aws_kms_key.a in green.tfstate",
    )
    assert led(found)["aws_kms_key.b"] == key(2)


def test_a_state_that_owns_nothing_of_its_root_is_refused() -> None:
    with pytest.raises(BadInput) as refused:
        traced(
            [in_root("aws_kms_key.a", "envs/prod")],
            state("aws_kms_key.other", file="dev.tfstate", folder="envs/prod"),
        )
    message = str(refused.value)
    assert message.startswith("dev.tfstate: ")
    assert "envs/prod" in message
    assert "aws_kms_key.a" in message


def test_what_passes_shows_that_the_state_is_the_right_one() -> None:
    found = traced(
        [
            in_root("aws_kms_key.new"),
            in_root("aws_kms_key.old", status=FindingStatus.PASS),
        ],
        state("aws_kms_key.old"),
    )
    assert led(found) == {"aws_kms_key.new": None, "aws_kms_key.old": key(1)}


def test_an_empty_state_and_one_without_findings_are_taken() -> None:
    found = traced([in_root("aws_kms_key.a")], state(), state("aws_kms_key.x", folder="elsewhere"))
    assert "has no such address" in only(found).reason


# --- accounts ----------------------------------------------------------------------------------


class Own:
    """Credentials of one account, and no role to change to."""

    changes_roles = False

    def __init__(self, account: str) -> None:
        self.account = account

    def own_connection(self, region: str | None = None) -> object:
        if not self.account:
            raise AccountUnavailable("bad credentials")
        return SimpleNamespace(account_id=self.account)


def test_a_state_of_another_account_is_refused() -> None:
    with pytest.raises(BadInput) as refused:
        traced([in_root("aws_kms_key.a")], state("aws_kms_key.a"), accounts=Own("444455556666"))
    message = str(refused.value)
    assert message.startswith("a.tfstate: ")
    assert SHOP in message
    assert "444455556666" in message
    assert "--role-name" in message


@pytest.mark.parametrize("account", [SHOP, ""])
def test_the_own_account_and_one_that_is_not_known_are_taken(account: str) -> None:
    found = traced([in_root("aws_kms_key.a")], state("aws_kms_key.a"), accounts=Own(account))
    assert led(found) == {"aws_kms_key.a": key(1)}


def test_a_state_without_findings_may_be_of_any_account() -> None:
    found = traced([], state("aws_kms_key.a"), accounts=Own("444455556666"))
    assert [d.owner for d in found.declared_in(key(1))] == ["aws_kms_key.a"]


# --- the option --------------------------------------------------------------------------------

STATES = Path(__file__).parent / "states"


def test_the_option_names_folder_and_file(tmp_path: Path) -> None:
    with_equals = tmp_path / "a=b.json"
    with_equals.write_bytes((STATES / "shown.json").read_bytes())
    raw = STATES / "v4.tfstate.json"
    code = read_code([f"envs/prod={raw}", str(raw), str(with_equals), str(raw)], [], None)  # type: ignore[arg-type]
    assert [(given.folder, given.state.file) for given in code.states] == [
        ("envs/prod", str(raw)),
        (None, str(raw)),
        (None, str(with_equals)),
    ]
    assert code.owns_resources


@pytest.mark.parametrize("text", ["=x.tfstate", "prod=", "="])
def test_half_an_option_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="DIR=FILE"):
        read_code([text], [], None)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["x" * 5000, "a=" + "x" * 5000, "a=b\0c", "\0"])
def test_a_name_that_no_file_can_have_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="could not be read"):
        read_code([text], [], None)  # type: ignore[arg-type]


def test_a_file_that_is_not_there_is_refused() -> None:
    with pytest.raises(BadInput, match=r"^absent\.tfstate: "):
        read_code(["prod=absent.tfstate"], [], None)  # type: ignore[arg-type]


# --- who declares a key ------------------------------------------------------------------------


def test_a_declaration_names_address_state_file_line_and_fix() -> None:
    found = traced(
        [in_root("aws_kms_key.a", "prod", line=12)],
        state("aws_kms_key.a", folder="prod", file="prod.tfstate"),
    )
    (declared,) = found.declared_in(key(1))
    assert (declared.tool, declared.owner, declared.source) == (
        "terraform",
        "aws_kms_key.a",
        "prod.tfstate",
    )
    assert (declared.file, declared.line) == ("/prod/main.tf", 12)
    assert "Terraform" in declared.fix
    assert "removed { from = aws_kms_key.a lifecycle { destroy = false } }" in declared.fix


def test_an_instance_is_taken_out_of_its_count_since_a_removed_block_has_no_keys() -> None:
    found = traced([], state('module.m["x y"].aws_kms_key.a'))
    (declared,) = found.declared_in(key(1))
    assert declared.file is None
    assert "removed {" not in declared.fix
    assert "terraform state rm 'module.m[\"x y\"].aws_kms_key.a'" in declared.fix


def test_a_key_in_a_module_is_changed_at_the_call_of_the_module() -> None:
    one = in_module("module.shop.aws_kms_key.this[0]", "prod", line=12)
    assert one.code is not None
    code = one.code.model_copy(update={"caller_file": "/prod/main.tf", "caller_line": 3})
    owned = state("module.shop.aws_kms_key.this[0]", folder="prod")
    found = traced([replace(one, code=code)], owned)
    (declared,) = found.declared_in(key(1))
    assert (declared.file, declared.line) == ("/prod/main.tf", 3)
    assert "call of module.shop " in declared.fix
    assert "removed {" not in declared.fix


def test_a_declaration_without_lines_has_a_file_alone() -> None:
    """Checkov 3.3.30 gives lines of plans as 0."""
    plan = finding("aws_kms_key.a", "/plan.json", "terraform_plan", line=0, actions=("no-op",))
    (declared,) = traced([replace(plan, key_arn=key(1))]).declared_in(key(1))
    assert declared.line is None
    assert declared.position == "/plan.json"


def test_each_declaration_of_a_key_names_its_own_file_and_line() -> None:
    found = traced(
        [
            in_root("aws_kms_key.a", "prod", line=12),
            in_root("aws_kms_key.b", "test", line=34),
            in_root("aws_kms_key.b", "other", line=56),
        ],
        state("aws_kms_key.a", folder="prod", file="prod.tfstate"),
        state("aws_kms_key.b", folder="test", file="test.tfstate"),
        state("aws_kms_key.c", folder="more", file="more.tfstate"),
    )
    assert {(one.source, one.file, one.line) for one in found.declared_in(key(1))} == {
        ("prod.tfstate", "/prod/main.tf", 12),
        ("test.tfstate", "/test/main.tf", 34),
        ("more.tfstate", None, None),
    }


def test_every_state_that_owns_a_key_is_named() -> None:
    found = traced([], state("aws_kms_key.a", file="1"), state("aws_kms_key.b", file="2"))
    assert {(d.owner, d.source) for d in found.declared_in(key(1))} == {
        ("aws_kms_key.a", "1"),
        ("aws_kms_key.b", "2"),
    }
