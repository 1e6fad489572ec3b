"""Whether AWS has what an ARN stands for, asked of the services themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_envdr.aws import Aws
from pytest_envdr.verify.state import is_part, there
from pytest_envdr.verify.state.importing import TYPES
from pytest_envdr.verify.state.presence import QUESTIONS
from tests import account

if TYPE_CHECKING:
    from collections.abc import Callable


def arn(service: str, rest: str) -> str:
    """An ARN of the account."""
    return f"arn:aws:{service}:{account.REGION}:{account.ACCOUNT}:{rest}"


def bucket(name: str) -> str:
    """A bucket."""
    account.plain("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": account.REGION})
    return f"arn:aws:s3:::{name}"


def log_group(name: str) -> str:
    """A log group."""
    account.plain("logs").create_log_group(logGroupName=f"/ecs/{name}")
    return arn("logs", f"log-group:/ecs/{name}")


def alarm(name: str) -> str:
    """An alarm."""
    account.plain("cloudwatch").put_metric_alarm(
        AlarmName=name, ComparisonOperator="LessThanThreshold", EvaluationPeriods=1
    )
    return arn("cloudwatch", f"alarm:{name}")


def vpc(_: str) -> str:
    """A VPC."""
    return arn("ec2", f"vpc/{account.plain('ec2').create_vpc(CidrBlock='10.9.0.0/16')['Vpc']['VpcId']}")


def rule(name: str) -> str:
    """A rule on a bus of its own."""
    events = account.plain("events")
    events.create_event_bus(Name=name)
    return str(events.put_rule(Name=name, EventBusName=name, EventPattern='{"source": ["x"]}')["RuleArn"])


MADE: dict[str, tuple[Callable[[str], str], str]] = {
    "queue": (
        lambda name: str(account.plain("sqs").create_queue(QueueName=name)["QueueUrl"]) and arn("sqs", name),
        arn("sqs", "no-such-queue"),
    ),
    "topic": (
        lambda name: str(account.plain("sns").create_topic(Name=name)["TopicArn"]),
        arn("sns", "no-such-topic"),
    ),
    "bucket": (bucket, "arn:aws:s3:::no-such-bucket-anywhere"),
    "log group": (log_group, arn("logs", "log-group:/ecs/no-such-group")),
    "alarm": (alarm, arn("cloudwatch", "alarm:no-such-alarm")),
    "VPC": (vpc, arn("ec2", "vpc/vpc-00000000000000000")),
    "rule": (rule, arn("events", "rule/default/no-such-rule")),
    "secret": (
        lambda name: str(account.plain("secretsmanager").create_secret(Name=name, SecretString="x")["ARN"]),
        arn("secretsmanager", "secret:no-such-secret-AbCdEf"),
    ),
    "cluster": (
        lambda name: str(account.plain("ecs").create_cluster(clusterName=name)["cluster"]["clusterArn"]),
        arn("ecs", "cluster/no-such-cluster"),
    ),
    "repository": (
        lambda name: str(account.plain("ecr").create_repository(repositoryName=name)["repository"]["repositoryArn"]),
        arn("ecr", "repository/no-such-repository"),
    ),
    "key": (
        lambda _: str(account.plain("kms").create_key()["KeyMetadata"]["Arn"]),
        arn("kms", "key/00000000-0000-0000-0000-000000000000"),
    ),
}


@pytest.mark.parametrize("kind", MADE)
def test_what_is_there_and_what_is_not(kind: str) -> None:
    """Made, it is there; of the same kind, what nobody made is not."""
    make, none = MADE[kind]
    aws = Aws(account.stack())
    assert there(aws, make(account.unique("kept"))) is True
    assert there(aws, none) is False


def test_a_deleted_cluster_is_gone() -> None:
    """ECS describes it for a while yet, as INACTIVE."""
    ecs, name = account.plain("ecs"), account.unique("gone")
    made = ecs.create_cluster(clusterName=name)["cluster"]["clusterArn"]
    ecs.delete_cluster(cluster=name)
    assert there(Aws(account.stack()), made) is False


def test_what_has_its_tags_from_its_owner() -> None:
    """A snapshot, and a node of a replication group; a cluster by itself is somebody's own, and so is a queue."""
    elasticache, name, aws = account.plain("elasticache"), account.unique("alone"), Aws(account.stack())
    elasticache.create_cache_cluster(
        CacheClusterId=name, Engine="redis", CacheNodeType="cache.t4g.small", NumCacheNodes=1
    )
    assert is_part(aws, arn("rds", "snapshot:awsbackup:job-1"))
    assert not is_part(aws, arn("elasticache", f"cluster:{name}"))
    assert not is_part(aws, arn("elasticache", "cluster:no-such-cluster"))
    assert not is_part(aws, arn("sqs", "jobs"))


def test_a_load_balancer_tells_its_state_by_a_code() -> None:
    """One that stands is there."""
    ec2, elbv2 = account.plain("ec2"), account.plain("elbv2")
    subnets = [row["SubnetId"] for row in ec2.describe_subnets()["Subnets"]][:2]
    made = elbv2.create_load_balancer(Name=account.unique("lb"), Subnets=subnets)["LoadBalancers"][0]
    assert there(Aws(account.stack()), made["LoadBalancerArn"]) is True


def test_what_nobody_can_tell() -> None:
    """Of a kind without a call nothing is claimed."""
    assert there(Aws(account.stack()), arn("braket", "job/x")) is None


def test_what_can_be_imported_can_be_asked_for() -> None:
    """Each type with an import id has a question, but for IAM, which the tagging API does not list by Region."""
    assert TYPES.keys() - QUESTIONS.keys() == {("iam", "policy"), ("iam", "role"), ("logs", "log-group")}
