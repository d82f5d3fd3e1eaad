"""A service counts as absent by two witnesses, and by nothing less: DNS, and AWS's public list."""

from __future__ import annotations

import gzip
import json
import re
import socket
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import moto
import pytest
from botocore import xform_name
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ProxyConnectionError,
    ReadTimeoutError,
    SSLError,
)
from botocore.session import Session
from dead_key import gap_of
from pydantic import ValidationError

from keysweep.remediation.aws.clients import Clients
from keysweep.remediation.evidence.references import absence
from keysweep.remediation.evidence.references.absence import CONTROLS, IN_EVERY_REGION
from keysweep.remediation.evidence.references.entries import (
    Entry,
    ReferenceList,
    Sign,
    reference_list,
)
from keysweep.remediation.evidence.references.index import Index, references_to
from keysweep.remediation.evidence.references.scan import scan_region
from keysweep.remediation.models import Absences, Evidence, KeyArn, References

Answer = dict[str, Any]
Stubbed = Callable[..., Any]
Server = Callable[..., None]

WHOLE = reference_list()
KEY = KeyArn.parse("arn:aws:kms:eu-west-3:111122223333:key/0a1b2c3d-1111-2222-3333-444455556666")
ALLOWLIST = r"^(kms|ec2|dynamodb|sts|s3)\."


def entry_of(service: str, operation: str | None = None) -> Entry:
    return next(
        e for e in WHOLE.entries if e.service == service and operation in {None, e.operation}
    )


@cache
def copy() -> Answer:
    """moto's copy of AWS's public parameters: by Region, the services with their endpoints."""
    path = Path(moto.__file__).parent / "ssm" / "resources" / "regions.json.gz"
    tree = json.loads(gzip.decompress(path.read_bytes()))
    found: Answer = tree["aws"]["service"]["global-infrastructure"]["regions"]
    return found


def codes_of(region: str) -> set[str]:
    return set(copy()[region]["services"])


def pages(codes: Iterable[str]) -> Callable[[Answer], Answer]:
    """Parameter Store's answers, ten names a page, as AWS gives."""

    def page(request: Answer) -> Answer:
        start = int(request.get("NextToken", "0"))
        names = [f"{request['Path']}/{code}" for code in sorted(codes)][start : start + 10]
        more = {"NextToken": str(start + 10)} if len(names) == 10 else {}
        return {"Parameters": [{"Name": name} for name in names], **more}

    return page


class Network:
    """What is answered: DNS by a pattern of hosts, Parameter Store, and everything else not."""

    def __init__(self, known: str, store: Any) -> None:
        self.known = re.compile(known)
        self.store = store
        self.looked_up: set[str] = set()

    def exists(self, host: str) -> bool:
        self.looked_up.add(host)
        return self.known.search(host) is not None

    def answer(self, operation: str, request: Answer) -> Answer:
        if operation == "GetParametersByPath":
            found = self.store(request) if callable(self.store) else self.store
            if isinstance(found, Exception):
                raise found
            return dict(found)
        raise EndpointConnectionError(endpoint_url=f"https://{operation}")


