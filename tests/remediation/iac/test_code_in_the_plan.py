"""Code and live keys in one plan: the whole command, and the join of both scanners' findings."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from code_findings import finding
from lifted_rules import file_lifting, rules_besides
from scenarios import SHOP

from embedded_aws.process import EmbeddedAws
from keysweep.remediation import planfile, planner
from keysweep.remediation.aws import Access, Accounts, ClientSettings
from keysweep.remediation.evidence import Collector
from keysweep.remediation.findings import Results
from keysweep.remediation.iac import read_code
from keysweep.remediation.models import Finding, FindingStatus, KeyArn, VerdictKind
from keysweep.remediation.plan import Plan
from keysweep.remediation.policy_file import load

QUICK = ClientSettings(quota_share=100, attempts=2)


@pytest.fixture
def by_code(tmp_path: Path) -> Path:
    """A policy that reads DescribeKey, tags and code alone."""
    path = tmp_path / "by-code.yaml"
    rules = rules_besides("description", "tags", "aliases", "declarations")
    path.write_text(file_lifting(rules, min_age_days=0), encoding="utf-8")
    return path


@pytest.fixture
def arns(aws: EmbeddedAws) -> Mapping[str, str]:
    """The keys of the shop in eu-west-1, by name."""
    return {
        key["name"]: key["arn"]
        for key in aws.keys()
        if (key["account"], key["region"]) == (SHOP, "eu-west-1")
    }


@pytest.fixture
def shown(tmp_path: Path) -> Callable[..., Path]:
    """A state as `terraform show -json` prints it, with keys of the root module by name."""

    def write(keys: Mapping[str, str], name: str = "state.json") -> Path:
        resources = [
            {
                "address": f"aws_kms_key.{label}",
                "mode": "managed",
                "type": "aws_kms_key",
                "name": label,
                "provider_name": "registry.terraform.io/hashicorp/aws",
                "schema_version": 0,
                "values": {"arn": arn, "is_enabled": False, "description": "HUSH"},
                "sensitive_values": {},
            }
            for label, arn in keys.items()
        ]
        path = tmp_path / name
        document = {
            "format_version": "1.0",
            "terraform_version": "1.9.8",
            "values": {"root_module": {"resources": resources}},
        }
        path.write_text(json.dumps(document), encoding="utf-8")
        return path

    return write


def items(path: Path) -> dict[str, Any]:
    document = json.loads((path / "plan.json").read_text(encoding="utf-8"))
    return {item["key_arn"]: item for item in document["items"]} | {"plan": document}


def rules(item: Mapping[str, Any]) -> set[str]:
    return {reason["rule"] for reason in item["reasons"]}


# --- the command as a process ------------------------------------------------------------------


def test_every_candidate_is_looked_up_in_the_states(
    arns, keysweep, results, by_code: Path, shown, tmp_path: Path
) -> None:
    names = {"old": "dead-1", "protected": "dead-3", "alive": "alive"}
    state = shown({label: arns[name] for label, name in names.items()})
    with by_code.open("a", encoding="utf-8") as policy:
        policy.write(f"protected_keys: ['{arns['dead-3']}']\n")
    named = [arns[name] for name in ("dead-1", "dead-2", "dead-3", "alive")]
    done = keysweep("plan", results(*named), "--policy", by_code, "--tfstate", f"infra={state}")
    assert done.code == 0, done.err
    plan = items(tmp_path)
    assert plan["plan"]["code_looked_at"] is True
    assert plan[arns["dead-2"]]["verdict"] == "schedule"
    assert plan[arns["alive"]]["verdict"] == "skip"
    assert rules(plan[arns["dead-3"]]) == {"protected-key", "declared-in-code"}
    held = plan[arns["dead-1"]]
    (reason,) = held["reasons"]
    assert (held["verdict"], reason["rule"]) == ("hold", "declared-in-code")
    for words in (
        "terraform owns it: aws_kms_key.old",
        str(state),
        "remove the block",
        "removed {",
    ):
        assert words in reason["message"]
    assert "HUSH" not in json.dumps(plan["plan"]) + done.out + done.err
    assert "--tfstate" not in done.out


def test_without_code_the_plan_has_a_notice_and_holds_nothing(
    arns, keysweep, results, by_code: Path, tmp_path: Path
) -> None:
    done = keysweep("plan", results(arns["dead-1"]), "--policy", by_code)
    assert done.code == 0, done.err
    plan = items(tmp_path)
    assert plan["plan"]["code_looked_at"] is False
    assert plan[arns["dead-1"]]["verdict"] == "schedule"
    assert "--tfstate" in done.out


def test_a_key_in_code_is_scheduled_if_the_policy_excepts_it(
    aws: EmbeddedAws, arns, keysweep, results, state_only: Path, shown
) -> None:
    state = shown({"old": arns["dead-1"]})
    plan = ("plan", results(arns["dead-1"]), "--policy", state_only, "--tfstate", state)
    assert keysweep(*plan).code == 0
    done = keysweep("apply", "plan.json", "--yes", "--format", "json")
    assert [row["outcome"] for row in done.document["results"]] == ["scheduled"], done.out
    key = aws.key(arns["dead-1"])
    assert key is not None
    assert key["state"] == "PendingDeletion"


@pytest.mark.parametrize("named", [False, True])
def test_the_stack_that_owns_a_key_is_named(
    aws: EmbeddedAws, keysweep, results, by_code: Path, tmp_path: Path, named: bool
) -> None:
    formation = boto3.client("cloudformation", **aws.client_arguments(SHOP, "eu-west-1"))
    key = {"Type": "AWS::KMS::Key", "Properties": {"Enabled": False}}
    formation.create_stack(StackName="shop", TemplateBody=json.dumps({"Resources": {"Old": key}}))
    (resource,) = formation.describe_stack_resources(StackName="shop")["StackResources"]
    aws.advance(days=1)
    arn = f"arn:aws:kms:eu-west-1:{SHOP}:key/{resource['PhysicalResourceId']}"
    options = ("--cfn-stack", "shop@eu-west-1") if named else ()
    done = keysweep("plan", results(arn), "--policy", by_code, *options)
    assert done.code == 0, done.err
    plan = items(tmp_path)
    assert plan["plan"]["code_looked_at"] is named
    (reason,) = plan[arn]["reasons"]
    assert reason["rule"] == "declared-in-code"
    assert reason["message"].startswith("cloudformation ")
    assert " shop Old (eu-west-1); " in reason["message"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--tfstate", "absent.json"), "absent.json: "),
        (("--cfn-stack", "absent@eu-west-1"), f"account {SHOP}"),
        (("--cfn-stack", "no such name"), "give the stack's name"),
        (("--cfn-stack", "shop@mars-east-1"), "--cfn-stack shop"),
    ],
)
def test_code_that_cannot_be_read_is_bad_input(
    arns, keysweep, results, tmp_path: Path, options: tuple[str, str], words: str
) -> None:
    done = keysweep("plan", results(arns["dead-1"]), *options)
    assert done.code == 2
    assert words in done.err
    assert len(done.err.splitlines()) == 1
    assert not (tmp_path / "plan.json").exists()


def test_a_truncated_state_is_bad_input(arns, keysweep, results, shown, tmp_path: Path) -> None:
    state = shown({"old": arns["dead-1"]})
    state.write_bytes(state.read_bytes()[:-40])
    done = keysweep("plan", results(arns["dead-1"]), "--tfstate", state)
    assert done.code == 2
    assert "complete JSON document" in done.err
    assert "HUSH" not in done.err
    assert not (tmp_path / "plan.json").exists()


# --- both scanners' findings -------------------------------------------------------------------


@pytest.fixture
def build(aws: EmbeddedAws, by_code: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Plan]:
    """The plan of these findings, with these states."""

    def run(
        findings: Iterable[Finding], *, states: Iterable[Path] = (), stacks: Iterable[str] = ()
    ) -> Plan:
        for name, value in aws.environment(SHOP, "eu-west-1").items():
            monkeypatch.setenv(name, value)
        accounts = Accounts(Access(), QUICK)
        code = read_code([str(state) for state in states], list(stacks), accounts)
        found = Results((), tuple(findings), (), ())
        return planner.build(found, load(by_code), Collector(accounts), code=code)

    return run


def by_prowler(arn: str, aws: EmbeddedAws) -> Finding:
    return Finding(
        scanner="prowler",
        check_id="kms_cmk_not_disabled",
        status=FindingStatus.FAIL,
        source="shop.ocsf.json",
        position="record 1",
        key_arn=KeyArn.parse(arn),
        time=datetime.fromtimestamp(aws.now(), UTC),
    )


EMPTY = {
    "never applied": {"format_version": "1.0"},
    "a wrong workspace": {"version": 4, "serial": 1, "lineage": "a", "resources": []},
}


@pytest.mark.parametrize("case", EMPTY)
def test_a_state_that_owns_nothing_does_not_count_as_code(
    aws, arns, build, shown, tmp_path: Path, case: str
) -> None:
    empty = tmp_path / "empty.json"
    empty.write_text(json.dumps(EMPTY[case]), encoding="utf-8")
    plan = build([by_prowler(arns["dead-1"], aws)], states=[empty])
    assert plan.code_looked_at is False
    (warning,) = plan.warnings
    assert warning.startswith(f"{empty}: the state owns nothing")
    other = build([by_prowler(arns["dead-1"], aws)], states=[empty, shown({"a": arns["dead-1"]})])
    assert other.code_looked_at is True
    assert other.warnings == (warning,)


def test_a_state_without_the_arn_of_its_key_gives_a_warning(aws, arns, build, shown) -> None:
    state = shown({"lost": None})
    plan = build([by_prowler(arns["dead-1"], aws)], states=[state])
    assert plan.code_looked_at is True
    (warning,) = plan.warnings
    assert warning.startswith(f"{state}: ")
    assert "aws_kms_key.lost" in warning


def test_findings_of_one_key_become_one_item(aws, arns, build, shown) -> None:
    plan = build(
        [
            by_prowler(arns["dead-1"], aws),
            finding("aws_kms_key.old", "/main.tf", line=12),
            finding("aws_kms_key.old", "/main.tf", line=12, check="CKV_AWS_227"),
            finding(
                "aws_kms_key.old",
                "/plan.json",
                "terraform_plan",
                arn=KeyArn.parse(arns["dead-1"]),
                actions=("no-op",),
            ),
            finding("aws_kms_key.old", "/main.tf", line=12),
        ],
        states=[shown({"old": arns["dead-1"]})],
    )
    (item,) = plan.items
    assert str(item.key_arn) == arns["dead-1"]
    assert {
        (
            f.scanner,
            f.check_id,
            f.code.file if f.code else None,
            f.code.first_line if f.code else None,
        )
        for f in item.findings
    } == {
        ("prowler", "kms_cmk_not_disabled", None, None),
        ("checkov", "CKV_KEYSWEEP_001", "/main.tf", 12),
        ("checkov", "CKV_AWS_227", "/main.tf", 12),
        ("checkov", "CKV_KEYSWEEP_001", "/plan.json", 1),
    }
    assert len(item.findings) == 4
    (reason,) = item.reasons
    assert (item.verdict, reason.rule) == (VerdictKind.HOLD, "declared-in-code")
    assert "/main.tf:12" in reason.message
    assert plan.unmapped == ()


def test_code_alone_makes_a_candidate_and_its_own_key_is_held(aws, arns, build, shown) -> None:
    plan = build(
        [finding("aws_kms_key.old"), finding("aws_kms_key.live")],
        states=[shown({"old": arns["dead-1"], "live": arns["alive"]})],
    )
    found = {
        str(item.key_arn): (item.verdict.value, {r.rule for r in item.reasons})
        for item in plan.items
    }
    assert found == {
        arns["dead-1"]: ("hold", {"declared-in-code"}),
        arns["alive"]: ("skip", {"not-disabled"}),
    }


def test_what_passes_or_is_suppressed_makes_no_candidate_but_still_declares(
    aws, arns, build, shown
) -> None:
    state = shown({"passed": arns["dead-1"], "muted": arns["dead-2"], "third": arns["dead-3"]})
    code = [
        finding("aws_kms_key.passed", status=FindingStatus.PASS, line=5),
        finding("aws_kms_key.muted", status=FindingStatus.MUTED),
    ]
    assert build(code, states=[state]).items == ()
    (item,) = build([*code, by_prowler(arns["dead-1"], aws)], states=[state]).items
    assert "/main.tf:5" in item.reasons[0].message


def test_findings_without_a_key_are_listed_with_the_step(aws, arns, build, shown) -> None:
    plan = build(
        [
            finding("aws_kms_key.a", "/other/main.tf"),
            finding("aws_kms_key.a", "/other/main.tf", check="CKV_AWS_227"),
            finding("aws_kms_key.b", "/plan.json", "terraform_plan", actions=("create",)),
            finding("aws_kms_key.passed", "/other/main.tf", status=FindingStatus.PASS),
            finding("resources.Key", "/Pulumi.yaml", "yaml"),
        ],
    )
    assert plan.items == ()
    assert {
        (u.finding.code.address, u.finding.check_id) for u in plan.unmapped if u.finding.code
    } == {
        ("aws_kms_key.a", "CKV_KEYSWEEP_001"),
        ("aws_kms_key.b", "CKV_KEYSWEEP_001"),
        ("resources.Key", "CKV_KEYSWEEP_001"),
    }
    assert all(u.reason and u.step for u in plan.unmapped)
    loaded = Plan.model_validate(json.loads("".join(planfile.json_parts(plan))))
    assert loaded.unmapped == plan.unmapped


def test_ansible_and_crossplane_lead_to_the_live_key_and_hold_it(
    aws, arns, build, tmp_path: Path
) -> None:
    playbook = tmp_path / "keys.yml"
    playbook.write_text(
        "- hosts: localhost\n  tasks:\n    - name: old\n      amazon.aws.kms_key:\n"
        "        alias: dead-1\n        region: eu-west-1\n        enabled: false\n",
        encoding="utf-8",
    )
    manifest = tmp_path / "keys.yaml"
    manifest.write_text(
        "apiVersion: kms.aws.upbound.io/v1beta1\nkind: Key\nmetadata:\n  name: old\n"
        "  annotations:\n    crossplane.io/external-name: "
        f"{arns['dead-2'].rsplit('/', 1)[1]}\n"
        "spec:\n  forProvider: {region: eu-west-1, isEnabled: false}\n",
        encoding="utf-8",
    )
    plan = build(
        [
            finding(
                *("tasks.amazon.aws.kms_key.old", "/keys.yml", "ansible"),
                line=5,
                absolute_file=str(playbook),
            ),
            finding("Key.default.old", "/keys.yaml", "kubernetes", absolute_file=str(manifest)),
        ]
    )
    assert plan.unmapped == ()
    messages = {str(item.key_arn): [r.message for r in item.reasons] for item in plan.items}
    assert set(messages) == {arns["dead-1"], arns["dead-2"]}
    assert messages[arns["dead-1"]][0].startswith("ansible owns it: tasks.amazon.aws.kms_key.old")
    assert messages[arns["dead-2"]][0].startswith("crossplane owns it: Key.default.old")
    assert "/keys.yml:5" in messages[arns["dead-1"]][0]
    assert plan.code_looked_at is False
