"""What AWS managed policies lack: the table is complete, and agrees with AWS's documents."""

from __future__ import annotations

import json
import re
from datetime import date
from typing import Any

import moto
import pytest
from doc_pages import PAGES
from moto.iam.aws_managed_policies import aws_managed_policies_data

from documents import documents
from documents.iam import iam_policies, missing_from, read_actions, region_deny_exemption
from documents.managed_policies import POLICIES, ROLES_PEOPLE_HAVE, TABLE, allows, facts, table
from documents.member_roles import ROLES

FIX = "run: .tox/dev/bin/python docs/generate/managed_policies.py, and then docs/generate ."
PUBLISHED: dict[str, Any] = json.loads(aws_managed_policies_data)


def statement(effect: str = "Allow", **elements: Any) -> dict[str, Any]:
    return {"Effect": effect, "Resource": "*", **elements}


def test_the_table_has_every_action_and_no_other() -> None:
    assert facts().allowed_by.keys() == read_actions(), FIX


@pytest.mark.parametrize("name", POLICIES)
def test_the_table_agrees_with_awss_document(name: str) -> None:
    published = PUBLISHED[name]
    version = (published["DefaultVersionId"], date.fromisoformat(published["UpdateDate"][:10]))
    assert facts().versions[name] == version, FIX
    by_table = {action for action, names in facts().allowed_by.items() if name in names}
    assert by_table == {a for a in read_actions() if allows(published["Document"], a)}, FIX
    assert by_table


def test_the_table_is_what_the_program_writes() -> None:
    written = table(f"moto {moto.__version__}", PUBLISHED, read_actions())
    assert TABLE.read_text(encoding="utf-8") == written, FIX


@pytest.mark.parametrize(
    ("statements", "allowed"),
    [
        ([statement(Action="kms:ListGrants")], True),
        ([statement(Action=["KMS:list*"])], True),
        ([statement(Action="kms:List?rants")], True),
        ([statement(Action="*")], True),
        ([statement(Action=["kms:List", "kms:ListGrant", "ms:ListGrants"])], False),
        ([statement(Action="kms:[L]istGrants")], False),
        ([statement(Action="kms.ListGrants")], False),
        ([statement(NotAction=["iam:*", "kms:Get*"])], True),
        ([statement(NotAction=["iam:*", "kms:List*"])], False),
        ([statement(Action="kms:*", Resource=["*"])], True),
        ([statement(Action="kms:*", Resource="arn:aws:kms:*:*:key/*")], False),
        ([statement(Action="kms:*", Condition={"Bool": {"aws:SecureTransport": "true"}})], False),
        ([statement(Action="kms:*"), statement("Deny", Action="kms:*", Resource="a")], False),
        ([statement(Action="kms:*"), statement("Deny", NotAction="iam:*")], False),
        ([statement(Action="kms:*"), statement("Deny", NotAction="kms:*")], True),
        (statement(Action="kms:*"), True),
        ([], False),
    ],
)
def test_actions_match_as_in_iam(statements: Any, allowed: bool) -> None:
    assert allows({"Statement": statements}, "kms:ListGrants") is allowed


def test_read_only_access_with_the_addition_allows_the_plan() -> None:
    documents = [PUBLISHED["ReadOnlyAccess"]["Document"]]
    documents += [p for name, p in iam_policies().items() if name.startswith("read-only-access-")]
    assert len(documents) > 1
    assert {a for a in read_actions() if not any(allows(d, a) for d in documents)} == set()


def test_the_addition_allows_nothing_that_read_only_access_has() -> None:
    added = {
        action
        for name, policy in iam_policies().items()
        if name.startswith("read-only-access-")
        for one in policy["Statement"]
        for action in one["Action"]
    }
    assert sorted(added) == missing_from("ReadOnlyAccess")


def test_an_action_that_the_table_does_not_have_counts_as_missing() -> None:
    for role in ROLES_PEOPLE_HAVE:
        assert facts().lacking(role, ["new:ListThings"]) == ["new:ListThings"]


@pytest.mark.sample
def test_the_page_lists_what_each_role_lacks() -> None:
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in documents()["docs/permissions.md"].splitlines()
        if line.startswith("|")
    ]
    (head,) = (i for i, row in enumerate(rows) if row[0] == "service")
    listed: list[set[str]] = [set() for _ in ROLES_PEOPLE_HAVE]
    for service, *cells in rows[head + 2 :]:
        if len(cells) != len(listed) or not service.startswith("`"):
            break
        for role, cell in zip(listed, cells, strict=True):
            role |= {f"{service.strip('`')}:{name}" for name in cell.split(", ") if name}
    assert [sorted(one) for one in listed] == [missing_from(role) for role in ROLES_PEOPLE_HAVE]


# --- the exemption from a policy that denies Regions ----------------------------------------------


def test_the_exemption_names_every_role_that_reads_references() -> None:
    (test,) = region_deny_exemption().items()
    assert test == (
        "ArnNotLike",
        {
            "aws:PrincipalArn": [
                f"arn:*:iam::*:role/{role}"
                for role in sorted(ROLES)
                if any(part == "references" for part in ROLES[role])
            ]
        },
    )


def test_the_page_shows_the_exemption_that_is_shipped() -> None:
    text = PAGES["docs/control-tower-govcloud-china.md"].read_text(encoding="utf-8")
    scp, parameters = (json.loads(t) for t in re.findall(r"```json\n(.*?)```", text, re.DOTALL))
    assert region_deny_exemption().items() <= scp["Condition"].items()
    given = {one["key"]: one["value"] for one in parameters}
    names = region_deny_exemption()["ArnNotLike"]["aws:PrincipalArn"]
    assert given["ExemptedPrincipalArns"] == [n.replace("arn:*:", "arn:aws:") for n in names]
    pattern = "arn:(aws|aws-us-gov):(iam|sts)::.+:.+"  # "ControlParameter", AWS Control Catalog
    assert all(re.fullmatch(pattern, one) for one in given["ExemptedPrincipalArns"])
