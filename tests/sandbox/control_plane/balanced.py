"""A service of web servers behind a load balancer of its own."""

from __future__ import annotations

import re
import urllib.request
from typing import TYPE_CHECKING, Any

from tests.sandbox.control_plane.fargate import WEB, address

if TYPE_CHECKING:
    from tests.sandbox.control_plane.fargate import Fargate

SPEED = 50
DRAIN_SECONDS = 100
GRACE = 250
"""5 s of the wall for a task to start in: `speed` divides the load balancer's patience, not what a program needs."""


class Balanced:
    """A service of web servers behind a load balancer of its own."""

    def __init__(
        self, fargate: Fargate, name: str, script: str = WEB, *, desired: int = 2, grace: int = GRACE, **more: Any
    ) -> None:
        self.fargate, self.name = fargate, name
        self.elbv2 = fargate.served.client("elbv2")
        self.group = self._target_group()
        made = self.elbv2.create_load_balancer(Name=name, Subnets=fargate.subnets, Scheme="internal")
        balancer = made["LoadBalancers"][0]
        self.url = f"http://{balancer['DNSName']}:8080/"
        self.elbv2.create_listener(
            LoadBalancerArn=balancer["LoadBalancerArn"],
            Protocol="HTTP",
            Port=8080,
            DefaultActions=[{"Type": "forward", "TargetGroupArn": self.group}],
        )
        entry = {"targetGroupArn": self.group, "containerName": "main", "containerPort": 8000}
        definition = fargate.definition(name, fargate.image(script))
        fargate.create(name, definition, desired, loadBalancers=[entry], healthCheckGracePeriodSeconds=grace, **more)

    def _target_group(self) -> str:
        vpc = self.fargate.served.client("ec2").describe_subnets(SubnetIds=self.fargate.subnets)["Subnets"][0]["VpcId"]
        made = self.elbv2.create_target_group(
            Name=self.name,
            Protocol="HTTP",
            Port=8000,
            VpcId=vpc,
            TargetType="ip",
            HealthCheckPath="/main.sh",
            HealthCheckIntervalSeconds=10,
            HealthCheckTimeoutSeconds=5,
            HealthyThresholdCount=2,
            UnhealthyThresholdCount=2,
        )
        group = str(made["TargetGroups"][0]["TargetGroupArn"])
        delay = {"Key": "deregistration_delay.timeout_seconds", "Value": str(DRAIN_SECONDS)}
        self.elbv2.modify_target_group_attributes(TargetGroupArn=group, Attributes=[delay])
        return group

    def states(self) -> dict[str, str]:
        """Each target's state by its address."""
        rows = self.elbv2.describe_target_health(TargetGroupArn=self.group)["TargetHealthDescriptions"]
        return {row["Target"]["Id"]: row["TargetHealth"]["State"] for row in rows}

    def complete(self) -> bool:
        """Whether the one deployment is complete."""
        rows = self.fargate.service(self.name)["deployments"]
        return len(rows) == 1 and rows[0]["rolloutState"] == "COMPLETED"

    def healthy(self) -> bool:
        """Whether the wanted tasks are exactly the healthy targets."""
        tasks = {address(task) for task in self.fargate.tasks(self.name) if task["lastStatus"] == "RUNNING"}
        wanted: int = self.fargate.service(self.name)["desiredCount"]
        return len(tasks) == wanted and {one for one, state in self.states().items() if state == "healthy"} == tasks

    def said(self, text: str) -> bool:
        """Whether an event has that text."""
        return any(text in message for message in self.fargate.messages(self.name))

    def counted(self, pattern: str) -> int:
        """What the events with that pattern count together: each tells what happened to a service in one pass."""
        found = (re.search(rf" {pattern}", message) for message in self.fargate.messages(self.name))
        return sum(int(one[1]) for one in found if one)

    def status(self) -> int:
        """What a client gets."""
        with urllib.request.urlopen(self.url, timeout=5) as answer:  # noqa: S310 (our own load balancer)
            return int(answer.status)
