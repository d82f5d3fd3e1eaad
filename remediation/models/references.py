"""Resources of other services that name a key, and what could not be read."""

from __future__ import annotations

from typing import Final, Protocol

from .base import Model
from .readable import AnswerClass

LISTS_REGIONS: Final = "DescribeRegions"
"""Operation without whose answer other Regions were not even asked, so no exception lifts its
gap."""

MANY_MESSAGES: Final = "many different messages"
"""Message of a gap with too many different answers. No exception lifts it."""


class Reference(Model):
    """A resource of another service that names the key."""

    service: str
    """Service, as named in the key references."""
    resource: str
    """ARN of the resource, or its name if it has no ARN."""
    region: str
    """Region of the resource."""
    field: str
    """API field that names the key."""


class CoverageGap(Model):
    """A service that could not be read in a Region."""

    service: str
    """Service, as named in the key references; `kms`: aliases of the key."""
    region: str
    """Region that could not be read."""
    operation: str
    """Operation that was not answered, such as `DescribeRepositories`."""
    code: str
    """AWS's error code, such as `AccessDeniedException`, or the name of another error."""
    message: str
    """AWS's message without ARNs, account IDs, Region names and request IDs; can be empty."""
    answer_class: AnswerClass
    """Class of the answer, by AWS's own words."""
    why: str
    """Why, such as `DescribeRepositories failed: AccessDeniedException`."""
    permission: str | None = None
    """IAM action that is missing. Only for class `permission`."""
    every_region: bool = False
    """Whether the service can name keys of other Regions, so that this gap holds them too."""

    @property
    def answer(self) -> tuple[str, ...]:
        """Call and answer, without the text, in which counts can differ."""
        return self.service, self.region, self.operation, self.code, self.message


class Answered(Protocol):
    """An answer that would hold keys: a coverage gap, or a row that shows one."""

    @property
    def operation(self) -> str: ...
    @property
    def message(self) -> str: ...
    @property
    def answer_class(self) -> AnswerClass: ...
    @property
    def every_region(self) -> bool: ...


def can_be_decided(answer: Answered) -> bool:
    """Whether it is one answer about one Region, which an exception can lift."""
    return answer.operation != LISTS_REGIONS and answer.message != MANY_MESSAGES


def is_of_closed_region(answer: Answered) -> bool:
    """Whether an SCP denies an entry of every Region, as in Regions that the SCP closes."""
    return (
        answer.every_region
        and answer.answer_class == "organization"
        and "service control" in answer.message
        and can_be_decided(answer)
    )


class AbsentService(Model):
    """A service that is absent from a Region, or an operation of it, and the evidence."""

    service: str
    """Service, as named in the key references."""
    host: str | None = None
    """Host of the operation that was not called. It does not exist in DNS. None: AWS answered."""
    code: str | None = None
    """Code of the service in AWS's public list, which lacks it for this Region; None: the list is
    not the evidence."""
    operation: str | None = None
    """Operation that AWS answered with the error below; None: it was not called."""
    answer: str | None = None
    """AWS's error code and message, shortened."""
    deletes_data: str | None = None
    """For a service that was never enabled: the AWS page that says that it holds nothing then."""


class Absences(Model):
    """Services that are absent from a Region, and the evidence that they share."""

    region: str
    """The Region without these services."""
    services: tuple[AbsentService, ...]
    """Services that can have no resources in this Region."""
    controls: tuple[str, ...] = ()
    """Hosts of rarely used services of the Region that exist in DNS; empty if no service is absent
    by its host."""
    list_path: str | None = None
    """Path in Parameter Store of AWS's public list of services in the Region; None: not used."""
    listed: int = 0
    """Number of services in that list."""


class References(Model):
    """Resources that name the key, and coverage gaps."""

    found: tuple[Reference, ...] = ()
    """Resources, sorted by service, Region and field. If more than 20 share these, the last entry
    has the number of the others."""
    gaps: tuple[CoverageGap, ...] = ()
    """Coverage gaps; `coverage_exceptions` can lift them."""
    services: int = 0
    """Number of key references that were read."""
    absent: tuple[Absences, ...] | None = None
    """Services that are not available, by Region; None: written by an older version."""

    @property
    def unread(self) -> frozenset[tuple[str, ...]]:
        """The calls that were not answered, and AWS's answers."""
        return frozenset(gap.answer for gap in self.gaps)
