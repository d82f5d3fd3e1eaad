"""Who outside the account can use a key, and whether its deletion can be cancelled.

A key has exactly one key policy. Anything in it that is not understood for certain is a problem,
which holds the key.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from typing import Any, Final

from .. import strict_json
from ..aws import Connection
from ..models import Cost, Evidence, KeyArn, KeyPolicy, account_of
from .source import Source

ELEMENTS: Final = frozenset(
    {
        "Sid",
        "Effect",
        "Principal",
        "NotPrincipal",
        "Action",
        "NotAction",
        "Resource",
        "NotResource",
        "Condition",
    }
)
"""The elements of a statement ("Grammar of the IAM JSON policy language", IAM User Guide)."""

TEXTS: Final = ("Action", "NotAction", "Resource", "NotResource")
"""Elements that are strings, or lists of strings."""

TEXT_OPERATORS: Final = frozenset({"StringEquals", "StringEqualsIgnoreCase", "StringLike"})
PINNING_OPERATORS: Final = TEXT_OPERATORS | {"ArnEquals", "ArnLike"}
"""Operators that are true only for the given values, and false if the condition key is absent
 ("IAM JSON policy elements: Condition operators", IAM User Guide). `...IfExists` and
`ForAllValues:...` are true when it is absent, so they pin only beside `Null: false`."""

PRINCIPAL_ACCOUNTS: Final = frozenset({"kms:calleraccount", "aws:principalaccount"})
"""Condition keys whose value is the account of the caller: every call of the account's own
principals has them. In lower case, as condition keys ignore case."""

ACCOUNTS: Final = PRINCIPAL_ACCOUNTS | {"aws:sourceaccount", "aws:sourceowner"}
"""Those and the keys whose value is the account of the resource that a service acts for.
`aws:ResourceAccount` is the account of the KMS key itself, and `kms:ViaService` names a service:
neither says whose data it is."""

ARNS: Final = frozenset({"aws:principalarn", "aws:sourcearn"})
"""Condition keys whose value is the ARN of the caller, or of the resource a service acts for."""

CONTEXT: Final = "kms:encryptioncontext:"
"""Prefix of the condition keys for one pair of the encryption context. A service sets the context
itself; any other caller chooses it, so it pins service principals alone."""

SOURCE_KEYS: Final = (
    "aws:sourceaccount",
    "aws:sourcearn",
    "aws:sourceorg",
    "aws:sourceowner",
    CONTEXT,
)
"""Lower-case prefixes of the condition keys that say for whom a service may use the key."""

READS: Final = frozenset(
    {
        "kms:describe*",
        "kms:describekey",
        "kms:getkeylastusage",
        "kms:getkeypolicy",
        "kms:getkeyrotationstatus",
        "kms:list*",
        "kms:listgrants",
        "kms:listkeypolicies",
        "kms:listkeyrotations",
        "kms:listresourcetags",
    }
)
"""Lower-case actions that encrypt nothing: CloudTrail's key policies let the service describe the
key without a condition."""

CANCEL: Final = "kms:cancelkeydeletion"
SCHEDULE: Final = "kms:schedulekeydeletion"

_ACCOUNT_WITHIN: Final = re.compile(r"(?<![0-9])[0-9]{12}(?![0-9])", re.ASCII)
_HALF_A_CHARACTER: Final = re.compile(r"[\ud800-\udfff]")


class _Unclear(ValueError):
    """The document has something that this module does not understand for certain."""


def understand(document: str, key_arn: KeyArn) -> KeyPolicy:
    """Evaluate the key policy document of a key. Sets `problem` rather than raise an error."""
    # JSON can hold half a character, and so can what AWS returns.
    digest = hashlib.sha256(document.encode("utf-8", "surrogatepass")).hexdigest()
    try:
        statements = list(_statements(document))
        allows = [s for s in statements if s["Effect"] == "Allow"]
        return KeyPolicy(
            sha256=digest,
            outside=tuple(text for s in allows for text in _outside(s, key_arn.account_id)),
            unpinned=tuple(text for s in allows for text in _unpinned(s, key_arn.account_id)),
            account_root=any(_governs(s, key_arn) for s in allows),
            undo_denied=tuple(
                s["Sid"] for s in statements if s["Effect"] == "Deny" and _forbids_undo(s)
            ),
        )
    except _Unclear as error:
        return KeyPolicy(sha256=digest, account_root=False, problem=str(error))


def _policy(document: str) -> dict[str, Any]:
    """Parse a policy that has statements; raise _Unclear for anything else."""
    try:
        policy = strict_json.loads(document)
    except strict_json.RepeatedName as error:
        raise _Unclear("it repeats a name in one object") from error
    except (ValueError, RecursionError) as error:
        raise _Unclear("it is not JSON") from error
    if not isinstance(policy, dict) or "Statement" not in policy:
        raise _Unclear("it has no Statement")
    if _HALF_A_CHARACTER.search(json.dumps(policy, ensure_ascii=False)):
        raise _Unclear("it contains an unpaired surrogate")
    return policy


def _statements(document: str) -> Iterator[dict[str, Any]]:
    """The statements, if well-formed, each with a name for messages in `Sid`."""
    policy = _policy(document)
    for number, statement in enumerate(_as_list(policy["Statement"]), 1):
        if not isinstance(statement, dict):
            raise _Unclear(f"statement {number} is not an object")
        name = f'statement "{statement["Sid"]}"' if statement.get("Sid") else f"statement {number}"
        if unknown := sorted(set(statement) - ELEMENTS):
            raise _Unclear(f"{name} has the unknown element {unknown[0]}")
        if statement.get("Effect") not in ("Allow", "Deny"):
            raise _Unclear(f"{name} neither allows nor denies")
        if "NotPrincipal" in statement:
            raise _Unclear(f"{name} uses NotPrincipal")
        if ("Action" in statement) == ("NotAction" in statement):
            raise _Unclear(f"{name} does not have exactly one of Action and NotAction")
        _demand_texts(statement, name)
        if not isinstance(statement.get("Condition", {}), dict):
            raise _Unclear(f"{name} has a Condition that is not an object")
        yield {**statement, "Sid": name}


def _demand_texts(statement: dict[str, Any], name: str) -> None:
    for element in TEXTS:
        for one in _as_list(statement.get(element, "")):
            if not isinstance(one, str):
                raise _Unclear(f"{name} has {element} values that are not strings")


def _as_list(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _outside(statement: dict[str, Any], account_id: str) -> Iterator[str]:
    """Principals outside the account in an Allow statement, for messages."""
    name = statement["Sid"]
    for kind, principal in _principals(statement):
        if kind == "Service":
            if foreign := _foreign(statement, account_id):
                yield f"{principal} for {', '.join(foreign)} ({name})"
        elif principal == "*":
            if not _pinned(statement, account_id, by_service=False):
                yield f"everyone ({name})"
        elif kind == "Federated":
            if account_of(principal) != account_id:
                yield f"federated {principal} ({name})"
        elif kind != "AWS" or account_of(principal) != account_id:
            yield f"{principal} ({name})"


def _principals(statement: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Each principal with its kind (AWS, Service, Federated, CanonicalUser)."""
    name = statement["Sid"]
    principal = statement.get("Principal")
    if isinstance(principal, str):
        principal = {"AWS": principal}
    if not isinstance(principal, dict) or not principal:
        raise _Unclear(f"{name} has no principal")
    for kind, names in principal.items():
        for one in _as_list(names):
            if not isinstance(one, str) or not one:
                raise _Unclear(f"{name} has a principal that is not a string")
            yield kind, one


