"""Classes and shortened messages of AWS's errors, in the words that AWS was seen to use."""

from __future__ import annotations

import re

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ProxyConnectionError,
    ReadTimeoutError,
)

from embedded_aws.refusals import PAGE, Row, table
from keysweep.remediation.aws.answers import answer_of, classify, shorten
from keysweep.remediation.evidence.references.entries import reference_list

USER = "User: arn:aws:sts::111122223333:assumed-role/Audit/jane.doe@example.com is not authorized"
BARE = f"{USER} to perform: ecr:DescribeRepositories"
ACTION = "ecr:DescribeRepositories"

SEEN = [
    # One service, in the order of the catalog of answers.
    ("BadRequest", "The requested feature is not enabled for this AWS account.", "closed"),
    ("UnsupportedOperation", "This operation is unsupported.", "not-in-region"),
    ("NotAuthorizedException", "Your account is not authorized to make this call.", "closed"),
    ("InvalidRequestException", "UNSUPPORTED_OPERATION", "not-in-region"),
    ("AccessDeniedException", "", "unclear"),
    ("AccessDeniedException", "you have to enable Macie for your account", "never-enabled"),
    ("AccessDeniedException", "Macie is not enabled", "never-enabled"),
    (
        "AccessDeniedException",
        "Your account is not authorized to invoke this API operation.",
        "closed",
    ),
    ("ValidationException", "Unknown operation", "not-in-region"),
    ("ValidationException", "The operation is not recognized", "not-in-region"),
    (
        "ValidationException",
        "You don't have the permissions to perform the requested operation.",
        "unclear",
    ),
    ("404", "<!DOCTYPE html><html><body>Not Found</body></html>", "unclear"),
    ("UnknownOperationException", "", "not-in-region"),
    ("InternalServerErrorException", "Internal server error", "unclear"),
    ("AuthorizerConfigurationException", "", "unclear"),
    (
        "AccessDeniedException",
        "Unable to determine service/operation name to be authorized",
        "not-in-region",
    ),
    (
        "AccessDeniedException",
        "User: arn:aws:iam::111122223333:user/jane is not authorized to perform: sso:ListInstances",
        "unclear",
    ),
    (
        "ResourceNotFoundException",
        "Security Lake isn't enabled for your account in any Regions",
        "never-enabled",
    ),
    (
        "AccessDeniedException",
        "The account must be a delegated Security Lake administrator account",
        "organization",
    ),
    (
        "AccessDeniedException",
        "The account is not authorized to perform this operation",
        "closed",
    ),
    (
        "AccessDeniedException",
        "Please complete AWS Audit Manager setup from home page to enable this action.",
        "never-enabled",
    ),
    ("UninitializedAccountException", "Account not initialized", "never-enabled"),
    (
        "AccessDeniedException",
        "Only existing Timestream for LiveAnalytics customers can access the service",
        "closed",
    ),
    ("ValidationException", "Account is not whitelisted to use this feature", "closed"),
    ("BadRequestException", "Custom language models isn't supported in this region", None),
    (
        "BadRequestException",
        "Your account isn't authorized to call this operation",
        "closed",
    ),
    (
        "UnsupportedOperationException",
        "The operation requested is not supported in the region",
        "not-in-region",
    ),
    (
        "InvalidInputException",
        "Operation is not supported in ap-southeast-5 region",
        "not-in-region",
    ),
    ("ValidationException", "The Foo operation isn't supported", "not-in-region"),
    (
        "InvalidParameterValueException",
        "This API operation is currently unavailable",
        "not-in-region",
    ),
    (
        "InvalidParameterValueException",
        "Access Denied to API Version: DAX20170419",
        "not-in-region",
    ),
    ("UnauthorizedException", "API is not available in us-gov-east-1", "not-in-region"),
    ("InvalidRequestException", "Feature not supported yet", "not-in-region"),
    ("InvalidRequestException", "The API being called does not exist.", "not-in-region"),
    ("InvalidAction", "Unavailable Operation", "not-in-region"),
    ("404", "Service returned the HTTP status code: 404", "unclear"),
    (
        "InvalidAction",
        "The action DescribeVerifiedAccessGroups is not valid for this web service.",
        "not-in-region",
    ),
    (
        "UnsupportedOperation",
        "The functionality you requested is not available in this region.",
        "not-in-region",
    ),
    ("Unsupported", "", "unclear"),
    (
        "UnknownOperationException",
        "The requested operation is not supported in the called region.",
        "not-in-region",
    ),
    (
        "NotFoundException",
        "Unable to determine service/operation name to be authorized",
        "not-in-region",
    ),
    ("InvalidAction", "DescribeIntegrations is not available in this region", "not-in-region"),
    # Any service.
    ("AccessDeniedException", f"{BARE} with an explicit deny in a service control policy", None),
    (
        "AccessDeniedException",
        "Account: 111122223333 is not authorized for region: eu-south-2",
        "closed",
    ),
    ("AccessDenied", "Foo is not available for the current AWS account", "closed"),
    (
        "UnrecognizedClientException",
        "The security token included in the request is invalid.",
        "token",
    ),
    (
        "AuthFailure",
        "AWS was not able to validate the provided access credentials",
        "token",
    ),
    ("InvalidClientTokenId", "The security token included in the request is invalid", "token"),
    ("OptInRequired", "", "never-enabled"),
    ("SubscriptionRequiredException", "", "never-enabled"),
    ("ThrottlingException", "Rate exceeded", "unclear"),
    ("UnknownOperationException", "Operation is disabled in this region", "not-in-region"),
    (
        "InvalidRequestException",
        "The feature is not available in the current Region",
        "not-in-region",
    ),
    ("NoLongerSupportedException", "The service has been discontinued", "closed"),
    ("ForbiddenException", "HTTP status code 403: Access forbidden", "unclear"),
    ("403", "Foo is deprecated. All API operations are blocked.", "closed"),
    # Recorded by Cloud Custodian and LocalStack.
    (
        "UnsupportedUserEditionException",
        "Account 111122223333 is not subscribed for QuickSight",
        "never-enabled",
    ),
    (
        "StateMachineTypeNotSupported",
        "This operation is not supported by this type of state machine",
        "unclear",
    ),
    ("AccessDenied", "Access to the resource https://queue.amazonaws.com/ is denied.", "unclear"),
]
EXPECTED = {
    "Custom language models isn't supported in this region": "not-in-region",
    f"{BARE} with an explicit deny in a service control policy": "organization",
}