@pytest.fixture
def scan(stubbed: Stubbed, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Scan services of a Region in a network; returns the index and the connection."""

    def run(
        *entries: Entry,
        region: str = "eu-west-3",
        unknown: str | None = None,
        known: str | None = None,
        store: Any = None,
        listed_as: dict[str, str] | None = None,
    ) -> tuple[Index, Any, Network]:
        pattern = known if known is not None else rf"^(?!{unknown or ''})"
        network = Network(pattern, pages(codes_of(region)) if store is None else store)
        monkeypatch.setattr(absence, "exists", network.exists)
        monkeypatch.setattr(absence, "getproxies", lambda: {"no": "127.0.0.1"})
        listing = ReferenceList(
            version=1,
            listed_as=WHOLE.listed_as if listed_as is None else listed_as,
            entries=entries,
        )
        connection = stubbed(network.answer, region=region)
        return scan_region(connection, listing), connection, network

    return run


def absent(index: Index) -> set[tuple[str, str]]:
    return {(one.service.service, one.region) for one in index.absent}


def called(connection: Any) -> set[str]:
    return {operation for _, operation, _ in connection.calls} - {"GetParametersByPath"}


def refusal(code: str, message: str = "") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "GetParametersByPath")


NO_POLICY = "x because no identity-based policy allows the ssm:GetParametersByPath action"


QBUSINESS = entry_of("qbusiness")
FARMS = entry_of("deadline")
NO_QBUSINESS = r"qbusiness\."

# --- both witnesses -------------------------------------------------------------------------------


def test_a_service_without_host_that_the_list_does_not_name_is_absent_and_not_called(
    scan: Callable[..., Any],
) -> None:
    """Amazon Q Business has hosts in four Regions, and botocore lists it in all of them."""
    index, connection, _ = scan(QBUSINESS, unknown=NO_QBUSINESS)
    assert absent(index) == {("qbusiness", "eu-west-3")}
    assert (index.gaps, called(connection), index.read) == ([], set(), 0)


def test_what_was_skipped_is_in_the_evidence_with_both_witnesses(
    scan: Callable[..., Any],
) -> None:
    index, _, network = scan(QBUSINESS, FARMS, unknown=r"(qbusiness|management\.deadline)\.")
    seen = references_to(KEY, (), [index, Index()])
    assert seen.absent is not None
    (region,) = seen.absent
    assert {(one.service, one.host, one.code) for one in region.services} == {
        ("qbusiness", "qbusiness.eu-west-3.api.aws", "qbusiness"),
        ("deadline", "management.deadline.eu-west-3.amazonaws.com", "deadline-cloud"),
    }
    assert region.region == "eu-west-3"
    assert region.list_path == "/aws/service/global-infrastructure/regions/eu-west-3/services"
    assert region.listed == len(codes_of("eu-west-3"))
    assert len(set(region.controls)) == 5
    assert set(region.controls) <= network.looked_up
    assert References.model_validate_json(seen.model_dump_json()) == seen


def test_the_list_is_read_once_a_region_and_only_where_a_host_is_missing(
    scan: Callable[..., Any],
) -> None:
    _, connection, _ = scan(QBUSINESS, FARMS, unknown=r"(qbusiness|management\.deadline)\.")
    requests = [request for _, operation, request in connection.calls if operation != "ListFarms"]
    assert len(requests) == len(codes_of("eu-west-3")) // 10 + 1
    _, connection, _ = scan(QBUSINESS, FARMS, known="")
    assert called(connection) == {"ListApplications", "ListFarms"}
    assert {operation for _, operation, _ in connection.calls} == called(connection)


@pytest.mark.parametrize(
    ("store", "kind", "permission"),
    [
        (refusal("AccessDeniedException", NO_POLICY), "permission", "ssm:GetParametersByPath"),
        (refusal("AccessDeniedException"), "network", None),
        (refusal("InternalServerError"), "network", None),
        (EndpointConnectionError(endpoint_url="https://ssm"), "network", None),
        ({"Parameters": []}, "network", None),
        (pages(codes_of("eu-west-3") - {"sts"}), "network", None),
        (pages([*IN_EVERY_REGION, *CONTROLS[:4]]), "network", None),
        (lambda request: {"Parameters": [], "NextToken": "again"}, "network", None),
        (pages(codes_of("eu-west-3") | {"qbusiness"}), "network", None),
    ],
    ids=[
        "denied",
        "barely denied",
        "error",
        "no way",
        "empty",
        "part",
        "no controls",
        "in circles",
        "named",
    ],
)
def test_without_the_list_nothing_is_absent(
    scan: Callable[..., Any], store: Any, kind: str, permission: str | None
) -> None:
    index, connection, _ = scan(QBUSINESS, unknown=NO_QBUSINESS, store=store)
    (gap,) = index.gaps
    assert (gap.service, gap.answer_class, gap.permission) == ("qbusiness", kind, permission)
    assert absent(index) == set()
    assert called(connection) == {"ListApplications"}


def test_a_list_that_the_region_does_not_have_is_read_from_another(
    scan: Callable[..., Any],
) -> None:
    answers = iter([{"Parameters": []}])

    def store(request: Answer) -> Answer:
        return next(answers, None) or pages(codes_of("eu-west-3"))(request)

    index, connection, _ = scan(QBUSINESS, unknown=NO_QBUSINESS, store=store)
    assert absent(index) == {("qbusiness", "eu-west-3")}
    assert [region for region, _, _ in connection.calls][:2] == ["eu-west-3", "us-east-1"]


def test_a_service_without_a_code_is_never_absent(scan: Callable[..., Any]) -> None:
    index, _, _ = scan(QBUSINESS, unknown=NO_QBUSINESS, listed_as={})
    assert [gap.answer_class for gap in index.gaps] == ["network"]
    assert absent(index) == set()


@pytest.mark.parametrize("control", range(5))
def test_each_control_host_has_to_exist(scan: Callable[..., Any], control: int) -> None:
    service = Session().get_service_model(CONTROLS[control]).endpoint_prefix
    index, _, _ = scan(QBUSINESS, unknown=rf"(qbusiness|{re.escape(service)})\.")
    assert [gap.service for gap in index.gaps] == ["qbusiness"]


# --- what is not called silently ------------------------------------------------------------------


def one_of_each() -> list[Entry]:
    return list({entry.service: entry for entry in WHOLE.entries}.values())


@pytest.mark.parametrize(
    "region", ["us-east-1", pytest.param("eu-west-3", marks=pytest.mark.sample)]
)
def test_where_a_name_server_knows_five_hosts_alone_every_other_service_is_a_gap(
    scan: Callable[..., Any], region: str
) -> None:
    entries = [entry for entry in one_of_each() if entry.reach == "region"]
    index, connection, _ = scan(*entries, region=region, known=ALLOWLIST)
    assert absent(index) == set()
    assert {gap.service for gap in index.gaps} == {entry.service for entry in entries}
    assert called(connection) == {entry.operation for entry in entries}


PREFIXED = {
    "deadline": "management.deadline.",
    "mwaa": "api.airflow.",
    "omics": "control-storage-omics.",
    "location": "cp.tracking.geo.",
    "iotsitewise": "api.iotsitewise.",
    "workspaces-thin-client": "api.thinclient.",
}


@pytest.mark.parametrize("service", PREFIXED)
def test_the_host_that_counts_is_that_of_the_operation(
    scan: Callable[..., Any], service: str
) -> None:
    """Where the host without the prefix does not exist, the service may well be there."""
    entry = entry_of(service)
    codes = codes_of("us-west-2") - {WHOLE.listed_as[service]}
    bare = PREFIXED[service].split(".", 1)[1]
    if service == "omics":
        bare = "omics."
    store = pages(codes)
    index, connection, _ = scan(entry, region="us-west-2", unknown=re.escape(bare), store=store)
    assert (absent(index), called(connection)) == (set(), {entry.operation})
    index, connection, network = scan(
        entry, region="us-west-2", unknown=re.escape(PREFIXED[service]), store=store
    )
    assert (absent(index), called(connection)) == ({(service, "us-west-2")}, set())
    assert any(host.startswith(PREFIXED[service]) for host in network.looked_up)


@pytest.fixture
def configured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[[str, str], Callable[..., Any]]:
    """A connection like the stubbed one, whose session has a setting of environment or profile."""

    def configure(where: str, setting: str) -> Callable[..., Any]:
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
        if where == "environment":
            name, _, value = setting.partition(" = ")
            monkeypatch.setenv(f"AWS_{name.upper()}", value)
        (tmp_path / "config").write_text(
            f"[profile own]\n{setting if where == 'profile' else ''}\n", encoding="utf-8"
        )

        def client(connection: Any, service: str, region: str) -> Any:
            session = Session(profile="own")
            session.set_credentials("stub", "stub")
            connection.session = session
            connection.plain_client = lambda service, region, *, configured: Clients().plain(
                session, service, region, configured=configured
            )
            return session.create_client(service, region)

        return client

    return configure


@pytest.fixture
def ask(stubbed: Stubbed, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[object, Network]]:
    """Ask the witnesses alone, with a client of a configured session."""

    def run(make: Any, entry: Entry, region: str, unknown: str) -> tuple[object, Network]:
        network = Network(rf"^(?!{unknown})", pages(codes_of("eu-west-3")))
        monkeypatch.setattr(absence, "exists", network.exists)
        monkeypatch.setattr(absence, "getproxies", dict)
        connection = stubbed(network.answer, region=region)
        client = make(connection, entry.service, region)
        witnesses = absence.Witnesses()
        return witnesses.by_host(connection, WHOLE, entry, params_of(entry), client), network

    return run


@pytest.mark.parametrize("where", ["environment", "profile"])
@pytest.mark.parametrize("setting", ["use_fips_endpoint = true", "use_dualstack_endpoint = true"])
def test_missing_fips_and_dual_stack_hosts_prove_no_absence(
    configured: Any, ask: Any, where: str, setting: str
) -> None:
    entry = entry_of("kendra")
    plain = "kendra.eu-west-3.amazonaws.com"
    made = configured(where, setting)
    answer, network = ask(made, entry, "eu-west-3", rf"(?!{re.escape(plain)})kendra")
    assert answer is None
    assert plain in network.looked_up
    assert len(network.looked_up) == 2
    answer, _ = ask(made, entry, "eu-west-3", "kendra")
    assert isinstance(answer, absence.Absent)
    assert answer.service.host == plain


@pytest.mark.parametrize("where", ["environment", "profile"])
def test_an_endpoint_of_ones_own_never_shows_that_a_service_is_absent(
    configured: Any, ask: Any, where: str
) -> None:
    made = configured(where, "endpoint_url = https://kendra.example.com")
    answer, _ = ask(made, entry_of("kendra"), "eu-west-3", "kendra")
    assert answer is None


def test_behind_a_proxy_of_the_profile_no_name_is_looked_up(configured: Any, ask: Any) -> None:
    made = configured("profile", "proxies_config =\n  proxy_ca_bundle = bundle.pem")
    answer, network = ask(made, entry_of("kendra"), "eu-west-3", "kendra")
    assert (answer, network.looked_up) == (None, set())


@pytest.mark.parametrize("name", ["http_proxy", "HTTPS_PROXY", "all_proxy"])
def test_behind_a_proxy_nothing_is_absent(
    stubbed: Stubbed, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for other in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(other, raising=False)
        monkeypatch.delenv(other.upper(), raising=False)
    monkeypatch.setenv(name, "http://proxy.example.com:3128")
    network = Network("^(?!qbusiness)", pages(codes_of("eu-west-3")))
    monkeypatch.setattr(absence, "exists", network.exists)
    listing = ReferenceList(version=1, listed_as=WHOLE.listed_as, entries=(QBUSINESS,))
    index = scan_region(stubbed(network.answer, region="eu-west-3"), listing)
    assert (absent(index), [gap.answer_class for gap in index.gaps]) == (set(), ["network"])


# --- DNS ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "known"),
    [
        (socket.EAI_NONAME, False),
        (getattr(socket, "EAI_NODATA", -5), True),
        (socket.EAI_AGAIN, True),
        (socket.EAI_FAIL, True),
    ],
)
def test_only_the_answer_that_a_name_does_not_exist_counts(
    monkeypatch: pytest.MonkeyPatch, number: int, known: bool
) -> None:
    def getaddrinfo(*_: object) -> None:
        raise socket.gaierror(number, "lookup failed")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    assert absence.exists("some.host") is known


HOST = "https://some.host/"
UNREACHABLE = {
    "no route": EndpointConnectionError(endpoint_url=HOST, error="no route"),
    "no connection in time": ConnectTimeoutError(endpoint_url=HOST),
    "no answer in time": ReadTimeoutError(endpoint_url=HOST),
    "closed": ConnectionClosedError(endpoint_url=HOST),
    "another's certificate": SSLError(endpoint_url=HOST, error="self-signed certificate"),
    "the proxy": ProxyConnectionError(proxy_url="http://proxy"),
}


@pytest.mark.parametrize("trouble", UNREACHABLE)
def test_a_host_that_cannot_be_reached_is_a_gap_of_the_network(
    stubbed: Stubbed, trouble: str
) -> None:
    def answer(operation: str, request: Answer) -> Answer:
        raise UNREACHABLE[trouble]

    listing = ReferenceList(version=1, listed_as=WHOLE.listed_as, entries=(QBUSINESS,))
    (gap,) = scan_region(stubbed(answer, region="eu-west-3"), listing).gaps
    assert (gap.answer_class, gap.permission) == ("network", None)


def test_an_answer_of_aws_is_no_gap_of_the_network(stubbed: Stubbed) -> None:
    def answer(operation: str, request: Answer) -> Answer:
        raise refusal("AccessDeniedException")

    listing = ReferenceList(version=1, listed_as=WHOLE.listed_as, entries=(QBUSINESS,))
    (gap,) = scan_region(stubbed(answer, region="eu-west-3"), listing).gaps
    assert (gap.answer_class, gap.permission) == ("unclear", None)


# --- absence by an answer -------------------------------------------------------------------------

GATEWAY = "Unable to determine service/operation name to be authorized"


def answered(
    stubbed: Stubbed, entry: Entry, error: ClientError, codes: Any, region: str = "eu-west-3"
) -> Index:
    """The index of an entry whose first call is answered with an error; codes are AWS's list."""

    def answer(operation: str, request: Answer) -> Answer:
        if operation == "GetParametersByPath":
            return dict(pages(codes)(request))
        raise error

    whole = WHOLE.model_copy(update={"entries": (entry,)})
    return scan_region(stubbed(answer, region=region), whole)


SIGNS = [
    ("qbusiness", "UnknownOperationException", ""),
    ("ses", "InvalidAction", "Unavailable Operation"),
    ("omics", "AccessDeniedException", GATEWAY),
    ("medialive", "NotFoundException", f"{GATEWAY}."),
    ("comprehend", "InvalidRequestException", "UNSUPPORTED_OPERATION"),
]


@pytest.mark.parametrize(("service", "code", "message"), SIGNS)
def test_a_sign_of_not_in_region_counts_only_if_the_list_agrees(
    stubbed: Stubbed, service: str, code: str, message: str
) -> None:
    """OptInRequired and its like freed keys without any other evidence."""
    entry, listed = entry_of(service), WHOLE.listed_as[service]
    lacking = codes_of("us-east-1") - {listed}
    index = answered(stubbed, entry, refusal(code, message), lacking)
    (one,) = index.absent
    assert (one.service.service, one.service.operation) == (service, entry.operation)
    assert (one.service.code, one.service.host, one.service.deletes_data) == (listed, None, None)
    assert (one.service.answer or "").startswith(code)
    assert (index.gaps, index.read, one.controls) == ([], 0, ())
    (region,) = references_to(KEY, (), [index]).absent or ()
    assert (region.listed, bool(region.list_path)) == (len(lacking), True)

    index = answered(stubbed, entry, refusal(code, message), lacking | {listed})
    assert [gap.answer_class for gap in index.gaps] == ["not-in-region"]
    assert (index.absent, index.read) == (set(), 1)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("OptInRequired", "You are not subscribed to this service."),
        ("SubscriptionRequiredException", ""),
        ("AccessDeniedException", f"{GATEWAY} for you"),
        ("AccessDeniedException", "Macie is not enabled"),
        ("UninitializedAccountException", ""),
        ("ThrottlingException", "Rate exceeded"),
    ],
)
def test_an_answer_that_is_no_sign_is_a_gap_even_if_the_list_lacks_the_service(
    stubbed: Stubbed, code: str, message: str
) -> None:
    lacking = codes_of("us-east-1") - {"qbusiness"}
    index = answered(stubbed, QBUSINESS, refusal(code, message), lacking)
    assert (index.absent, [gap.code for gap in index.gaps]) == (set(), [code])


