"""What is in a Region under a stack's names, or tagged as a drill's: before, nothing may be; after, nothing again.

By name, service by service, because the Tagging API is late, lists what was tagged once, and does not know all
services; and by tag, because not all names are ours to choose. Names of buckets and roles are global, and so are DNS
records (aws-semantics 9.11).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_envdr.aws import resourcegroupstaggingapi

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pytest_envdr.aws import Aws

TAG = "envdr:exercise"


class Listing(NamedTuple):
    """A call that lists things: under which key of its answer they are, and under which of theirs their name."""

    what: str
    operation: str
    key: str
    name: str


LISTINGS = (
    Listing("task definition", "ecs.ListTaskDefinitions", "taskDefinitionArns", ""),
    Listing("load balancer", "elbv2.DescribeLoadBalancers", "LoadBalancers", "LoadBalancerName"),
    Listing("target group", "elbv2.DescribeTargetGroups", "TargetGroups", "TargetGroupName"),
    Listing("database instance", "rds.DescribeDBInstances", "DBInstances", "DBInstanceIdentifier"),
    Listing("database subnet group", "rds.DescribeDBSubnetGroups", "DBSubnetGroups", "DBSubnetGroupName"),
    Listing("database parameter group", "rds.DescribeDBParameterGroups", "DBParameterGroups", "DBParameterGroupName"),
    Listing("cache", "elasticache.DescribeReplicationGroups", "ReplicationGroups", "ReplicationGroupId"),
    Listing("cache subnet group", "elasticache.DescribeCacheSubnetGroups", "CacheSubnetGroups", "CacheSubnetGroupName"),
    Listing(
        "cache parameter group",
        "elasticache.DescribeCacheParameterGroups",
        "CacheParameterGroups",
        "CacheParameterGroupName",
    ),
    Listing("security group", "ec2.DescribeSecurityGroups", "SecurityGroups", "GroupName"),
    Listing("log group", "logs.DescribeLogGroups", "logGroups", "logGroupName"),
    Listing("alarm", "cloudwatch.DescribeAlarms", "MetricAlarms", "AlarmName"),
    Listing("topic", "sns.ListTopics", "Topics", "TopicArn"),
    Listing("queue", "sqs.ListQueues", "QueueUrls", ""),
    Listing("function", "lambda.ListFunctions", "Functions", "FunctionName"),
    Listing("backup plan", "backup.ListBackupPlans", "BackupPlansList", "BackupPlanName"),
    Listing("scalable target", "application-autoscaling.DescribeScalableTargets", "ScalableTargets", "ResourceId"),
)
"""Where a Region's things are listed."""
GLOBAL = (
    Listing("bucket", "s3.ListBuckets", "Buckets", "Name"),
    Listing("role", "iam.ListRoles", "Roles", "RoleName"),
    Listing("policy", "iam.ListPolicies", "Policies", "PolicyName"),
)
"""Where the account's are."""
ARGUMENTS = {
    "application-autoscaling.DescribeScalableTargets": {"ServiceNamespace": "ecs"},
    "ecs.ListTaskDefinitions": {"status": "ACTIVE"},
    "iam.ListPolicies": {"Scope": "Local"},
}


SHOWN_AFTERWARDS = re.compile(":ecs:|:fis:[^/]*:experiment/")
"""Whose ARNs AWS goes on to list, with their tags: what of ECS is inactive is looked for by name, and an experiment
that has ended is history."""


def in_region(aws: Aws, *, prefixes: Iterable[str], kept: Iterable[str] = ()) -> list[str]:
    """What a Region has whose name begins in one of these ways, or that is a VPC so named: "cluster envelope-prod".

    Args:
        aws: the Region.
        prefixes: how names begin.
        kept: what belongs there, by name.
    """
    found = [one for listing in LISTINGS for one in _named(aws, listing, tuple(prefixes), frozenset(kept))]
    return sorted({*found, *_clusters(aws, tuple(prefixes)), *_vpcs(aws, tuple(prefixes))})


