"""Whether a Region has a service at all: nothing can name a key where there is no service.

botocore's list of Regions may be older than a launch, and is empty for new services. So a Region
that is missing there says nothing by itself, and a Region that is listed is always asked. Only a
name server that knows the Region's other hosts and not this one shows that there is no service:
a connection that is refused, times out or fails in TLS or at a proxy shows trouble, which is a gap.
"""

from __future__ import annotations

import socket
from functools import cache
from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import getproxies

from ..aws import Place

IN_EVERY_REGION: Final = ("kms", "ec2", "dynamodb")
"""Services that every Region has; where one of their hosts is unknown, the name server cannot be
trusted about the others."""


def has_no_host(place: Place, service: str, region: str, client: Any) -> bool:
    """Whether there is no such service in the Region: no host of its name exists."""
    if region in _listed(place, service) or {"http", "https", "all"} & set(getproxies()):
        return False  # behind a proxy, names are resolved by the proxy
    if _resolves(_host(client)):
        return False
    return all(_resolves(_host(place.client(n, region=region))) for n in IN_EVERY_REGION)


def _listed(place: Place, service: str) -> list[str]:
    return place.session.get_available_regions(service, partition_name=place.partition)


def _host(client: Any) -> str:
    return urlsplit(client.meta.endpoint_url).hostname or ""


@cache
def _resolves(host: str) -> bool:
    """False only when the name server says that there is no such name."""
    try:
        socket.getaddrinfo(host, 443)
    except socket.gaierror as error:
        return error.errno != socket.EAI_NONAME
    return True