NEVER_ENABLED = [
    ("macie2", "AccessDeniedException", "Macie is not enabled."),
    ("mgn", "UninitializedAccountException", ""),
    ("quicksight", "ResourceNotFoundException", "No subscription"),
]


@pytest.mark.parametrize(("service", "code", "message"), NEVER_ENABLED)
def test_a_service_that_was_never_enabled_is_absent_with_the_page_that_says_so(
    stubbed: Stubbed, service: str, code: str, message: str
) -> None:
    entry = next(one for one in WHOLE.entries if one.service == service and one.reach == "region")
    index = answered(stubbed, entry, refusal(code, message), [])
    (one,) = index.absent
    assert (index.gaps, one.services, one.service.operation) == ([], None, entry.operation)
    assert one.service.deletes_data
    (region,) = references_to(KEY, (), [index]).absent or ()
    assert (region.list_path, region.listed) == (None, 0)


@pytest.mark.parametrize(
    ("service", "code", "message", "answer_class"),
    [
        (
            "auditmanager",
            "AccessDeniedException",
            "Please complete AWS Audit Manager setup from home page",
            "never-enabled",
        ),
        (
            "securitylake",
            "ResourceNotFoundException",
            "Security Lake isn't enabled for your account in any Regions",
            "never-enabled",
        ),
        ("drs", "UninitializedAccountException", "Account not initialized", "never-enabled"),
        (
            "timestream-write",
            "AccessDeniedException",
            "Only existing Timestream for LiveAnalytics customers can access the service",
            "closed",
        ),
        ("comprehend", "NotAuthorizedException", "isNotExpandingIn", "unclear"),
    ],
)
def test_a_service_that_may_keep_what_it_held_is_a_gap(
    stubbed: Stubbed, service: str, code: str, message: str, answer_class: str
) -> None:
    index = answered(stubbed, entry_of(service), refusal(code, message), codes_of("us-east-1"))
    assert (index.absent, [gap.answer_class for gap in index.gaps]) == (set(), [answer_class])


