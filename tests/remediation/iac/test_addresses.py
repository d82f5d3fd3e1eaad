"""Addresses of Terraform's instances, read and written back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keysweep.remediation.iac.terraform_addresses import Address, Step, parse_modules

names = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_-]{0,12}", fullmatch=True).filter(
    lambda name: name != "module"
)
texts = st.text(
    alphabet=st.one_of(st.sampled_from('."[]\\${}%\n\té€'), st.characters(codec="utf-8"))
)
keys = st.one_of(st.none(), st.integers(0, 10**17), texts)
steps = st.builds(Step, names, keys)
addresses = st.builds(Address, st.lists(steps, max_size=4).map(tuple), names, names, keys)


@given(addresses)
def test_an_address_is_read_back_as_it_was_written(address: Address) -> None:
    assert Address.parse(str(address)) == address
    assert str(address).isprintable()
    assert Address.parse(str(address.block)) == address.block


@given(st.lists(steps, max_size=4).map(tuple))
def test_a_module_is_read_back_as_it_was_written(modules: tuple[Step, ...]) -> None:
    text = str(Address(modules, "aws_kms_key", "a")).removesuffix("aws_kms_key.a").rstrip(".")
    assert parse_modules(text) == modules


@given(st.text())
def test_any_text_is_an_address_or_a_value_error(text: str) -> None:
    try:
        address = Address.parse(text)
    except ValueError:
        return
    assert Address.parse(str(address)) == address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("aws_kms_key.a", Address((), "aws_kms_key", "a")),
        ("aws_kms_key.a[10]", Address((), "aws_kms_key", "a", 10)),
        ('aws_kms_key.a["b.c"]', Address((), "aws_kms_key", "a", "b.c")),
        ('aws_kms_key.a["say \\"x\\""]', Address((), "aws_kms_key", "a", 'say "x"')),
        ('aws_kms_key.a["$${x} 100%"]', Address((), "aws_kms_key", "a", "${x} 100%")),
        (
            'module.m["k]."].module.n[0].aws_kms_key.a-1["\\u00e9"]',
            Address((Step("m", "k]."), Step("n", 0)), "aws_kms_key", "a-1", "é"),
        ),
    ],
)
def test_what_terraform_writes_is_understood(text: str, address: Address) -> None:
    assert Address.parse(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "aws_kms_key",
        "module.m",
        "aws_kms_key.a[01]",
        "aws_kms_key.a[-1]",
        "aws_kms_key.a[*]",
        'aws_kms_key.a["b"c"]',
        'aws_kms_key.a["\\ud800"]',
        'aws_kms_key.a["\\U00110000"]',
        "aws_kms_key.a.arn",
        "data.aws_kms_key.a",
        "module.m.module.n",
    ],
)
def test_what_terraform_does_not_write_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not the address|escape"):
        Address.parse(text)


def test_checkov_does_not_escape_keys() -> None:
    address = Address((Step("m", 'x"y'),), "aws_kms_key", "a", "b\\c")
    assert address.as_checkov_writes == 'module.m["x"y"].aws_kms_key.a["b\\c"]'
    assert str(address) == 'module.m["x\\"y"].aws_kms_key.a["b\\\\c"]'
