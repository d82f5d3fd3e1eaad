"""Least-privilege IAM policies, from the permissions that sources and writes declare."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from keysweep.remediation.alarms import PERMISSIONS as ALARMS
from keysweep.remediation.aws.bucket_errors import (
    DECRYPT_PERMISSION,
    READ_PERMISSION,
)
from keysweep.remediation.aws.bucket_errors import LIST_PERMISSION as LIST_BUCKET
from keysweep.remediation.evidence import SOURCES
from keysweep.remediation.evidence.history.athena import LIFECYCLE
from keysweep.remediation.evidence.history.athena import PERMISSIONS as HISTORY
from keysweep.remediation.evidence.references.absence import LIST_PERMISSION, LIST_RESOURCE
from keysweep.remediation.guard import GUARD_PIECES
from keysweep.remediation.iac.cloudformation import PERMISSIONS as STACKS
from keysweep.remediation.journal.bucket import (
    DELETE_PERMISSION,
    GENERATE_PERMISSION,
    WRITE_PERMISSION,
)
from keysweep.remediation.journal.s3_lock import LOCK
from keysweep.remediation.journal.s3_store import LINES
from keysweep.remediation.key_listing import LIST_PERMISSION as LIST_KEYS
from keysweep.remediation.planner import FOR_REVIEW
from keysweep.remediation.policy import Policy
from keysweep.remediation.policy_values import MAX_WINDOW_DAYS
from keysweep.remediation.write import CANCEL, ENABLE, SCHEDULE, TAG

from .formatting import Json, json_text
from .managed_policies import facts
from .member_roles import ROLES

MANAGED_POLICY_SIZE: Final = 6144
"""Maximum characters of a managed policy, without white space ("IAM and AWS STS quotas")."""

ORGANISATION_POLICY_SIZE: Final = 5120
"""Maximum characters of a service control policy, with white space ("Quotas for AWS
Organizations")."""

YOUR_BUCKET: Final = "amzn-s3-demo-bucket"
"""AWS's placeholder for a bucket name."""

YOUR_ACCOUNT: Final = "111122223333"
"""AWS's placeholder for an account ID."""


def iam_policies() -> dict[str, Json]:
    """Return the IAM policy of each task, by name. `plan` and the references are read-only."""
    return {
        "plan": _plan(),
        **_numbered("references", _references()),
        **_numbered("read-only-access-extra", _by_service(missing_from("ReadOnlyAccess"))),
        "history": _policy(_history()),
        "results-bucket": _policy(_results_bucket()),
        "journal-bucket": _policy(_journal_bucket()),
        "apply": _policy([*_reads(but=FOR_REVIEW), *_schedule(), _allow("LookForAlarms", ALARMS)]),
        "cancel": _policy(_cancel()),
        "guard": _policy(_guard()),
        "organization-guardrail": _policy(_guardrail()),
    }


def read_actions() -> frozenset[str]:
    """Every action that `plan` needs in the accounts of the keys."""
    named = {action for one in _plan()["Statement"] for action in one["Action"]}
    return frozenset(named.union(SOURCES["references"].permissions))


def missing_from(role: str) -> list[str]:
    """The actions of `plan` that a role of AWS managed policies lacks."""
    return facts().lacking(role, read_actions())


def region_deny_exemption() -> Json:
    """Condition that exempts the roles that read references from a policy that denies Regions.

    As in "General examples", AWS Organizations User Guide: a denial applies unless the principal is
    one of these.
    """
    roles = sorted(role for role, parts in ROLES.items() if "references" in parts)
    return {"ArnNotLike": {"aws:PrincipalArn": [f"arn:*:iam::*:role/{role}" for role in roles]}}


def _plan() -> Json:
    return _policy([*_reads(), _allow("ReadNamedStacks", STACKS)])


def _reads(but: frozenset[str] = frozenset()) -> list[Json]:
    """One statement per source, without the references, which need policies of their own."""
    left_out = but | {"references"}
    return [
        _allow(f"Read{_camel(source.piece)}", source.permissions)
        for source in sorted(SOURCES.values(), key=lambda source: (source.cost, source.piece))
        if source.piece not in left_out
    ]


def _references() -> list[list[Json]]:
    public = {**_allow("ReadPublicListOfServices", [LIST_PERMISSION]), "Resource": LIST_RESOURCE}
    return _by_service({*SOURCES["references"].permissions} - {LIST_PERMISSION}, public)


def _by_service(actions: Iterable[str], *first: Json) -> list[list[Json]]:
    """Statements by service, after the first, in as few policies as the size quota allows."""
    by_service: dict[str, list[str]] = {}
    for action in sorted(actions):
        by_service.setdefault(action.split(":")[0], []).append(action)
    pages: list[list[Json]] = [[*first]]
    for service, listed in by_service.items():
        statement = _allow(f"List{_camel(service)}", listed)
        if _size(_policy([*pages[-1], statement])) > MANAGED_POLICY_SIZE:
            pages.append([])
        pages[-1].append(statement)
    return pages


def _numbered(name: str, pages: Sequence[Sequence[Json]]) -> dict[str, Json]:
    """Policies by name, numbered if there are several."""
    if len(pages) == 1:
        return {name: _policy(pages[0])}
    return {f"{name}-{n}": _policy(page) for n, page in enumerate(pages, 1)}


def _results_bucket() -> list[Json]:
    """Read one bucket (a placeholder), and decrypt its objects through S3 only."""
    arn = f"arn:aws:s3:::{YOUR_BUCKET}"
    through_s3 = {"StringLike": {"kms:ViaService": "s3.*.amazonaws.com"}}
    key = f"arn:aws:kms:*:{YOUR_ACCOUNT}:key/*"
    decrypt = {**_allow("DecryptResults", [DECRYPT_PERMISSION]), "Resource": key}
    return [
        {**_allow("FindResults", [LIST_BUCKET]), "Resource": arn},
        {**_allow("ReadResults", [READ_PERMISSION]), "Resource": f"{arn}/*"},
        {**decrypt, "Condition": through_s3},
    ]


def _journal_bucket() -> list[Json]:
    """Read one bucket (a placeholder), add lines below any prefix, and delete nothing but locks.

    The condition forbids to replace an object ("Enforce conditional writes on Amazon S3 buckets",
    Amazon S3 User Guide).
    """
    arn = f"arn:aws:s3:::{YOUR_BUCKET}"
    use_key = _allow("UseKeyOfBucket", [DECRYPT_PERMISSION, GENERATE_PERMISSION])
    use_key["Resource"] = f"arn:aws:kms:*:{YOUR_ACCOUNT}:key/*"
    written = [f"{arn}/*{name}" for name in (LOCK, f"{LINES}*.json")]
    write = {**_allow("WriteLines", [WRITE_PERMISSION]), "Resource": written}
    return [
        {**_allow("ListLines", [LIST_BUCKET]), "Resource": arn},
        {**_allow("ReadLines", [READ_PERMISSION]), "Resource": f"{arn}/*"},
        {**write, "Condition": {"Null": {"s3:if-none-match": "false"}}},
        {**_allow("ReleaseLock", [DELETE_PERMISSION]), "Resource": written[:1]},
        {**use_key, "Condition": {"StringLike": {"kms:ViaService": "s3.*.amazonaws.com"}}},
    ]


def _history() -> list[Json]:
    """Query a table of a trail's log files in Athena (placeholders), and read the trail itself.

    Athena reads log files and writes results with the caller's permissions ("Access to Amazon S3
    from Athena" and "Configure access to databases and tables in the AWS Glue Data Catalog", Amazon
    Athena User Guide).
    """
    logs, results = f"arn:aws:s3:::{YOUR_BUCKET}", f"arn:aws:s3:::{YOUR_BUCKET}-results"
    workgroup = f"arn:aws:athena:*:{YOUR_ACCOUNT}:workgroup/WORKGROUP"
    catalog = [
        f"arn:aws:glue:*:{YOUR_ACCOUNT}:{part}"
        for part in ("catalog", "database/DATABASE", "table/DATABASE/TABLE")
    ]
    buckets = ["s3:GetBucketLocation", "s3:ListBucket"]
    write = ["s3:AbortMultipartUpload", "s3:ListMultipartUploadParts", "s3:PutObject"]
    through_s3 = {"StringLike": {"kms:ViaService": "s3.*.amazonaws.com"}}
    keys = {
        **_allow("UseKeysOfBuckets", ["kms:Decrypt", "kms:GenerateDataKey"]),
        "Resource": f"arn:aws:kms:*:{YOUR_ACCOUNT}:key/*",
    }

    def of(service: str) -> list[str]:
        return [action for action in HISTORY if action.startswith(f"{service}:")]

    return [
        {**_allow("RunQueries", of("athena")), "Resource": workgroup},
        {**_allow("ReadTable", [*of("glue"), "glue:GetDatabase"]), "Resource": catalog},
        _allow("ReadTrail", of("cloudtrail")),
        {**_allow("FindFiles", buckets), "Resource": [logs, results]},
        {**_allow("ReadRulesOfLogFiles", [LIFECYCLE]), "Resource": logs},
        {**_allow("ReadLogFiles", ["s3:GetObject"]), "Resource": f"{logs}/*"},
        {**_allow("KeepResults", ["s3:GetObject", *write]), "Resource": f"{results}/*"},
        {**keys, "Condition": through_s3},
    ]


def _schedule() -> list[Json]:
    """Schedule keys without the protected tag. Always includes the cancellation."""
    unprotected = {"Null": {f"aws:ResourceTag/{Policy().protected_tag}": "true"}}
    return [
        {**_allow("ScheduleWhatIsNotProtected", [SCHEDULE.permission]), "Condition": unprotected},
        _allow("Undo", [CANCEL.permission]),
    ]


def _cancel() -> list[Json]:
    """`cancel` with `--enable` and `--keep`, and `status`."""
    only_keep = {"ForAllValues:StringEquals": {"aws:TagKeys": [Policy().protected_tag]}}
    return [
        _allow("Look", SOURCES["description"].permissions),
        _allow("Undo", [CANCEL.permission, ENABLE.permission]),
        {**_allow("Keep", [TAG.permission]), "Condition": only_keep},
    ]


def _guard() -> list[Json]:
    """Read what `guard` evaluates of a pending key, and restore it with `--cancel`."""
    reads = frozenset({"description"}) | GUARD_PIECES
    permissions = {action for p in reads - {"references"} for action in SOURCES[p].permissions}
    undo = [one for one in _cancel() if one["Sid"] == "Keep"]
    return [
        _allow("Watch", permissions),
        _allow("FindEveryPendingKey", [LIST_KEYS]),
        _allow("Undo", [CANCEL.permission]),
        *undo,
    ]


def _guardrail() -> list[Json]:
    """Service control policy: deny hasty deletions in the organization, by any tool."""
    too_soon = {"NumericLessThan": {"kms:ScheduleKeyDeletionPendingWindowInDays": MAX_WINDOW_DAYS}}
    unused = Policy().min_days_unused
    in_use = {"NumericLessThan": {"kms:TrailingDaysWithoutKeyUsage": unused}}
    protected = {"Null": {f"aws:ResourceTag/{Policy().protected_tag}": "false"}}
    deny = {"Effect": "Deny", "Action": SCHEDULE.permission, "Resource": "*"}
    return [
        {"Sid": "KeepTheWholeWaitingPeriod", **deny, "Condition": too_soon},
        {"Sid": "KeepKeysThatWereUsed", **deny, "Condition": in_use},
        {"Sid": "KeepProtectedKeys", **deny, "Condition": protected},
    ]


def _policy(statements: Sequence[Json]) -> Json:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def _allow(name: str, actions: Iterable[str]) -> Json:
    return {"Sid": name, "Effect": "Allow", "Action": sorted(actions), "Resource": "*"}


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.replace("-", "_").split("_"))


def _size(policy: Json) -> int:
    return len("".join(json_text(policy).split()))
