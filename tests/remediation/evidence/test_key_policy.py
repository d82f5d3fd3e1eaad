"""Key policies in every form: who is let in from outside, and whether a deletion can be undone."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from keysweep.remediation.evidence.key_policy import understand
from keysweep.remediation.models import KeyArn, KeyPolicy

HOME = "111122223333"
AWAY = "999988887777"
ARN = KeyArn.parse(f"arn:aws:kms:eu-west-1:{HOME}:key/1234abcd-12ab-34cd-56ef-1234567890ab")
ROOT = {
    "Sid": "Root",
    "Effect": "Allow",
    "Principal": {"AWS": f"arn:aws:iam::{HOME}:root"},
    "Action": "kms:*",
    "Resource": "*",
}


def use(principal: object, **elements: object) -> dict[str, object]:
    """A statement that lets a principal use the key."""
    return {
        "Sid": "Use",
        "Effect": "Allow",
        "Principal": principal,
        "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
        "Resource": "*",
        **elements,
    }


def read(*statements: object) -> KeyPolicy:
    return understand(json.dumps({"Version": "2012-10-17", "Statement": statements}), ARN)


def test_the_default_key_policy_grants_access_to_no_outsider() -> None:
    seen = read(ROOT)
    assert (seen.outside, seen.unpinned, seen.undo_denied, seen.problem) == ((), (), (), None)
    assert seen.account_root


INSIDE = {
    "role": {"AWS": f"arn:aws:iam::{HOME}:role/shop"},
    "user and bare account": {"AWS": [f"arn:aws:iam::{HOME}:user/ann", HOME]},
    "session": {"AWS": f"arn:aws:sts::{HOME}:assumed-role/shop/ann"},
    "own identity provider": {"Federated": f"arn:aws:iam::{HOME}:saml-provider/corp"},
}


@pytest.mark.parametrize("name", INSIDE)
def test_principals_of_the_account_are_inside(name: str) -> None:
    assert read(ROOT, use(INSIDE[name])).outside == ()


OUTSIDE = {
    "account root": ({"AWS": f"arn:aws:iam::{AWAY}:root"}, f"arn:aws:iam::{AWAY}:root"),
    "bare account id": ({"AWS": AWAY}, AWAY),
    "role": ({"AWS": f"arn:aws:iam::{AWAY}:role/x"}, f"arn:aws:iam::{AWAY}:role/x"),
    "session": ({"AWS": f"arn:aws:sts::{AWAY}:assumed-role/x/y"}, "assumed-role/x/y"),
    "one of a list": ({"AWS": [HOME, AWAY]}, AWAY),
    "another partition": ({"AWS": f"arn:aws-us-gov:iam::{AWAY}:root"}, AWAY),
    "what is left of a deleted role": ({"AWS": "AROAEXAMPLEID"}, "AROAEXAMPLEID"),
    "web identity": ({"Federated": "accounts.google.com"}, "federated accounts.google.com"),
    "other provider": ({"Federated": f"arn:aws:iam::{AWAY}:saml-provider/c"}, "federated arn"),
    "canonical user": ({"CanonicalUser": "79a59df900b949e5"}, "79a59df900b949e5"),
    "unknown kind": ({"Robot": HOME}, HOME),
    "everyone": ("*", "everyone"),
    "everyone of AWS": ({"AWS": "*"}, "everyone"),
    "everyone in a list": ({"AWS": [HOME, "*"]}, "everyone"),
    "federated everyone": ({"Federated": "*"}, "everyone"),
    "mixed kinds": ({"Service": "s3.amazonaws.com", "AWS": AWAY}, AWAY),
}


@pytest.mark.parametrize("name", OUTSIDE)
def test_any_other_principal_is_outside_and_named_with_the_statement(name: str) -> None:
    principal, words = OUTSIDE[name]
    seen = read(ROOT, use(principal))
    (access,) = seen.outside
    assert words in access
    assert access.endswith('(statement "Use")')


def test_a_statement_without_a_name_is_named_by_its_number() -> None:
    nameless = {k: v for k, v in use({"AWS": AWAY}).items() if k != "Sid"}
    assert read(ROOT, nameless).outside == (f"{AWAY} (statement 2)",)


def test_a_single_statement_need_not_be_a_list() -> None:
    document = json.dumps({"Statement": use({"AWS": AWAY})})
    assert understand(document, ARN).outside == (f'{AWAY} (statement "Use")',)


FOREIGN_SOURCES = {
    "account": {"StringEquals": {"aws:SourceAccount": AWAY}},
    "one of the accounts": {"StringEquals": {"aws:SourceAccount": [HOME, AWAY]}},
    "account as a number": {"StringEquals": {"AWS:sourceaccount": int(AWAY)}},
    "accounts by pattern": {"StringLike": {"aws:SourceAccount": "9999*"}},
    "every account": {"StringLike": {"aws:SourceAccount": "*"}},
    "digits by pattern": {"StringLike": {"aws:SourceAccount": "????????????"}},
    "owner": {"StringEquals": {"aws:SourceOwner": AWAY}},
    "ARN": {"ArnLike": {"aws:SourceArn": f"arn:aws:cloudtrail:*:{AWAY}:trail/*"}},
    "one of the ARNs": {
        "ArnLike": {
            "aws:SourceArn": [f"arn:aws:sns:*:{HOME}:a", f"arn:aws:sns:eu-west-1:{AWAY}:b"],
        }
    },
    "ARN of accounts by pattern": {"StringLike": {"aws:SourceArn": "arn:aws:sns:*:99998888*:b"}},
    "ARN of digits by pattern": {"ArnLike": {"aws:SourceArn": "arn:aws:sns:*:????????????:b"}},
    "bucket named for another account": {"ArnLike": {"aws:SourceArn": f"arn:aws:s3:::x-{AWAY}"}},
    "if it exists": {"StringEqualsIfExists": {"aws:SourceAccount": AWAY}},
    "encryption context": {
        "StringLike": {
            "kms:EncryptionContext:aws:cloudtrail:arn": f"arn:aws:cloudtrail:*:{AWAY}:trail/*"
        }
    },
    "own account, with another's context": {
        "StringEquals": {"aws:SourceAccount": HOME, "kms:EncryptionContext:account": AWAY}
    },
}


@pytest.mark.parametrize("name", FOREIGN_SOURCES)
def test_a_service_that_acts_for_another_account_is_outside(name: str) -> None:
    service = {"Service": "cloudtrail.amazonaws.com"}
    (access,) = read(ROOT, use(service, Condition=FOREIGN_SOURCES[name])).outside
    assert access.startswith("cloudtrail.amazonaws.com for ")
    assert access.endswith('(statement "Use")')
    assert read(ROOT, use(service, Effect="Deny", Condition=FOREIGN_SOURCES[name])).outside == ()


CLOUDTRAIL = "kms:EncryptionContext:aws:cloudtrail:arn"
OWN_TRAIL = f"arn:aws:cloudtrail:*:{HOME}:trail/*"
OWN_SOURCES = {
    "account": {"StringEquals": {"aws:SourceAccount": [HOME]}},
    "account in any case": {"StringEquals": {"AWS:sourceaccount": HOME}},
    "account as a number": {"StringEquals": {"aws:SourceAccount": int(HOME)}},
    "account, like": {"StringLike": {"aws:SourceAccount": HOME}},
    "account, any value": {"ForAnyValue:StringEquals": {"aws:SourceAccount": HOME}},
    "account, present": {
        "StringEqualsIfExists": {"aws:SourceAccount": HOME},
        "Null": {"aws:sourceAccount": "false"},
    },
    "account, all values, present": {
        "ForAllValues:StringEquals": {"aws:SourceAccount": HOME},
        "Null": {"aws:SourceAccount": False},
    },
    "account and not another": {
        "StringEquals": {"aws:SourceAccount": HOME},
        "StringNotEquals": {"aws:SourceAccount": AWAY},
    },
    "account and organization": {
        "StringEquals": {"aws:SourceAccount": HOME, "aws:SourceOrgID": "o-1234567890"}
    },
    "account and bucket": {
        "StringEquals": {"aws:SourceAccount": HOME},
        "ArnLike": {"aws:SourceArn": "arn:aws:s3:::logs"},
    },
    "owner": {"StringEquals": {"aws:SourceOwner": HOME}},
    "caller": {"StringEquals": {"kms:CallerAccount": HOME}},
    "ARN": {"ArnLike": {"aws:SourceArn": OWN_TRAIL}},
    "equal ARN": {"ArnEquals": {"aws:SourceArn": f"arn:aws:sns:eu-west-1:{HOME}:a"}},
    "ARN of any Region, as text": {"StringLike": {"aws:SourceArn": f"arn:aws:logs:*:{HOME}:*"}},
    "ARNs": {"ArnLike": {"aws:SourceArn": [OWN_TRAIL, f"arn:aws:cloudfront::{HOME}:*"]}},
    "own trail": {
        "StringEquals": {"aws:SourceArn": f"arn:aws:cloudtrail:eu-west-1:{HOME}:trail/all"},
        "StringLike": {CLOUDTRAIL: OWN_TRAIL},
    },
    "context of an own trail": {"StringLike": {CLOUDTRAIL: OWN_TRAIL}},
    "context of own log groups": {
        "ArnLike": {"kms:EncryptionContext:aws:logs:arn": f"arn:aws:logs:eu-west-1:{HOME}:*"}
    },
    "context with the account": {"StringEquals": {"kms:EncryptionContext:aws:account": HOME}},
}
"""Among them what AWS's guides recommend for CloudTrail, CloudWatch Logs, SNS and S3's events."""


@pytest.mark.parametrize("name", OWN_SOURCES)
def test_a_service_that_acts_for_the_account_is_inside(name: str) -> None:
    service = {"Service": ["cloudtrail.amazonaws.com", "logs.eu-west-1.amazonaws.com"]}
    seen = read(ROOT, use(service, Condition=OWN_SOURCES[name]))
    assert (seen.outside, seen.unpinned) == ((), ())


UNPINNED_SOURCES = {
    "nothing": {},
    "an empty list": {"StringEquals": {"aws:SourceAccount": []}},
    "every account but the own": {"StringNotEquals": {"aws:SourceAccount": HOME}},
    "every account but another": {"StringNotEquals": {"aws:SourceAccount": AWAY}},
    "ARN of every account but": {"ArnNotLike": {"aws:SourceArn": f"arn:aws:sns:*:{HOME}:b"}},
    "if it exists": {"StringEqualsIfExists": {"aws:SourceAccount": HOME}},
    "if it exists, maybe present": {
        "StringEqualsIfExists": {"aws:SourceAccount": HOME},
        "Null": {"aws:SourceAccount": ["true", "false"]},
    },
    "if it exists, another present": {
        "StringEqualsIfExists": {"aws:SourceAccount": HOME},
        "Null": {"aws:SourceArn": "false"},
    },
    "ARN if it exists": {"ArnLikeIfExists": {"aws:SourceArn": OWN_TRAIL}},
    "for all values": {"ForAllValues:StringEquals": {"aws:SourceAccount": HOME}},
    "that there is one": {"Null": {"aws:SourceAccount": "false"}},
    "that there is none": {"Null": {"aws:SourceAccount": "true"}},
    "a number": {"NumericEquals": {"aws:SourceAccount": HOME}},
    "an operator in another case": {"stringequals": {"aws:SourceAccount": HOME}},
    "organization": {"StringEquals": {"aws:SourceOrgID": "o-1234567890"}},
    "part of an organization": {"ForAnyValue:StringLike": {"aws:SourceOrgPaths": "o-1234567890/*"}},
    "principal's organization": {"StringEquals": {"aws:PrincipalOrgID": "o-1234567890"}},
    "every bucket": {"ArnLike": {"aws:SourceArn": "arn:aws:s3:::*"}},
    "a bucket": {"ArnLike": {"aws:SourceArn": "arn:aws:s3:::logs"}},
    "a bucket named for the account": {"ArnLike": {"aws:SourceArn": f"arn:aws:s3:::x-{HOME}"}},
    "own ARN or a bucket": {"ArnLike": {"aws:SourceArn": [OWN_TRAIL, "arn:aws:s3:::logs"]}},
    "ARN of every account": {"ArnLike": {"aws:SourceArn": "arn:aws:sns:*:*:a"}},
    "every ARN": {"ArnLike": {"aws:SourceArn": "*"}},
    "account after a wildcard": {"StringLike": {"aws:SourceArn": f"*:{HOME}:*"}},
    "a variable before the account": {
        "ArnLike": {"aws:SourceArn": "arn:aws:${aws:PrincipalTag/x}:" + HOME + ":a:b"}
    },
    "context of every account": {"StringLike": {CLOUDTRAIL: "arn:aws:cloudtrail:*:*:trail/*"}},
    "context of a bucket": {"StringLike": {"kms:EncryptionContext:aws:s3:arn": "arn:aws:s3:::l"}},
    "another context": {"StringEquals": {"kms:EncryptionContext:department": "pay"}},
    "names of the context": {
        "ForAnyValue:StringEquals": {"kms:EncryptionContextKeys": "aws:cloudtrail:arn"}
    },
    "service": {"StringEquals": {"kms:ViaService": "s3.eu-west-1.amazonaws.com"}},
    "account of the key": {"StringEquals": {"aws:ResourceAccount": HOME}},
    "grant for AWS": {"Bool": {"kms:GrantIsForAWSResource": "true"}},
    "called by AWS": {"Bool": {"aws:PrincipalIsAWSService": "true"}},
}


@pytest.mark.parametrize("name", UNPINNED_SOURCES)
def test_a_service_that_no_condition_pins_to_the_account_is_named(name: str) -> None:
    service = {"Service": "cloudtrail.amazonaws.com"}
    seen = read(ROOT, use(service, Condition=UNPINNED_SOURCES[name]))
    assert seen.outside == ()
    (access,) = seen.unpinned
    assert access.startswith("cloudtrail.amazonaws.com for ")
    assert access.endswith('(statement "Use")')
    denied = use(service, Effect="Deny", Condition=UNPINNED_SOURCES[name])
    assert read(ROOT, denied).unpinned == ()


def test_only_service_principals_are_unpinned() -> None:
    mixed = {"Service": ["rds.amazonaws.com", "*"], "AWS": HOME}
    unpinned = read(ROOT, use(mixed)).unpinned
    assert [one.split()[0] for one in unpinned] == ["rds.amazonaws.com", "*"]
    assert all(one.endswith(' (statement "Use")') for one in unpinned)


@pytest.mark.parametrize(
    ("action", "named"),
    [
        ("kms:DescribeKey", False),
        (["kms:Describe*", "KMS:ListGrants"], False),
        (["kms:DescribeKey", "kms:Decrypt"], True),
        ("kms:Get*", True),
        ("kms:PutKeyPolicy", True),
        ("kms:*", True),
    ],
)
def test_a_service_that_can_only_read_needs_no_condition(action: object, named: bool) -> None:
    service = {"Service": "cloudtrail.amazonaws.com"}
    assert bool(read(ROOT, use(service, Action=action)).unpinned) == named
    about = {"ArnLike": {"aws:SourceArn": f"arn:aws:cloudtrail:*:{AWAY}:trail/*"}}
    assert read(ROOT, use(service, Action=action, Condition=about)).outside


NARROW = {
    "caller": {"StringEquals": {"kms:CallerAccount": HOME}},
    "principal": {"StringEquals": {"aws:PrincipalAccount": [HOME]}},
    "source": {"StringEquals": {"aws:SourceAccount": HOME}},
    "another case": {"StringEquals": {"KMS:calleraccount": HOME}},
    "as a number": {"StringEquals": {"kms:CallerAccount": int(HOME)}},
    "like, without a wildcard": {"StringLike": {"kms:CallerAccount": HOME}},
    "ignoring case": {"StringEqualsIgnoreCase": {"kms:CallerAccount": HOME}},
    "ARN of the principal": {"ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{HOME}:role/*"}},
    "if it exists, present": {
        "StringEqualsIfExists": {"kms:CallerAccount": HOME},
        "Null": {"kms:CallerAccount": "false"},
    },
    "beside others": {
        "StringLike": {"kms:ViaService": "ec2.*.amazonaws.com"},
        "StringEquals": {"kms:CallerAccount": HOME},
    },
}


@pytest.mark.parametrize("name", NARROW)
@pytest.mark.parametrize("principal", ["*", {"AWS": "*"}])
def test_everyone_of_the_own_account_is_not_outside(name: str, principal: object) -> None:
    assert read(ROOT, use(principal, Condition=NARROW[name])).outside == ()


WIDE = {
    "if it exists": {"StringEqualsIfExists": {"kms:CallerAccount": HOME}},
    "for all values": {"ForAllValues:StringEquals": {"aws:PrincipalAccount": HOME}},
    "another account": {"StringEquals": {"kms:CallerAccount": AWAY}},
    "another account too": {"StringEquals": {"kms:CallerAccount": [HOME, AWAY]}},
    "no account": {"StringEquals": {"kms:CallerAccount": []}},
    "a wildcard": {"StringLike": {"kms:CallerAccount": "1111*"}},
    "a principal of another account": {
        "ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{AWAY}:role/x"}
    },
    "a principal of every account": {"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/x"}},
    "a context, which the caller chooses": {"StringEquals": {CLOUDTRAIL: OWN_TRAIL}},
    "an endpoint's account": {"StringEquals": {"aws:VpceAccount": HOME}},
    "the key's account": {"StringEquals": {"aws:ResourceAccount": HOME}},
    "a variable": {"StringEquals": {"kms:CallerAccount": "${aws:PrincipalAccount}"}},
    "not": {"StringNotEquals": {"kms:CallerAccount": HOME}},
    "an organization": {"StringEquals": {"aws:PrincipalOrgID": "o-1234567890"}},
    "a service": {"StringEquals": {"kms:ViaService": "ec2.eu-west-1.amazonaws.com"}},
    "an address": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}},
    "nothing": {},
}


@pytest.mark.parametrize("name", WIDE)
def test_other_conditions_leave_everyone_outside(name: str) -> None:
    (access,) = read(ROOT, use("*", Condition=WIDE[name])).outside
    assert access.startswith("everyone")


def test_a_named_outsider_is_outside_under_any_condition() -> None:
    assert read(ROOT, use({"AWS": AWAY}, Condition=NARROW["caller"])).outside


def test_denials_grant_access_to_no_principal() -> None:
    assert read(ROOT, use("*", Effect="Deny")).outside == ()


PROBLEMS = {
    "not JSON": ("{", "not JSON"),
    "empty": ("", "not JSON"),
    "cut off": (json.dumps({"Statement": [ROOT]})[:-3], "not JSON"),
    "a list": ("[]", "no Statement"),
    "no statement": ("{}", "no Statement"),
    "a text for a statement": ('{"Statement": ["x"]}', "statement 1 "),
    "half a character": (json.dumps({"Statement": [{**ROOT, "Sid": "\ud800"}]}), "surrogate"),
    "a name twice": ('{"Statement": [], "Statement": []}', "repeats a name"),
    "deeply nested": ("[" * 100_000, "not JSON"),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_document_that_is_not_a_policy_is_unreadable(name: str) -> None:
    document, problem = PROBLEMS[name]
    seen = understand(document, ARN)
    assert seen.problem is not None
    assert problem in seen.problem
    assert not seen.account_root


BAD_STATEMENTS = {
    "everyone but one": (
        {**ROOT, "NotPrincipal": {"AWS": AWAY}},
        'statement "Root" uses NotPrincipal',
    ),
    "denied to everyone but one": (
        {"Effect": "Deny", "NotPrincipal": {"AWS": HOME}, "Action": "kms:*", "Resource": "*"},
        "statement 2 uses NotPrincipal",
    ),
    "no principal": ({**ROOT, "Principal": {}}, 'statement "Root" has no principal'),
    "principal is nothing": ({**ROOT, "Principal": None}, 'statement "Root" has no principal'),
    "principal is a number": ({**ROOT, "Principal": {"AWS": 7}}, "principal that is not"),
    "lower case element": ({**ROOT, "principal": "*"}, "the unknown element principal"),
    "another effect": ({**ROOT, "Effect": "allow"}, "neither allows nor denies"),
    "a list for an effect": ({**ROOT, "Effect": []}, "neither allows nor denies"),
    "an object for an effect": ({**ROOT, "Effect": {}}, "neither allows nor denies"),
    "a list of lists for a resource": (
        {**ROOT, "Resource": [[]]},
        "Resource values",
    ),
    "an object for a resource": ({**ROOT, "Resource": {}}, "Resource values"),
    "no action": ({k: v for k, v in ROOT.items() if k != "Action"}, "exactly one of Action"),
    "two actions": ({**ROOT, "NotAction": "kms:Get*"}, "exactly one of Action"),
    "action is a number": ({**ROOT, "Action": 7}, "Action values"),
    "condition is a text": ({**ROOT, "Condition": "x"}, "Condition that is not"),
}


@pytest.mark.parametrize("name", BAD_STATEMENTS)
def test_a_statement_that_is_not_understood_is_a_problem(name: str) -> None:
    statement, problem = BAD_STATEMENTS[name]
    seen = read(ROOT, statement)
    assert seen.problem is not None
    assert problem in seen.problem


GOVERNS = {
    "bare account": {**ROOT, "Principal": {"AWS": HOME}},
    "everyone of the account": {**ROOT, "Principal": "*", "Condition": NARROW["caller"]},
    "in a list": {**ROOT, "Principal": {"AWS": [AWAY, HOME]}},
    "this action alone": {**ROOT, "Action": ["kms:Get*", "kms:CancelKeyDeletion"]},
    "another case": {**ROOT, "Action": "KMS:cancelkeydeletion"},
    "with a wildcard": {**ROOT, "Action": "kms:?ancel*"},
    "all but others": {
        **{k: v for k, v in ROOT.items() if k != "Action"},
        "NotAction": ["kms:Decrypt"],
    },
    "this key": {**ROOT, "Resource": str(ARN)},
}


@pytest.mark.parametrize("name", GOVERNS)
def test_the_account_governs_the_key(name: str) -> None:
    assert read(GOVERNS[name]).account_root


GOVERNS_NOT = {
    "a role alone": {**ROOT, "Principal": {"AWS": f"arn:aws:iam::{HOME}:role/admin"}},
    "another account": {**ROOT, "Principal": {"AWS": AWAY}},
    "a service": {**ROOT, "Principal": {"Service": "kms.amazonaws.com"}},
    "without the action": {**ROOT, "Action": ["kms:Decrypt", "kms:ScheduleKeyDeletion"]},
    "all but this action": {
        **{k: v for k, v in ROOT.items() if k != "Action"},
        "NotAction": ["kms:Cancel*"],
    },
    "through a service": {
        **ROOT,
        "Condition": {"StringEquals": {"kms:ViaService": "ec2.eu-west-1.amazonaws.com"}},
    },
    "from an address": {**ROOT, "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}},
    "for a service's resource": {**ROOT, "Condition": NARROW["source"]},
    "with MFA": {**ROOT, "Condition": {"Bool": {"aws:MultiFactorAuthPresent": "true"}}},
    "another resource": {**ROOT, "Resource": "arn:aws:kms:eu-west-1:111122223333:key/other"},
    "denied": {**ROOT, "Effect": "Deny"},
    "brackets are no wildcard": {**ROOT, "Action": "kms:[c]ancelkeydeletion"},
}


@pytest.mark.parametrize("name", GOVERNS_NOT)
def test_the_account_does_not_govern_the_key(name: str) -> None:
    assert not read(GOVERNS_NOT[name]).account_root


def test_a_denied_cancellation_is_named_unless_scheduling_is_denied_too() -> None:
    deny = {"Effect": "Deny", "Principal": "*", "Resource": "*"}
    assert read(ROOT, {**deny, "Action": "kms:CancelKeyDeletion"}).undo_denied == ("statement 2",)
    assert read(ROOT, {**deny, "Action": "kms:Cancel*", "Sid": "No"}).undo_denied
    assert read(ROOT, {**deny, "Action": "kms:*KeyDeletion"}).undo_denied == ()
    assert read(ROOT, {**deny, "Action": "kms:ScheduleKeyDeletion"}).undo_denied == ()
    assert read(ROOT, {**deny, "NotAction": "kms:Schedule*"}).undo_denied == ("statement 2",)


CONDITIONS_OF_ONE_CALL = {
    "a short waiting period": {
        "NumericLessThanIfExists": {"kms:ScheduleKeyDeletionPendingWindowInDays": "30"}
    },
    "too lately used": {"NumericLessThan": {"kms:TrailingDaysWithoutKeyUsage": "90"}},
    "from a day on": {"DateGreaterThan": {"aws:CurrentTime": "2026-12-01T00:00:00Z"}},
}


@pytest.mark.parametrize("name", CONDITIONS_OF_ONE_CALL)
def test_a_condition_may_deny_the_cancellation_alone(name: str) -> None:
    deny = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": ["kms:ScheduleKeyDeletion", "kms:CancelKeyDeletion"],
        "Resource": "*",
    }
    assert read(ROOT, deny).undo_denied == ()
    assert read(ROOT, {**deny, "Condition": {}}).undo_denied == ()
    assert read(ROOT, {**deny, "Condition": CONDITIONS_OF_ONE_CALL[name]}).undo_denied == (
        "statement 2",
    )
    alone = {**deny, "Action": "kms:ScheduleKeyDeletion"}
    assert read(ROOT, {**alone, "Condition": CONDITIONS_OF_ONE_CALL[name]}).undo_denied == ()


def test_the_digest_is_of_the_document() -> None:
    document = json.dumps({"Statement": [ROOT]})
    assert understand(document, ARN).sha256 == understand(document, ARN).sha256
    assert understand(document, ARN).sha256 != understand(document + " ", ARN).sha256


@pytest.mark.parametrize("document", ["\ud800", '{"Statement": [], "Id": "\udfff"}'])
def test_half_a_character_is_a_problem(document: str) -> None:
    assert understand(document, ARN).problem


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9) | st.just("*"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["Statement", "AWS", "Service", "StringEquals", *ROOT, "NotPrincipal"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(json_values | st.fixed_dictionaries({"Statement": json_values}))
@example({"Statement": {"Effect": []}})
@example({"Statement": {**ROOT, "Resource": [{}]}})
def test_no_document_breaks_it_and_doubt_never_reads_as_harmless(value: object) -> None:
    seen = understand(json.dumps(value), ARN)
    assert seen.problem is None or not seen.account_root


def _named(seen: KeyPolicy) -> tuple[str, ...]:
    return seen.outside + seen.unpinned


@given(
    st.lists(
        st.builds(
            use,
            st.sampled_from([p for p, _ in OUTSIDE.values()] + list(INSIDE.values())),
            Condition=st.sampled_from(
                [*NARROW.values(), *WIDE.values(), *UNPINNED_SOURCES.values()]
            ),
            Effect=st.sampled_from(["Allow", "Deny"]),
        ),
        max_size=4,
    )
)
def test_statements_are_evaluated_one_by_one(statements: list[dict[str, object]]) -> None:
    together = {text.split(" (")[0] for text in _named(read(*statements))}
    apart = {text.split(" (")[0] for s in statements for text in _named(read(s))}
    assert together == apart