@pytest.mark.parametrize(("code", "message", "expected"), SEEN)
def test_an_answer_that_was_seen_has_its_class(
    code: str, message: str, expected: str | None
) -> None:
    assert classify(code, message) == (expected or EXPECTED[message])


@pytest.mark.parametrize("row", table().rows, ids=lambda row: f"{row.operation} {row.code}")
def test_each_refusal_of_an_ordinary_account_is_of_its_class_or_a_sign(row: Row) -> None:
    text = row.message.format(
        who="arn:aws:iam::111122223333:user/x", account="1", region="eu-west-1"
    )
    error = {"Code": row.code, "Message": PAGE.decode() if row.page else text}
    answer = answer_of(ClientError({"Error": error}, row.operation))
    entries = {(one.service, one.operation): one for one in reference_list().entries}

    if row.answered == "absent":
        assert reference_list().sign(entries[row.service, row.operation], answer)
    else:
        assert answer.answer_class == row.answered


DENIALS = [
    (f"because no identity-based policy allows the {ACTION} action", "permission"),
    ("with an explicit deny in an identity-based policy", "permission"),
    (f"because no service control policy allows the {ACTION} action", "organization"),
    ("with an explicit deny in a service control policy", "organization"),
    (f"because no resource control policy allows the {ACTION} action", "organization"),
    ("with an explicit deny in a resource control policy", "organization"),
    (f"because no permissions boundary allows the {ACTION} action", "boundary"),
    ("with an explicit deny in a permissions boundary", "boundary"),
    (f"because no session policy allows the {ACTION} action", "boundary"),
    ("with an explicit deny in a session policy", "boundary"),
    (f"because no VPC endpoint policy allows the {ACTION} action", "boundary"),
    ("with an explicit deny in a VPC endpoint policy", "boundary"),
    (f"because no resource-based policy allows the {ACTION} action", "boundary"),
    ("with an explicit deny in a resource-based policy", "boundary"),
    ("", "unclear"),
]
POLICY = ": arn:aws:organizations::111122223333:policy/o-ab12/service_control_policy/p-cd34"


@pytest.mark.parametrize(("ending", "expected"), DENIALS)
@pytest.mark.parametrize("named", ["", POLICY])
@pytest.mark.parametrize(
    ("code", "beginning"),
    [
        ("AccessDeniedException", ""),
        ("AccessDenied", ""),
        ("UnauthorizedOperation", "You are not authorized to perform this operation. "),
        ("AuthorizationError", ""),
    ],
)
def test_a_denial_has_the_class_of_the_policy_that_aws_names(
    code: str, beginning: str, named: str, ending: str, expected: str
) -> None:
    message = f"{beginning}{BARE} {ending}{named}"

    answer = answer_of(ClientError({"Error": {"Code": code, "Message": message}}, "Op"))

    assert answer.answer_class == expected
    assert answer.lacks_action == ("no identity-based" in ending)


