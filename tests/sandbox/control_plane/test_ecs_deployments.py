"""Deployments: one revision replaces another step by step, within the percentages, and history keeps it."""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr.sandbox.control_plane import ecs, logs
from tests.sandbox.control_plane.fargate import CLUSTER, IDLE, Fargate, until
from tests.sandbox.control_plane.served import serving

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def fargate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fargate]:
    """A cluster, at speed 50."""
    directory = tmp_path_factory.mktemp("deployments")
    modules = {"logs": logs, "ecs": ecs}
    with serving(directory, modules, region="eu-south-1", network="127.201.0.0/16", speed=50) as served:
        yield Fargate(served, directory)


class Watch:
    """The least and the most tasks that a service was seen with."""

    def __init__(self, fargate: Fargate, name: str) -> None:
        self._fargate, self._name = fargate, name
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.least, self.most = 99, 0

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(0.02):
            service = self._fargate.service(self._name)
            self.least = min(self.least, service["runningCount"])
            self.most = max(self.most, service["runningCount"] + service["pendingCount"])


def rolled(fargate: Fargate, name: str, deployment: str) -> bool:
    """Whether a deployment is the only one, and complete."""
    rows = fargate.service(name)["deployments"]
    return len(rows) == 1 and rows[0]["id"] == deployment and rows[0]["rolloutState"] == "COMPLETED"


@pytest.mark.parametrize(
    ("minimum", "maximum", "bounds"), [(100, 200, (4, 8)), (50, 100, (2, 4))], ids=["more-first", "fewer-first"]
)
def test_a_new_revision_rolls_within_the_percentages(
    fargate: Fargate, minimum: int, maximum: int, bounds: tuple[int, int]
) -> None:
    """Never fewer running tasks than the minimum, never more than the maximum, and in the end all are new."""
    name = f"rolling-{minimum}"
    check = {"command": ["CMD-SHELL", "true"], "interval": 5}
    limits = {"minimumHealthyPercent": minimum, "maximumPercent": maximum}
    fargate.create(
        name, fargate.definition(name, fargate.image(IDLE), healthCheck=check), 4, deploymentConfiguration=limits
    )
    fargate.stable(name)
    until(lambda: fargate.service(name)["deployments"][0]["rolloutState"] == "COMPLETED")
    new = fargate.definition(name, fargate.image(IDLE), healthCheck=check)
    with Watch(fargate, name) as watch:
        rows = fargate.update(name, taskDefinition=name)["deployments"]
        assert [row["status"] for row in rows] == ["PRIMARY", "ACTIVE"]
        until(lambda: rolled(fargate, name, rows[0]["id"]))
    assert (watch.least >= bounds[0], watch.most <= bounds[1]) == (True, True)
    assert fargate.service(name)["taskDefinition"] == new
    assert {task["taskDefinitionArn"] for task in fargate.tasks(name)} == {new}


def test_a_forced_deployment_replaces_the_tasks(fargate: Fargate) -> None:
    """The same revision again makes nothing; forced, it makes new tasks under a new id."""
    name = "forced"
    definition = fargate.definition(name, fargate.image(IDLE))
    first = fargate.create(name, definition)["deployments"][0]["id"]
    fargate.stable(name)
    before = fargate.tasks(name)[0]["taskArn"]
    assert fargate.update(name, taskDefinition=definition)["deployments"][0]["id"] == first
    second = fargate.update(name, forceNewDeployment=True)["deployments"][0]["id"]
    assert second != first
    until(lambda: rolled(fargate, name, second))
    assert before not in {task["taskArn"] for task in fargate.tasks(name)}
    assert fargate.task(before)["stoppedReason"] == f"Scaling activity initiated by (deployment {second})"


