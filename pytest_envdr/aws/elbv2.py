"""Elastic Load Balancing: load balancers, target groups, and how the load balancer finds their targets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_envdr.aws import Aws


@dataclass(frozen=True)
class TargetGroup:
    """A target group and its health check; seconds.

    A new target is healthy after one passed check. One that was unhealthy needs `healthy_threshold` of them; one that
    was healthy becomes unhealthy after `unhealthy_threshold` failures (aws-semantics 4.6).
    """

    arn: str
    name: str
    port: int
    interval_seconds: int
    timeout_seconds: int
    healthy_threshold: int
    unhealthy_threshold: int
    path: str
    load_balancers: tuple[str, ...]
    deregistration_delay_seconds: int

    @property
    def detection_seconds(self) -> int:
        """How long a dead target is taken for healthy."""
        return self.interval_seconds * self.unhealthy_threshold

    @property
    def recovery_seconds(self) -> int:
        """How long a target that is well again is taken for unhealthy."""
        return self.interval_seconds * self.healthy_threshold


@dataclass(frozen=True)
class Target:
    """A registered target.

    `state` is initial, healthy, unhealthy, draining, unused or unavailable; `draining` lasts as long as the
    deregistration delay, whether or not a request is still served (aws-semantics 4.8).
    """

    id: str
    port: int
    state: str
    reason: str
    description: str


@dataclass(frozen=True)
class LoadBalancer:
    """A load balancer: `host` is its DNS name; `listeners` are (protocol, port); `scheme` is internet-facing or
    internal."""

    arn: str
    name: str
    host: str
    scheme: str
    state: str
    listeners: tuple[tuple[str, int], ...]

    @property
    def url(self) -> str:
        """Where a client asks, with the first listener that there is; "" where there is none."""
        return next((f"{protocol.lower()}://{self.host}:{port}" for protocol, port in self.listeners), "")


def load_balancer(aws: Aws, arn: str) -> LoadBalancer:
    """A load balancer with its listeners.

    Raises:
        NotFound: there is no such load balancer.
    """
    what = f"Load balancer {arn} cannot be read"
    row = aws.call("elbv2.DescribeLoadBalancers", what=what, LoadBalancerArns=[arn])["LoadBalancers"][0]
    listeners = aws.pages("elbv2.DescribeListeners", "Listeners", what=what, LoadBalancerArn=arn)
    return LoadBalancer(
        row["LoadBalancerArn"],
        row["LoadBalancerName"],
        row["DNSName"],
        row.get("Scheme", ""),
        row.get("State", {}).get("Code", ""),
        tuple(sorted((one.get("Protocol", "HTTP"), one.get("Port", 0)) for one in listeners)),
    )


def target_group(aws: Aws, arn: str) -> TargetGroup:
    """A target group with its deregistration delay.

    Raises:
        NotFound: there is no such target group.
    """
    what = f"Target group {arn} cannot be read"
    row = aws.call("elbv2.DescribeTargetGroups", what=what, TargetGroupArns=[arn])["TargetGroups"][0]
    attributes = {
        one["Key"]: one["Value"]
        for one in aws.call("elbv2.DescribeTargetGroupAttributes", what=what, TargetGroupArn=arn)["Attributes"]
    }
    return TargetGroup(
        arn=row["TargetGroupArn"],
        name=row["TargetGroupName"],
        port=row.get("Port", 0),
        interval_seconds=row["HealthCheckIntervalSeconds"],
        timeout_seconds=row["HealthCheckTimeoutSeconds"],
        healthy_threshold=row["HealthyThresholdCount"],
        unhealthy_threshold=row["UnhealthyThresholdCount"],
        path=row.get("HealthCheckPath", ""),
        load_balancers=tuple(row.get("LoadBalancerArns", [])),
        deregistration_delay_seconds=int(attributes.get("deregistration_delay.timeout_seconds", 300)),
    )


def target_health(aws: Aws, target_group: str) -> list[Target]:
    """The targets of a target group's ARN and how the load balancer finds them; those draining are among them.

    Raises:
        NotFound: there is no such target group.
    """
    what = f"The targets of {target_group} cannot be read"
    rows = aws.call("elbv2.DescribeTargetHealth", what=what, TargetGroupArn=target_group)["TargetHealthDescriptions"]
    return [
        Target(
            id=row["Target"]["Id"],
            port=row["Target"].get("Port", 0),
            state=row["TargetHealth"]["State"],
            reason=row["TargetHealth"].get("Reason", ""),
            description=row["TargetHealth"].get("Description", ""),
        )
        for row in rows
    ]
