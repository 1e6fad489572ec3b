"""One deployment of a service: the tasks made from one revision, and how far its rollout is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pytest_envdr.sandbox.control_plane.ecs.task import BEFORE_RUNNING, PLATFORM_VERSION, Status, StopCode, Task
from pytest_envdr.sandbox.control_plane.ecs.throttle import Throttle

if TYPE_CHECKING:
    from moto.ecs.models import TaskDefinition

    from pytest_envdr.sandbox.control_plane.ecs.service_deployments import Revision, ServiceDeployment
    from pytest_envdr.sandbox.world import World


class Deployment:
    """Tasks of one revision.

    Attributes:
        status: PRIMARY (the newest) or ACTIVE (still has tasks to be replaced).
        tasks: those that are not STOPPED, oldest first.
        failed_tasks: failures in a row while the rollout is in progress; 0 again once a task has proven healthy.
    """

    def __init__(
        self,
        world: World,
        revision: Revision,
        definition: TaskDefinition,
        service_deployment: ServiceDeployment,
        desired: int,
    ) -> None:
        self.id = f"ecs-svc/{revision.number}"
        self.revision = revision
        self.definition = definition
        self.service_deployment = service_deployment
        self.status = "PRIMARY"
        self.desired = desired
        self.rollout_state = "IN_PROGRESS"
        self.tasks: list[Task] = []
        self.failed_tasks = 0
        self.throttle = Throttle(world)
        self.created_at = self.updated_at = datetime.now(UTC)

    @property
    def wanted(self) -> list[Task]:
        """Tasks that are meant to be running."""
        return [task for task in self.tasks if task.wanted]

    @property
    def running(self) -> int:
        return sum(1 for task in self.tasks if task.last_status is Status.RUNNING)

    @property
    def pending(self) -> int:
        return sum(1 for task in self.tasks if task.last_status in BEFORE_RUNNING and task.wanted)

    @property
    def serving(self) -> bool:
        """Whether a task has not yet been told to stop, or still lets its connections drain."""
        leaving = (Status.STOPPING, Status.DEPROVISIONING, Status.STOPPED)
        return any(task.last_status not in leaving for task in self.tasks)

    def supersede(self) -> None:
        """A newer deployment takes over."""
        self.status = "ACTIVE"
        self.touch()
        self.service_deployment.supersede()

    def complete(self) -> None:
        """The rollout is done."""
        self.rollout_state = "COMPLETED"
        self.touch()
        self.service_deployment.succeed()

    def count_failure(self, task: Task) -> bool:
        """Note a task that stopped by itself; whether restarts are held back because of it from now on."""
        if self.rollout_state == "IN_PROGRESS":
            self.failed_tasks += 1
            self.touch()
        return task.stop_code is StopCode.FAILED_TO_START and self.throttle.failed(task.order.attempt)

    def touch(self) -> None:
        self.updated_at = datetime.now(UTC)

    def describe(self) -> dict[str, Any]:
        """As DescribeServices has it."""
        revision = self.revision
        reason = f"ECS deployment {self.id} {'completed' if self.rollout_state == 'COMPLETED' else 'in progress'}."
        shown = {
            "id": self.id,
            "status": self.status,
            "taskDefinition": revision.task_definition,
            "desiredCount": self.desired if self.status == "PRIMARY" else len(self.wanted),
            "pendingCount": self.pending,
            "runningCount": self.running,
            "failedTasks": self.failed_tasks,
            "createdAt": self.created_at,
            "updatedAt": self.updated_at,
            "launchType": revision.launch_type,
            "capacityProviderStrategy": list(revision.capacity_provider_strategy) or None,
            "platformVersion": PLATFORM_VERSION if revision.platform_version == "LATEST" else revision.platform_version,
            "platformFamily": "Linux",
            "networkConfiguration": revision.network_configuration or None,
            "rolloutState": self.rollout_state,
            "rolloutStateReason": reason,
        }
        return {name: value for name, value in shown.items() if value is not None}
