"""One task: what it runs, where it stands in its life, and how the API shows it.

What moves it is the agent; see `agent.py`.
"""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, cast

from pytest_envdr.sandbox.control_plane.ecs import health_check
from pytest_envdr.sandbox.control_plane.ecs.container import Container
from pytest_envdr.sandbox.control_plane.ecs.identifiers import event_id, task_id

if TYPE_CHECKING:
    from moto.ecs.models import Cluster, TaskDefinition

PLATFORM_VERSION = "1.4.0"
"""What LATEST means for Linux tasks on Fargate."""


class Status(StrEnum):
    """`lastStatus`, in the order of a task's life (ECS developer guide, "task lifecycle")."""

    PROVISIONING = "PROVISIONING"
    PENDING = "PENDING"
    ACTIVATING = "ACTIVATING"
    RUNNING = "RUNNING"
    DEACTIVATING = "DEACTIVATING"
    STOPPING = "STOPPING"
    DEPROVISIONING = "DEPROVISIONING"
    STOPPED = "STOPPED"


BEFORE_RUNNING = (Status.PROVISIONING, Status.PENDING, Status.ACTIVATING)


class StopCode(StrEnum):
    """Why a task was stopped."""

    FAILED_TO_START = "TaskFailedToStart"
    ESSENTIAL_EXITED = "EssentialContainerExited"
    USER = "UserInitiated"
    SCHEDULER = "ServiceSchedulerInitiated"


@dataclass(frozen=True, kw_only=True)
class TaskOrder:
    """What was asked for: by RunTask, or by a service's deployment."""

    cluster: Cluster
    definition: TaskDefinition
    group: str
    started_by: str | None = None
    overrides: dict[str, Any] = field(default_factory=dict)
    launch_type: str | None = "FARGATE"
    capacity_provider: str | None = None
    subnets: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = ()
    load_balancers: tuple[dict[str, Any], ...] = ()
    tags: tuple[dict[str, str], ...] = ()
    enable_execute_command: bool = False
    attempt: int = 0

    @property
    def container_definitions(self) -> list[dict[str, Any]]:
        """What the task definition says about each container."""
        return cast("list[dict[str, Any]]", self.definition.container_definitions)

    def override_of(self, container: str) -> dict[str, Any]:
        """The override of one container; empty where it has none."""
        given: list[dict[str, Any]] = self.overrides.get("containerOverrides", [])
        return next((override for override in given if override.get("name") == container), {})


@dataclass(frozen=True)
class Interface:
    """A task's elastic network interface."""

    id: str
    attachment: str
    subnet: str
    zone: str
    mac: str
    address: str
    dns_name: str

    def describe(self, status: str) -> dict[str, Any]:
        """The interface as an attachment in DescribeTasks."""
        details = {
            "subnetId": self.subnet,
            "networkInterfaceId": self.id,
            "macAddress": self.mac,
            "privateDnsName": self.dns_name,
            "privateIPv4Address": self.address,
        }
        return {
            "id": self.attachment,
            "type": "ElasticNetworkInterface",
            "status": status,
            "details": [{"name": name, "value": value} for name, value in details.items()],
        }


