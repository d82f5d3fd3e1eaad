"""Replaces Prowler's own test helpers, which its wheel does not contain."""

from __future__ import annotations

from moto import mock_aws
from prowler.providers.aws.aws_provider import AwsProvider
from prowler.providers.common.models import Audit_Metadata

AWS_ACCOUNT_NUMBER = "123456789012"
AWS_REGION_EU_WEST_1 = "eu-west-1"
AWS_REGION_US_EAST_1 = "us-east-1"


@mock_aws
def set_mocked_aws_provider(audited_regions: list[str]) -> AwsProvider:
    """Return Prowler's provider of moto's account, with these Regions enabled."""
    provider = AwsProvider(regions=set(audited_regions))
    provider._enabled_regions = set(audited_regions)
    provider.audit_metadata = Audit_Metadata(
        services_scanned=0, expected_checks=[], completed_checks=0, audit_progress=0
    )
    return provider
