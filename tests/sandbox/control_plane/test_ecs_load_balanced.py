"""Services behind the real load balancer: targets follow tasks, and ill targets cost a task its place."""

from __future__ import annotations

import re
import shutil
import signal
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr.sandbox.control_plane import ecs, elbv2, logs
from tests.sandbox.control_plane.fargate import WEB, Fargate, address, kill, until
from tests.sandbox.control_plane.served import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(shutil.which("haproxy", path="/usr/sbin:/usr/bin") is None, reason="needs haproxy")

SPEED = 50
DRAIN_SECONDS = 100
GRACE = 250
"""5 s of the wall for a task to start in: `speed` divides the load balancer's patience, not what a program needs."""


@pytest.fixture(scope="module")
def fargate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fargate]:
    """A cluster and the load balancers, at speed 50."""
    directory = tmp_path_factory.mktemp("balanced")
    modules = {"logs": logs, "elbv2": elbv2, "ecs": ecs}
    with serving(directory, modules, region="eu-south-2", network="127.211.0.0/16", speed=SPEED) as served:
        yield Fargate(served, directory)


class Balanced:
    """A service of web servers behind a load balancer of its own."""

    def __init__(self, fargate: Fargate, name: str, script: str = WEB, *, desired: int = 2, grace: int = GRACE) -> None:
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
        fargate.create(name, definition, desired, loadBalancers=[entry], healthCheckGracePeriodSeconds=grace)

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


def test_targets_follow_tasks(fargate: Fargate) -> None:
    """A deployment is complete when its targets are healthy; a task leaves its group, drains, and only then stops."""
    balanced = Balanced(fargate, "followed")
    until(balanced.complete)
    assert balanced.healthy()
    assert balanced.status() == 200
    assert balanced.counted(r"registered (\d+) targets? in \(target-group arn:") == 2
    leaving = fargate.tasks("followed")
    fargate.update("followed", desiredCount=0)
    until(lambda: set(balanced.states().values()) == {"draining"})
    assert {fargate.task(task["taskArn"])["lastStatus"] for task in leaving} == {"DEACTIVATING"}
    assert balanced.counted(r"has begun draining connections on (\d+) tasks?\.") == 2
    stopped: list[dict[str, Any]] = [fargate.stopped(task["taskArn"]) for task in leaving]
    for task in stopped:
        assert (task["executionStoppedAt"] - task["stoppingAt"]).total_seconds() >= DRAIN_SECONDS / SPEED
    assert balanced.states() == {}
    assert balanced.counted(r"deregistered (\d+) targets? in \(target-group arn:") == 2


def test_a_frozen_target_is_replaced(fargate: Fargate) -> None:
    """SIGSTOP makes the target unhealthy: its task is replaced, then stopped with the load balancer's reason."""
    balanced = Balanced(fargate, "stopped")
    until(balanced.complete)
    frozen = fargate.tasks("stopped")[0]
    kill(frozen, signal.SIGSTOP)
    task = fargate.stopped(frozen["taskArn"])
    assert task["stopCode"] == "ServiceSchedulerInitiated"
    assert task["stoppedReason"] == f"Task failed ELB health checks in (target-group {balanced.group})"
    until(balanced.healthy)
    assert balanced.said(f"is unhealthy in (target-group {balanced.group}) due to (reason ")


def test_the_grace_period_protects_a_slow_start(fargate: Fargate) -> None:
    """Within the grace period an unhealthy target costs nothing; without one a slow starter is killed for ever."""
    slow = f"sleep 2\n{WEB}"
    graced = Balanced(fargate, "graced", slow, desired=1, grace=500)
    hasty = Balanced(fargate, "hasty", slow, desired=1, grace=0)
    until(graced.complete)
    assert fargate.tasks("graced", "STOPPED") == []
    until(lambda: hasty.said("is unhealthy in"))
    until(lambda: fargate.service("hasty")["deployments"][0]["failedTasks"] >= 1)
    assert not hasty.complete()
