"""Services behind the real load balancer: targets follow tasks, and ill targets cost a task its place."""

from __future__ import annotations

import shutil
import signal
from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr.sandbox.control_plane import ecs, elbv2, logs
from tests.sandbox.control_plane.balanced import DRAIN_SECONDS, SPEED, Balanced
from tests.sandbox.control_plane.fargate import WEB, Fargate, kill, until
from tests.sandbox.control_plane.served import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(shutil.which("haproxy", path="/usr/sbin:/usr/bin") is None, reason="needs haproxy")


@pytest.fixture(scope="module")
def fargate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fargate]:
    """A cluster and the load balancers, at speed 50."""
    directory = tmp_path_factory.mktemp("balanced")
    modules = {"logs": logs, "elbv2": elbv2, "ecs": ecs}
    with serving(directory, modules, region="eu-south-2", network="127.211.0.0/16", speed=SPEED) as served:
        yield Fargate(served, directory)


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