def test_history_tells_each_deployment(fargate: Fargate) -> None:
    """Service deployments go from PENDING to SUCCESSFUL, or STOPPED when superseded, and name their revisions."""
    name = "history"
    fargate.create(name, fargate.definition(name, fargate.image(IDLE)))
    until(lambda: _statuses(fargate, name) == ["SUCCESSFUL"])
    failing = {"command": ["CMD-SHELL", "false"], "interval": 30, "retries": 10}
    fargate.definition(name, fargate.image(IDLE), healthCheck=failing)
    fargate.update(name, taskDefinition=name)
    until(lambda: _statuses(fargate, name)[0] == "IN_PROGRESS")
    assert fargate.service(name)["currentServiceDeployment"] == _history(fargate, name)[0]["serviceDeploymentArn"]
    fargate.update(name, taskDefinition=f"{name}:1")
    until(lambda: _statuses(fargate, name) == ["SUCCESSFUL", "STOPPED", "SUCCESSFUL"])
    arns = [row["serviceDeploymentArn"] for row in _history(fargate, name)]
    answer = fargate.ecs.describe_service_deployments(serviceDeploymentArns=[*arns, arns[0] + "x"])
    newest, stopped, oldest = answer["serviceDeployments"]
    assert [row["reason"] for row in answer["failures"]] == ["MISSING"]
    assert oldest["sourceServiceRevisions"] == []
    assert oldest["targetServiceRevision"]["arn"] in {row["arn"] for row in stopped["sourceServiceRevisions"]}
    assert newest["createdAt"] <= newest["startedAt"] <= newest["finishedAt"]
    target = newest["targetServiceRevision"]["arn"]
    revision = fargate.ecs.describe_service_revisions(serviceRevisionArns=[target])["serviceRevisions"][0]
    assert revision["taskDefinition"].endswith(f"{name}:1")
    chosen = fargate.ecs.list_service_deployments(
        cluster=CLUSTER, service=name, status=["SUCCESSFUL"], createdAt={"after": stopped["createdAt"]}
    )
    assert [row["serviceDeploymentArn"] for row in chosen["serviceDeployments"]] == [arns[0]]


def test_tasks_that_never_run_are_throttled(fargate: Fargate) -> None:
    """An image that cannot be pulled is tried again with growing waits, and a new deployment starts at once."""
    name = "throttled"
    fargate.create(name, fargate.definition(name, "registry/missing:1"))
    until(lambda: len(_failed(fargate, name)) >= 4)
    gaps = _gaps([task["createdAt"].timestamp() for task in _failed(fargate, name)])
    assert gaps[-1] > gaps[0]
    deployment = fargate.service(name)["deployments"][0]
    assert deployment["failedTasks"] >= 3
    assert deployment["rolloutState"] == "IN_PROGRESS"
    assert any("is unable to consistently start tasks successfully." in text for text in fargate.messages(name))
    fargate.definition(name, fargate.image(IDLE))
    fargate.update(name, taskDefinition=name)
    fargate.stable(name)


def test_tasks_that_ran_are_restarted_without_a_wait(fargate: Fargate) -> None:
    """A program that ends at once is RUNNING for a moment and started again and again, with its exit code kept."""
    name = "crashing"
    fargate.create(name, fargate.definition(name, fargate.image("exit 3\n")))
    until(lambda: len(fargate.tasks(name, "STOPPED")) >= 6)
    stopped = [task for task in fargate.tasks(name, "STOPPED") if task["lastStatus"] == "STOPPED"]
    assert {task["stopCode"] for task in stopped} == {"EssentialContainerExited"}
    assert {task["containers"][0]["exitCode"] for task in stopped} == {3}
    assert fargate.service(name)["deployments"][0]["failedTasks"] >= 3
    fargate.ecs.delete_service(cluster=CLUSTER, service=name, force=True)


def _history(fargate: Fargate, name: str) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = fargate.ecs.list_service_deployments(cluster=CLUSTER, service=name)[
        "serviceDeployments"
    ]
    return rows


def _statuses(fargate: Fargate, name: str) -> list[str]:
    return [row["status"] for row in _history(fargate, name)]


def _failed(fargate: Fargate, name: str) -> list[dict[str, Any]]:
    tasks = [task for task in fargate.tasks(name, "STOPPED") if task.get("stopCode") == "TaskFailedToStart"]
    return sorted(tasks, key=lambda task: task["createdAt"])


def _gaps(times: list[float]) -> list[float]:
    return [after - before for before, after in itertools.pairwise(times)]