@pytest.mark.parametrize("code", ["AccessDeniedException", "UnauthorizedOperation", "AccessDenied"])
def test_a_bare_denial_names_no_action(code: str) -> None:
    answer = answer_of(ClientError({"Error": {"Code": code, "Message": BARE}}, "Op"))

    assert (answer.answer_class, answer.lacks_action) == ("unclear", False)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (EndpointConnectionError(endpoint_url="https://q.eu-west-1.api.aws/"), "network"),
        (ConnectTimeoutError(endpoint_url="https://q.eu-west-1.api.aws/"), "network"),
        (ReadTimeoutError(endpoint_url="https://q.eu-west-1.api.aws/"), "network"),
        (ProxyConnectionError(proxy_url="http://proxy"), "network"),
        (NoCredentialsError(), "token"),
        (BotoCoreError(), "unclear"),
        (TypeError("no such member"), "unclear"),
    ],
)
def test_an_error_without_an_answer_has_its_class(error: Exception, expected: str) -> None:
    answer = answer_of(error)

    assert (answer.code, answer.answer_class) == (type(error).__name__, expected)


@pytest.mark.parametrize("account", ["111122223333", "444455556666"])
@pytest.mark.parametrize(
    "region", ["eu-west-1", "us-gov-east-1", "us-isob-east-1", "eusc-de-east-1"]
)
@pytest.mark.parametrize("partition", ["aws", "aws-us-gov", "aws-cn"])
def test_a_message_is_the_same_in_every_account_and_region(
    account: str, region: str, partition: str
) -> None:
    message = (
        f"User: arn:{partition}:sts::{account}:assumed-role/R/jane@example.com is not authorized\n"
        f"to perform: x:Y on resource: arn:{partition}:x:{region}:{account}:thing/{account}, in "
        f"account {account}, Region {region} (Request ID: {account[::-1]}ABC, "
        f"host https://x.{region}.amazonaws.com) AROA{account}AB:jane, "
        f"0a1b2c3d-0a1b-0a1b-0a1b-{account}. Encoded authorization failure message: x{account}-_"
    )

    short = shorten(message)
    assert re.findall("<[a-z]+>", short) == [
        *("<arn>", "<arn>", "<account>", "<region>", "<id>", "<region>"),
        *("<principal>", "<id>", "<encoded>"),
    ]
    assert "host https://x.<region>.amazonaws.com)" in short
    assert all(part not in short for part in (account, account[::-1], region, "jane", "\n"))


@pytest.mark.parametrize("name", ["invoices", "a.b+c", "team/invoices"])
def test_names_of_resources_become_a_placeholder(name: str) -> None:
    assert shorten(f"Index {name}, not {name}x", (name, "")) == f"Index <resource>, not {name}x"


def test_an_answer_is_short_and_on_one_line() -> None:
    error = ClientError({"Error": {"Code": "X", "Message": " word\n" * 1000}}, "Op")

    answer = answer_of(error)

    assert len(answer.message) <= 240
    assert "\n" not in str(answer)
    assert str(answer).startswith("X: word word")


@pytest.mark.parametrize("error", [{}, {"Code": "X"}, {"Code": "X", "Message": None}])
def test_an_answer_without_a_message_is_its_code(error: dict[str, str]) -> None:
    answer = answer_of(ClientError({"Error": error}, "Op"))

    assert str(answer) == error.get("Code", "Unknown")


def test_answers_that_differ_only_after_the_shortened_part_stay_different() -> None:
    allowed = f"{'long ' * 80}because no identity-based policy allows it"
    denied = f"{'long ' * 80}with an explicit deny in a service control policy"

    assert shorten(allowed) != shorten(denied)
    assert len(shorten(allowed)) == len(shorten(denied)) == 240
    assert shorten(f"{ALLOWED_ARN} {allowed}") == shorten(
        f"{ALLOWED_ARN.replace('1', '2')} {allowed}"
    )


ALLOWED_ARN = "arn:aws:iam::111111111111:role/audit"


@pytest.mark.parametrize("name", ["doe,jane", "jane,doe=x+y.z@example.com", "j.doe,"])
def test_a_name_with_a_comma_leaves_nothing(name: str) -> None:
    message = f"User: arn:aws:sts::111122223333:assumed-role/Admin/{name} is not authorized"

    shown = shorten(message)

    assert shown.replace(",", "") == "User: <arn> is not authorized"
    assert "doe" not in shorten(f"AROAEXAMPLEEXAMPLE12:{name} is not authorized")


def test_a_list_of_arns_stays_a_list() -> None:
    assert shorten(f"{ALLOWED_ARN},{ALLOWED_ARN}, x") == "<arn>,<arn>, x"


@pytest.mark.parametrize("form", ["x-amz-security-token:{}", "?X-Amz-Security-Token={}&x=1"])
def test_a_session_token_is_no_part_of_a_message(form: str) -> None:
    assert "FwoGZXIvYXdz" not in shorten(f"The string was {form.format('FwoGZXIvYXdzEBY/a+b=')}")


def test_a_page_of_another_server_is_another_answer() -> None:
    page = "<html><head><title>{}</title></head><body>{}</body></html>"
    of_aws, of_a_proxy = page.format("404", "us-east-1"), page.format("Blocked", "us-east-1")

    assert shorten(of_aws) != shorten(of_a_proxy)
    assert shorten(of_aws) == shorten(of_aws.replace("us-east-1", "eu-west-1"))
    assert "<" not in shorten(of_aws)
