"""The ledger: every member of AWS's answers that names a customer's key is read or left out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from keysweep.remediation.evidence.references.entries import ReferenceList, reference_list
from ledger.accounts import FILE, Group, Ledger, LeftOut, ledger, unanswered
from ledger.finder import NOT_REFERENCES, READS, Found, Member, Walk, names_key
from ledger.reading import paths, read_by


@pytest.fixture(scope="module")
def whole() -> Ledger:
    return ledger()


# --- the ledger of the installed botocore ---------------------------------------------------------


def test_every_member_that_names_a_key_is_read_or_left_out(whole: Ledger) -> None:
    """On failure: add an entry for each, or a line to docs/generate/ledger/left_out.yaml."""
    assert [str(member) for member in whole.missing()] == []


def test_the_list_names_the_botocore_that_it_was_compared_with(whole: Ledger) -> None:
    """On failure: once all is read or left out, set both to the version that is installed."""
    assert reference_list().checked_with == f"botocore {whole.left_out.botocore}"
    assert whole.left_out.botocore == required()


def required() -> str:
    """The botocore that every change is tested with."""
    pinned = (Path(__file__).parents[1] / "requirements-command.txt").read_text(encoding="utf-8")
    return re.findall(r"(?m)^botocore==(\S+)$", pinned)[0]


def test_nothing_is_left_out_that_is_read_or_does_not_exist(whole: Ledger) -> None:
    assert [str(member) for member in whole.superfluous()] == []


def test_each_member_is_left_out_once(whole: Ledger) -> None:
    assert {str(m): reasons for m, reasons in whole.reasons.items() if len(reasons) > 1} == {}


def test_what_shows_the_key_of_another_is_read(whole: Ledger) -> None:
    shown_by = [pair for group in whole.left_out.groups for pair in group.shown_by()]
    assert shown_by
    assert [str(other) for _, other in shown_by if other not in whole.read] == []


def test_what_no_call_shows_is_set_by_requests_alone(whole: Ledger) -> None:
    unread = {m for m, reasons in whole.reasons.items() if reasons == ("no-read-call",)}
    assert unread
    assert unread <= unanswered(whole.found)
    assert not unread & whole.found.answers


def test_all_that_the_entries_read_is_found_but_texts_and_maps(whole: Ledger) -> None:
    free_form = {one.member for one in whole.left_out.free_form if one.left_out is None}
    assert whole.read - whole.found.answers == free_form


def test_95_of_100_kinds_of_living_resources_are_read_whole(whole: Ledger) -> None:
    kinds = whole.kinds()
    assert len(kinds) > 300
    assert sum(kinds.values()) >= 0.95 * len(kinds)


def tiers() -> dict[tuple[str, str], int]:
    """The tier of each kind of resource, by service and name."""
    content = yaml.safe_load(FILE.with_name("tiers.yaml").read_text(encoding="utf-8"))
    return {
        (service, kind): tier
        for tier, services in content.items()
        for service, kinds in services.items()
        for kind in kinds
    }


def test_only_kinds_of_tier_3_are_not_read_yet(whole: Ledger) -> None:
    waiting = {kind for kind, read in whole.kinds().items() if not read}
    assert waiting
    assert {kind: tiers().get(kind) for kind in waiting} == dict.fromkeys(waiting, 3)


def test_each_kind_that_has_a_tier_is_read_or_left_out(whole: Ledger) -> None:
    """A kind that is only listed, as directory buckets are, is read with its follow-up calls."""
    listed = {
        (entry.service_of(call), Member("", call.operation, "").kind)
        for entry, call in reference_list().calls()
    }
    explained = {(member.service, member.kind) for member in whole.reasons}
    assert tiers().keys() <= listed | explained | whole.kinds().keys()
    assert {1, 2, 3} == set(tiers().values())


# --- a gap is found -------------------------------------------------------------------------------


def accounts(**changed: Any) -> Ledger:
    content = {
        "found": Found(frozenset({VOLUME, SNAPSHOT}), frozenset()),
        "read": frozenset({VOLUME}),
        "left_out": LeftOut(version=1, botocore="1.0.0", groups=(RECORD,), free_form=()),
        **changed,
    }
    return Ledger(**content)


VOLUME = Member("ec2", "DescribeVolumes", "Volumes[].KmsKeyId")
SNAPSHOT = Member("ec2", "DescribeSnapshots", "Snapshots[].KmsKeyId")
RECORD = Group(
    reason="finished-job-record",
    why="x",
    members={"ec2": {"DescribeSnapshots": ("Snapshots[].KmsKeyId",)}},
)


def test_a_ledger_without_a_gap() -> None:
    assert (accounts().missing(), accounts().superfluous()) == ([], [])


def test_a_new_member_is_missing() -> None:
    new = Member("ec2", "DescribeThings", "Things[].KmsKeyId")
    assert accounts(found=Found(frozenset({VOLUME, SNAPSHOT, new}), frozenset())).missing() == [new]


def test_an_entry_that_is_removed_leaves_its_member_missing() -> None:
    assert accounts(read=frozenset()).missing() == [VOLUME]


def test_a_ledger_line_is_stale_once_its_member_is_read_or_gone() -> None:
    assert accounts(read=frozenset({VOLUME, SNAPSHOT})).superfluous() == [SNAPSHOT]
    assert accounts(found=Found(frozenset({VOLUME}), frozenset())).superfluous() == [SNAPSHOT]


def test_a_request_whose_key_no_answer_shows_is_missing() -> None:
    silent = Member("transfer", "ImportHostKey", "KmsKey")
    shown = Member("ec2", "CreateVolume", "KmsKeyId")
    members = Found(frozenset({VOLUME, SNAPSHOT}), frozenset({silent, shown}))
    assert accounts(found=members).missing() == [silent]


def test_a_kind_counts_as_whole_if_nothing_of_it_waits() -> None:
    later = RECORD.model_copy(update={"reason": "not-read-yet", "use": "snapshots"})
    waiting = accounts(left_out=LeftOut(version=1, botocore="1.0.0", groups=(later,), free_form=()))
    assert waiting.kinds() == {("ec2", "Volume"): True, ("ec2", "Snapshot"): False}
    assert (waiting.unseen("not-read-yet"), waiting.unseen("no-read-call")) == (["snapshots"], [])
    assert accounts().kinds() == {("ec2", "Volume"): True}


@pytest.mark.parametrize(
    "content",
    [
        {"reason": "no-need", "members": {"a": {"B": ["C"]}}},
        {"reason": "shown-by", "members": {"a": {"B": ["C"]}}},
        {"reason": "finished-job-record", "by": {"a": {"B C": "D E"}}},
        {"reason": "closed-service", "members": {"a": {"B": ["C"]}}},
        {"reason": "not-read-yet", "members": {"a": {"B": ["C"]}}},
        {"reason": "no-read-call", "members": {"a": {"B": ["C"]}}},
    ],
)
def test_a_group_without_what_its_reason_needs_is_refused(content: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Group.model_validate({"why": "x", **content})


# --- the finder -----------------------------------------------------------------------------------

KNOWN = """
ec2 DescribeVolumes Volumes[].KmsKeyId
ec2 DescribeImages Images[].BlockDeviceMappings[].Ebs.KmsKeyId
dynamodb DescribeTable Table.SSEDescription.KMSMasterKeyArn
eks DescribeCluster cluster.encryptionConfig[].provider.keyArn
codepipeline GetPipeline pipeline.artifactStores{}.encryptionKey.id
translate ListTerminologies TerminologyPropertiesList[].EncryptionKey.Id
kinesis DescribeStreamSummary StreamDescriptionSummary.KeyId
omics ListSequenceStores sequenceStores[].sseConfig.keyArn
drs GetReplicationConfiguration ebsEncryptionKeyArn
workspaces DescribeWorkspaces Workspaces[].VolumeEncryptionKey
dlm GetLifecyclePolicy Policy.PolicyDetails.Schedules[].CrossRegionCopyRules[].CmkArn
secretsmanager ListSecretVersionIds Versions[].KmsKeyIds
groundstation GetMissionProfile streamsKmsKey.kmsAliasName
route53 GetDNSSEC KeySigningKeys[].KmsArn
verifiedpermissions GetPolicyStore encryptionState.kmsEncryptionState.key
qconnect ListAssistants assistantSummaries[].serverSideEncryptionConfiguration.replicaKmsKeys[].arn
license-manager ListLicenses Licenses[].Issuer.SignKey
codeartifact ListDomains domains[].encryptionKey
"""


@pytest.mark.parametrize("line", KNOWN.split("\n")[1:-1])
def test_known_members_are_found(line: str, whole: Ledger) -> None:
    assert Member(*line.split()) in whole.found.answers


NEAR_MISSES = """
ec2 DescribeKeyPairs
ec2 DescribeHosts
iam ListAccessKeys
apigateway GetApiKeys
s3 ListObjectsV2
dynamodb ListTables
ssm DescribeActivations
cloudfront ListPublicKeys
cloudfront ListKeyGroups
payment-cryptography ListKeys
lightsail GetKeyPairs
transfer ListHostKeys
iot ListCertificates
appsync ListApiKeys
acm ListCertificates
medialive DescribeThumbnails
datasync DescribeLocationS3
"""


@pytest.mark.parametrize("line", NEAR_MISSES.split("\n")[1:-1])
def test_near_misses_are_not_signs(line: str, whole: Ledger) -> None:
    service, operation = line.split()
    assert [
        m for m in whole.found.answers if (m.service, m.operation) == (service, operation)
    ] == []


def test_kms_itself_is_not_searched(whole: Ledger) -> None:
    assert not NOT_REFERENCES & {member.service for member in whole.found.answers}


@pytest.mark.parametrize(
    ("structure", "name", "text", "about", "found"),
    [
        ("Volume", "KmsKeyId", {}, "", True),
        ("Volume", "KmsKeyIds", {"list": True}, "", True),
        ("Volume", "KmsKeyType", {}, "", False),
        ("Volume", "KmsKeyStatus", {}, "", False),
        ("Volume", "KmsKeyId", {"enum": ["A"]}, "", False),
        ("Volume", "KmsEncryptionContext", {}, "The KMS encryption context.", False),
        ("Volume", "KmsRoleArn", {}, "", False),
        ("Volume", "AccessKeyId", {}, "The access key.", False),
        ("Volume", "KeyName", {}, "The key pair.", False),
        ("Table", "PartitionKey", {}, "", False),
        ("SsmParameter", "KeyId", {}, "The KMS key.", True),
        ("SsmParameter", "KeyId", {}, "The key.", False),
        ("EncryptionConfiguration", "KeyId", {}, "", True),
        ("EncryptionConfiguration", "Arn", {}, "", False),
        ("ReplicaKmsKey", "Arn", {}, "", True),
        ("AssetItem", "Key", {}, "The object. A KMS key encrypts it.", False),
        ("InputSettings", "EncryptedDecryptionKey", {}, "Encrypted with KMS.", False),
        ("Portal", "customerManagedKey", {}, "", True),
        ("Part", "SSECustomerKey", {}, "The customer managed key.", False),
    ],
)
def test_what_names_a_key(
    structure: str, name: str, text: Mapping[str, Any], about: str, found: bool
) -> None:
    string = {"type": "string", **{k: v for k, v in text.items() if k == "enum"}}
    shapes: dict[str, Any] = {
        "Text": string,
        "Texts": {"type": "list", "member": {"shape": "Text"}},
    }
    shape = "Texts" if "list" in text else "Text"
    member = {"shape": shape, "documentation": about}
    shapes[structure] = {"type": "structure", "members": {name: member}}
    assert names_key(shapes, structure, name) == found


def test_shapes_within_themselves_maps_lists_and_unions_are_walked() -> None:
    shapes = {
        "Text": {"type": "string"},
        "Answer": {
            "type": "structure",
            "members": {
                "Tree": {"shape": "Tree"},
                "Named": {"shape": "Map"},
                "N": {"shape": "Text"},
            },
        },
        "Tree": {
            "type": "structure",
            "union": True,
            "members": {"Leaf": {"shape": "Leaf"}, "Branches": {"shape": "Trees"}},
        },
        "Trees": {"type": "list", "member": {"shape": "Tree"}},
        "Leaf": {"type": "structure", "members": {"KmsKeyId": {"shape": "Text"}}},
        "Map": {"type": "map", "key": {"shape": "Text"}, "value": {"shape": "Leaf"}},
    }
    assert set(Walk(shapes).paths("Answer")) == {"Tree.Leaf.KmsKeyId", "Named{}.KmsKeyId"}


@pytest.mark.parametrize(
    ("operation", "reads", "kind"),
    [
        ("DescribeVolumes", True, "Volume"),
        ("GetBucketPolicy", True, "BucketPolicy"),
        ("ListPolicies", True, "Policy"),
        ("BatchGetProjects", True, "Project"),
        ("DescribeEventBus", True, "EventBus"),
        ("ListEventBuses", True, "EventBus"),
        ("ListIndexes", True, "Index"),
        ("Search", True, "Search"),
        ("CreateVolume", False, None),
        ("GenerateDataKey", False, None),
        ("Listen", False, None),
    ],
)
def test_operations_that_read(operation: str, reads: bool, kind: str | None) -> None:
    assert bool(READS.match(operation)) == reads
    assert kind in {None, Member("x", operation, "").kind}


# --- what an entry reads --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("items", "expression", "found"),
    [
        ("Volumes[]", "KmsKeyId", ["Volumes[].KmsKeyId"]),
        ("@", "Table.Replicas[].KMSMasterKeyId", ["Table.Replicas[].KMSMasterKeyId"]),
        ("Versions[]", "KmsKeyIds[]", ["Versions[].KmsKeyIds"]),
        ("Infos[?Type=='A']", "Key", ["Infos[].Key"]),
        ("[@][?a[0].state!='X']", "kmsKeyId", ["kmsKeyId"]),
        ("@", "values(p.stores || `{}`)[].key.id", ["p.stores{}.key.id"]),
        ("A || B", "Id", ["A.Id", "B.Id"]),
        ("List[?Default].Text", "@", ["List[].Text"]),
        ("Names[0]", "@", ["Names"]),
    ],
)
def test_the_paths_of_an_expression(items: str, expression: str, found: list[str]) -> None:
    assert list(paths(items, expression)) == found


def test_every_expression_of_the_list_is_understood() -> None:
    references = reference_list()
    counted = sum(len(call.keys) + len(call.documents) for _, call in references.calls())
    assert len(read_by(references)) <= counted
    assert read_by(ReferenceList(version=1, signs=(), entries=())) == frozenset()
