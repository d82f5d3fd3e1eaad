"""Whether a Region has a service at all: nothing can name a key where there is no service.

botocore's list of Regions may be older than a launch, and is empty for new services. So a Region
that is missing there says nothing by itself: it only tells a service that is not there from a
network that is broken. A Region that is listed is always asked.
"""

from __future__ import annotations

import socket
from functools import cache
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from botocore.exceptions import ConnectionError as NoConnection
from botocore.exceptions import HTTPClientError

from ..aws import Place


def has_no_host(place: Place, service: str, region: str, client: Any) -> bool:
    """Whether no call is needed to see that there is no such service: its host has no address."""
    if region in _listed(place, service) or {"http", "https", "all"} & set(getproxies()):
        return False  # behind a proxy, names are resolved by the proxy
    return not _resolves(urlsplit(client.meta.endpoint_url).hostname or "")


def connection_shows_absence(place: Place, service: str, region: str, error: Exception) -> bool:
    """Whether a connection failed because there is no such service in this Region."""
    if not isinstance(error, NoConnection | HTTPClientError):
        return False
    listed = _listed(place, service)
    if listed:
        return region not in listed
    host = urlsplit(str(error.kwargs.get("endpoint_url", ""))).hostname
    return bool(host) and not _resolves(str(host))


def _listed(place: Place, service: str) -> list[str]:
    return place.session.get_available_regions(service, partition_name=place.partition)


@cache
def _resolves(host: str) -> bool:
    """Whether a host name has an address. A name server that does not answer leaves it open."""
    try:
        socket.getaddrinfo(host, 443)
    except socket.gaierror as error:
        return error.errno not in {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", None)}
    return True
