"""Resources of other services that name a key, and what could not be read."""

from __future__ import annotations

from typing import Literal

from .base import Model


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


CoverageGapKind = Literal["network"]
"""Known causes of a coverage gap."""


class CoverageGap(Model):
    """A service that could not be read in a Region."""

    service: str
    """Service, as named in the key references; `kms`: aliases of the key."""
    region: str
    """Region that could not be read."""
    why: str
    """Why, such as `DescribeRepositories was denied (AccessDeniedException)`."""
    permission: str | None = None
    """IAM action that is missing, if that is the cause."""
    kind: CoverageGapKind | None = None
    """Cause. `network`: no connection to the host of the service; None: any other."""


class AbsentService(Model):
    """A service that is not available in a Region (evidence: `Absences`)."""

    service: str
    """Service, as named in the key references."""
    host: str
    """Host of the operation that was not called. It does not exist in DNS."""
    code: str
    """Code of the service in AWS's public list, which lacks it for this Region."""


class Absences(Model):
    """Services that are not available in a Region, and the evidence: DNS and AWS's public list."""

    region: str
    """The Region without these services."""
    services: tuple[AbsentService, ...]
    """Services that were not called, because they can have no resources in this Region."""
    controls: tuple[str, ...]
    """Hosts of rarely used services of the Region that exist in DNS."""
    list_path: str
    """Path in Parameter Store of AWS's public list of services in the Region."""
    listed: int
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