def test_a_sign_after_the_first_page_is_a_gap(stubbed: Stubbed) -> None:
    def answer(operation: str, request: Answer) -> Answer:
        if operation == "GetParametersByPath":
            return dict(pages(codes_of("us-east-1") - {"qbusiness"})(request))
        if "nextToken" in request:
            raise refusal("UnknownOperationException")
        return {"applications": [{"applicationId": "one"}], "nextToken": "more"}

    first = QBUSINESS.model_copy(update={"then": (), "keys": ("applicationId",)})
    whole = WHOLE.model_copy(update={"entries": (first,)})
    index = scan_region(stubbed(answer, region="eu-west-3"), whole)
    assert (index.absent, len(index.gaps)) == (set(), 1)


@pytest.mark.parametrize("meaning", ["not-in-region", "never-enabled"])
def test_a_page_belongs_to_a_sign_of_never_enabled_and_to_no_other(meaning: str) -> None:
    page = None if meaning == "never-enabled" else "A page"
    with pytest.raises(ValidationError):
        Sign.model_validate({"code": "X", "meaning": meaning, "seen": "s", "deletes_data": page})


def test_every_sign_names_operations_of_the_list_and_only_first_calls() -> None:
    first = {(entry.service, entry.operation) for entry in WHOLE.entries}
    for sign in WHOLE.signs:
        assert bool(sign.services) == bool(sign.operations)
        assert {(s, o) for s in sign.services for o in sign.operations} <= first
        assert sign.seen


