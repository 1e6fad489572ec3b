"""One deployment of a service: the tasks made from one revision, and how far its rollout is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pytest_envdr.sandbox.control_plane.ecs.task import BEFORE_RUNNING, PLATFORM_VERSION, Status, StopCode, Task
from pytest_envdr.sandbox.control_plane.ecs.throttle import Throttle

if TYPE_CHECKING:
    from moto.ecs.models import TaskDefinition

    from pytest_envdr.sandbox.control_plane.ecs.circuit_breaker import CircuitBreaker
    from pytest_envdr.sandbox.control_plane.ecs.service_deployments import Revision, ServiceDeployment
    from pytest_envdr.sandbox.world import World


class Deployment:
    """Tasks of one revision.

    Attributes:
        status: PRIMARY (what the service is to run) or ACTIVE (still has tasks to be replaced).
        rollout_state: IN_PROGRESS, COMPLETED or FAILED, which launches nothing more.
        breaker: counts failures too; what it does not count is as its settings say.
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
        self.rollout_reason = f"ECS deployment {self.id} in progress."
        self.breaker = service_deployment.breaker
        self.tasks: list[Task] = []
        self.failed_tasks = 0
        self._world = world
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
        self.rollout_reason = f"ECS deployment {self.id} completed."
        self.touch()
        self.service_deployment.succeed()

    def fail(self, reason: str) -> None:
        """The rollout has failed."""
        self.rollout_state, self.rollout_reason = "FAILED", reason
        self.touch()

    def renew(self, service_deployment: ServiceDeployment, desired: int, reason: str, breaker: CircuitBreaker) -> None:
        """Begin again with the tasks that are left: the service goes back to this."""
        self.status, self.rollout_state, self.rollout_reason = "PRIMARY", "IN_PROGRESS", reason
        self.service_deployment, self.desired, self.breaker = service_deployment, desired, breaker
        self.failed_tasks, self.throttle = 0, Throttle(self._world)
        self.touch()
        self.created_at = self.updated_at

    def count_failure(self, task: Task) -> bool:
        """Note a task that stopped by itself; whether restarts are held back because of it from now on."""
        self.note_failure()
        return task.stop_code is StopCode.FAILED_TO_START and self.throttle.failed(task.order.attempt)

    def note_failure(self) -> None:
        """A task failed, or could not be placed; of interest as long as the rollout is in progress."""
        if self.rollout_state == "IN_PROGRESS":
            self.failed_tasks += 1
            self.breaker.failed()
            self.touch()

    def note_health(self, task: Task) -> None:
        """A task is healthy for the first time."""
        task.proven = True
        if self.rollout_state == "IN_PROGRESS":
            self.breaker.healthy()

    def touch(self) -> None:
        self.updated_at = datetime.now(UTC)

    def describe(self) -> dict[str, Any]:
        """As DescribeServices has it."""
        revision = self.revision
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
            "rolloutStateReason": self.rollout_reason,
        }
        return {name: value for name, value in shown.items() if value is not None}
