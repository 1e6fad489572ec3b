"""ECS: what became of a change of a service, by service deployment: when it began, what ended it, what was rolled back.

`describe_services` forgets a deployment that was rolled back, and its counts and task definition then look like success
(aws-semantics 5.2, 5.3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_envdr.aws import Act
from pytest_envdr.errors import AwsError
from pytest_envdr.journal import Inverse

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from pytest_envdr.aws import Aws
    from pytest_envdr.aws.ecs import Service
    from pytest_envdr.journal import Journal

ENDED = ("SUCCESSFUL", "STOPPED", "ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED")
PAGE = 20
"""How many DescribeServiceDeployments takes, and how many of the newest are looked at."""


@dataclass(frozen=True)
class Breaker:
    """The circuit breaker's view. `status` is TRIGGERED, MONITORING, MONITORING_COMPLETE or DISABLED."""

    status: str
    failures: int
    threshold: int


@dataclass(frozen=True)
class Rollback:
    """A deployment's way back: why, since when, to which service revision (its ARN)."""

    reason: str
    started_at: datetime | None
    revision: str


@dataclass(frozen=True)
class ServiceDeployment:
    """One change of a service.

    Attributes:
        status: PENDING, IN_PROGRESS, STOP_REQUESTED, STOPPED, SUCCESSFUL, ROLLBACK_REQUESTED, ROLLBACK_IN_PROGRESS,
            ROLLBACK_SUCCESSFUL or ROLLBACK_FAILED.
        revision: the service revision (its ARN) that it was to bring.
        alarms: deployment alarms that fired.
        watched_alarms: those that ECS was told to look at.
        alarm_watch: DISABLED: it does not, as for a whole deployment if one of them was in ALARM when it began
            (aws-semantics 5, traps).
        rollback: None where it was not rolled back.
    """

    arn: str
    status: str
    reason: str
    revision: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    breaker: Breaker
    alarms: tuple[str, ...]
    watched_alarms: tuple[str, ...]
    alarm_watch: str
    rollback: Rollback | None

    @property
    def ended(self) -> bool:
        return self.status in ENDED


def deployment_of(aws: Aws, service: Service, task_definition: str, *, since: datetime) -> ServiceDeployment | None:
    """The newest change of a service, created from `since` on, that was to bring a task definition (its ARN)."""
    told = changes(aws, service.cluster, service.name, since=since)
    return next((one for one in told if task_definition_of(aws, one.revision) == task_definition), None)


def changes(
    aws: Aws, cluster: str, service: str, *, since: datetime, until: datetime | None = None
) -> list[ServiceDeployment]:
    """The changes of a service created in a span of time, the newest first; no more than PAGE of them."""
    what = f"The deployments of service {service} cannot be read"
    span = {"after": since, **({"before": until} if until else {})}
    listed = aws.call(
        "ecs.ListServiceDeployments", what=what, cluster=cluster, service=service, createdAt=span, maxResults=PAGE
    )["serviceDeployments"]
    arns = [row["serviceDeploymentArn"] for row in listed]
    if not arns:
        return []
    rows = aws.call("ecs.DescribeServiceDeployments", what=what, serviceDeploymentArns=arns)["serviceDeployments"]
    return sorted(map(_service_deployment, rows), key=lambda one: one.created_at, reverse=True)


def roll_back(aws: Aws, journal: Journal, deployment: ServiceDeployment) -> bool:
    """Have ECS end a change of a service that is under way and roll it back; that works where the service is not
    configured to roll back, too (aws-semantics 5.11). Nothing is owed for it: the revision of before comes back.

    Returns whether ECS took the request; it does not once the change has ended.

    Raises:
        AwsError, UsageError: as `Aws.call`.
    """
    arguments = {"serviceDeploymentArn": deployment.arn, "stopType": "ROLLBACK"}
    inverse = Inverse.healed("the revision of before, which ECS rolls back to")
    what = f"Service deployment {deployment.arn.rpartition('/')[2]} cannot be stopped"
    try:
        aws.act(journal, Act("ecs.StopServiceDeployment", arguments, inverse, what))
    except AwsError as error:
        if error.code != "ConflictException":
            raise
        return False
    return True


def task_definition_of(aws: Aws, revision: str) -> str:
    """The task definition (its ARN) of a service revision."""
    what = f"Service revision {revision.rpartition('/')[2]} cannot be read"
    rows = aws.call("ecs.DescribeServiceRevisions", what=what, serviceRevisionArns=[revision])["serviceRevisions"]
    return str(rows[0]["taskDefinition"]) if rows else ""


def _service_deployment(row: Mapping[str, Any]) -> ServiceDeployment:
    breaker = row.get("deploymentCircuitBreaker", {})
    alarms = row.get("alarms", {})
    rollback = row.get("rollback")
    return ServiceDeployment(
        arn=row["serviceDeploymentArn"],
        status=row["status"],
        reason=row.get("statusReason", ""),
        revision=row.get("targetServiceRevision", {}).get("arn", ""),
        created_at=row["createdAt"],
        started_at=row.get("startedAt"),
        finished_at=row.get("finishedAt"),
        breaker=Breaker(breaker.get("status", "DISABLED"), breaker.get("failureCount", 0), breaker.get("threshold", 0)),
        alarms=tuple(alarms.get("triggeredAlarmNames", [])),
        watched_alarms=tuple(alarms.get("alarmNames", [])),
        alarm_watch=alarms.get("status", "DISABLED"),
        rollback=Rollback(rollback.get("reason", ""), rollback.get("startedAt"), rollback.get("serviceRevisionArn", ""))
        if rollback
        else None,
    )