# --- the codes ------------------------------------------------------------------------------------

EVERYWHERE = set.intersection(*(codes_of(region) for region in copy()))
PARENTS = {"bedrock-agent", "docdb-elastic", "mailmanager", "s3tables"}
"""Services of which the list knows only the parent, which is in more Regions."""
OTHER_NAMES = {
    "agent-registry-control": "agent-registry",
    "connecthealth": "health-agent",
    "iot-managed-integrations": "iotmanagedintegrations",
    "keyspaces": "api.aws",
    "securityagent": "securityagent",
    "supportauthz": "supportauthz",
    "mediaconvert": "mediaconvert",
    "iotsitewise": "iotsitewise",
    "repostspace": "repostspace",
    "wickr": "messaging.wickr",
}
"""Services of which AWS's list gives another of their hosts in some Regions."""


ALSO_EVERYWHERE = {
    "kinesisanalyticsv2": "kinesisanalytics",
    "lambda-microvms": "lambda",
    "lambda-web": "lambda",
    "opensearch": "es",
    "sso-admin": "identity-center",
}
"""Services of every Region under another name."""
WITHOUT_CODE = {"s3files", "ssm-guiconnect", "supplychain"}
"""Services that the list does not know: a coverage gap in each Region that lacks them."""


def test_a_service_that_some_region_lacks_has_a_code() -> None:
    services = {entry.service for entry in WHOLE.entries}
    assert set(ALSO_EVERYWHERE.values()) <= EVERYWHERE
    known = set.union(*(codes_of(region) for region in copy()))
    assert not WITHOUT_CODE & known
    assert services - EVERYWHERE - ALSO_EVERYWHERE.keys() - WITHOUT_CODE == WHOLE.listed_as.keys()


