"""Whether a service is absent from a Region, so that none of its resources can name a key.

Absence needs evidence from AWS, and each is recorded:

* By host: the operation's own host does not exist in DNS, while hosts of other, rarely used
  services of the Region do; and AWS's public list of the Region's services, in Parameter Store,
  does not name the service.
* By answer: AWS answers with a sign of the reference list that the operation is not in the Region,
  and the public list does not name the service.
* By answer, where AWS documents that the service holds nothing unless it is enabled: AWS answers
  with a sign that the service was never enabled.

botocore's list of Regions is no witness: it can be out of date, is empty for new services, and
names Regions without a host.

The host is AWS's plain one, whatever FIPS or dual-stack settings say, since many services have only
a plain host. Behind a proxy, the proxy resolves names, and a custom endpoint shows nothing about
AWS. If a witness is missing, the service is called, and a failed connection is a coverage gap.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import getproxies
from weakref import WeakKeyDictionary

from botocore import xform_name
from botocore.exceptions import BotoCoreError, ClientError

from ...aws import Connection
from ...aws.answers import Answer, answer_of
from ...errors import TruncatedResponse
from ...models import AbsentService
from ..once import OfEachRun, Once
from .entries import Entry, ReferenceList, Sign

LIST_PERMISSION: Final = "ssm:GetParametersByPath"
LIST_RESOURCE: Final = "arn:aws:ssm:*:*:parameter/aws/service/global-infrastructure/*"
"""Limits the permission to AWS's public parameters."""

LIST_PATH: Final = "/aws/service/global-infrastructure/regions/{region}/services"
""""Calling public parameters for AWS services, Regions, endpoints, ..." (AWS Systems Manager User
Guide)."""

LIST_ALSO_IN: Final = "us-east-1"
"""Has the list of every Region in its partition. Not every Region's Parameter Store has one."""

IN_EVERY_REGION: Final = frozenset({"dynamodb", "ec2", "kms", "s3", "sts"})
"""A list without all of these is incomplete."""

CONTROLS: Final = (
    "appconfig",
    "imagebuilder",
    "mq",
    "storagegateway",
    "synthetics",
    "dlm",
    "emr-serverless",
    "network-firewall",
)
"""Rarely used services of every Region, whose code in the list is boto3's name. A name server that
resolves only what a company allows will lack some of them."""

CONTROLS_NEEDED: Final = 5


@dataclass(frozen=True)
class ServiceList:
    """AWS's public list of a Region's services."""

    path: str
    codes: frozenset[str]


@dataclass(frozen=True)
class Absent:
    """A service that is absent from a Region, with its witnesses."""

    service: AbsentService
    region: str
    services: ServiceList | None = None
    """AWS's list, which lacks the service; None: the service was never enabled."""
    controls: tuple[str, ...] = ()
    """Control hosts that exist in DNS, if the service has no host."""


@dataclass(frozen=True)
class Doubt:
    """Why a service does not count as absent, as a clause."""

    why: str
    permission: str | None = None
    """The action that is missing, if AWS says that an identity-based policy lacks it."""


