"""Whether AWS has what an ARN stands for, asked of the service itself.

The tagging API is not enough: it is late, and it gives what was tagged once as well (GetResources: "returns all the
tagged or previously tagged resources").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_envdr.errors import AwsError, NotFound
from pytest_envdr.verify.state.importing import Arn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_envdr.aws import Aws

Question = tuple[str, "Callable[[Arn], Mapping[str, Any]]", str]
"""The call, its arguments, and where in the answer the thing must be ("" where an answer says that it is there)."""


def _one(parameter: str) -> Callable[[Arn], Mapping[str, Any]]:
    return lambda arn: {parameter: arn.name}


def _many(parameter: str) -> Callable[[Arn], Mapping[str, Any]]:
    return lambda arn: {parameter: [arn.name]}


def _by_arn(parameter: str) -> Callable[[Arn], Mapping[str, Any]]:
    return lambda arn: {parameter: arn.text}


def _by_arns(parameter: str) -> Callable[[Arn], Mapping[str, Any]]:
    return lambda arn: {parameter: [arn.text]}


def _service(arn: Arn) -> Mapping[str, Any]:
    cluster, _, name = arn.name.rpartition("/")
    return {"cluster": cluster, "services": [name]}


def _rule(arn: Arn) -> Mapping[str, Any]:
    bus, _, name = arn.name.rpartition("/")
    return {"Name": name, "EventBusName": bus or "default"}


QUESTIONS: dict[tuple[str, str], Question] = {
    ("backup", "backup-plan"): ("backup.GetBackupPlan", _one("BackupPlanId"), ""),
    ("backup", "backup-vault"): ("backup.DescribeBackupVault", _one("BackupVaultName"), ""),
    ("cloudwatch", "alarm"): ("cloudwatch.DescribeAlarms", _many("AlarmNames"), "MetricAlarms"),
    ("codebuild", "project"): ("codebuild.BatchGetProjects", _many("names"), "projects"),
    ("codepipeline", ""): ("codepipeline.GetPipeline", _one("name"), ""),
    ("dynamodb", "table"): ("dynamodb.DescribeTable", _one("TableName"), ""),
    ("ec2", "elastic-ip"): ("ec2.DescribeAddresses", _many("AllocationIds"), "Addresses"),
    ("ec2", "internet-gateway"): ("ec2.DescribeInternetGateways", _many("InternetGatewayIds"), "InternetGateways"),
    ("ec2", "natgateway"): ("ec2.DescribeNatGateways", _many("NatGatewayIds"), "NatGateways"),
    ("ec2", "route-table"): ("ec2.DescribeRouteTables", _many("RouteTableIds"), "RouteTables"),
    ("ec2", "security-group"): ("ec2.DescribeSecurityGroups", _many("GroupIds"), "SecurityGroups"),
    ("ec2", "subnet"): ("ec2.DescribeSubnets", _many("SubnetIds"), "Subnets"),
    ("ec2", "vpc"): ("ec2.DescribeVpcs", _many("VpcIds"), "Vpcs"),
    ("ecr", "repository"): ("ecr.DescribeRepositories", _many("repositoryNames"), "repositories"),
    ("ecs", "cluster"): ("ecs.DescribeClusters", _many("clusters"), "clusters"),
    ("ecs", "service"): ("ecs.DescribeServices", _service, "services"),
    ("ecs", "task-definition"): ("ecs.DescribeTaskDefinition", _by_arn("taskDefinition"), "taskDefinition"),
    ("elasticache", "cluster"): ("elasticache.DescribeCacheClusters", _one("CacheClusterId"), "CacheClusters"),
    ("elasticache", "parametergroup"): (
        "elasticache.DescribeCacheParameterGroups",
        _one("CacheParameterGroupName"),
        "CacheParameterGroups",
    ),
    ("elasticache", "replicationgroup"): (
        "elasticache.DescribeReplicationGroups",
        _one("ReplicationGroupId"),
        "ReplicationGroups",
    ),
    ("elasticache", "subnetgroup"): (
        "elasticache.DescribeCacheSubnetGroups",
        _one("CacheSubnetGroupName"),
        "CacheSubnetGroups",
    ),
    ("elasticloadbalancing", "listener"): ("elbv2.DescribeListeners", _by_arns("ListenerArns"), "Listeners"),
    ("elasticloadbalancing", "listener-rule"): ("elbv2.DescribeRules", _by_arns("RuleArns"), "Rules"),
    ("elasticloadbalancing", "loadbalancer"): (
        "elbv2.DescribeLoadBalancers",
        _by_arns("LoadBalancerArns"),
        "LoadBalancers",
    ),
    ("elasticloadbalancing", "targetgroup"): (
        "elbv2.DescribeTargetGroups",
        _by_arns("TargetGroupArns"),
        "TargetGroups",
    ),
    ("events", "event-bus"): ("events.DescribeEventBus", _one("Name"), ""),
    ("events", "rule"): ("events.DescribeRule", _rule, ""),
    ("kms", "key"): ("kms.DescribeKey", _one("KeyId"), "KeyMetadata"),
    ("lambda", "function"): ("lambda.GetFunctionConfiguration", _one("FunctionName"), ""),
    ("rds", "db"): ("rds.DescribeDBInstances", _one("DBInstanceIdentifier"), "DBInstances"),
    ("rds", "og"): ("rds.DescribeOptionGroups", _one("OptionGroupName"), "OptionGroupsList"),
    ("rds", "pg"): ("rds.DescribeDBParameterGroups", _one("DBParameterGroupName"), "DBParameterGroups"),
    ("rds", "subgrp"): ("rds.DescribeDBSubnetGroups", _one("DBSubnetGroupName"), "DBSubnetGroups"),
    ("s3", ""): ("s3.HeadBucket", _one("Bucket"), ""),
    ("secretsmanager", "secret"): ("secretsmanager.DescribeSecret", _by_arn("SecretId"), ""),
    ("sns", ""): ("sns.GetTopicAttributes", _by_arn("TopicArn"), ""),
    ("sqs", ""): ("sqs.GetQueueUrl", _one("QueueName"), ""),
}
"""Service and kind of an ARN -> what asks whether it is there."""
COPIES = frozenset(
    {
        ("backup", "recovery-point"),
        ("ec2", "network-interface"),
        ("ec2", "snapshot"),
        ("ecs", "task"),
        ("elasticache", "snapshot"),
        ("rds", "auto-backup"),
        ("rds", "snapshot"),
    }
)
"""What AWS makes by itself with the tags of what it belongs to: Terraform manages the owner, and not these."""
ENDED = frozenset({"INACTIVE", "deleted", "deleting", "DELETE_IN_PROGRESS", "terminated"})
"""What AWS still describes though it is gone: an ECS cluster, a NAT gateway."""
GONE = ("NotFound", "Malformed", "NoSuch", "404", "DoesNotExist", "NonExistent")
"""What codes contain for ids that stand for nothing."""


def there(aws: Aws, arn: str) -> bool | None:
    """Whether AWS has what an ARN stands for; None where no call is known that tells, or none may be made.

    Raises:
        AwsError: the question was refused for another reason than that it is not there, or not allowed.
    """
    parsed = Arn.parse(arn)
    if (parsed.service, parsed.kind) == ("logs", "log-group"):
        return _log_group(aws, parsed)
    if (parsed.service, parsed.kind) not in QUESTIONS:
        return None
    operation, arguments, place = QUESTIONS[parsed.service, parsed.kind]
    try:
        answer = aws.call(operation, what=f"Whether there is {arn} cannot be told", **arguments(parsed))
    except NotFound:
        return False
    except AwsError as error:
        if any(word in error.code for word in GONE):
            return False
        if "AccessDenied" in error.code or error.code in ("403", "UnauthorizedOperation"):
            return None
        raise
    return not place or _stands(answer.get(place))


def is_part(aws: Aws, arn: str) -> bool:
    """Whether something has its tags from what it belongs to: a snapshot, a node of a replication group (ElastiCache
    gives a group's tags to its clusters). Nobody puts such a thing under Terraform by itself.

    Raises:
        AwsError: it could not be asked.
    """
    parsed = Arn.parse(arn)
    kind = (parsed.service, parsed.kind)
    if kind != ("elasticache", "cluster"):
        return kind in COPIES
    what = f"Whether {arn} belongs to a replication group cannot be told"
    try:
        rows = aws.call("elasticache.DescribeCacheClusters", what=what, CacheClusterId=parsed.name)["CacheClusters"]
    except NotFound:
        return False
    return any(row.get("ReplicationGroupId") for row in rows)


def _stands(found: Any) -> bool:
    """Whether any of what was described has not ended; some tell their state as a word, others in a `Code`."""
    rows = found if isinstance(found, list) else [found]
    states = [row.get("status", row.get("State", "")) if isinstance(row, dict) else "" for row in rows if row]
    return any(str(state.get("Code", "") if isinstance(state, dict) else state) not in ENDED for state in states)


def _log_group(aws: Aws, arn: Arn) -> bool:
    """There is no call for one by its name: the listing by prefix must have it."""
    name = arn.name.removesuffix(":*")
    what = f"Whether there is log group {name} cannot be told"
    rows = aws.pages("logs.DescribeLogGroups", "logGroups", what=what, logGroupNamePrefix=name)
    return any(row["logGroupName"] == name for row in rows)
