"""Service revisions and service deployments: the history of a service that ListServiceDeployments gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pytest_envdr.sandbox.control_plane.ecs.circuit_breaker import CircuitBreaker
from pytest_envdr.sandbox.control_plane.ecs.identifiers import nineteen_digits, service_deployment_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_envdr.sandbox.control_plane.ecs.deployment import Deployment
    from pytest_envdr.sandbox.control_plane.ecs.deployment_alarms import DeploymentAlarms
    from pytest_envdr.sandbox.control_plane.ecs.failures import Failure

OPEN = ("PENDING", "IN_PROGRESS", "STOP_REQUESTED", "ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS")
"""The states of a service deployment that has not ended."""


@dataclass(frozen=True, kw_only=True)
class Revision:
    """What a service's tasks are made from; a change of any of it makes a new deployment."""

    service_arn: str
    cluster_arn: str
    task_definition: str
    container_images: tuple[dict[str, str], ...]
    launch_type: str | None
    capacity_provider_strategy: tuple[dict[str, Any], ...]
    platform_version: str
    load_balancers: tuple[dict[str, Any], ...]
    service_registries: tuple[dict[str, Any], ...]
    network_configuration: dict[str, Any]
    number: str = field(default_factory=nineteen_digits)
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def arn(self) -> str:
        return self.service_arn.replace(":service/", ":service-revision/") + f"/{self.number}"

    def describe(self) -> dict[str, Any]:
        """The revision as DescribeServiceRevisions has it."""
        shown = {
            "serviceRevisionArn": self.arn,
            "serviceArn": self.service_arn,
            "clusterArn": self.cluster_arn,
            "taskDefinition": self.task_definition,
            "containerImages": list(self.container_images),
            "launchType": self.launch_type,
            "capacityProviderStrategy": list(self.capacity_provider_strategy) or None,
            "platformVersion": self.platform_version,
            "platformFamily": "Linux",
            "loadBalancers": list(self.load_balancers),
            "serviceRegistries": list(self.service_registries),
            "networkConfiguration": self.network_configuration or None,
            "guardDutyEnabled": False,
            "createdAt": self.created_at,
        }
        return {name: value for name, value in shown.items() if value is not None}


class ServiceDeployment:
    """One change of a service from its revisions to another, and how that went.

    Attributes:
        status: PENDING, IN_PROGRESS, SUCCESSFUL, STOPPED (superseded, or failed without a rollback), STOP_REQUESTED,
            and ROLLBACK_REQUESTED, _IN_PROGRESS, _SUCCESSFUL and _FAILED.
        failure: why it is requested to end.
        breaker, alarms: what watches it.
    """

    def __init__(
        self,
        target: Revision,
        sources: list[tuple[Revision, int]],
        desired: int,
        configuration: Mapping[str, Any],
        alarms: DeploymentAlarms,
    ) -> None:
        self.target = target
        self.sources = sources
        self.desired = desired
        self.configuration = dict(configuration)
        self.alarms = alarms
        self.breaker = CircuitBreaker(self.configuration.get("deploymentCircuitBreaker", {}))
        self.failure: Failure | None = None
        self.rollback: dict[str, Any] | None = None
        self.status = "PENDING"
        self.status_reason: str | None = None
        self.times: dict[str, datetime] = {}
        self._enter("PENDING", "createdAt")
        self.arn = target.service_arn.replace(":service/", ":service-deployment/") + f"/{service_deployment_id()}"

    @property
    def open(self) -> bool:
        """Whether it has not ended."""
        return self.status in OPEN

    @property
    def rolling_back(self) -> bool:
        return self.status == "ROLLBACK_IN_PROGRESS"

    def begin(self) -> None:
        if self.status == "PENDING":
            self._enter("IN_PROGRESS", "startedAt")

    def succeed(self) -> None:
        if self.open:
            self._enter("ROLLBACK_SUCCESSFUL" if self.rolling_back else "SUCCESSFUL", "finishedAt")

    def request_end(self, failure: Failure, *, rollback: bool) -> None:
        """Have it stopped, soon; one that is ending already goes on doing so."""
        if self.status in ("PENDING", "IN_PROGRESS"):
            self.failure = failure
            self._enter("ROLLBACK_REQUESTED" if rollback else "STOP_REQUESTED")

    def begin_rollback(self, reason: str, revision: Revision) -> None:
        """The service goes back to `revision`."""
        self._enter("ROLLBACK_IN_PROGRESS")
        self.status_reason = reason
        self.rollback = {"reason": reason, "startedAt": self.times["updatedAt"], "serviceRevisionArn": revision.arn}

    def fail_rollback(self, reason: str) -> None:
        """It failed, and so did going back."""
        self._enter("ROLLBACK_FAILED", "finishedAt")
        self.status_reason = reason

    def stop(self, reason: str) -> None:
        """It failed and is left as it is."""
        self._enter("STOPPED", "finishedAt", "stoppedAt")
        self.status_reason = reason

    def supersede(self) -> None:
        """A newer deployment takes over."""
        if self.open:
            self.stop("Service deployment was stopped because a new service deployment started.")

    def _enter(self, status: str, *times: str) -> None:
        self.status = status
        now = datetime.now(UTC)
        self.times |= dict.fromkeys([*times, "updatedAt"], now)

    def brief(self) -> dict[str, Any]:
        """As ListServiceDeployments has it."""
        shown = {
            "serviceDeploymentArn": self.arn,
            "serviceArn": self.target.service_arn,
            "clusterArn": self.target.cluster_arn,
            "targetServiceRevisionArn": self.target.arn,
            "status": self.status,
            "statusReason": self.status_reason,
            **{name: self.times.get(name) for name in ("createdAt", "startedAt", "finishedAt")},
        }
        return {name: value for name, value in shown.items() if value is not None}

    def describe(self, deployments: Mapping[str, Deployment]) -> dict[str, Any]:
        """As DescribeServiceDeployments has it; `deployments` are the service's present ones by revision ARN."""
        monitoring = self.status in ("PENDING", "IN_PROGRESS")
        shown = {
            **self.brief(),
            **self.times,
            "sourceServiceRevisions": [
                _summary(revision, count, deployments.get(revision.arn)) for revision, count in self.sources
            ],
            "targetServiceRevision": _summary(self.target, self.desired, deployments.get(self.target.arn)),
            "deploymentConfiguration": self.configuration,
            "deploymentCircuitBreaker": self.breaker.describe(self.desired, monitoring=monitoring),
            "alarms": self.alarms.describe(monitoring=monitoring),
            "rollback": self.rollback,
        }
        shown.pop("targetServiceRevisionArn")
        return {name: value for name, value in shown.items() if value is not None}


def _summary(revision: Revision, requested: int, deployment: Deployment | None) -> dict[str, Any]:
    return {
        "arn": revision.arn,
        "requestedTaskCount": requested,
        "runningTaskCount": deployment.running if deployment else 0,
        "pendingTaskCount": deployment.pending if deployment else 0,
    }
