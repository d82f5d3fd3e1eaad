"""By which names a key is found, and by which it is not."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from dead_key import gap_of
from hypothesis import given
from hypothesis import strategies as st

from keysweep.remediation.evidence.references.index import (
    Index,
    key_name,
    key_names_within,
    references_to,
)
from keysweep.remediation.models import KeyArn, Reference, Unreadable

ACCOUNT, REGION = "111122223333", "eu-west-1"
ID = "0a1b2c3d-1111-2222-3333-444455556666"
SHARED = "mrk-0123456789abcdef0123456789abcdef"
ALIASES = ("alias/shop", "alias/shop-2")


def arn(key_id: str = ID, region: str = REGION, account: str = ACCOUNT) -> str:
    return f"arn:aws:kms:{region}:{account}:key/{key_id}"


KEY, TWIN = KeyArn.parse(arn()), KeyArn.parse(arn(SHARED))


def index_of(value: str) -> Index:
    index = Index()
    name = key_name(value)
    if name is not None:
        index.add(name, Reference(service="s3", resource="b", region=REGION, field="KmsKeyId"))
    return index


def is_found(value: str, key: KeyArn = KEY) -> bool:
    return bool(references_to(key, ALIASES, [index_of(value)]).found)


@pytest.mark.parametrize(
    "value",
    [
        ID,
        ID.upper(),
        f" {ID} ",
        f"key/{ID}",
        arn(),
        arn().replace("arn:aws:", "arn:aws-us-gov:"),
        "alias/shop",
        "alias/shop-2",
        f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/shop",
    ],
)
def test_a_key_is_found_by_each_form_of_its_name(value: str) -> None:
    assert is_found(value)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "AWS_OWNED_KMS_KEY",
        "alias/aws/ebs",
        f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/aws/s3",
        ID.replace("0a1b", "0a1c"),
        f"{ID}0",
        "alias/shop-3",
        f"arn:aws:kms:us-east-1:{ACCOUNT}:alias/shop",
        f"arn:aws:kms:{REGION}:444455556666:alias/shop",
        f"arn:aws:s3:::{ID}",
    ],
)
def test_a_key_is_not_found_by_another_name(value: str) -> None:
    assert not is_found(value)


@pytest.mark.parametrize(
    "value",
    [SHARED, arn(SHARED, "us-east-1"), f"arn:aws:kms:us-east-1:{ACCOUNT}:alias/shop"],
)
def test_a_member_of_a_multi_region_set_is_found_by_its_twins_names(value: str) -> None:
    assert is_found(value, TWIN)


def test_the_same_alias_of_another_account_is_no_twins() -> None:
    assert not is_found("arn:aws:kms:us-east-1:444455556666:alias/shop", TWIN)


@pytest.mark.parametrize(
    "aliases", [Unreadable(unreadable="x", permission="kms:ListAliases"), None]
)
def test_fields_that_use_aliases_are_a_gap_while_the_keys_aliases_are_not_known(
    aliases: Unreadable | None,
) -> None:
    (gap,) = references_to(KEY, aliases, [index_of("alias/other")]).gaps
    permission = aliases.permission if aliases else None
    assert (gap.service, gap.operation, gap.permission) == ("kms", "ListAliases", permission)
    assert references_to(KEY, aliases, [index_of(ID)]).gaps == ()
    assert references_to(KEY, aliases, [index_of(ID)]).found


def test_indexes_are_joined_with_every_gap() -> None:
    first, second = index_of(ID), index_of(arn())
    second.by_id[ID].append(
        Reference(service="ec2", resource="vol-1", region=REGION, field="KmsKeyId")
    )
    first.gaps.append(gap_of(service="rds", region=REGION, why="denied"))
    second.gaps.append(gap_of(service="route53", region=REGION, why="denied"))
    first.read, second.read = 3, 4
    joined = references_to(KEY, (), [first, second])
    assert [(ref.service, ref.resource) for ref in joined.found] == [("ec2", "vol-1"), ("s3", "b")]
    assert {gap.service for gap in joined.gaps} == {"rds", "route53"}
    assert joined.services == 7


def test_every_key_within_a_document_is_named() -> None:
    other = "ffffffff-1111-2222-3333-444455556666"
    document = f'{{"a": "{arn()}", "b": ["alias/shop", "alias/aws/s3"], "c": "{other}"}}'
    names = list(key_names_within(document))
    assert {name.id for name in names} == {ID, other, None}
    assert {name.alias for name in names} == {"alias/shop", None}


@pytest.mark.parametrize(
    "document",
    [
        '{"key": "alias/team:db"}',
        r'{"key": "alias\/team:db"}',
        r'"{\"key\": \"alias\\/team:db\"}"',
        r'{"key": "alias\u002fteam:db"}',
        r'"keys:\nalias/team:db\n"',
        f'{{"key": "arn:aws:kms:{REGION}:{ACCOUNT}:alias/team:db"}}',
        "alias/team:db: decrypt",
    ],
)
def test_an_alias_is_found_however_the_document_writes_it(document: str) -> None:
    assert "alias/team:db" in {name.alias for name in key_names_within(document)}


@pytest.mark.parametrize(
    "document", [rf'"arn:aws:kms:{REGION}:{ACCOUNT}:key\/{ID}"', rf'"\n{ID}\n"', rf'"\"{ID}\""']
)
def test_a_key_id_is_found_however_the_document_writes_it(document: str) -> None:
    assert ID in {name.id for name in key_names_within(document)}


def test_a_colon_may_also_end_an_alias() -> None:
    assert {name.alias for name in key_names_within("alias/shop: decrypt")} >= {"alias/shop"}
    assert {name.alias for name in key_names_within("alias/a:b:c")} >= {"alias/a", "alias/a:b"}


def test_a_field_holds_an_alias_with_a_colon_whole() -> None:
    name = key_name("alias/team:db")
    assert name is not None
    assert name.alias == "alias/team:db"


POLICY = {
    "Statement": [
        {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": [arn()]},
        {
            "Effect": "Allow",
            "Action": "kms:*",
            "Resource": "*",
            "Condition": {"ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/shop"}},
        },
    ]
}


@pytest.mark.parametrize("document", [POLICY, json.dumps(POLICY), quote(json.dumps(POLICY))])
def test_a_policy_names_its_keys_however_it_comes(document: object) -> None:
    names = list(key_names_within(document))
    assert {name.id for name in names} == {ID, None}
    assert {name.alias for name in names} == {"alias/shop", None}


@pytest.mark.parametrize(
    "resource",
    [
        "*",
        f"arn:aws:kms:{REGION}:{ACCOUNT}:key/*",
        f"arn:aws:kms:*:{ACCOUNT}:key/mrk-*",
        f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/*",
    ],
)
def test_a_policy_for_any_key_names_none(resource: str) -> None:
    assert list(key_names_within({"Statement": [{"Resource": resource}]})) == []


def test_a_policy_names_a_key_in_any_region_and_account() -> None:
    (name,) = key_names_within({"Resource": f"arn:aws:kms:*:*:key/{ID}"})
    assert (name.id, name.region, name.account_id) == (ID, None, None)


@pytest.mark.parametrize("value", [None, 3, ["x"], {}])
def test_values_that_are_not_strings_name_no_key(value: object) -> None:
    assert key_name(value) is None
    assert list(key_names_within(value)) == []


@given(key_id=st.uuids().map(str) | st.from_regex(r"\Amrk-[0-9a-f]{32}\Z"), text=st.text())
def test_a_key_is_found_within_any_text_that_names_it_apart(key_id: str, text: str) -> None:
    names = list(key_names_within(f'{text}"{arn(key_id)}"{text}'))
    assert key_id in {name.id for name in names}


def many(count: int) -> Index:
    index = Index()
    name = key_name(ID)
    assert name is not None
    for number in reversed(range(count)):
        resource = f"snap-{number:04d}"
        index.add(
            name, Reference(service="ec2", resource=resource, region=REGION, field="KmsKeyId")
        )
    return index


def test_many_references_are_shortened_in_a_stable_order() -> None:
    found = references_to(KEY, (), [many(1234)]).found
    assert [ref.resource for ref in found[:2]] == ["snap-0000", "snap-0001"]
    assert len(found) == 21
    assert found[-1].resource == "1,214 more like these"
    assert found != references_to(KEY, (), [many(1235)]).found
    assert len(references_to(KEY, (), [many(20)]).found) == 20


def test_gaps_are_reported_once_and_always_in_the_same_order() -> None:
    gaps = [gap_of(service=name, region=REGION, why="denied") for name in ("b", "a", "b")]
    merged = references_to(KEY, (), [Index(gaps=gaps), Index(gaps=gaps[::-1])]).gaps
    assert [gap.service for gap in merged] == ["a", "b"]
