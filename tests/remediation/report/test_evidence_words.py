"""Every piece of evidence in words: what people can check, and what could not be known."""

from __future__ import annotations

import re
from typing import Any

import pytest
from dead_key import (
    ARN,
    BEGIN_OF_HISTORY,
    OUTSIDER,
    PRIMARY,
    REPLICA,
    changed,
    days_ago,
    event,
    gap_of,
)

from keysweep.remediation.models import PIECES, Evidence, NotFound, Unreadable
from keysweep.remediation.report.evidence_words import in_words

DESCRIBED = "Disabled, SYMMETRIC_DEFAULT, ENCRYPT_DECRYPT, material from AWS_KMS"
USER = f"arn:aws:iam::{OUTSIDER}:user/eve"
GRANT = {"grant_id": "1", "grantee_principal": USER}
DIGEST = "0" * 64
DECLARED = {"tool": "terraform", "owner": "aws_kms_key.k", "source": "prod.json", "fix": "remove"}
REFERENCE = {"service": "rds", "resource": "shop-db", "region": "eu-west-1", "field": "KmsKeyId"}
ABSENT = {
    "region": "eu-west-3",
    "services": ({"service": "kendra", "host": "kendra.host", "code": "kendra"},),
    "controls": (),
    "list_path": "/list",
    "listed": 200,
}
GAP = gap_of("fsx", "eu-west-1", "DescribeFileSystems was denied").model_dump()
MOVED = {"alias": "alias/shop", "key_id": "new", "time": days_ago(40)}
ATTEMPT = {"event": "Decrypt", "time": days_ago(3)}

Line = str | tuple[str, ...]
"""A line, or parts of one in their order."""

