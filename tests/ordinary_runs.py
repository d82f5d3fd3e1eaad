"""Runs of the command in the accounts of the profile `ordinary`, through AWS's own hosts.

The reference list is cut to the calls that the profile refuses and those that show its resources.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
from collections.abc import Iterator
from unittest import mock

from prowler_records import prowler_record

from embedded_aws import network, ordinary
from embedded_aws.ordinary import TRUTH
from embedded_aws.process import EmbeddedAws
from embedded_aws.refusals import table
from keysweep.remediation.aws import Access, Accounts, ClientSettings
from keysweep.remediation.evidence import Collector
from keysweep.remediation.evidence.references import entries
from keysweep.remediation.evidence.references.entries import ReferenceList, reference_list
from keysweep.remediation.findings import read_results
from keysweep.remediation.plan import Plan
from keysweep.remediation.planner import build
from keysweep.remediation.policy import Policy

WHOLE = reference_list()
SHOWING = {("ec2", "DescribeVolumes"), ("sqs", "ListQueues")}
READ = (
    SHOWING
    | {(row.service, row.operation) for row in table().rows}
    | {
        (entry.service, entry.operation)
        for entry in WHOLE.entries
        for host in table().hosts
        if entry.service == host.service
    }
)
"""The calls that the profile refuses, and those that show its resources."""
EVERYWHERE = {
    (entry.service, entry.operation)
    for entry in WHOLE.entries
    if entry.reach == "every-region" and (entry.service, entry.operation) in READ
}


def cut() -> ReferenceList:
    """The entries of these calls."""
    kept = tuple(one for one in WHOLE.entries if (one.service, one.operation) in READ)
    return WHOLE.model_copy(update={"entries": kept})


def records(aws: EmbeddedAws, *accounts: str) -> str:
    """Prowler's results with the keys of these accounts; by default of all."""
    arns = [
        aws.key_arn(one.account, one.region, one.name)
        for one in TRUTH
        if not accounts or one.account in accounts
    ]
    return json.dumps([prowler_record(arn, aws.now()) for arn in arns])


def operator(aws: EmbeddedAws) -> dict[str, str]:
    """The environment of the quiet account's operator, who calls AWS's own hosts."""
    return network.without_endpoint(aws.process_environment(ordinary.QUIET, COLUMNS="160"))


@contextlib.contextmanager
def in_front_of(aws: EmbeddedAws) -> Iterator[None]:
    """AWS's own hosts, and the cut list."""
    with (
        mock.patch.object(entries, "load", cut),
        mock.patch("botocore.endpoint.time.sleep"),  # between the attempts of what has no host
        network.leading_to(aws.endpoint),
    ):
        reference_list.cache_clear()
        try:
            yield
        finally:
            reference_list.cache_clear()


def make_plan(aws: EmbeddedAws, policy: Policy, *accounts: str) -> Plan:
    """Plan the keys of these accounts, by default of all, as a role of each."""
    results = read_results(["-"], io.BytesIO(records(aws, *accounts).encode()))
    with in_front_of(aws), mock.patch.dict(os.environ, operator(aws), clear=True):
        accounts = Accounts(Access(role_name=ordinary.ROLE), ClientSettings(quota_share=100))
        return build(results, policy, Collector(accounts))


def names(aws: EmbeddedAws) -> dict[str, str]:
    """Names of the profile's keys by ARN."""
    return {aws.key_arn(one.account, one.region, one.name): one.name for one in TRUTH}
