"""Classify AWS's errors by AWS's own text, and shorten their messages.

The texts of denials are those of "Troubleshoot access denied error messages" (IAM User Guide). All
others are texts that AWS was seen to answer. A text that says nothing certain is `unclear`.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final

from botocore.exceptions import (
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
    SSOError,
    TokenRetrievalError,
)
from botocore.exceptions import ConnectionError as NoConnection

from ..models import AnswerClass

LONGEST: Final = 240
"""How many characters of a message are kept."""

_NO_ANSWER: Final = (NoConnection, HTTPClientError)
_NO_CREDENTIALS: Final = (
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    SSOError,
    TokenRetrievalError,
)


@dataclass(frozen=True)
class Answer:
    """AWS's answer, as reports, gaps and exceptions name it."""

    code: str
    """AWS's error code, or the exception's name if AWS did not answer."""
    message: str
    """The message, shortened; can be empty."""
    answer_class: AnswerClass
    lacks_action: bool = False
    """Whether AWS says that no identity-based policy allows the action."""

    def __str__(self) -> str:
        return f"{self.code}: {self.message}" if self.message else self.code


def answer_of(error: Exception, names: tuple[str, ...] = ()) -> Answer:
    """What AWS answered. `names` are names of the caller's resources, replaced in the message."""
    if isinstance(error, ClientError):
        answered = error.response.get("Error", {})
        code = str(answered.get("Code", "Unknown"))
        message = str(answered.get("Message", "") or "")
        return Answer(
            code, shorten(message, names), classify(code, message), _lacks_action(message)
        )
    return Answer(type(error).__name__, shorten(str(error), names), _class_without_answer(error))


def _class_without_answer(error: Exception) -> AnswerClass:
    if isinstance(error, _NO_ANSWER):
        return "network"
    return "token" if isinstance(error, _NO_CREDENTIALS) else "unclear"


# --- classes ----------------------------------------------------------------------------------


def _words(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE)


def _policy(kinds: str) -> str:
    return rf"explicit deny in an? (?:{kinds})|because no (?:{kinds}) (?:policy )?allows"


_IDENTITY_BASED: Final = _words(r"because no identity-based policy allows")
"""The only denial that an IAM action in the role's own policies ends."""

_TOKEN_CODES: Final = frozenset(
    {
        "UnrecognizedClientException",
        "AuthFailure",
        "InvalidClientTokenId",
        "InvalidToken",  # S3
        "InvalidAccessKeyId",  # S3
        "ExpiredToken",
        "ExpiredTokenException",
        "RequestExpired",
    }
)
_NOT_IN_REGION_CODES: Final = frozenset({"UnknownOperationException", "InvalidAction"})
_NEVER_ENABLED_CODES: Final = frozenset(
    {"OptInRequired", "SubscriptionRequiredException", "UninitializedAccountException"}
)
_CLOSED_CODES: Final = frozenset({"NoLongerSupportedException"})

_BY_TEXT: Final[tuple[tuple[AnswerClass, re.Pattern[str]], ...]] = (
    # An explicit deny in an identity-based policy has the class, but no action ends it.
    ("permission", _words(_policy(r"identity-based policy|identity-based"))),
    (
        "organization",
        _words(
            _policy(r"(?:service|resource) control policy|(?:service|resource) control"),
            r"delegated .*administrator",
            r"management account",
        ),
    ),
    # A key policy or bucket policy limits the role too: no policy of the role ends its denial.
    (
        "boundary",
        _words(
            _policy(
                r"permissions boundary(?: policy)?|session policy|VPC endpoint policy"
                r"|resource-based policy|role trust policy"
            )
        ),
    ),
    (
        "not-in-region",
        _words(
            r"Unable to determine service/operation name",
            r"(?:not|n't) (?:currently )?(?:available|supported|offered)\b.* region\b",
            r"disabled in this region",
            r"^API is not available in ",
            r"^UNSUPPORTED_OPERATION$",
            r"^Unknown operation",
            r"operation is not recognized",
            r"^The API being called does not exist",
            r"^This operation is unsupported",
            r"operation (?:is not|isn't) supported(?! (?:by|for) this type)",
            r"^This API operation is currently unavailable",
            r"^Feature not supported yet",
            r"^Access Denied to API Version",
        ),
    ),
    (
        "never-enabled",
        _words(
            r"^Macie is not enabled",
            r"have to enable Macie",
            r"^Security Lake isn't enabled",
            r"complete AWS Audit Manager setup",
            r"^Account not initialized",
            r"^Account \S+ is not subscribed for QuickSight",
        ),
    ),
    (
        "closed",
        _words(
            r"^Your account is not authorized to ",
            r"account is not authorized to perform this operation",
            r"^Account:? .* is not authorized for region",
            r"isn't authorized to call this operation",
            r"requested feature is not enabled for this AWS account",
            r"not available for the current AWS account",
            r"^Only existing .* customers",
            r"no longer (?:open|available) to new customers",
            r"not whitelisted",
            r"has been discontinued",
            r"is deprecated\. All API operations are blocked",
        ),
    ),
)