@cache
def plain_session() -> Session:
    session = Session()
    session.set_credentials("stub", "stub")
    return session


def params_of(entry: Entry) -> Answer:
    """The parameters of an entry's first call."""
    constants = json.loads(json.dumps(entry.params).replace("{account}", KEY.account_id))
    return {**constants, **{name: values[0] for name, values in entry.each.items()}}


def host_of(client: Any, entry: Entry) -> str | None:
    method = xform_name(entry.operation)
    return urlsplit(client.generate_presigned_url(method, Params=params_of(entry))).hostname


@pytest.mark.parametrize("service", WHOLE.listed_as)
def test_a_code_is_that_of_the_service(service: str) -> None:
    """AWS's list tells the host of most services: it is the one that would be looked up."""
    code = WHOLE.listed_as[service]
    listed = {region: found["services"] for region, found in copy().items()}
    hosts = {
        region: services[code]["endpoint"]["Value"]
        for region, services in listed.items()
        if "endpoint" in services.get(code, {})
    }
    assert any(code in services for services in listed.values())
    if service in PARENTS:
        assert hosts
        return
    entries = [entry for entry in WHOLE.entries if entry.service == service]
    for region in sorted(hosts)[::12]:
        client = Clients().plain(plain_session(), service, region, configured=False)
        ours = {host_of(client, entry) for entry in entries}
        assert hosts[region] in ours or OTHER_NAMES.get(service, " ") in hosts[region]


