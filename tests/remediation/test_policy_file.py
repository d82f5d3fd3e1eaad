"""The decision policy as people write it: what is refused, where, and what the default says."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keysweep.remediation.errors import BadInput
from keysweep.remediation.key_globs import can_match_alias, can_match_key
from keysweep.remediation.models import (
    LISTS_REGIONS,
    MANY_MESSAGES,
    AnswerClass,
    CoverageGap,
    Evidence,
    KeyArn,
)
from keysweep.remediation.policy import OverridableDays, Override, Policy, policies_folder
from keysweep.remediation.policy_file import load
from keysweep.remediation.policy_values import MAX_COVERAGE_EXCEPTION
from keysweep.remediation.rules import RULES

KEY = KeyArn.parse("arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab")
OTHER = KeyArn.parse("arn:aws:kms:us-east-1:444455556666:key/mrk-1234abcd12ab34cd56ef1234567890ab")
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.fixture
def write(tmp_path: Path):
    """A policy file with these lines after its version."""

    def make(lines: str, head: str = "version: 1\n") -> Path:
        path = tmp_path / "team.yaml"
        path.write_text(head + lines, encoding="utf-8")
        return path

    return make


def test_the_default_file_has_the_defaults_of_the_model() -> None:
    assert load() == Policy()


def test_every_value_of_the_default_file_has_a_comment_before_it() -> None:
    lines = (policies_folder() / "retirement.yaml").read_text(encoding="utf-8").splitlines()
    named = {
        n: i for i, line in enumerate(lines) if (n := line.split(":")[0]) in Policy.model_fields
    }
    assert set(named) == set(Policy.model_fields)
    assert all(lines[index - 1].startswith("# ") for index in named.values())


REFUSED = {
    "unknown name": ("max_key: 3", 2, "max_keys?"),
    "unknown nested name": ("regions: {alow: [eu-west-1]}", 2, "allow?"),
    "name with nothing near": ("color: red", 2, "accounts, closed_regions, "),
    "text for number": ('max_keys: "3"', 2, "whole number, not '3'"),
    "truth for number": ("max_keys: yes", 2, "whole number, not True"),
    "fraction for days": ("min_age_days: 7.5", 2, "whole number, not 7.5"),
    "nothing for number": ("max_keys:", 2, "whole number, not nothing"),
    "window of 5": ("pending_window_days: 5", 2, "at least 7, not 5"),
    "window of 31": ("pending_window_days: 31", 2, "at most 30, not 31"),
    "negative age": ("min_age_days: -1", 2, "at least 0, not -1"),
    "days beyond sense": ("min_days_unused: 999999999999", 2, "must be at most 36500"),
    "octal": ("min_age_days: 030", 2, "030"),
    "sexagesimal": ("min_age_days: 1:30", 2, "1:30"),
    "tab": ("accounts:\n\tallow: []", 3, "a tab"),
    "name twice": ("max_keys: 1\n\nmax_keys: 2", 4, "'max_keys', first on line 2"),
    "nested name twice": ("regions:\n  deny: []\n  deny: []", 4, "first on line 3"),
    "name twice, escaped": ('max_keys: 1\n"max\\u005fkeys": 2', 3, "'max_keys', first on line 2"),
    "name twice in a list": (
        "exceptions:\n  - {key: all, rule: in-use, reason: a, until: 2099-01-01, rule: too-new}",
        3,
        "'rule', first on line 3",
    ),
    "merged names": ("regions:\n  <<: {deny: []}", 3, "unknown name '<<'"),
    "alias of YAML": ("max_keys: &n 3\nmin_age_days: *n", 3, "YAML alias"),
    "second document": ("---\nversion: 1", 2, "more than one"),
    "not YAML": ("max_keys: 3 4: 5", 2, "YAML"),
    "name that is a list": ("? [a]\n: 3", 2, "a name must be"),
    "foreign tag": ("protected_tag: !!python/name:os.system x", 2, "'x'"),
    "tag of a Boolean": ("max_keys: !!bool x", 2, "'x'"),
    "tag of a time": ("max_keys: !!timestamp x", 2, "'x'"),
    "tag of a number": ('quota_share: !!float ""', 2, "''"),
    "escape of no character": ('protected_tag: "\\U00110000"', 2, "escape"),
    "escape of no number": ('protected_tag: a\n"\\UFFFFFFFF": 1', 3, "escape"),
    "number without end": (f"max_keys: {'9' * 5000}", 2, "'999"),
    "list for names": ("accounts: []", 2, "accounts: must be a mapping"),
    "text for list": ("protected_keys: alias/x", 2, "a list, not 'alias/x'"),
    "text for phrases": ("protected_phrases: keep", 2, "a list, not 'keep'"),
    "phrase without a letter": ("protected_phrases: ['--']", 2, "'--' has no letter"),
    "number for a phrase": ("protected_phrases: [1]", 2, "protected_phrases[1]: "),
    "blank tag": ('protected_tag: " "', 2, "must not be blank"),
    "number for tag": ("owner_tags: [1]", 2, "owner_tags[1]: "),
    "share of nothing": ("quota_share: 0", 2, "must be more than 0"),
    "share above all": ("quota_share: 1.5", 2, "must be at most 1"),
    "share that is no number": ("quota_share: .nan", 2, "quota_share"),
    "protects all by accident": ('protected_keys: ["*"]', 2, "'*' matches every key"),
    "protects a partition": ("protected_keys: ['arn:aws:kms:*']", 2, "matches every key"),
    "protects China": ("protected_keys: ['arn:aws-cn:*:key/*']", 2, "matches every key"),
    "bare id": (f"protected_keys: [{KEY.key_id}]", 2, "write the whole ARN"),
    "glob of a bare id": ("protected_keys: [1234abcd-*]", 2, "matches no key"),
    "a name where the id is": ("protected_keys: ['*:key/prod-*']", 2, "matches no key"),
    "an id in upper case": (
        "protected_keys: ['arn:aws:kms:eu-west-1:111122223333:key/1234ABCD-*']",
        2,
        "matches no key",
    ),
    "an id that is too long": (f"protected_keys: ['*:key/{KEY.key_id}?']", 2, "matches no key"),
    "an account that is too short": ("protected_keys: ['arn:aws:kms:*:1111:key/*']", 2, "no key"),
    "an alias with a blank": ("protected_keys: ['alias/prod *']", 2, "matches no alias"),
    "an alias without a name": ("protected_keys: [alias/]", 2, "matches no alias"),
    "part of an alias": ("protected_keys: ['prod-*']", 2, "matches no key"),
    "a set of nothing": ("protected_keys: ['alias/[.]*']", 2, "matches no alias"),
    "another service's ARN": ("protected_keys: ['arn:aws:s3:::*']", 2, "matches no key"),
    "account as number": ("accounts: {allow: [111122223333]}", 2, "accounts.allow[1]: "),
    "account as octal": ("accounts: {deny: [011122223333]}", 2, "011122223333"),
    "account too short": ("accounts: {deny: ['1234']}", 2, "not an account id"),
    "no Region": ("regions: {deny: [Ireland]}", 2, "'Ireland' is not"),
    "override of all": ("overrides: [{set: {min_age_days: 3}}]", 2, "overrides[1]: "),
    "override of no account": (
        "overrides: [{accounts: [], set: {min_age_days: 3}}]",
        2,
        "overrides[1].accounts: must not be empty",
    ),
    "override of nothing": ("overrides: [{regions: [eu-west-1], set: {}}]", 2, "sets nothing"),
    "override of a plan's value": (
        "overrides:\n- regions: [eu-west-1]\n  set:\n    max_keys: 3",
        5,
        "unknown name 'max_keys'",
    ),
    "override out of range": (
        "overrides:\n- regions: [eu-west-1]\n  set:\n    pending_window_days: 6",
        5,
        "overrides[1].set.pending_window_days: must be at least 7",
    ),
    "accounts that are no list": ("closed_regions:\n- accounts: every", 3, "'every'"),
    "account of three digits": ("closed_regions:\n- accounts: ['123']", 3, "accounts[1]: '123'"),
    "no account": ("closed_regions:\n- accounts: []", 3, "accounts: must not be empty"),
    "Region in words": ("closed_regions:\n- regions: [Ireland]", 3, "regions[1]: 'Ireland'"),
}


@pytest.mark.parametrize(("lines", "line", "words"), REFUSED.values(), ids=REFUSED)
def test_refused_with_file_line_and_fix(write, lines: str, line: int, words: str) -> None:
    path = write(lines)
    with pytest.raises(BadInput) as refusal:
        load(path)
    sentence = str(refusal.value)
    assert sentence.startswith(f"{path}:{line}: ")
    assert words in sentence
    assert "\n" not in sentence
    assert len(sentence) < 2_000
    assert refusal.value.exit_code == 2


EXCEPTION = {
    "key": "all",
    "rule": "in-use",
    "reason": "checked",
    "approved_by": "security",
    "until": "2026-12-31",
}
REFUSED_EXCEPTIONS = {
    "key": ("*", "'*' matches every key"),
    "rule": ("in-used", "'in-used'"),
    "reason": ("<why>", "'<why>'"),
    "approved_by": ("''", "must not be empty"),
    "until": ("20261231", "'20261231'"),
}


@pytest.mark.parametrize("part", REFUSED_EXCEPTIONS)
def test_an_exception_is_refused_for_each_part(write, part: str) -> None:
    value, words = REFUSED_EXCEPTIONS[part]
    exception_for = {**EXCEPTION, part: "'*'" if value == "*" else value}
    path = write(
        "exceptions:\n"
        + "".join(f"  {'-' if n == 'key' else ' '} {n}: {v}\n" for n, v in exception_for.items())
    )
    with pytest.raises(BadInput, match=re.escape(words)) as refusal:
        load(path)
    assert str(refusal.value).startswith(
        f"{path}:{3 + list(EXCEPTION).index(part)}: exceptions[1].{part}: "
    )


@pytest.mark.parametrize("missing", EXCEPTION)
def test_an_exception_needs_each_part(write, missing: str) -> None:
    parts = ", ".join(f"{name}: {value}" for name, value in EXCEPTION.items() if name != missing)
    with pytest.raises(BadInput, match=rf":\d: exceptions\[1\]\.{missing}: "):
        load(write(f"exceptions: [{{{parts}}}]"))


COVERAGE = {
    "accounts": "all",
    "regions": "[eu-west-1]",
    "service": "fsx",
    "operation": "DescribeFileCaches",
    "answer": "{code: BadRequest, message: ''}",
    "reason": "no Lustre",
    "approved_by": "storage",
    "until": "2026-12-31",
}
CLOSED = {
    name: value
    for name, value in COVERAGE.items()
    if name not in {"service", "operation", "answer"}
}


def written(name: str, parts: Mapping[str, str]) -> str:
    """A list of one exception, with each of its parts on a line of its own."""
    return f"{name}:\n  -\n" + "".join(f"    {part}: {value}\n" for part, value in parts.items())


def next_year(days: int) -> date:
    """The last day on which a coverage exception can end, or one some days later."""
    return datetime.now(UTC).date() + MAX_COVERAGE_EXCEPTION + timedelta(days)


REFUSED_COVERAGE = {
    "accounts": ("['*']", "accounts[1]: '*'"),
    "regions": ("global", "regions: 'global'"),
    "service": ("s4", "service: unknown service 's4'"),
    "operation": ("DescribeFileCache", "operation: 'DescribeFileCache'"),
    "answer": ("{code: '', message: ''}", "answer.code: "),
    "reason": ("<reason>", "reason: '<reason>'"),
    "approved_by": ("' '", "approved_by: "),
    "until": ("2099-01-01", "until: 2099-01-01"),
}


@pytest.mark.parametrize("part", COVERAGE)
def test_a_coverage_exception_is_refused_for_each_part(write, part: str) -> None:
    value, words = REFUSED_COVERAGE[part]
    path = write(written("coverage_exceptions", {**COVERAGE, part: value}))
    with pytest.raises(BadInput) as refusal:
        load(path)
    assert str(refusal.value).startswith(
        f"{path}:{4 + list(COVERAGE).index(part)}: coverage_exceptions[1].{words}"
    )
    if part in CLOSED:
        with pytest.raises(BadInput, match=re.escape(f"closed_regions[1].{words}")):
            load(write(written("closed_regions", {**CLOSED, part: value})))


@pytest.mark.parametrize("missing", COVERAGE)
def test_a_coverage_exception_needs_each_part(write, missing: str) -> None:
    rest = {name: value for name, value in COVERAGE.items() if name != missing}
    with pytest.raises(BadInput, match=rf":\d: coverage_exceptions\[1\]\.{missing}: "):
        load(write(written("coverage_exceptions", rest)))
    if missing in CLOSED:
        rest = {name: value for name, value in CLOSED.items() if name != missing}
        with pytest.raises(BadInput, match=rf":\d: closed_regions\[1\]\.{missing}: "):
            load(write(written("closed_regions", rest)))


def test_a_coverage_exception_ends_within_a_year(write) -> None:
    latest = load(
        write(written("coverage_exceptions", {**COVERAGE, "until": str(next_year(0))}))
    ).coverage_exceptions
    assert [one.until for one in latest] == [next_year(0)]
    with pytest.raises(BadInput, match=re.escape(str(next_year(1)))):
        load(write(written("coverage_exceptions", {**COVERAGE, "until": str(next_year(1))})))


GAP = CoverageGap(
    service="fsx",
    region="eu-west-1",
    operation="DescribeFileCaches",
    code="BadRequest",
    message="The requested feature is not enabled for this AWS account.",
    answer_class="closed",
    why="",
)
DECISION = {
    "accounts": [KEY.account_id],
    "regions": ["eu-west-1", "us-east-1"],
    "service": GAP.service,
    "operation": GAP.operation,
    "answer": {"code": GAP.code, "message": GAP.message},
    "reason": "no Lustre",
    "approved_by": "storage",
    "until": "2026-06-01",
}
LAST = datetime(2026, 6, 1, 23, 59, tzinfo=UTC)
KEYS = replace(KEY.account_region, region="eu-central-1")
OTHER_ACCOUNT = replace(KEYS, account_id="444455556666")
DENIED = {
    "answer_class": "organization",
    "every_region": True,
    "message": "x with an explicit deny in a service control policy",
}


def test_a_coverage_exception_lifts_one_answer_of_one_call() -> None:
    def lifts(gap: CoverageGap = GAP, account: str = KEY.account_id, **other: object) -> bool:
        policy = Policy.model_validate({"coverage_exceptions": [{**DECISION, **other}]})
        keys = replace(KEYS, account_id=account)
        return policy.coverage_exception_for(keys, gap, LAST) is not None

    assert lifts()
    assert lifts(accounts="all", regions="all")
    assert not lifts(account="444455556666")
    for part, value in (
        ("service", "s3"),
        ("region", "us-west-2"),
        ("operation", "DescribeFileSystems"),
        ("code", "AccessDeniedException"),
        ("message", "The requested feature is not enabled for this AWS account"),
    ):
        assert not lifts(GAP.model_copy(update={part: value})), part
    policy = Policy.model_validate({"coverage_exceptions": [DECISION]})
    tomorrow = LAST + timedelta(minutes=1)
    assert policy.coverage_exception_for(KEYS, GAP, tomorrow) is None


@pytest.mark.parametrize("part", [{"operation": LISTS_REGIONS}, {"message": MANY_MESSAGES}])
def test_no_exception_lifts_what_was_not_read_or_is_many_answers(part: dict[str, str]) -> None:
    gap = GAP.model_copy(update=part)
    decision = {
        **DECISION,
        "operation": gap.operation,
        "answer": {"code": gap.code, "message": gap.message},
    }
    policy = Policy.model_validate({"coverage_exceptions": [decision]})
    assert policy.coverage_exception_for(KEYS, gap, LAST) is None


def test_a_policy_decides_nothing_about_the_list_of_regions(write) -> None:
    decision = {**DECISION, "service": "ssm", "operation": LISTS_REGIONS}
    with pytest.raises(BadInput, match=re.escape("coverage_exceptions[1].operation")):
        load(write(written("coverage_exceptions", decision)))


def test_a_closed_region_lifts_denials_of_the_organization_where_every_region_is_read() -> None:
    denied = GAP.model_copy(update=DENIED)
    decision = {name: DECISION[name] for name in CLOSED}
    policy = Policy.model_validate({"closed_regions": [decision]})
    assert policy.coverage_exception_for(KEYS, denied, LAST) == policy.closed_regions[0]
    for part, value in (
        ("region", "us-west-2"),
        ("every_region", False),
        ("operation", LISTS_REGIONS),
        ("message", "The account must be a delegated administrator account."),
        *(("answer_class", one) for one in get_args(AnswerClass) if one != "organization"),
    ):
        other = denied.model_copy(update={part: value})
        assert policy.coverage_exception_for(KEYS, other, LAST) is None, value
    assert policy.coverage_exception_for(OTHER_ACCOUNT, denied, LAST) is None
    in_it = replace(KEYS, region=denied.region)
    assert policy.coverage_exception_for(in_it, denied, LAST) is None
    tomorrow = LAST + timedelta(minutes=1)
    assert policy.coverage_exception_for(KEYS, denied, tomorrow) is None


@pytest.mark.parametrize("until", ["2026-12-31T00:00:00Z", "1798675200", "yes", "2026-13-01"])
def test_an_exception_ends_on_a_plain_day(write, until: str) -> None:
    path = write(
        f"exceptions: [{{key: all, rule: in-use, reason: x, approved_by: x, until: {until}}}]"
    )
    shown = "True" if until == "yes" else until[:10]
    with pytest.raises(BadInput, match=rf":\d: .*'{shown}"):
        load(path)


def test_the_unreadable_key_takes_no_exception(write) -> None:
    path = write(
        "exceptions:\n"
        "  - {key: all, rule: unreadable-key, reason: x, approved_by: x, until: 2026-12-31}"
    )
    with pytest.raises(BadInput, match=r":\d: .*unreadable-key.*kms:DescribeKey"):
        load(path)


@pytest.mark.parametrize("text", ["", "# nothing but a comment\n", "\n\n"])
def test_an_empty_file_is_no_policy(write, text: str) -> None:
    with pytest.raises(BadInput, match=r":1: .*empty"):
        load(write("", head=text))


@pytest.mark.parametrize(
    ("head", "words"),
    [
        ("max_keys: 3\n", "version: "),
        ("version: 2\n", "version: must be 1, not 2"),
        ("- 1\n", "must be a mapping"),
        ("just words\n", "must be a mapping"),
    ],
)
def test_a_file_of_another_kind_is_refused(write, head: str, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        load(write("", head=head))


def test_a_missing_and_a_binary_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"absent\.yaml: "):
        load(tmp_path / "absent.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInput, match=r"binary\.yaml: Not UTF-8"):
        load(tmp_path / "binary.yaml")
    (tmp_path / "null.yaml").write_bytes(b"version: 1\n\x00")
    with pytest.raises(BadInput, match=r"null\.yaml:2: .*U\+0000"):
        load(tmp_path / "null.yaml")


def test_of_several_mistakes_the_first_is_named_and_the_others_are_counted(write) -> None:
    path = write("max_keys: x\nmin_age_days: y\nmin_days_unused: z")
    with pytest.raises(BadInput, match=r":\d: max_keys: .* \(and 2 more\)$"):
        load(path)


@given(st.text(max_size=200))
def test_no_text_is_anything_but_a_policy_or_a_refusal(tmp_path_factory, text: str) -> None:
    path = tmp_path_factory.mktemp("any") / "any.yaml"
    path.write_text(text, encoding="utf-8")
    with contextlib.suppress(BadInput):
        assert isinstance(load(path), Policy)


def test_the_value_all_must_be_explicit(write) -> None:
    policy = load(write("protected_keys: [all]"))
    assert list(policy.protecting(KEY, ())) == ["all"]
    policy = load(
        write(
            "exceptions: [{key: all, rule: in-use, reason: x, approved_by: x, until: 2026-12-31}]"
        )
    )
    assert policy.exception_for("in-use", Evidence(key_arn=OTHER), NOW)


GLOBS = {
    str(KEY): {KEY},
    "arn:aws:kms:*:111122223333:key/*": {KEY},
    "arn:aws:kms:us-east-1:*:key/*": {OTHER},
    "*:key/mrk-*": {OTHER},
    "arn:aws:kms:*:key/[12]*": {KEY},
    "alias/prod-*": {KEY},
    "arn:aws:kms:eu-west-1:*:alias/prod-shop": {KEY},
    "alias/prod": set(),
    "*prod*": {KEY},
    "*:ali?s/prod-*": {KEY},
    "ali[!b-z]s/prod*": {KEY},
    "arn:aws:kms:*prod-s[a-h]op": {KEY},
    "arn:aws:kms:eu-west-1:111122223333:*": {KEY},
    "*mrk-1234abcd*": {OTHER},
    "*:key/????????-????-*": {KEY},
}


@pytest.mark.parametrize("glob", GLOBS)
def test_protected_keys_match(write, glob: str) -> None:
    policy = load(write(f"protected_keys: ['{glob}']"))
    aliases = {KEY: ("alias/prod-shop",), OTHER: ()}
    assert {k for k, names in aliases.items() if list(policy.protecting(k, names))} == GLOBS[glob]
    assert policy.protects_aliases == (":key/" not in glob)


@given(
    st.lists(st.sampled_from(["*", "?", "[a-f1]", "[!p]", "x", "8"]), max_size=3),
    st.integers(0, 90),
    st.integers(0, 40),
    st.sampled_from(
        [str(KEY), str(OTHER), "alias/prod:a_b/C", f"{KEY}".split("key/")[0] + "alias/x"]
    ),
)
def test_a_glob_that_matches_a_name_is_never_refused_as_one_that_cannot(
    inserted: list[str], start: int, cut: int, name: str
) -> None:
    glob = name[:start] + "".join(inserted) + name[start + cut :]
    if fnmatchcase(name, glob):
        of_alias = ":key/" not in name
        assert (can_match_alias if of_alias else can_match_key)(glob)


def test_an_exception_counts_on_its_last_day_and_not_after(write) -> None:
    policy = load(
        write(
            "exceptions: [{key: all, rule: in-use, reason: x, approved_by: x, until: 2026-06-01}]"
        )
    )
    evidence = Evidence(key_arn=KEY)
    assert policy.exception_for("in-use", evidence, datetime(2026, 6, 1, 23, 59, tzinfo=UTC))
    assert policy.exception_for("in-use", evidence, datetime(2026, 6, 2, tzinfo=UTC)) is None
    assert policy.exception_for("restored", evidence, NOW) is None


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_every_rule_but_what_no_exception_lifts_can_be_named(write, rule) -> None:
    path = write(
        f"exceptions: [{{key: all, rule: {rule.id}, reason: x, approved_by: x, until: 2026-12-31}}]"
    )
    assert [one.rule for one in load(path).exceptions] == [rule.id]


def test_overrides_count_where_they_name_the_key_and_later_ones_win(write) -> None:
    policy = load(
        write(
            "min_age_days: 1\n"
            "overrides:\n"
            "- accounts: ['111122223333']\n"
            "  set: {min_age_days: 2, pending_window_days: 7}\n"
            "- regions: [us-east-1]\n"
            "  set: {min_age_days: 3}\n"
            "- accounts: ['111122223333']\n"
            "  regions: [eu-west-1]\n"
            "  set: {min_age_days: 4}\n"
        )
    )
    here, there = policy.for_key(KEY), policy.for_key(OTHER)
    assert (here.min_age_days, here.pending_window_days) == (4, 7)
    assert (there.min_age_days, there.pending_window_days) == (3, 30)
    assert here.for_key(KEY) == here


def test_owners_of_accounts_are_named_by_account_id(write) -> None:
    named = load(write("account_owners:\n  '111122223333': payments team\n"))
    assert named.account_owners == {"111122223333": "payments team"}
    for text in ("'1111': payments team", "'111122223333': ' '"):
        with pytest.raises(BadInput, match="account_owners"):
            load(write(f"account_owners:\n  {text}\n"))


def test_max_keys_stays_within_its_ceiling(write) -> None:
    assert Policy().max_keys_ceiling is None
    assert load(write("max_keys: 25\nmax_keys_ceiling: 25\n")).max_keys_ceiling == 25
    for text in ("max_keys: 26\nmax_keys_ceiling: 25\n", "max_keys_ceiling: 24\n"):
        with pytest.raises(BadInput, match=r"max_keys_ceiling.*Fix: "):
            load(write(text))


def test_an_override_can_set_every_number_that_belongs_to_a_key() -> None:
    of_the_plan = {"version", "max_keys", "plan_expires_days", "require_alarm", "history_days"}
    numbers = {n for n in Policy.model_fields if isinstance(getattr(Policy(), n), int)}
    assert set(OverridableDays.model_fields) == numbers - of_the_plan
    assert set(Override.model_fields) == {"accounts", "regions", "set"}


def test_one_window_for_every_key_beats_the_overrides(write) -> None:
    policy = load(
        write(
            "overrides:\n"
            "- {regions: [eu-west-1], set: {pending_window_days: 7, min_age_days: 3}}\n"
            "- {regions: [us-east-1], set: {pending_window_days: 7}}\n"
        )
    ).with_window(14)
    assert policy.for_key(KEY).pending_window_days == 14
    assert policy.for_key(KEY).min_age_days == 3
    assert Policy.model_validate_json(policy.model_dump_json()) == policy


def test_a_policy_survives_the_plan_document(write) -> None:
    policy = load(
        write(
            "exceptions: [{key: all, rule: in-use, reason: x, approved_by: x, until: 2026-12-31}]\n"
            "overrides: [{regions: [eu-west-1], set: {min_age_days: 3}}]\n"
            "quota_share: 0.5\n"
        )
    )
    assert Policy.model_validate_json(policy.model_dump_json()) == policy


SCOPES = {
    "accounts: {allow: ['111122223333']}": {KEY},
    "accounts: {deny: ['111122223333']}": {OTHER},
    "accounts: {allow: ['111122223333'], deny: ['111122223333']}": set(),
    "regions: {allow: [us-east-1]}": {OTHER},
    "regions: {deny: [us-east-1]}": {KEY},
}


@pytest.mark.parametrize("lines", SCOPES)
def test_accounts_and_regions_are_admitted(write, lines: str) -> None:
    policy = load(write(lines))
    admitted = {
        key
        for key in (KEY, OTHER)
        if policy.accounts.admits(key.account_id) and policy.regions.admits(key.region)
    }
    assert admitted == SCOPES[lines]