class Task:
    """A task and its time stamps."""

    container_instance_arn = None

    def __init__(self, order: TaskOrder) -> None:
        self.order = order
        self.id = task_id()
        cluster = order.cluster
        self.task_arn = cluster.arn.replace(":cluster/", ":task/") + f"/{self.id}"
        self.cluster_arn: str = cluster.arn
        self.task_definition_arn: str = order.definition.arn
        self.tags = [dict(tag) for tag in order.tags]
        self.containers = [
            Container(definition, order.override_of(definition["name"]), task_id=self.id)
            for definition in order.container_definitions
        ]
        self.last_status = Status.PROVISIONING
        self.desired_status = "RUNNING"
        self.version = 1
        self.stop_code: StopCode | None = None
        self.stopped_reason: str | None = None
        self.interface: Interface | None = None
        self.registered = False
        """Whether its targets stand in the load balancers' target groups."""
        self.accounted = False
        """Whether its service has noted that it stopped."""
        self.proven = False
        """Whether its service has ever found it healthy."""
        self.failed_checks = False
        """Whether it was stopped because of a health check."""
        self.times: dict[str, datetime] = {"createdAt": datetime.now(UTC)}
        self._since = time.monotonic()
        self._running_since: float | None = None

    def reach(self, status: Status, *times: str) -> None:
        """Enter the next state of life; `times` are the time stamps that this sets."""
        self.last_status = status
        self.version += 1
        self._since = time.monotonic()
        if status is Status.RUNNING:
            self._running_since = self._since
        for name in times:
            self.times[name] = datetime.now(UTC)

    def waited(self) -> float:
        """Wall seconds in the present state."""
        return time.monotonic() - self._since

    def ran(self) -> float:
        """Wall seconds since RUNNING; 0 if it never was."""
        return 0.0 if self._running_since is None else time.monotonic() - self._running_since

    @property
    def has_run(self) -> bool:
        """Whether it ever reached RUNNING."""
        return self._running_since is not None

    @property
    def wanted(self) -> bool:
        """Whether it is meant to be running."""
        return self.desired_status == "RUNNING"

    def stop(self, code: StopCode, reason: str) -> None:
        """Record that it is to stop; the first reason stands."""
        if not self.wanted:
            return
        self.desired_status = "STOPPED"
        self.stop_code, self.stopped_reason = code, reason
        self.times["stoppingAt"] = datetime.now(UTC)
        self.version += 1

    def kill(self) -> None:
        """SIGKILL to all that is left of it."""
        for container in self.containers:
            container.signal(signal.SIGKILL)
            container.close()

    @property
    def health_status(self) -> str:
        """Healthy if all essential containers with a check are; UNKNOWN if none has one."""
        checks = [container.health_status for container in self.containers if container.essential and container.health]
        for verdict in (health_check.UNHEALTHY, health_check.UNKNOWN):
            if verdict in checks or not checks:
                return verdict if checks else health_check.UNKNOWN
        return health_check.HEALTHY

    @property
    def has_health_check(self) -> bool:
        """Whether an essential container defines a health check."""
        return any(
            definition.get("essential", True)
            and definition.get("healthCheck", {}).get("command", ["NONE"])[0] != "NONE"
            for definition in self.order.container_definitions
        )

    @property
    def family(self) -> str:
        return self.order.definition.family

    @property
    def group(self) -> str:
        return self.order.group

    @property
    def started_by(self) -> str | None:
        return self.order.started_by

    def targets(self) -> list[tuple[str, dict[str, Any]]]:
        """Each target group with this task's target in it."""
        if self.interface is None:
            return []
        return [
            (entry["targetGroupArn"], {"Id": self.interface.address, "Port": entry["containerPort"]})
            for entry in self.order.load_balancers
            if "targetGroupArn" in entry
        ]

    def describe(self, *, tags: bool = False) -> dict[str, Any]:
        """The task as DescribeTasks has it."""
        order, definition = self.order, self.order.definition
        shown: dict[str, Any] = {
            "attachments": self._attachments(),
            "attributes": [{"name": "ecs.cpu-architecture", "value": "x86_64"}],
            "availabilityZone": self.interface.zone if self.interface else None,
            "capacityProviderName": order.capacity_provider,
            "clusterArn": self.cluster_arn,
            "connectivity": self._connectivity(),
            "containers": [self._container(container) for container in self.containers],
            "cpu": order.overrides.get("cpu", definition.cpu),
            "memory": order.overrides.get("memory", definition.memory),
            "desiredStatus": self.desired_status,
            "enableExecuteCommand": order.enable_execute_command,
            "group": order.group,
            "healthStatus": self.health_status,
            "inferenceAccelerators": [],
            "lastStatus": self.last_status.value,
            "launchType": order.launch_type,
            "overrides": self._overrides(),
            "platformVersion": PLATFORM_VERSION,
            "platformFamily": "Linux",
            "startedBy": order.started_by,
            "stopCode": self.stop_code.value if self.stop_code else None,
            "stoppedReason": self.stopped_reason,
            "taskArn": self.task_arn,
            "taskDefinitionArn": self.task_definition_arn,
            "version": self.version,
            "ephemeralStorage": {"sizeInGiB": 20},
            **self.times,
        }
        if tags:
            shown["tags"] = self.tags
        return {name: value for name, value in shown.items() if value is not None}

    def _connectivity(self) -> str | None:
        if "connectivityAt" not in self.times:
            return None
        return "DISCONNECTED" if self.last_status in (Status.DEPROVISIONING, Status.STOPPED) else "CONNECTED"

    def _attachments(self) -> list[dict[str, Any]]:
        if self.interface is not None:
            return [self.interface.describe("DELETED" if self.last_status is Status.STOPPED else "ATTACHED")]
        if not self.order.subnets:
            return []
        details = [{"name": "subnetId", "value": self.order.subnets[0]}]
        return [{"id": event_id(), "type": "ElasticNetworkInterface", "status": "PRECREATED", "details": details}]

    def _container(self, container: Container) -> dict[str, Any]:
        shown = container.describe(
            task_arn=self.task_arn,
            arn=self.cluster_arn.replace(":cluster/", ":container/") + f"/{self.id}/{container.id}",
            last_status=self._container_status(container),
            attachment=self.interface.attachment if self.interface else None,
            address=self.interface.address if self.interface else None,
        )
        return {name: value for name, value in shown.items() if value is not None}

    def _container_status(self, container: Container) -> str:
        """A container knows only PENDING, RUNNING and STOPPED."""
        if container.exit_code is not None or self.last_status in (Status.DEPROVISIONING, Status.STOPPED):
            return "STOPPED"
        return "PENDING" if self.last_status in BEFORE_RUNNING else "RUNNING"

    def _overrides(self) -> dict[str, Any]:
        given = {name: value for name, value in self.order.overrides.items() if name != "containerOverrides"}
        overrides = [
            {**self.order.override_of(container.name), "name": container.name} for container in self.containers
        ]
        return {"inferenceAcceleratorOverrides": [], **given, "containerOverrides": overrides}