class Witnesses:
    """Hosts and AWS's lists, each read once a run. Thread-safe."""

    def __init__(self) -> None:
        self._hosts: Once[bool] = Once()
        self._lists: Once[ServiceList | Doubt] = Once()
        self._lists_read: Once[ServiceList | Doubt] = Once()
        self._controls: Once[tuple[str, ...] | Doubt] = Once()
        self._proxied: Once[bool] = Once()
        self._hosts_of: WeakKeyDictionary[Any, dict[str, str]] = WeakKeyDictionary()
        """The hosts of a client's operations."""
        self._lock = threading.Lock()

    def by_host(
        self,
        connection: Connection,
        references: ReferenceList,
        entry: Entry,
        params: Mapping[str, Any],
        client: Any,
    ) -> Absent | Doubt | None:
        """Whether an entry's service is absent from the client's Region.

        None: its host exists, or could not be checked. `params` are those of the entry's first
        call.
        """
        proxied = self._proxied.get(connection.session, partial(_behind_proxy, connection))
        if proxied or client.meta.config.proxies:
            return None
        region = client.meta.region_name
        try:
            if self._exists(self._host_of(client, entry.operation, params)):
                return None
            configured, plain = (
                _host(
                    connection.plain_client(entry.service, region, configured=one),
                    entry.operation,
                    params,
                )
                for one in (True, False)
            )
        except (BotoCoreError, ValueError):  # no host without a request; the call itself will show
            return None
        if configured != plain or self._exists(plain):
            return None
        services = self._lacks(connection, references, entry.service, region)
        if isinstance(services, Doubt):
            return services
        controls = self._controls.get(region, partial(self._control_hosts, connection, region))
        if isinstance(controls, Doubt):
            return controls
        absent = AbsentService(
            service=entry.service, host=plain, code=references.listed_as[entry.service]
        )
        return Absent(absent, region, services, controls)

    def by_answer(
        self,
        connection: Connection,
        references: ReferenceList,
        entry: Entry,
        region: str,
        sign: Sign,
        answer: Answer,
    ) -> Absent | Doubt:
        """Whether an entry's service is absent, given an answer to its first call that is a sign.

        A service that was never enabled needs no list: AWS documents that it holds nothing then.
        """
        absent = AbsentService(
            service=entry.service,
            operation=entry.operation,
            answer=str(answer),
            deletes_data=sign.deletes_data,
        )
        if sign.deletes_data is not None:
            return Absent(absent, region)
        services = self._lacks(connection, references, entry.service, region)
        if isinstance(services, Doubt):
            return services
        code = references.listed_as[entry.service]
        return Absent(absent.model_copy(update={"code": code}), region, services)

    def _lacks(
        self, connection: Connection, references: ReferenceList, service: str, region: str
    ) -> ServiceList | Doubt:
        """AWS's list of a Region that lacks the service, or why it is no witness."""
        code = references.listed_as.get(service)
        if code is None:
            return Doubt("AWS's public list has no code for the service")
        services = self._list(connection, region)
        if isinstance(services, ServiceList) and code in services.codes:
            return Doubt(f"AWS's public list has the service in this Region, as {code}")
        return services

    def _host_of(self, client: Any, operation: str, params: Mapping[str, Any]) -> str:
        with self._lock:
            known = self._hosts_of.setdefault(client, {})
        call = f"{operation} {params}"
        if call not in known:
            known[call] = _host(client, operation, params)
        return known[call]

    def _exists(self, host: str) -> bool:
        return self._hosts.get(host, partial(exists, host))

    def _list(self, connection: Connection, region: str) -> ServiceList | Doubt:
        return self._lists.get(
            region, partial(connection.same_everywhere, service_list_of_run, region)
        )

    def read_list(self, connection: Connection, region: str) -> ServiceList | Doubt:
        """AWS's list of a Region's services, in the process with the given credentials."""
        path = LIST_PATH.format(region=region)
        return self._lists_read.get(region, partial(service_list, connection, region, path))

    def _control_hosts(self, connection: Connection, region: str) -> tuple[str, ...] | Doubt:
        """Control hosts that exist in DNS, or why DNS is no witness."""
        services = self._list(connection, region)
        if isinstance(services, Doubt):
            return services
        named = [name for name in CONTROLS if name in services.codes][:CONTROLS_NEEDED]
        try:
            hosts = tuple(_plain_host(connection, name, region) for name in named)
        except BotoCoreError as error:
            return Doubt(f"the control hosts could not be determined ({answer_of(error)})")
        unknown = [host for host in hosts if not self._exists(host)]
        if unknown or len(hosts) < CONTROLS_NEEDED:
            which = f"it does not know {unknown[0]} either" if unknown else "too few control hosts"
            return Doubt(f"DNS cannot serve as a witness here: {which}")
        return hosts


def exists(host: str) -> bool:
    """False only if DNS answers that the name does not exist (NXDOMAIN).

    A name without an address (NODATA) exists: it may have others below it, and DNS firewalls answer
    this way for names that they block. A failure or time-out shows nothing either.
    """
    try:
        socket.getaddrinfo(host, 443)
    except socket.gaierror as error:
        return error.errno != socket.EAI_NONAME
    return True


def _behind_proxy(connection: Connection) -> bool:
    """Whether the environment or the configuration names a proxy."""
    configured = connection.session.get_config_variable("proxies_config") or {}
    return bool({"http", "https", "all"} & set(getproxies()) or any(configured.values()))


def _host(client: Any, operation: str, params: Mapping[str, Any]) -> str:
    """The host that botocore would send a request to, host prefix included."""
    url = client.generate_presigned_url(xform_name(operation), Params=dict(params))
    return urlsplit(url).hostname or ""


def _plain_host(connection: Connection, service: str, region: str) -> str:
    client = connection.plain_client(service, region, configured=False)
    return urlsplit(client.meta.endpoint_url).hostname or ""


def service_list(connection: Connection, region: str, path: str) -> ServiceList | Doubt:
    """AWS's list of a Region's services, from the Region itself or from another that has it."""
    problem = Doubt("AWS's public list could not be read")
    for source in dict.fromkeys(
        (region, LIST_ALSO_IN) if connection.partition == "aws" else (region,)
    ):
        try:
            pages = connection.own_client("ssm", source).get_paginator("get_parameters_by_path")
            names = [
                one["Name"] for page in pages.paginate(Path=path) for one in page["Parameters"]
            ]
        except (ClientError, BotoCoreError, TruncatedResponse, LookupError) as error:
            answer = answer_of(error)
            problem = Doubt(
                "AWS's public list of the Region's services could not be read: "
                f"GetParametersByPath failed ({answer})",
                LIST_PERMISSION if answer.lacks_action else None,
            )
            continue
        codes = frozenset(
            name.removeprefix(f"{path}/") for name in names if name.startswith(f"{path}/")
        )
        if codes >= IN_EVERY_REGION:
            return ServiceList(path, codes)
        problem = Doubt(
            f"AWS's public list of the Region's services is incomplete: it has {len(codes)}"
        )
    return problem


witnesses_of: Final = OfEachRun(Witnesses)
"""The witnesses of a run, whose lists are the same for all accounts."""


def service_list_of_run(connection: Connection, region: str) -> ServiceList | Doubt:
    """AWS's list of a Region's services, read once a run."""
    return witnesses_of(connection).read_list(connection, region)