def _foreign(statement: dict[str, Any], account_id: str) -> list[str]:
    """Conditions that let a service use the key for another account."""
    return [
        text
        for operator, text, accounts in _sources(statement)
        if accounts - {account_id} and "Not" not in operator
    ]


def _unpinned(statement: dict[str, Any], account_id: str) -> Iterator[str]:
    """Services that an Allow statement does not limit to one account.

    An organization is more than the key's account, and a bucket's ARN does not name its account.
    """
    sources = list(_sources(statement))
    if (
        _foreign(statement, account_id)
        or _pinned(statement, account_id, by_service=True)
        or (not sources and _only_reads(statement))
    ):
        return
    named = [f"all but {text}" if "Not" in op else text for op, text, _ in sources]
    for kind, principal in _principals(statement):
        if kind == "Service":
            whom = ", ".join(named) or "every account"
            yield f"{principal} for {whom} ({statement['Sid']})"


def _sources(statement: dict[str, Any]) -> Iterator[tuple[str, str, set[str]]]:
    """Operator, text and accounts of each condition value on the source that a service acts for."""
    for operator, key, values in _conditions(statement):
        if operator != "Null" and key.lower().startswith(SOURCE_KEYS):
            for value in map(str, _as_list(values)):
                yield operator, f"{key} {value}", _accounts(key, value)


def _accounts(key: str, value: str) -> set[str]:
    """Accounts, or patterns of accounts, in a condition value."""
    bare = {value} if key.lower() in ACCOUNTS else set()
    return {*_ACCOUNT_WITHIN.findall(value), *_account_field(value), *bare}


