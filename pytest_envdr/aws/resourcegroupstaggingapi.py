"""The Resource Groups Tagging API: what in the Region has a tag.

It also gives "previously tagged" resources (GetResources), is late after a change, and knows no resource of a service
that does not take part in it; so whoever needs to be sure asks the service itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_envdr.aws import Aws


def tagged(aws: Aws, key: str, value: str) -> list[str]:
    """The ARNs of what has a tag, in their order.

    Raises:
        AwsError, UsageError: as `Aws.call`.
    """
    rows = aws.pages(
        "resourcegroupstaggingapi.GetResources",
        "ResourceTagMappingList",
        what=f"What is tagged {key}={value} cannot be listed",
        TagFilters=[{"Key": key, "Values": [value]}],
    )
    return sorted(row["ResourceARN"] for row in rows if {"Key": key, "Value": value} in row["Tags"])