@pytest.mark.parametrize("service", CONTROLS)
def test_a_control_is_in_every_region_under_the_host_that_the_list_gives(service: str) -> None:
    assert service in EVERYWHERE
    for region, found in list(copy().items())[::5]:
        client = Clients().plain(plain_session(), service, region, configured=False)
        host = found["services"][service]["endpoint"]["Value"]
        assert urlsplit(client.meta.endpoint_url).hostname == host


def test_what_a_whole_list_has_is_in_every_region() -> None:
    assert IN_EVERY_REGION <= EVERYWHERE


# --- what changes between two readings ------------------------------------------------------------


def seen(*services: str, gaps: tuple[Any, ...] = (), found: tuple[Any, ...] = ()) -> Evidence:
    regions = Absences.model_validate(
        {
            "region": "eu-west-3",
            "services": [{"service": s, "host": f"{s}.host", "code": s} for s in services],
            "controls": ["one.host"],
            "list_path": "/path",
            "listed": 262,
        }
    )
    absences = [regions] if services else []
    return Evidence(
        key_arn=KEY,
        references=References.model_validate(
            {"absent": absences, "gaps": list(gaps), "found": list(found), "services": 3}
        ),
    )


GAP = gap_of("kendra", "eu-west-3", "ListIndices failed").model_dump()
FOUND = {"service": "kendra", "resource": "index", "region": "eu-west-3", "field": "KmsKeyId"}


@pytest.mark.parametrize(
    ("before", "now", "differs"),
    [
        (seen("kendra"), seen("kendra"), False),
        (seen("kendra"), seen(), False),
        (seen("kendra"), seen(found=(FOUND,)), True),
        (seen("kendra"), seen(gaps=(GAP,)), True),
        (seen(), seen("kendra"), True),
        (seen("qbusiness"), seen("kendra"), True),
        (seen(gaps=(GAP,)), seen("kendra"), False),
        (seen(gaps=(GAP,)), seen(gaps=({**GAP, "why": "for 3 of 4"},)), False),
        (seen(gaps=(GAP,)), seen(gaps=({**GAP, "message": "another answer"},)), True),
    ],
    ids=[
        "the same",
        "offered",
        "used",
        "unreadable",
        "gone",
        "another",
        "a gap before",
        "counted",
        "answer",
    ],
)
def test_an_absence_that_appears_is_a_difference_and_one_that_ends_is_none(
    before: Evidence, now: Evidence, differs: bool
) -> None:
    assert bool(now.difference(before)) is differs


def test_a_plan_that_did_not_record_absences_is_not_compared_with_any() -> None:
    before = Evidence(key_arn=KEY, references=References())
    assert seen("kendra").difference(before) == ()