def in_account(aws: Aws, *, prefixes: Iterable[str] = ("",)) -> frozenset[str]:
    """The buckets, roles and policies of the account whose names begin so: "bucket envelope-prod-tenant-acme"."""
    return frozenset(one for listing in GLOBAL for one in _named(aws, listing, tuple(prefixes), frozenset()))


def records(aws: Aws, names: Iterable[str]) -> frozenset[str]:
    """The DNS records of these names, with what they lead to: "record api.example.com. CNAME 60 old.example.com".

    Looked for in the account's own zones; a name that is in none of them is not the account's to change.
    """
    wanted = {f"{name.rstrip('.')}." for name in names}
    what = "The DNS records cannot be listed"
    zones = aws.pages("route53.ListHostedZones", "HostedZones", what=what) if wanted else ()
    return frozenset(
        f"record {row['Name']} {row['Type']} {row.get('TTL', '')} {_target(row)}"
        for zone in zones
        if any(f".{name}".endswith(f".{zone['Name']}") for name in wanted)
        for row in aws.pages("route53.ListResourceRecordSets", "ResourceRecordSets", what=what, HostedZoneId=zone["Id"])
        if row["Name"] in wanted
    )


def tagged(aws: Aws) -> list[str]:
    """The ARNs of what any drill has tagged in the Region."""
    rows = aws.pages(
        "resourcegroupstaggingapi.GetResources",
        "ResourceTagMappingList",
        what=f"What is tagged {TAG} in {aws.stack.region} cannot be listed",
        TagFilters=[{"Key": TAG}],
    )
    return sorted(arn for row in rows if not SHOWN_AFTERWARDS.search(arn := str(row["ResourceARN"])))


def tagged_by(aws: Aws, exercise: str) -> list[str]:
    """The ARNs of what an exercise has tagged in the Region."""
    return [arn for arn in resourcegroupstaggingapi.tagged(aws, TAG, exercise) if not SHOWN_AFTERWARDS.search(arn)]


def _target(row: Mapping[str, Any]) -> str:
    values = [str(one["Value"]) for one in row.get("ResourceRecords", [])]
    return ", ".join(values) or str(row.get("AliasTarget", {}).get("DNSName", ""))


def _named(aws: Aws, listing: Listing, prefixes: tuple[str, ...], kept: frozenset[str]) -> Iterator[str]:
    for row in _rows(aws, listing):
        name = str(row[listing.name] if listing.name else row)
        last = name.rpartition(":")[2] if name.startswith("arn:") else name
        last = last.removeprefix("/ecs/").removeprefix("/aws/lambda/").removeprefix("service/")
        short = last if listing.what == "scalable target" else last.rpartition("/")[2]
        if short.startswith(prefixes) and short not in kept and name not in kept:
            yield f"{listing.what} {name}"


def _rows(aws: Aws, listing: Listing) -> Iterator[dict[str, str]]:
    what = f"What there is of {listing.what}s in {aws.stack.region} cannot be listed"
    arguments = ARGUMENTS.get(listing.operation, {})
    yield from aws.pages(listing.operation, listing.key, what=what, **arguments)


def _clusters(aws: Aws, prefixes: tuple[str, ...]) -> Iterator[str]:
    """Those that are not inactive, as deleted ones are for a while."""
    what = f"The clusters of {aws.stack.region} cannot be listed"
    arns = list(aws.pages("ecs.ListClusters", "clusterArns", what=what))
    rows = aws.call("ecs.DescribeClusters", what=what, clusters=arns)["clusters"] if arns else []
    for row in rows:
        if row["status"] != "INACTIVE" and row["clusterName"].startswith(prefixes):
            yield f"cluster {row['clusterName']}"


def _vpcs(aws: Aws, prefixes: tuple[str, ...]) -> Iterator[str]:
    for row in aws.pages("ec2.DescribeVpcs", "Vpcs", what=f"The VPCs of {aws.stack.region} cannot be listed"):
        name = next((tag["Value"] for tag in row.get("Tags", []) if tag["Key"] == "Name"), "")
        if name.startswith(prefixes):
            yield f"VPC {row['VpcId']} ({name})"
