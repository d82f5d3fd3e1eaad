"""Prowler mutelist for intended deletions: the journal's keys that are still pending deletion.

Prowler's `kms_cmk_not_deleted_unintentionally` fails every key that is pending deletion. A mutelist
(Prowler 5 documentation, "Mutelisting") matches by account, check, Region and resource; checks,
Regions and resources are regular expressions, and the resource of a KMS key is its id. Each entry
of Keysweep has its own check expression with a comment, so that it never changes other entries.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from .errors import BadInput
from .files import read_text
from .lifecycle import Situation
from .models import KeyArn
from .status import Status
from .strict_yaml import YAML_ERRORS, RepeatedName, load_unique

CHECK: Final = "kms_cmk_not_deleted_unintentionally"

Mutelist = dict[str, Any]

_OURS: Final = re.compile(rf"\^{CHECK}\$\(\?#keysweep (?P<region>[a-z0-9-]+)\)")
"""Check expressions of Keysweep's entries."""

_WHY: Final = "Deletion scheduled with Keysweep; muted while it is pending."


class _Loader(yaml.SafeLoader):
    """The safe loader without dates: Prowler expects strings, and JSON has no dates."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def intended(status: Status) -> frozenset[KeyArn]:
    """The keys whose pending deletion is the journal's, without drift."""
    return frozenset(
        row.key_arn for row in status.rows if row.situation is Situation.OURS and not row.drift
    )


def merged(
    pending: Iterable[KeyArn], known: Iterable[KeyArn], existing: Mapping[str, Any] | None = None
) -> Mutelist:
    """The mutelist with an entry for each account-Region of the pending keys.

    Everything in `existing` stays, except that Keysweep's entries lose `known` keys that are no
    longer pending deletion.
    """
    accounts: dict[str, Any] = {
        account: {**content, "Checks": dict(content["Checks"])}
        for account, content in (existing or {}).get("Mutelist", {}).get("Accounts", {}).items()
    }
    muted: dict[tuple[str, str], set[str]] = defaultdict(set)
    gone = {(arn.account_id, arn.region, _resource(arn)) for arn in known}
    for account, content in accounts.items():
        checks = content["Checks"]
        for name in [name for name in checks if _OURS.fullmatch(name)]:
            region = name.split("#keysweep ")[1].rstrip(")")
            resources = checks.pop(name)["Resources"]
            muted[account, region] |= {
                one for one in resources if (account, region, one) not in gone
            }
    for arn in pending:
        muted[arn.account_id, arn.region].add(_resource(arn))
    for (account, region), resources in sorted(muted.items()):
        if resources:
            checks = accounts.setdefault(account, {"Checks": {}})["Checks"]
            checks[f"^{CHECK}$(?#keysweep {region})"] = {
                "Regions": [f"^{region}$"],
                "Resources": sorted(resources),
                "Description": _WHY,
            }
    kept = {
        account: content
        for account, content in accounts.items()
        if content["Checks"] or not _was_ours(existing, account)
    }
    return {"Mutelist": {"Accounts": kept}}


def _resource(arn: KeyArn) -> str:
    return f"^{arn.key_id}$"


def _was_ours(existing: Mapping[str, Any] | None, account: str) -> bool:
    """Whether the account had only Keysweep's entries."""
    accounts = (existing or {}).get("Mutelist", {}).get("Accounts", {})
    checks = accounts.get(account, {}).get("Checks", {})
    return all(_OURS.fullmatch(name) for name in checks) and bool(checks)


def load(path: Path) -> Mutelist:
    """Read an existing mutelist. Raises BadInput if it is not one."""
    text = read_text(path)
    try:
        document = load_unique(text, _Loader)
    except YAML_ERRORS as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark is not None else ""
        why = error.problem if isinstance(error, RepeatedName) else "not valid YAML"
        raise BadInput(
            f"{path}: {line}{why}. Nothing was written. Fix: correct it, or merge another mutelist."
        ) from error
    accounts = _mapping(_mapping(document).get("Mutelist")).get("Accounts")
    whole = isinstance(accounts, dict) and all(
        isinstance(_mapping(content).get("Checks"), dict) for content in accounts.values()
    )
    if not whole or set(document) != {"Mutelist"} or set(document["Mutelist"]) != {"Accounts"}:
        raise BadInput(
            f"{path}: Not a Prowler mutelist, which has Mutelist, Accounts, and Checks in each "
            "account. Nothing was written. Fix: correct it, or merge another mutelist."
        )
    for account, content in _mapping(accounts).items():
        if not isinstance(account, str):
            raise BadInput(f"{path}: Account {account} is not a string. Fix: quote it.")
        for name, entry in content["Checks"].items():
            ours = isinstance(name, str) and _OURS.fullmatch(name)
            resources = _mapping(entry).get("Resources")
            if ours and not (
                isinstance(resources, list) and all(isinstance(one, str) for one in resources)
            ):
                raise BadInput(f"{path}: {name}: Resources is not a list of strings.")
    return {"Mutelist": document["Mutelist"]}


def _mapping(value: object) -> Mapping[Any, Any]:
    return value if isinstance(value, dict) else {}


def has_comments(path: Path) -> bool:
    """Whether the file has comments, which a merge loses."""
    return any(re.search(r"(^|\s)#", line) for line in read_text(path).splitlines())


def to_yaml(mutelist: Mutelist) -> str:
    """The mutelist as YAML."""
    return yaml.safe_dump(mutelist, sort_keys=False, width=100)
