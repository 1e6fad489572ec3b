"""One service: what is wanted of it, its deployments, its events, and how the API shows it."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pytest_envdr.sandbox.control_plane.ecs.announcements import Announcements
from pytest_envdr.sandbox.control_plane.ecs.deployment import Deployment
from pytest_envdr.sandbox.control_plane.ecs.deployment_alarms import DeploymentAlarms
from pytest_envdr.sandbox.control_plane.ecs.events import Events
from pytest_envdr.sandbox.control_plane.ecs.service_deployments import ServiceDeployment

if TYPE_CHECKING:
    from moto.ecs.models import Cluster, TaskDefinition
    from moto.ecs.models import Service as StoredService

    from pytest_envdr.sandbox.control_plane.ecs.service_deployments import Revision
    from pytest_envdr.sandbox.world import World

DEFAULTS: dict[str, Any] = {
    "deploymentConfiguration": {
        "deploymentCircuitBreaker": {"enable": False, "rollback": False},
        "maximumPercent": 200,
        "minimumHealthyPercent": 100,
        "strategy": "ROLLING",
        "bakeTimeInMinutes": 0,
    },
    "enableECSManagedTags": False,
    "enableExecuteCommand": False,
    "propagateTags": "NONE",
    "availabilityZoneRebalancing": "ENABLED",
    "placementConstraints": [],
    "placementStrategy": [],
}
"""What CreateService assumes; none of it, when changed, makes a new deployment."""

OPTIONS = frozenset({*DEFAULTS, "healthCheckGracePeriodSeconds"})


class Service:
    """A service of replicas.

    Attributes:
        stored: moto's own object, which keeps name, tags, desired count and status.
        options: the settings of `OPTIONS`, by their names in the API.
        deployments: the newest, PRIMARY, first.
        history: service deployments, newest first.
        fallback: what was completed last, to go back to; None while the service does.
        announcements: what EventBridge is to be told.
        steady_since: monotonic time of the last "steady state" event, None while the service is not steady.
    """

    def __init__(self, world: World, stored: StoredService, cluster: Cluster) -> None:
        self._world = world
        self.stored = stored
        self.cluster = cluster
        self.created_at = datetime.now(UTC)
        self.options: dict[str, Any] = {**DEFAULTS}
        self.events = Events(stored.name)
        self.deployments: list[Deployment] = []
        self.history: list[ServiceDeployment] = []
        self.fallback: tuple[Revision, TaskDefinition] | None = None
        self.announcements = Announcements(stored.arn)
        self.steady_since: float | None = None
        self.registered: Counter[str] = Counter()
        self.deregistered: Counter[str] = Counter()

    @property
    def name(self) -> str:
        return self.stored.name

    @property
    def desired(self) -> int:
        return self.stored.desired_count

    @property
    def scheduled(self) -> bool:
        """Whether its tasks are ours to start: not those of CodeDeploy or an external controller."""
        return self.stored.deployment_controller["type"] == "ECS" and self.stored.status != "INACTIVE"

    @property
    def primary(self) -> Deployment:
        return self.deployments[0]

    @property
    def running(self) -> int:
        return sum(deployment.running for deployment in self.deployments)

    @property
    def pending(self) -> int:
        return sum(deployment.pending for deployment in self.deployments)

    @property
    def grace_seconds(self) -> float:
        """AWS's seconds after a task's start in which its health checks are ignored."""
        return float(self.options.get("healthCheckGracePeriodSeconds") or 0)

    def target_groups(self) -> list[str]:
        """All target groups that its tasks stand in."""
        entries = [entry for deployment in self.deployments for entry in deployment.revision.load_balancers]
        return [entry["targetGroupArn"] for entry in entries if "targetGroupArn" in entry]

    def configure(self, options: dict[str, Any]) -> None:
        """Change settings; members of the deployment configuration that are not named keep their values."""
        given = dict(options)
        if "deploymentConfiguration" in given:
            given["deploymentConfiguration"] = {
                **self.options["deploymentConfiguration"],
                **given["deploymentConfiguration"],
            }
        self.options |= given

    def scale(self, desired: int) -> None:
        """Want another number of tasks: no new deployment."""
        self.stored.desired_count = desired
        self.primary.desired = desired
        if self.history[0].open:
            self.history[0].desired = desired
        self.primary.touch()

    def deploy(self, revision: Revision, definition: TaskDefinition) -> None:
        """Replace all tasks by tasks of `revision`, step by step."""
        sources = [(each.revision, len(each.wanted)) for each in self.deployments]
        for deployment in self.deployments:
            deployment.supersede()
        configuration = self.options["deploymentConfiguration"]
        alarms = DeploymentAlarms(self._world, configuration.get("alarms", {}))
        started = ServiceDeployment(revision, sources, self.desired, configuration, alarms)
        self.history.insert(0, started)
        self.make_primary(Deployment(self._world, revision, definition, started, self.desired))
        self.announcements.state_of(self.primary)

    def make_primary(self, deployment: Deployment) -> None:
        """Run that deployment's revision from now on."""
        others = [each for each in self.deployments if each is not deployment]
        self.deployments = [deployment, *others]
        self.stored.task_definition = deployment.revision.task_definition
        self.steady_since = None

    def complete(self) -> None:
        """The rollout is done, and what it replaced is gone."""
        del self.deployments[1:]
        self.primary.complete()
        self.fallback = (self.primary.revision, self.primary.definition)
        self.events.completed(self.primary.id)
        self.announcements.state_of(self.primary)

    def end(self) -> None:
        """The last task is stopping: a deleted service is INACTIVE from now on."""
        self.stored.status = "INACTIVE"
        for deployment in self.deployments:
            deployment.service_deployment.supersede()
        self.deployments = []
        self.stored.running_count = self.stored.pending_count = 0

    def task_tags(self, definition: TaskDefinition) -> list[dict[str, str]]:
        """The tags that its tasks get."""
        source = {"SERVICE": self.stored.tags, "TASK_DEFINITION": definition.tags}
        tags = [dict(tag) for tag in source.get(self.options["propagateTags"], [])]
        if self.options["enableECSManagedTags"]:
            tags.append({"key": "aws:ecs:clusterName", "value": self.cluster.name})
            tags.append({"key": "aws:ecs:serviceName", "value": self.name})
        return tags

    def describe(self, *, tags: bool = False) -> dict[str, Any]:
        """As DescribeServices has it."""
        revision = self.primary.revision if self.deployments else self.history[0].target
        shown: dict[str, Any] = {
            "serviceArn": self.stored.arn,
            "serviceName": self.name,
            "clusterArn": self.stored.cluster_arn,
            "status": self.stored.status,
            "desiredCount": self.desired,
            "runningCount": self.running,
            "pendingCount": self.pending,
            "taskDefinition": revision.task_definition,
            "launchType": revision.launch_type,
            "capacityProviderStrategy": list(revision.capacity_provider_strategy) or None,
            "platformVersion": revision.platform_version,
            "platformFamily": "Linux",
            "loadBalancers": list(revision.load_balancers),
            "serviceRegistries": list(revision.service_registries),
            "networkConfiguration": revision.network_configuration or None,
            "deployments": [deployment.describe() for deployment in self.deployments],
            "events": self.events.describe(),
            "roleArn": self.stored.role_arn or self._role(),
            "createdAt": self.created_at,
            "createdBy": f"arn:aws:iam::{self._world.account}:root",
            "schedulingStrategy": self.stored.scheduling_strategy,
            "deploymentController": self.stored.deployment_controller,
            "currentServiceDeployment": self.history[0].arn if self.history[0].open else None,
            "currentServiceRevisions": [_revision_counts(deployment) for deployment in self.deployments],
            "taskSets": self.stored.task_sets or None,
            **self.options,
        }
        if tags:
            shown["tags"] = self.stored.tags
        return {name: value for name, value in shown.items() if value is not None}

    def _role(self) -> str:
        return f"arn:aws:iam::{self._world.account}:role/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS"


def _revision_counts(deployment: Deployment) -> dict[str, Any]:
    return {
        "arn": deployment.revision.arn,
        "requestedTaskCount": deployment.desired if deployment.status == "PRIMARY" else len(deployment.wanted),
        "runningTaskCount": deployment.running,
        "pendingTaskCount": deployment.pending,
    }
