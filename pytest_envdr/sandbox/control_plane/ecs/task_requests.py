"""What the API may ask about task definitions, tasks and clusters: recorded here, acted out by the agent.

Callers hold moto's lock (`responses.py` takes it for each request).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from moto.core.resource_tagging import TaggedResource
from moto.ec2.models import ec2_backends
from moto.ecs.exceptions import TaskDefinitionNotFoundException
from moto.ecs.models import EC2ContainerServiceBackend, TaskDefinition

from pytest_envdr.sandbox.control_plane.ecs import validation
from pytest_envdr.sandbox.control_plane.ecs.errors import EcsClientException, InvalidParameterException
from pytest_envdr.sandbox.control_plane.ecs.task import BEFORE_RUNNING, Status, StopCode, Task, TaskOrder
from pytest_envdr.sandbox.control_plane.extension import moto_urls

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from pytest_envdr.sandbox.world import World

NO_INSTANCES = "No Container Instances were found in your cluster."


class TaskRequests(EC2ContainerServiceBackend):
    """moto's backend with tasks that are real. `world` is None where no control loop acts.

    Attributes:
        launched: every task that can still be described, by ARN.
    """

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.world: World | None = None
        self.launched: dict[str, Task] = {}

    @property
    def _url_module(self) -> ModuleType:
        return moto_urls("ecs")

    def reset(self) -> None:
        """moto's reset: nothing of this backend stays alive; the world stays."""
        world = self.world
        for task in self.launched.values():
            task.kill()
        super().reset()
        self.world = world

    def register_task_definition(self, *args: Any, **kwargs: Any) -> TaskDefinition:
        """RegisterTaskDefinition, which says when that was, as moto does not."""
        made = super().register_task_definition(*args, **kwargs)
        made.registered_at = datetime.now(UTC)  # type: ignore[attr-defined]
        return made

    def placed(self) -> World:
        """The world that acts here.

        Raises:
            NotImplementedError: none does: another account's backend, or another Region's.
        """
        if self.world is None:
            raise NotImplementedError(f"tasks in {self.region_name}")
        return self.world

    def describe_task_definition(self, task_definition_str: str) -> TaskDefinition:
        """A definition by ARN, `family:revision`, or `family`: then the latest ACTIVE one."""
        name = task_definition_str.rsplit("/", maxsplit=1)[-1]
        family, _, revision = name.partition(":")
        revisions = self.task_definitions.get(family, {})
        if revision:
            found = revisions.get(int(revision)) if revision.isdigit() else None
        else:
            found = next((one for _, one in sorted(revisions.items(), reverse=True) if one.status == "ACTIVE"), None)
        if found is None:
            raise TaskDefinitionNotFoundException
        return found

    def usable_definition(self, reference: str) -> TaskDefinition:
        """A definition that tasks may be made from."""
        try:
            return validation.active(self.describe_task_definition(reference))
        except TaskDefinitionNotFoundException as error:
            raise EcsClientException("TaskDefinition not found.") from error

    def network(self, definition: TaskDefinition, given: dict[str, Any] | None) -> dict[str, Any]:
        """The network configuration, completed, of subnets and groups that there are."""
        return validation.network(ec2_backends[self.account_id][self.region_name], definition, given)

    def launch(self, order: TaskOrder) -> Task:
        """Record a task; the agent starts it.

        Raises:
            NotImplementedError: no agent acts here.
        """
        self.placed()
        task = Task(order)
        self.launched[task.task_arn] = task
        return task

    def forget(self, older_than: float) -> None:
        """Forget tasks that have been STOPPED for `older_than` wall seconds."""
        for arn, task in list(self.launched.items()):
            if task.last_status is Status.STOPPED and task.waited() > older_than:
                del self.launched[arn]

    def run_tasks(self, request: dict[str, Any]) -> list[Task]:
        """RunTask, with the API's own parameter names."""
        cluster = self._get_cluster(request.get("cluster", "default"))
        definition = self.usable_definition(request["taskDefinition"])
        count = int(request.get("count", 1))
        if not 1 <= count <= 10:
            raise InvalidParameterException("count should be between 1 and 10.")
        launch, strategy = validation.launch_type(
            cluster, definition, request.get("launchType"), request.get("capacityProviderStrategy")
        )
        network = self.network(definition, request.get("networkConfiguration")).get("awsvpcConfiguration", {})
        overrides = validation.overrides(definition, request.get("overrides"))
        if launch not in (None, "FARGATE"):
            raise InvalidParameterException(NO_INSTANCES)
        order = TaskOrder(
            cluster=cluster,
            definition=definition,
            group=request.get("group") or f"family:{definition.family}",
            started_by=request.get("startedBy"),
            overrides=overrides,
            launch_type=launch or "FARGATE",
            capacity_provider=strategy[0]["capacityProvider"] if strategy else None,
            subnets=tuple(network.get("subnets", ())),
            security_groups=tuple(network.get("securityGroups", ())),
            tags=tuple(request.get("tags") or (definition.tags if request.get("propagateTags") else ())),
            enable_execute_command=bool(request.get("enableExecuteCommand")),
        )
        return [self.launch(order) for _ in range(count)]

    def start_task(self, *args: Any, **kwargs: Any) -> list[Any]:  # noqa: ARG002 (moto's signature)
        """StartTask places on container instances, of which the sandbox has none."""
        raise InvalidParameterException(NO_INSTANCES)

    def find_task(self, cluster_str: str, reference: str) -> Task | None:
        """A task by ARN or id."""
        cluster = self._get_cluster(cluster_str)
        identifier = reference.rsplit("/", maxsplit=1)[-1]
        tasks = (task for task in self.launched.values() if task.cluster_arn == cluster.arn)
        return next((task for task in tasks if task.id == identifier), None)

    def stop_one(self, cluster_str: str, reference: str, reason: str | None) -> Task:
        """StopTask; stopping a stopped task changes nothing. Its tags are deleted."""
        task = self.find_task(cluster_str, reference)
        if task is None:
            raise InvalidParameterException("The referenced task was not found.")
        task.stop(StopCode.USER, reason or "Task stopped by user")
        task.tags = []
        return task

    def list_tasks(
        self,
        cluster_str: str | None = None,
        container_instance: str | None = None,
        family: str | None = None,
        started_by: str | None = None,
        service_name: str | None = None,
        desiredStatus: str | None = None,  # noqa: N803 (moto's name)
    ) -> list[Any]:
        """Tasks that match all that is given, newest first."""
        wanted: dict[str, str | None] = {
            "cluster_arn": self._get_cluster(cluster_str).arn if cluster_str else None,
            "container_instance_arn": container_instance,
            "family": family,
            "started_by": started_by,
            "group": f"service:{service_name.split('/')[-1]}" if service_name else None,
            "desired_status": desiredStatus,
        }
        filters = {name: value for name, value in wanted.items() if value is not None}
        tasks = reversed(self.launched.values())
        return [task for task in tasks if all(getattr(task, name) == value for name, value in filters.items())]

    def describe_clusters(self, cluster_names: list[str]) -> tuple[list[Any], list[Any]]:
        """Clusters with counts of what is there now."""
        clusters, failures = super().describe_clusters(cluster_names)
        for cluster in clusters:
            tasks = [task for task in self.launched.values() if task.cluster_arn == cluster.arn]
            cluster.running_tasks_count = sum(1 for task in tasks if task.last_status is Status.RUNNING)
            cluster.pending_tasks_count = sum(1 for task in tasks if task.last_status in BEFORE_RUNNING)
            active = [
                one for one in self.services.values() if one.cluster_arn == cluster.arn and one.status == "ACTIVE"
            ]
            cluster.active_services_count = len(active)
        return clusters, failures

    def update_cluster_resources(self, *args: Any, **kwargs: Any) -> None:
        """moto's running totals, which go below zero; `describe_clusters` counts instead."""

    def iter_tagged_resources(self) -> Iterator[TaggedResource]:
        """For the Resource Groups Tagging API: moto's, and our tasks."""
        yield from super().iter_tagged_resources()
        for task in self.launched.values():
            tags = {tag["key"]: tag["value"] for tag in task.tags}
            yield TaggedResource(arn=task.task_arn, tags=tags, resource_type="ecs:task")
