"""The rules about what a key is: custom-key-store, imported-material, replicas-remain."""

from __future__ import annotations

import pytest
from dead_key import NOW, PRIMARY, REPLICA, changed, evaluated, held_by, messages_of

from keysweep.remediation.models import VerdictKind
from keysweep.remediation.planner import verdict


@pytest.mark.parametrize("origin", ["AWS_CLOUDHSM", "EXTERNAL_KEY_STORE"])
@pytest.mark.parametrize("store", ["cks-1234567890abcdef0", None])
def test_a_custom_key_store_holds(origin: str, store: str | None) -> None:
    key = changed(description={"origin": origin, "custom_key_store_id": store})
    assert held_by(key) == {"custom-key-store"}
    assert origin in messages_of("custom-key-store", key)[0]


def test_a_custom_key_store_holds_under_any_origin() -> None:
    assert held_by(changed(description={"custom_key_store_id": "cks-1"})) == {"custom-key-store"}


@pytest.mark.parametrize("origin", ["EXTERNAL", "SOMETHING_NEW"])
def test_material_that_is_not_of_kms_holds(origin: str) -> None:
    assert held_by(changed(description={"origin": origin})) == {"imported-material"}


def test_a_primary_with_replicas_holds_and_names_their_regions() -> None:
    primary = {"multi_region_type": "PRIMARY", "primary": PRIMARY, "replicas": (REPLICA,)}
    key = changed(key_arn=PRIMARY, description=primary)
    assert held_by(key) == {"replicas-remain"}
    assert "us-east-1" in messages_of("replicas-remain", key)[0]


def test_a_primary_without_replicas_and_a_replica_can_be_scheduled() -> None:
    alone = {"multi_region_type": "PRIMARY", "primary": PRIMARY, "replicas": ()}
    assert held_by(changed(key_arn=PRIMARY, description=alone)) == set()
    replica = {"multi_region_type": "REPLICA", "primary": PRIMARY, "replicas": (REPLICA,)}
    assert held_by(changed(key_arn=REPLICA, description=replica)) == set()


@pytest.mark.parametrize(
    ("description", "rule", "words"),
    [
        ({"key_manager": "AWS"}, "aws-managed", "AWS"),
        (
            {"key_state": "PendingDeletion", "deletion_date": NOW},
            "already-pending",
            "2026-11-01",
        ),
        (
            {"key_state": "PendingReplicaDeletion"},
            "already-pending",
            "replica",
        ),
        ({"key_state": "Enabled"}, "not-disabled", "Enabled"),
    ],
)
def test_what_is_no_disabled_customer_key_is_passed_over(
    description: dict[str, object], rule: str, words: str
) -> None:
    key = changed(description=description)
    kind, reasons = verdict(key, evaluated(key))
    assert kind is VerdictKind.SKIP
    assert [reason.rule for reason in reasons] == [rule]
    assert words in reasons[0].message
