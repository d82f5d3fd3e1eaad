"""The engine: what counts as nothing, what is a gap, and how often AWS is asked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
)

from keysweep.remediation.errors import TruncatedResponse
from keysweep.remediation.evidence import references
from keysweep.remediation.evidence.references import scan as scan_module
from keysweep.remediation.evidence.references.entries import Entry, Gone, ReferenceList, Sign
from keysweep.remediation.evidence.references.index import Index
from keysweep.remediation.evidence.references.scan import scan_account, scan_region
from keysweep.remediation.models import Evidence, KeyArn

REGION = "eu-west-1"
KEY = "arn:aws:kms:eu-west-1:111122223333:key/0a1b2c3d-1111-2222-3333-444455556666"

NO_POLICY = "User: x is not authorized because no identity-based policy allows the y action"

Answer = dict[str, Any]
Stubbed = Callable[..., Any]

VOLUMES = Entry(
    service="ec2",
    operation="DescribeVolumes",
    items="Volumes[]",
    resource="VolumeId",
    keys=("KmsKeyId",),
)
TABLES = Entry.model_validate(
    {
        "service": "dynamodb",
        "operation": "ListTables",
        "items": "TableNames[]",
        "resource": "@",
        "then": {
            "operation": "DescribeTable",
            "take": {"TableName": "@"},
            "keys": ["Table.SSEDescription.KMSMasterKeyArn"],
        },
    }
)


def listing(*entries: Entry, signs: tuple[Sign, ...] = ()) -> ReferenceList:
    return ReferenceList(version=1, signs=signs, entries=entries)


def refusal(code: str, message: str = "", operation: str = "Op") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


def answers(table: Mapping[str, Any]) -> Callable[[str, Answer], Answer]:
    """Answer operations from a table of answers, errors or functions."""

    def answer(operation: str, request: Answer) -> Answer:
        found = table[operation]
        found = found(request) if callable(found) else found
        if isinstance(found, Exception):
            raise found
        return dict(found)

    return answer


def scanned(connection: Any, *entries: Entry, signs: tuple[Sign, ...] = ()) -> Index:
    return scan_region(connection, listing(*entries, signs=signs))


def named(index: Index) -> set[tuple[str, str]]:
    return {(ref.service, ref.resource) for refs in index.by_id.values() for ref in refs}


def volume(name: str) -> Answer:
    return {"VolumeId": name, "KmsKeyId": KEY}


# --- gaps -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "code", ["AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError"]
)
def test_a_denial_is_a_gap_with_the_permission_that_clears_it(stubbed: Stubbed, code: str) -> None:
    table = {"DescribeVolumes": refusal(code, NO_POLICY), "ListTables": {"TableNames": []}}
    index = scanned(stubbed(answers(table)), VOLUMES, TABLES)
    (gap,) = index.gaps
    assert (gap.service, gap.region, gap.permission) == ("ec2", REGION, "ec2:DescribeVolumes")
    assert (gap.operation, gap.code, gap.message) == ("DescribeVolumes", code, NO_POLICY)
    assert gap.answer_class == "permission"
    assert gap.why.endswith(f"{code}: {NO_POLICY}")
    assert not gap.every_region
    assert index.read == 2


@pytest.mark.parametrize(
    ("message", "answer_class"),
    [
        ("", "unclear"),
        ("User: x is not authorized to perform: y", "unclear"),
        ("Your account is not authorized to make this call.", "closed"),
        ("x with an explicit deny in a service control policy", "organization"),
        ("x with an explicit deny in an identity-based policy", "permission"),
        ("x because no resource-based policy allows the y action", "boundary"),
    ],
)
def test_any_other_denial_names_no_permission(
    stubbed: Stubbed, message: str, answer_class: str
) -> None:
    table = {"DescribeVolumes": refusal("AccessDeniedException", message)}
    (gap,) = scanned(stubbed(answers(table)), VOLUMES).gaps
    assert (gap.permission, gap.answer_class) == (None, answer_class)


@pytest.mark.parametrize(
    "error",
    [
        refusal("InternalError"),
        refusal("ExpiredToken"),
        refusal("UnrecognizedClientException"),
        refusal("ThrottlingException"),
        TruncatedResponse("the answer was cut off after 3 of 9 bytes"),
        ConnectTimeoutError(endpoint_url="https://ec2.eu-west-1.amazonaws.com"),
        EndpointConnectionError(endpoint_url="https://ec2.eu-west-1.amazonaws.com"),
    ],
    ids=lambda error: str(error)[:40],
)
def test_every_other_error_is_a_gap_without_a_permission(
    stubbed: Stubbed, error: Exception
) -> None:
    (gap,) = scanned(stubbed(answers({"DescribeVolumes": error})), VOLUMES).gaps
    assert gap.permission is None
    assert gap.operation == "DescribeVolumes"
    assert gap.answer_class in {"unclear", "token", "network"}


def test_items_that_cannot_be_read_are_counted(stubbed: Stubbed) -> None:
    def describe(request: Answer) -> Any:
        name = request["TableName"]
        if name.startswith("closed"):
            return refusal("AccessDeniedException", f"{NO_POLICY}: {name}")
        return {"Table": {"SSEDescription": {"KMSMasterKeyArn": KEY}}}

    names = ["open-1", "closed-1", "open-2", "closed-2"]
    table = {"ListTables": {"TableNames": names}, "DescribeTable": describe}
    index = scanned(stubbed(answers(table)), TABLES)
    (gap,) = index.gaps
    assert gap.permission == "dynamodb:DescribeTable"
    assert "2 of 4" in gap.why
    assert "closed-1" in gap.why
    assert gap.message == f"{NO_POLICY}: <resource>"
    assert named(index) == {("dynamodb", "open-1"), ("dynamodb", "open-2")}


def test_different_troubles_of_one_call_are_different_gaps(stubbed: Stubbed) -> None:
    troubles = {
        "a": refusal("AccessDeniedException", NO_POLICY),
        "b": refusal("InternalServerError"),
        "c": refusal("AccessDeniedException"),
    }
    table = {
        "ListTables": {"TableNames": list(troubles)},
        "DescribeTable": lambda request: troubles[request["TableName"]],
    }
    gaps = scanned(stubbed(answers(table)), TABLES).gaps
    assert {(gap.code, gap.permission) for gap in gaps} == {
        ("AccessDeniedException", "dynamodb:DescribeTable"),
        ("AccessDeniedException", None),
        ("InternalServerError", None),
    }


@pytest.mark.parametrize(("messages", "gaps"), [(20, 20), (21, 1)])
def test_too_many_messages_of_one_call_are_one_gap(
    stubbed: Stubbed, messages: int, gaps: int
) -> None:
    table = {
        "ListTables": {"TableNames": [f"{number}" for number in range(messages)]},
        "DescribeTable": lambda request: refusal("Odd", f"odd x{request['TableName']}"),
    }
    found = scanned(stubbed(answers(table)), TABLES).gaps
    assert len({gap.message for gap in found}) == len(found) == gaps


def test_what_was_read_before_a_page_failed_counts_and_the_rest_is_a_gap(stubbed: Stubbed) -> None:
    def describe(request: Answer) -> Any:
        if "NextToken" in request:
            return TruncatedResponse("cut off")
        return {"Volumes": [volume("vol-1")], "NextToken": "more"}

    index = scanned(stubbed(answers({"DescribeVolumes": describe})), VOLUMES)
    assert named(index) == {("ec2", "vol-1")}
    assert [(gap.code, gap.message) for gap in index.gaps] == [("TruncatedResponse", "cut off")]


def test_pages_that_repeat_are_a_gap(stubbed: Stubbed) -> None:
    entry = Entry(
        service="fsx",
        operation="DescribeFileCaches",
        items="FileCaches[]",
        keys=("KmsKeyId",),
    )
    again = {"FileCaches": [], "NextToken": "again"}
    (gap,) = scanned(stubbed(answers({"DescribeFileCaches": again})), entry).gaps
    assert "token twice" in gap.why


def test_an_answer_of_another_shape_is_a_gap(stubbed: Stubbed) -> None:
    entry = VOLUMES.model_copy(update={"items": "Volumes[?starts_with(VolumeId, 'vol-')]"})
    index = scanned(stubbed(answers({"DescribeVolumes": {"Volumes": [{"VolumeId": 3}]}})), entry)
    assert [gap.service for gap in index.gaps] == ["ec2"]


def test_a_field_that_this_boto3_lacks_is_a_gap_and_makes_no_call(
    stubbed: Stubbed,
) -> None:
    connection = stubbed(answers({}))
    (gap,) = scanned(connection, VOLUMES.model_copy(update={"keys": ("KeyOfTheFuture",)})).gaps
    assert "too old" in gap.why
    assert "Volume" in gap.why
    assert "KeyOfTheFuture" in gap.why
    assert connection.calls == []


def test_a_service_that_this_boto3_does_not_know_is_a_gap(stubbed: Stubbed) -> None:
    (gap,) = scanned(stubbed(answers({})), VOLUMES.model_copy(update={"service": "ec99"})).gaps
    assert "ec99" in gap.why


# --- nothing --------------------------------------------------------------------------------------


def test_an_empty_answer_is_nothing_and_leads_to_no_further_call(stubbed: Stubbed) -> None:
    connection = stubbed(answers({"ListTables": {"TableNames": []}}))
    index = scanned(connection, TABLES)
    assert (index.gaps, named(index)) == ([], set())
    assert [operation for _, operation, _ in connection.calls] == ["ListTables"]


def test_a_declared_error_is_nothing(stubbed: Stubbed) -> None:
    entry = VOLUMES.model_copy(update={"nothing": ("NoneHere",)})
    assert scanned(stubbed(answers({"DescribeVolumes": refusal("NoneHere")})), entry).gaps == []
    assert scanned(stubbed(answers({"DescribeVolumes": refusal("NoneThere")})), entry).gaps


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("OptInRequired", "You are not subscribed to this service."),
        ("SubscriptionRequiredException", "The AWS Access Key Id needs a subscription"),
        ("UnknownOperationException", ""),
        ("InvalidAction", "Unavailable Operation"),
        (
            "UnsupportedOperation",
            "The functionality you requested is not available in this region.",
        ),
        (
            "AccessDeniedException",
            "Unable to determine service/operation name to be authorized",
        ),
    ],
)
def test_an_answer_that_looks_like_an_absence_is_a_gap_without_a_second_witness(
    stubbed: Stubbed, code: str, message: str
) -> None:
    signs = references.reference_list().signs
    table = {"DescribeVolumes": refusal(code, message)}
    index = scanned(stubbed(answers(table)), VOLUMES, signs=signs)
    (gap,) = index.gaps
    assert gap.answer_class in {"not-in-region", "never-enabled"}
    assert index.absent == set()


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("UnsupportedOperation", "This operation is not supported for the volume."),
        ("AccessDeniedException", ""),
        ("AccessDeniedException", "with an explicit deny in a service control policy"),
        ("UnrecognizedClientException", "The security token included in the request is invalid."),
        ("InvalidClientTokenId", ""),
        ("AuthFailure", ""),
    ],
)
def test_similar_answers_are_gaps(stubbed: Stubbed, code: str, message: str) -> None:
    signs = references.reference_list().signs
    table = {"DescribeVolumes": refusal(code, message)}
    assert len(scanned(stubbed(answers(table)), VOLUMES, signs=signs).gaps) == 1


def test_an_item_that_is_gone_again_is_nothing(stubbed: Stubbed) -> None:
    table = {
        "ListTables": {"TableNames": ["brief"]},
        "DescribeTable": refusal("ResourceNotFoundException"),
    }
    assert scanned(stubbed(answers(table)), TABLES).gaps == []


REPOSITORIES = Entry.model_validate(
    {
        "service": "codecommit",
        "operation": "ListRepositories",
        "items": "repositories[]",
        "resource": "repositoryName",
        "then": {
            "operation": "GetRepository",
            "take": {"repositoryName": "repositoryName"},
            "keys": ["repositoryMetadata.kmsKeyId"],
        },
    }
)
BATCHES = REPOSITORIES.model_copy(
    update={
        "then": (
            REPOSITORIES.then[0].model_copy(
                update={
                    "operation": "BatchGetRepositories",
                    "take": {"repositoryNames": "repositoryName"},
                    "batch": 25,
                    "items": "repositories[]",
                    "keys": ("kmsKeyId",),
                }
            ),
        )
    }
)


@pytest.mark.parametrize(
    ("entry", "code", "gaps"),
    [
        (REPOSITORIES, "RepositoryDoesNotExistException", 0),
        (REPOSITORIES, "EncryptionKeyNotFoundException", 1),
        (BATCHES, "EncryptionKeyNotFoundException", 1),
        (BATCHES, "RepositoryDoesNotExistException", 1),
    ],
)
def test_only_the_error_that_one_item_is_gone_is_nothing(
    stubbed: Stubbed, entry: Entry, code: str, gaps: int
) -> None:
    found = [{"repositoryName": name, "repositoryId": name} for name in ("one", "two")]
    table = {"ListRepositories": {"repositories": found}, entry.then[0].operation: refusal(code)}
    assert len(scanned(stubbed(answers(table)), entry).gaps) == gaps


@pytest.mark.parametrize("operation", ["ListTables", "DescribeTable"])
def test_a_not_found_that_the_operation_does_not_declare_is_a_gap(
    stubbed: Stubbed, operation: str
) -> None:
    table = {"ListTables": {"TableNames": ["t"]}, operation: refusal("HostNotFoundException")}
    assert [gap.service for gap in scanned(stubbed(answers(table)), TABLES).gaps] == ["dynamodb"]


def test_a_listing_that_says_not_found_is_a_gap(stubbed: Stubbed) -> None:
    table = {"ListTables": refusal("ResourceNotFoundException")}
    assert len(scanned(stubbed(answers(table)), TABLES).gaps) == 1


# --- what is asked --------------------------------------------------------------------------------


def test_requests_take_repeat_and_multiply_parameters(stubbed: Stubbed) -> None:
    entry = Entry.model_validate(
        {
            "service": "connect",
            "operation": "ListInstances",
            "items": "InstanceSummaryList[]",
            "resource": "Arn",
            "then": {
                "operation": "ListInstanceStorageConfigs",
                "take": {"InstanceId": "Id"},
                "each": {"ResourceType": ["CALL_RECORDINGS", "ATTACHMENTS"]},
                "items": "StorageConfigs[]",
                "keys": ["S3Config.EncryptionConfig.KeyId"],
            },
        }
    )
    config = {"S3Config": {"EncryptionConfig": {"KeyId": KEY}}}
    table = {
        "ListInstances": {"InstanceSummaryList": [{"Id": "one", "Arn": "arn:one"}]},
        "ListInstanceStorageConfigs": {"StorageConfigs": [config]},
    }
    connection = stubbed(answers(table))
    assert named(scanned(connection, entry)) == {("connect", "arn:one")}
    assert [request for _, operation, request in connection.calls[1:]] == [
        {"InstanceId": "one", "ResourceType": "CALL_RECORDINGS"},
        {"InstanceId": "one", "ResourceType": "ATTACHMENTS"},
    ]


DOMAINS = Entry.model_validate(
    {
        "service": "opensearch",
        "iam": "es",
        "operation": "ListDomainNames",
        "items": "DomainNames[]",
        "resource": "DomainName",
        "then": {
            "operation": "DescribeDomains",
            "batch": 5,
            "take": {"DomainNames": "DomainName"},
            "items": "DomainStatusList[]",
            "resource": "DomainName",
            "keys": ["EncryptionAtRestOptions.KmsKeyId"],
        },
    }
)


def domains(count: int, *, lost: str = "") -> dict[str, Any]:
    def describe(request: Answer) -> Answer:
        requested = request["DomainNames"]
        status = [
            {"DomainName": name, "EncryptionAtRestOptions": {"KmsKeyId": KEY}}
            for name in requested
            if name != lost
        ]
        return {"DomainStatusList": status}

    names = [{"DomainName": f"domain-{number}"} for number in range(count)]
    return {"ListDomainNames": {"DomainNames": names}, "DescribeDomains": describe}


def test_items_go_into_batches(stubbed: Stubbed) -> None:
    connection = stubbed(answers(domains(12)))
    assert len(named(scanned(connection, DOMAINS))) == 12
    sizes = sorted(len(request["DomainNames"]) for _, _, request in connection.calls[1:])
    assert sizes == [2, 5, 5]


def test_a_batch_that_leaves_an_item_out_is_a_gap(stubbed: Stubbed) -> None:
    index = scanned(stubbed(answers(domains(3, lost="domain-1"))), DOMAINS)
    (gap,) = index.gaps
    assert "2 of 3 items" in gap.why
    assert named(index) == {("opensearch", "domain-0"), ("opensearch", "domain-2")}


@pytest.mark.parametrize(("alone", "gaps"), [("gone", 0), ("denied", 1)])
def test_a_batch_with_an_item_that_is_gone_is_asked_item_by_item(
    stubbed: Stubbed, alone: str, gaps: int
) -> None:
    def describe(request: Answer) -> Any:
        if "domain-1" not in request["DomainNames"]:
            return table["DescribeDomains"](request)
        denied = alone == "denied" and request["DomainNames"] == ["domain-1"]
        return refusal("AccessDeniedException" if denied else "ResourceNotFoundException")

    table = domains(7)
    connection = stubbed(answers({**table, "DescribeDomains": describe}))
    index = scanned(connection, DOMAINS)
    assert named(index) == {("opensearch", f"domain-{number}") for number in (0, 2, 3, 4, 5, 6)}
    assert len(index.gaps) == gaps
    assert all("domain-1" in gap.why for gap in index.gaps)
    sizes = sorted(len(request["DomainNames"]) for _, _, request in connection.calls[1:])
    assert sizes == [1, 1, 1, 1, 1, 2, 5]


def test_an_image_of_several_snapshots_is_not_gone_with_one(stubbed: Stubbed) -> None:
    sign = Gone(code="InvalidSnapshot.NotFound", text="", seen="a test")
    entry = IMAGES.model_copy(
        update={"then": (IMAGES.then[0].model_copy(update={"gone": (sign,)}),)}
    )
    answer = refusal("InvalidSnapshot.NotFound")
    for snapshots, gaps in ((["snap-1"], 0), (["snap-1", "snap-2"], 1)):
        table = {**images(snapshots), "DescribeSnapshots": answer}
        assert len(scanned(stubbed(answers(table)), entry).gaps) == gaps


def images(*snapshots: list[str], encrypted: bool | None = True) -> Answer:
    """Images with these snapshots, as AWS shows them: without their keys."""
    flag = {} if encrypted is None else {"Encrypted": encrypted}
    disks = [[{"Ebs": {"SnapshotId": one, **flag}} for one in image] for image in snapshots]
    shown = [{"ImageId": f"ami-{n}", "BlockDeviceMappings": some} for n, some in enumerate(disks)]
    return {"DescribeImages": {"Images": shown}}


IMAGES = next(e for e in references.reference_list().entries if e.operation == "DescribeImages")


@pytest.mark.parametrize("encrypted", [True, None])
def test_the_key_of_an_image_is_that_of_its_snapshots_of_any_owner(
    stubbed: Stubbed, encrypted: bool | None
) -> None:
    theirs = {"SnapshotId": "snap-1", "OwnerId": "444455556666", "KmsKeyId": KEY}
    shown = {"Snapshots": [theirs, {"SnapshotId": "snap-2"}]}
    table = images(["snap-1", "snap-2"], ["snap-2"], [], encrypted=encrypted)
    connection = stubbed(answers({**table, "DescribeSnapshots": shown}))
    index = scanned(connection, IMAGES)
    assert (named(index), index.gaps) == ({("ec2", "snap-1")}, [])
    assert connection.calls[-1][2]["SnapshotIds"] == ["snap-1", "snap-2"]
    assert "OwnerIds" not in connection.calls[-1][2]


@pytest.mark.parametrize("answer", [{"Snapshots": []}, refusal("InvalidSnapshot.NotFound")])
def test_a_snapshot_of_an_image_that_aws_does_not_show_is_a_gap(
    stubbed: Stubbed, answer: Any
) -> None:
    table = {**images(["snap-1"]), "DescribeSnapshots": answer}
    (gap,) = scanned(stubbed(answers(table)), IMAGES).gaps
    assert gap.operation == "DescribeSnapshots"


@pytest.mark.parametrize("table", [images([]), images(["snap-1"], encrypted=False)])
def test_no_snapshots_of_images_are_not_all_snapshots(stubbed: Stubbed, table: Answer) -> None:
    connection = stubbed(answers(table))
    assert scanned(connection, IMAGES).gaps == []
    assert [operation for _, operation, _ in connection.calls] == ["DescribeImages"]


def test_an_item_is_read_in_its_own_region(stubbed: Stubbed) -> None:
    entry = next(e for e in references.reference_list().entries if e.operation == "ListBuckets")
    buckets = [{"Name": "near"}, {"Name": "far", "BucketRegion": "us-west-2"}]
    missing = refusal("ReplicationConfigurationNotFoundError")
    table = {
        "ListBuckets": {"Buckets": buckets},
        "GetBucketEncryption": {"ServerSideEncryptionConfiguration": {"Rules": []}},
        "GetBucketReplication": missing,
        "ListBucketInventoryConfigurations": {"InventoryConfigurationList": []},
        "GetBucketPolicy": refusal("NoSuchBucketPolicy"),
    }
    connection = stubbed(answers(table))
    index = scan_account(connection, listing(entry))
    assert index.gaps == []
    called = {(request.get("Bucket"), region) for region, _, request in connection.calls}
    assert called == {(None, REGION), ("near", REGION), ("far", "us-west-2")}


# --- every Region ---------------------------------------------------------------------------------

TRAILS = Entry(
    service="cloudtrail",
    operation="DescribeTrails",
    items="trailList[]",
    resource="TrailARN",
    keys=("KmsKeyId",),
    reach="every-region",
)
ZONES = Entry(
    service="secretsmanager",
    operation="ListSecrets",
    items="SecretList[]",
    keys=("KmsKeyId",),
    reach="account",
)


def test_each_entry_is_read_where_its_reach_requires(stubbed: Stubbed) -> None:
    table = {
        "DescribeRegions": {"Regions": [{"RegionName": "us-east-1"}, {"RegionName": REGION}]},
        "DescribeTrails": {"trailList": []},
        "ListSecrets": {"SecretList": []},
        "DescribeVolumes": {"Volumes": []},
    }
    connection = stubbed(answers(table))
    all_three = listing(VOLUMES, TRAILS, ZONES)
    scan_region(connection, all_three)
    assert {(operation, region) for region, operation, _ in connection.calls} == {
        ("DescribeVolumes", REGION)
    }
    connection.calls.clear()
    scan_account(connection, all_three)
    assert {(operation, region) for region, operation, _ in connection.calls} == {
        ("DescribeRegions", REGION),
        ("DescribeTrails", REGION),
        ("DescribeTrails", "us-east-1"),
        ("ListSecrets", REGION),
    }


def test_unknown_regions_are_a_gap_of_each_service_that_needs_them(stubbed: Stubbed) -> None:
    table = {
        "DescribeRegions": refusal("UnauthorizedOperation", NO_POLICY),
        "DescribeTrails": {"trailList": []},
        "ListSecrets": {"SecretList": []},
    }
    connection = stubbed(answers(table))
    (gap,) = scan_account(connection, listing(TRAILS, ZONES)).gaps
    assert (gap.service, gap.permission) == ("cloudtrail", "ec2:DescribeRegions")
    assert (gap.operation, gap.every_region) == ("DescribeRegions", True)
    assert ("DescribeTrails", REGION) in {(op, region) for region, op, _ in connection.calls}


# --- the source -----------------------------------------------------------------------------------


def evidence(region: str, number: int) -> Evidence:
    key_id = f"0a1b2c3d-1111-2222-3333-{number:012d}"
    return Evidence(
        key_arn=KeyArn.parse(f"arn:aws:kms:{region}:111122223333:key/{key_id}"), aliases=()
    )


@pytest.fixture
def scans(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """The source with counted scans instead of the engine; returns where they looked."""
    done: list[tuple[str, str]] = []
    lock = threading.Lock()

    def scan(kind: str) -> Callable[..., Index]:
        def run(connection: Any, whole: ReferenceList) -> Index:
            assert whole is references.reference_list()
            with lock:
                done.append((kind, connection.region))
            return Index(read=1)

        return run

    monkeypatch.setattr(scan_module, "scan_region", scan("region"))
    monkeypatch.setattr(scan_module, "scan_account", scan("account"))
    return done


class Session:
    """An object with an identity that can be released."""


def test_the_index_is_built_once_a_region_and_once_an_account(
    stubbed: Stubbed, scans: list[tuple[str, str]]
) -> None:
    session = Session()
    connections = [
        stubbed(answers({}), region=region, session=session) for region in (REGION, "x-y-1")
    ]
    read = references.SOURCE.read_account_region
    assert read is not None
    with ThreadPoolExecutor(8) as threads:
        reads = [
            (connection, evidence(REGION, number))
            for connection in connections
            for number in range(20)
        ]
        found = list(threads.map(lambda one: read(one[0], [one[1]]), reads))
    assert all(next(iter(one.values())).services == 2 for one in found)
    assert sorted(kind for kind, _ in scans) == ["account", "region", "region"]


def test_another_session_scans_again(stubbed: Stubbed, scans: list[tuple[str, str]]) -> None:
    read = references.SOURCE.read_account_region
    assert read is not None
    for session in (Session(), Session()):
        read(stubbed(answers({}), session=session), [evidence(REGION, 1)])
    assert len(scans) == 4


def test_every_requested_key_gets_an_answer(stubbed: Stubbed, scans: list[tuple[str, str]]) -> None:
    read = references.SOURCE.read_account_region
    assert read is not None
    group = [evidence(REGION, number) for number in range(3)]
    assert set(read(stubbed(answers({}), session=Session()), group)) == {e.key_arn for e in group}


def test_a_scan_that_breaks_breaks_for_all_who_wait_for_it(
    stubbed: Stubbed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(connection: Any, whole: ReferenceList) -> Index:
        raise RuntimeError("a bug")

    monkeypatch.setattr(scan_module, "scan_region", broken)
    read = references.SOURCE.read_account_region
    assert read is not None
    connection = stubbed(answers({}), session=Session())
    for _ in range(2):
        with pytest.raises(RuntimeError, match="a bug"):
            read(connection, [evidence(REGION, 1)])


def test_a_service_that_answered_once_is_not_absent(stubbed: Stubbed) -> None:
    entry = Entry(
        service="ec2",
        operation="DescribeVolumes",
        each={"NextToken": ("a", "b")},
        items="Volumes[]",
        resource="VolumeId",
        keys=("KmsKeyId",),
    )
    sign = Sign(code="NeverEnabled", meaning="never-enabled", seen="a test", deletes_data="a page")

    def describe(request: Answer) -> Any:
        return {"Volumes": []} if request["NextToken"] == "a" else refusal("NeverEnabled")

    references = listing(entry, signs=(sign,))
    index = scan_region(stubbed(answers({"DescribeVolumes": describe})), references)
    assert ([gap.code for gap in index.gaps], index.absent) == (["NeverEnabled"], set())


def test_a_gap_is_of_the_region_that_was_called(stubbed: Stubbed) -> None:
    (describe,) = TABLES.then
    then = describe.model_copy(update={"in_region": "@"})
    entry = TABLES.model_copy(update={"then": (then,)})
    table = {
        "ListTables": {"TableNames": ["us-east-1", REGION]},
        "DescribeTable": refusal("AccessDeniedException", "no"),
    }
    gaps = scanned(stubbed(answers(table)), entry).gaps
    assert {gap.region for gap in gaps} == {"us-east-1", REGION}