def _account_field(arn: str) -> Iterator[str]:
    """The account field of an ARN or ARN pattern, unless it is empty or `*`."""
    parts = arn.split(":")
    if len(parts) > 5 and parts[4].strip("*"):
        yield parts[4]


def _conditions(statement: dict[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Operator, key and values of each condition. The key is empty in a malformed one."""
    for operator, tests in statement.get("Condition", {}).items():
        for key, values in tests.items() if isinstance(tests, dict) else [("", tests)]:
            yield operator, key, values


def _pinned(statement: dict[str, Any], account_id: str, *, by_service: bool) -> bool:
    """Whether a condition limits the statement to the account, or to services that act for it."""
    conditions = list(_conditions(statement))
    present = {
        key.lower()
        for operator, key, values in conditions
        if operator == "Null" and _all(values, lambda value: value.lower() == "false")
    }
    return any(
        _positive(operator, present=key.lower() in present) in PINNING_OPERATORS
        and _all(values, _pin(key.lower(), account_id, by_service=by_service))
        for operator, key, values in conditions
    )


def _positive(operator: str, *, present: bool) -> str:
    """The operator without set prefix and `IfExists`, if these do not weaken it."""
    bare = operator.removeprefix("ForAnyValue:")
    if present:
        bare = bare.removeprefix("ForAllValues:").removesuffix("IfExists")
    return bare


def _pin(key: str, account_id: str, *, by_service: bool) -> Callable[[str], bool]:
    """A test of whether a value of this lower-case condition key limits it to the account."""
    if key in ACCOUNTS:
        return lambda value: value == account_id
    if key in ARNS:
        return lambda value: _is_arn_of(value, account_id)
    if by_service and key.startswith(CONTEXT):
        return lambda value: value == account_id or _is_arn_of(value, account_id)
    return lambda value: False


def _is_arn_of(value: str, account_id: str) -> bool:
    """Whether an ARN or ARN pattern names exactly this account, without variables."""
    parts = value.split(":")
    return len(parts) > 5 and parts[0] == "arn" and parts[4] == account_id and "${" not in value


def _all(values: object, test: Callable[[str], bool]) -> bool:
    """Whether there are values, and all pass. One that does not would admit others."""
    texts = [str(value) for value in _as_list(values)]
    return bool(texts) and all(map(test, texts))


def _only_reads(statement: dict[str, Any]) -> bool:
    return {action.lower() for action in _as_list(statement.get("Action", "*"))} <= READS


def _governs(statement: dict[str, Any], key_arn: KeyArn) -> bool:
    """Whether an Allow statement lets the account's IAM policies allow a cancellation."""
    account = key_arn.account_id
    roots = {account, f"arn:{key_arn.partition}:iam::{account}:root", "*"}
    return (
        any(kind == "AWS" and principal in roots for kind, principal in _principals(statement))
        and _covers(statement, CANCEL)
        and set(_as_list(statement.get("Resource"))) <= {"*", str(key_arn)}
        and "NotResource" not in statement
        and all(
            operator in TEXT_OPERATORS
            and key.lower() in PRINCIPAL_ACCOUNTS
            and _all(values, lambda value: value == account)
            for operator, key, values in _conditions(statement)
        )
    )


def _forbids_undo(statement: dict[str, Any]) -> bool:
    """Whether a denying statement may block a cancellation but not the scheduling.

    A condition may be met by the one call and not by the other: the waiting period that is asked
    for, the days without use, the time, the address.
    """
    conditional = "Condition" in statement and statement["Condition"] != {}
    return _covers(statement, CANCEL) and (conditional or not _covers(statement, SCHEDULE))


def _covers(statement: dict[str, Any], action: str) -> bool:
    """Whether Action, or NotAction, of a statement covers an action given in lower case."""
    element = "Action" if "Action" in statement else "NotAction"
    # IAM has only * and ?; fnmatch would read brackets as a set of characters.
    patterns = [pattern.lower().replace("[", "[[]") for pattern in _as_list(statement[element])]
    matches = any(fnmatchcase(action, pattern) for pattern in patterns)
    return matches == (element == "Action")


def _read(connection: Connection, evidence: Evidence) -> KeyPolicy:
    # The only valid name ("GetKeyPolicy", AWS KMS API Reference).
    answer = connection.client("kms").get_key_policy(
        KeyId=str(evidence.key_arn), PolicyName="default"
    )
    return understand(answer["Policy"], evidence.key_arn)


SOURCE = Source("key_policy", Cost.KEY_CALL, ("kms:GetKeyPolicy",), read_key=_read)
