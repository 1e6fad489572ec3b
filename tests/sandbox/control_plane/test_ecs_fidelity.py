"""What is marked `acted` stands on real processes: frozen ones make the answer fail or turn unhealthy."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from pytest_envdr.sandbox.control_plane import ecs, logs
from pytest_envdr.sandbox.fidelity import ACTED
from tests.sandbox.control_plane.fargate import CLUSTER, Fargate, kill, until
from tests.sandbox.control_plane.served import serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BEAT = "touch beat-$TASK_IP\ntrap 'exit 0' TERM\nwhile :; do touch beat-$TASK_IP; sleep 0.05; done\n"
FRESH = "test -n \"$(find beat-$TASK_IP -newermt '-1 second')\""


@pytest.fixture(scope="module")
def fargate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fargate]:
    """A cluster, at speed 50."""
    directory = tmp_path_factory.mktemp("fidelity")
    modules = {"logs": logs, "ecs": ecs}
    with serving(directory, modules, region="eu-central-2", network="127.209.0.0/16", speed=50) as served:
        yield Fargate(served, directory)


@pytest.fixture(scope="module")
def definition(fargate: Fargate) -> str:
    """A program that shows that it lives, and a check that notices when it does not."""
    check = {"command": ["CMD-SHELL", FRESH], "interval": 5, "retries": 2}
    return fargate.definition("beating", fargate.image(BEAT), healthCheck=check)


def frozen_service(fargate: Fargate, definition: str, name: str) -> str:
    """A service with one healthy task, whose process has just been frozen; the task's ARN."""
    fargate.create(name, definition)
    task = until(lambda: next((one for one in fargate.tasks(name) if one["healthStatus"] == "HEALTHY"), None))
    kill(task, signal.SIGSTOP)
    return str(task["taskArn"])


def describe_services(fargate: Fargate, definition: str) -> None:
    """The service says that it lost its steady state."""
    frozen_service(fargate, definition, "describe-services")
    until(lambda: any("failed container health checks." in text for text in fargate.messages("describe-services")))


def describe_tasks(fargate: Fargate, definition: str) -> None:
    """The task turns UNHEALTHY."""
    arn = frozen_service(fargate, definition, "describe-tasks")
    until(lambda: fargate.task(arn)["healthStatus"] == "UNHEALTHY")


def list_tasks(fargate: Fargate, definition: str) -> None:
    """The task leaves the list."""
    arn = frozen_service(fargate, definition, "list-tasks")
    until(lambda: arn not in {task["taskArn"] for task in fargate.tasks("list-tasks")})


def describe_clusters(fargate: Fargate, definition: str) -> None:
    """There is a task being started that nobody asked for."""
    frozen_service(fargate, definition, "describe-clusters")
    until(lambda: fargate.ecs.describe_clusters(clusters=[CLUSTER])["clusters"][0]["pendingTasksCount"] > 0)


def update_service(fargate: Fargate, definition: str) -> None:
    """Scaled down, a frozen process does not answer SIGTERM and must be killed."""
    arn = frozen_service(fargate, definition, "update-service")
    fargate.update("update-service", desiredCount=0)
    assert fargate.stopped(arn)["containers"][0]["exitCode"] == 137


PROOFS: dict[str, Callable[[Fargate, str], None]] = {
    "DescribeClusters": describe_clusters,
    "DescribeServices": describe_services,
    "DescribeTasks": describe_tasks,
    "ListTasks": list_tasks,
    "UpdateService": update_service,
}


def test_each_acted_operation_has_a_proof() -> None:
    """No operation is called acted without one of these proofs."""
    assert set(PROOFS) == {operation for operation, fidelity in ecs.FIDELITY.items() if fidelity is ACTED}


@pytest.mark.parametrize("operation", PROOFS)
def test_freezing_the_process_shows(fargate: Fargate, definition: str, operation: str) -> None:
    """With the process frozen, the operation's answer turns unhealthy, or its effect does not come by itself."""
    PROOFS[operation](fargate, definition)
