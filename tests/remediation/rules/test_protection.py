"""The rules by which people protect keys: not-in-scope, protected-key, protected-tag."""

from __future__ import annotations

import re

import pytest
from dead_key import ACCOUNT, ARN, DEAD, changed, held_by, messages_of, policy

from keysweep.remediation.models import Unreadable
from keysweep.remediation.rules import RULES


@pytest.mark.parametrize(
    ("values", "held"),
    [
        ({"accounts": {"allow": [ACCOUNT]}}, False),
        ({"accounts": {"allow": ["444455556666"]}}, True),
        ({"accounts": {"deny": [ACCOUNT]}}, True),
        ({"accounts": {"allow": [ACCOUNT], "deny": [ACCOUNT]}}, True),
        ({"regions": {"allow": ["eu-west-1"]}}, False),
        ({"regions": {"allow": ["us-east-1"]}}, True),
        ({"regions": {"deny": ["eu-west-1"]}}, True),
    ],
)
def test_scope(values: dict[str, object], held: bool) -> None:
    assert held_by(DEAD, policy(**values)) == ({"not-in-scope"} if held else set())


def test_scope_names_what_is_outside() -> None:
    both = policy(accounts={"deny": [ACCOUNT]}, regions={"deny": ["eu-west-1"]})
    account, region = messages_of("not-in-scope", DEAD, both)
    assert (f"account {ACCOUNT} " in account, "eu-west-1" in account) == (True, False)
    assert ("Region eu-west-1 " in region, ACCOUNT in region) == (True, False)


@pytest.mark.parametrize(
    "entry", [str(ARN), f"arn:aws:kms:*:{ACCOUNT}:key/*", "all", "alias/old-*", "alias/old-shop"]
)
def test_protected_keys_hold(entry: str) -> None:
    under = policy(protected_keys=[entry])
    assert held_by(DEAD, under) == {"protected-key"}
    assert entry in messages_of("protected-key", DEAD, under)[0]


@pytest.mark.parametrize("entry", ["alias/new-shop", "arn:aws:kms:us-east-1:*:key/*"])
def test_other_protected_keys_do_not_hold(entry: str) -> None:
    assert held_by(DEAD, policy(protected_keys=[entry])) == set()


def test_aliases_are_needed_only_when_the_policy_names_some() -> None:
    unread = changed(aliases=Unreadable(unreadable="denied"))
    other = {"alias-moved"}
    assert held_by(unread) == other
    assert held_by(unread, policy(protected_keys=[f"arn:aws:kms:*:{ACCOUNT}:key/*"])) == {
        "protected-key",
        *other,
    }
    assert held_by(unread, policy(protected_keys=["alias/other"])) == {"protected-key", *other}
    rule = next(rule for rule in RULES if rule.id == "protected-key")
    assert rule.needed(policy()) == frozenset()
    assert rule.needed(policy(protected_keys=["alias/x"])) == {"aliases"}


@pytest.mark.parametrize(
    "name",
    [
        "keysweep:keep",
        "Keysweep:Keep",
        "KEYSWEEP:KEEP",
        " keysweep:keep ",
        "keysweep: keep",
        "keysweep:\u00a0keep",
        "keysweep:keep\u200b",
        "\uff4beysweep:keep",
    ],
)
@pytest.mark.parametrize("value", ["", "true", "false", "no", "until 2026-13-45"])
def test_the_tag_protects_in_any_case_and_with_any_value(name: str, value: str) -> None:
    assert held_by(changed(tags={"team": "shop", name: value})) == {"protected-tag"}


@pytest.mark.parametrize("name", ["keysweep", "keysweep:keeper", "xkeysweep:keeping"])
def test_another_tag_does_not_protect(name: str) -> None:
    assert held_by(changed(tags={name: "true"})) == set()


ASKING = [
    "do not delete",
    "DO NOT DELETE",
    "DoNotDelete",
    "donotdelete",
    "do-not-delete",
    "DO_NOT_DELETE",
    "do.not/delete",
    "Backups (do not delete!)",
    "prodDoNotDelete",
    "DONOTDELETEProd",
    "Do  not\ndelete",
    "do not de\u200blete",
    "\uff24\uff2f not delete",
    "Don't delete",
    "don\u2019t remove",
    "DO NOT REMOVE",
    "must not be deleted before 2030",
    "NEVER delete",
    "Keep",
    "please keep until 2030",
    "keep2030",
    "Legal-Hold",
]
NOT_ASKING = [
    "",
    "key for the housekeeping job",
    "HouseKeeping",
    "Keeper",
    "gatekeeper",
    "Keeping books",
    "can be deleted",
    "delete after 2024",
    "do not use",
    "retainer fees",
]


@pytest.mark.parametrize("text", ASKING)
def test_a_description_or_tag_that_asks_to_keep_the_key_holds(text: str) -> None:
    assert held_by(changed(description={"description": text})) == {"protected-tag"}
    assert held_by(changed(tags={"note": text})) == {"protected-tag"}
    for value in ("true", "", "until 2030", "unknown"):
        assert held_by(changed(tags={text: value})) == {"protected-tag"}


@pytest.mark.parametrize("text", NOT_ASKING)
def test_ordinary_words_do_not_hold(text: str) -> None:
    assert held_by(changed(description={"description": text})) == set()
    assert held_by(changed(tags={"note": text, f"{text}x": "true"})) == set()


@pytest.mark.parametrize("value", ["false", "FALSE", " no ", "0", "off", "Disabled", "none"])
@pytest.mark.parametrize("name", ["DoNotDelete", "do-not-delete", "delete-protection", "keep"])
def test_a_tag_with_the_value_no_protects_nothing(name: str, value: str) -> None:
    assert held_by(changed(tags={name: value})) == set()


def test_phrases_are_the_policys() -> None:
    phrases = ["deletable false", "nicht l\u00f6schen", "\u524a\u9664\u7981\u6b62"]
    under = policy(protected_phrases=phrases)
    assert held_by(changed(tags={"Deletable": "false"}), under) == {"protected-tag"}
    assert held_by(changed(tags={"deletable": "true"}), under) == set()
    for text in ("Nicht L\u00d6SCHEN", "\u9375\u306f\u524a\u9664\u7981\u6b62\u3067\u3059"):
        assert held_by(changed(description={"description": text}), under) == {"protected-tag"}
    assert held_by(changed(description={"description": "do not delete"}), under) == set()
    nothing = policy(protected_phrases=[])
    assert held_by(changed(description={"description": "keep"}), nothing) == set()


def test_a_long_description_is_shown_in_part() -> None:
    (message,) = messages_of(
        "protected-tag", changed(description={"description": "x " * 4000 + "keep"})
    )
    assert "(keep)" in message
    assert len(message) < 200


def test_the_tag_is_the_policys() -> None:
    tagged = changed(tags={"Retain": "yes"})
    assert held_by(tagged, policy(protected_tag="retain")) == {"protected-tag"}
    (message,) = messages_of("protected-tag", tagged, policy(protected_tag="retain"))
    assert re.findall("'(.*?)'", message) == ["Retain", "yes"]