def classify(code: str, message: str) -> AnswerClass:
    """The class of an error that AWS answered, by its own words.

    A bare denial, an empty message, a 5xx, an HTML page and throttling are `unclear`.
    """
    if code in _TOKEN_CODES:
        return "token"
    text = " ".join(message.split())
    for its_class, words in _BY_TEXT:
        if words.search(text):
            return its_class
    if code in _NOT_IN_REGION_CODES:
        return "not-in-region"
    if code in _NEVER_ENABLED_CODES:
        return "never-enabled"
    return "closed" if code in _CLOSED_CODES else "unclear"


def _lacks_action(message: str) -> bool:
    return bool(_IDENTITY_BASED.search(" ".join(message.split())))


# --- messages ---------------------------------------------------------------------------------

_HTML: Final = re.compile(r"<\s*(?:!doctype|html|head|body)\b", re.IGNORECASE)
_REPLACED: Final = (
    (re.compile(r"(Encoded authorization failure message:) *\S+", re.IGNORECASE), r"\1 <encoded>"),
    (re.compile(r"(x-amz-security-token[:=]) *[^\s&\"']+", re.IGNORECASE), r"\1 <token>"),
    # Names of users and role sessions can have commas.
    (
        re.compile(r"\barn:aws[a-z-]*:(?:[^\s\"',;)\]]|,(?=\w)(?!arn:))*[^\s\"',;)\].:]"),
        "<arn>",
    ),
    (re.compile(r"\b[^\s:<>\"'(]+@[^\s:<>\"')]+\b"), "<name>"),
    (
        re.compile(r"\bA(?:IDA|ROA|KIA|SIA|GPA|NPA)[A-Z0-9]{12,}(?::(?:[^\s\"',;)]|,(?=\w))+)?"),
        "<principal>",
    ),
    (
        re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.IGNORECASE),
        "<id>",
    ),
    (re.compile(r"(request ?id: *)[^\s),;]+", re.IGNORECASE), r"\1<id>"),
    (re.compile(r"\b[0-9]{12}\b"), "<account>"),
    (
        re.compile(
            r"\b(?:[a-z]{2}|eusc)(?:-(?:gov|iso[a-z]?|de))?"
            r"-(?:north|south|east|west|central|northeast|northwest|southeast|southwest)"
            r"-[0-9]{1,2}[a-z]?\b"
        ),
        "<region>",
    ),
)


def shorten(message: str, names: tuple[str, ...] = ()) -> str:
    """The message on one line, the same for every account and Region.

    ARNs, account ids, principals, Region names, ids of requests and `names` become placeholders,
    so that one exception fits many accounts and no report names a person.
    """
    is_page = _HTML.search(message) is not None
    for name in sorted(filter(None, names), key=len, reverse=True):
        message = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "<resource>", message)
    for pattern, placeholder in _REPLACED:
        message = pattern.sub(placeholder, message)
    text = " ".join(message.split())
    if len(text) <= LONGEST and not is_page:
        return text
    # Messages that differ only in what is cut off stay different: an exception is for one of them.
    # A page of AWS is not one of a proxy.
    digest = hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()[:12]
    end = f"... ({digest})"
    return f"(HTML page {digest})" if is_page else f"{text[: LONGEST - len(end)]}{end}"