SHOWN: dict[str, tuple[str, Any, tuple[Line, ...]]] = {
    "a pending key": (
        "description",
        {"key_state": "PendingDeletion", "deletion_date": days_ago(-30)},
        (
            DESCRIBED.replace("Disabled", "PendingDeletion"),
            "created 2024-05-15 12:00 UTC",
            "to be deleted 2026-12-01 12:00 UTC",
        ),
    ),
    "a primary": (
        "description",
        {"multi_region_type": "PRIMARY", "replicas": (REPLICA,), "description": "of the shop"},
        (
            DESCRIBED,
            "created 2024-05-15 12:00 UTC",
            f"multi-Region primary; replicas: {REPLICA}",
            "description: of the shop",
        ),
    ),
    "a replica that is alone": (
        "description",
        {"multi_region_type": "REPLICA", "primary": PRIMARY},
        (DESCRIBED, "created 2024-05-15 12:00 UTC", "multi-Region replica; replicas: none"),
    ),
    "no key": ("description", NotFound(), ("Key not found",)),
    "denied": (
        "grants",
        Unreadable(unreadable="ListGrants was denied"),
        (("read: ListGrants was denied",),),
    ),
    "no tags": ("tags", {}, ("none",)),
    "tags": ("tags", {"b": "2", "a": "1"}, ("a = 1", "b = 2")),
    "no aliases": ("aliases", (), ("none",)),
    "aliases": ("aliases", ("alias/a", "alias/b"), ("alias/a", "alias/b")),
    "no grants": ("grants", (), ("none",)),
    "grants": (
        "grants",
        ({**GRANT, "operations": ("Decrypt", "Encrypt")}, GRANT),
        (f"{USER}: Decrypt, Encrypt", f"{USER}: no operation"),
    ),
    "a key policy": (
        "key_policy",
        {"outside": ("everyone (open)",), "undo_denied": ("locked",), "account_root": False},
        (
            (": everyone (open)",),
            "may deny cancelling: locked",
            f"not governed by IAM; SHA-256 {DIGEST}",
        ),
    ),
    "a key policy that is not JSON": (
        "key_policy",
        {"problem": "no JSON"},
        ((": no JSON",), ("governed by ", f"SHA-256 {DIGEST}")),
    ),
    "rotations": ("rotations", 2, ("2",)),
    "declared nowhere": ("declarations", {}, ("none found",)),
    "declared": (
        "declarations",
        {"found": (DECLARED, {**DECLARED, "file": "/main.tf", "line": 7})},
        (
            "terraform: aws_kms_key.k in prod.json",
            "terraform: aws_kms_key.k in prod.json (/main.tf:7)",
        ),
    ),
    "named by nothing": (
        "references",
        {"gaps": (GAP,)},
        (
            (": fsx in eu-west-1: DescribeFileSystems was denied",),
            ("no resource ", "; 50 "),
        ),
    ),
    "not offered": (
        "references",
        {"absent": (ABSENT,)},
        (
            ("Absent from eu-west-3: kendra ", " kendra.host; ", " kendra)"),
            ("no resource ", "; 50 "),
        ),
    ),
    "named": ("references", {"found": (REFERENCE,)}, ("rds shop-db in eu-west-1 (KmsKeyId)",)),
    "no history": ("history", {}, (("no change ", " 2026-08-03 12:00 UTC"),)),
    "a history": (
        "history",
        {
            "last_change": event("DisableKey", 40),
            "cancellations": (event("CancelKeyDeletion", 50, None),),
        },
        (
            "DisableKey by alice, 2026-09-22 12:00 UTC",
            ("unknown identity cancelled ", ", 2026-09-12 12:00 UTC"),
        ),
    ),
    "no alias moved": (
        "alias_moves",
        {},
        ("none found since 2026-08-03 12:00 UTC",),
    ),
    "aliases moved": (
        "alias_moves",
        {"moved": (MOVED,), "possible": ({**MOVED, "who": "alice"},)},
        (
            ("alias/shop moved to new ", " unknown identity, 2026-09-22 12:00 UTC"),
            ("alias/shop moved, perhaps ", " new by alice, 2026-09-22 12:00 UTC"),
        ),
    ),
    "no later alias": ("later_aliases", {"count": 0}, ("none",)),
    "later aliases": (
        "later_aliases",
        {
            "count": 3,
            "newest": ({"alias": "alias/shop", "key_id": "new", "updated": days_ago(40)},),
        },
        ("alias/shop, on new since 2026-09-22 12:00 UTC", "and 2 more"),
    ),
    "used": (
        "last_use",
        {"used": days_ago(9), "operation": "Decrypt"},
        ("Decrypt, 2026-10-23 12:00 UTC",),
    ),
    "never used": ("last_use", {"never": True}, (("no use ", " creation"),)),
    "not used since AWS looks": (
        "last_use",
        {},
        (("no use since 2026-04-23 00:00 UTC;",),),
    ),
    "no attempt": (
        "use_attempts",
        {"since": BEGIN_OF_HISTORY},
        (("no attempt ", " 2026-08-03 12:00 UTC (weak)"),),
    ),
    "attempts": (
        "use_attempts",
        {
            "attempts": ({**ATTEMPT, "who": "app", "error": "DisabledException"}, ATTEMPT),
            "all_read": False,
        },
        (
            "Decrypt by app, 2026-10-29 12:00 UTC, refused: DisabledException",
            "Decrypt by unknown identity, 2026-10-29 12:00 UTC",
            ("older attempts ", " not "),
        ),
    ),
}


@pytest.mark.parametrize("what", SHOWN)
def test_each_piece_is_shown_in_words(what: str) -> None:
    piece, value, lines = SHOWN[what]
    sections = dict(in_words(changed(**{piece: value})))
    name = dict(zip(sections, _order(), strict=True))
    (shown,) = (texts for title, texts in sections.items() if name[title] == piece)
    assert len(shown) == len(lines)
    for line, expected in zip(shown, lines, strict=True):
        if isinstance(expected, str):
            assert line == expected
        else:
            assert re.search(".*".join(map(re.escape, expected)), line), line


def test_every_piece_that_was_read_is_shown_and_no_other() -> None:
    assert {piece for piece, _, _ in SHOWN.values()} == PIECES == set(_order())
    assert in_words(Evidence(key_arn=ARN)) == ()


def _order() -> tuple[str, ...]:
    """The pieces in the order of the report: cheapest first, as the rules read them."""
    return (
        *("description", "aliases", "tags", "grants", "key_policy", "rotations", "declarations"),
        *("references", "history", "alias_moves", "later_aliases", "last_use", "use_attempts"),
    )
