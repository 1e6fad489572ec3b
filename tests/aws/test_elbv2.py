"""Elastic Load Balancing: target groups and their targets."""

from __future__ import annotations

import pytest

from pytest_envdr.aws import Aws, elbv2
from pytest_envdr.errors import NotFound
from tests import account


@pytest.fixture
def group() -> str:
    """The ARN of a target group with a health check of its own."""
    vpc = account.plain("ec2").describe_vpcs()["Vpcs"][0]["VpcId"]
    created = account.plain("elbv2").create_target_group(
        Name=account.unique("tg"),
        Protocol="HTTP",
        Port=8000,
        VpcId=vpc,
        TargetType="ip",
        HealthCheckIntervalSeconds=10,
        HealthCheckTimeoutSeconds=4,
        HealthyThresholdCount=3,
        UnhealthyThresholdCount=2,
        HealthCheckPath="/up",
    )
    return str(created["TargetGroups"][0]["TargetGroupArn"])


def test_a_target_group_tells_how_long_it_takes(group: str) -> None:
    """Interval and thresholds give how long a dead target passes for healthy and a well one for dead; the
    deregistration delay is AWS's 300 s unless set."""
    aws = Aws(account.stack())
    found = elbv2.target_group(aws, group)
    assert (found.interval_seconds, found.timeout_seconds, found.path, found.port) == (10, 4, "/up", 8000)
    assert (found.detection_seconds, found.recovery_seconds) == (20, 30)
    assert found.deregistration_delay_seconds == 300
    account.plain("elbv2").modify_target_group_attributes(
        TargetGroupArn=group, Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": "5"}]
    )
    assert elbv2.target_group(aws, group).deregistration_delay_seconds == 5


def test_targets_are_read_with_their_state(group: str) -> None:
    """Each target with address, port and state; an empty group has none."""
    aws = Aws(account.stack())
    assert elbv2.target_health(aws, group) == []
    account.plain("elbv2").register_targets(TargetGroupArn=group, Targets=[{"Id": "10.0.0.9", "Port": 8000}])
    (target,) = elbv2.target_health(aws, group)
    assert (target.id, target.port) == ("10.0.0.9", 8000)
    assert target.state in {"initial", "healthy", "unused"}


def test_an_unknown_target_group_is_named(group: str) -> None:
    """A target group that is not there is NotFound with its ARN, for both reads."""
    aws = Aws(account.stack())
    account.plain("elbv2").delete_target_group(TargetGroupArn=group)
    for read in (elbv2.target_group, elbv2.target_health):
        with pytest.raises(NotFound, match=group.rpartition(":")[2]):
            read(aws, group)


def test_a_load_balancer_tells_where_it_listens() -> None:
    """Its DNS name with its first listener is what a client asks."""
    client, ec2 = account.plain("elbv2"), account.plain("ec2")
    subnets = [one["SubnetId"] for one in ec2.describe_subnets()["Subnets"][:2]]
    said = {"Name": account.unique("lb"), "Subnets": subnets, "Scheme": "internet-facing"}
    made = client.create_load_balancer(**said)["LoadBalancers"][0]
    refusal = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}
    client.create_listener(
        LoadBalancerArn=made["LoadBalancerArn"], Protocol="HTTP", Port=8080, DefaultActions=[refusal]
    )
    found = elbv2.load_balancer(Aws(account.stack()), made["LoadBalancerArn"])
    assert found.url == f"http://{made['DNSName']}:8080"
    assert found.scheme == "internet-facing"
