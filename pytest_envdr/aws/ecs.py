"""ECS: services, their deployments, events and tasks; desired counts, stopped tasks, one-off tasks.

Reads are eventually consistent: after an act the first answers may still show the state before (aws-semantics 4,
traps). Wait for what the act returned before believing a read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from pytest_envdr.aws import Act
from pytest_envdr.errors import NotFound
from pytest_envdr.journal import Inverse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from pytest_envdr.aws import Aws
    from pytest_envdr.journal import Journal

PAGE = 100
"""How many tasks one DescribeTasks takes."""
NO_VARIABLES: Mapping[str, str] = {}


@dataclass(frozen=True)
class Deployment:
    """One of a service's deployments. `status` is PRIMARY, ACTIVE or INACTIVE; `rollout_state` is
    COMPLETED, IN_PROGRESS or FAILED; `failed` counts consecutive tasks that did not start."""

    id: str
    status: str
    rollout_state: str
    rollout_reason: str
    task_definition: str
    desired: int
    running: int
    pending: int
    failed: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class Event:
    """One of a service's latest hundred events; AWS repeats "has reached a steady state" every six hours."""

    id: str
    at: datetime
    message: str


@dataclass(frozen=True)
class LoadBalancer:
    """Where a service's tasks are registered."""

    target_group: str
    container: str
    port: int


@dataclass(frozen=True)
class Service:
    """A service as DescribeServices gives it; `events` has the newest first.

    Attributes:
        controller: ECS, CODE_DEPLOY or EXTERNAL; only ECS's own allows every field to be updated.
        circuit_breaker: whether it is enabled, and `circuit_breaker_rollback` whether it rolls back.
        grace_seconds: health checks of a new task do not count for this long (0: they do at once).
        az_rebalancing: ENABLED may stop and start tasks by itself.
        strategy: ROLLING replaces tasks step by step; BLUE_GREEN, LINEAR and CANARY shift traffic between two sets.
        early_success: whether a deployment may be called successful before all of its tasks are healthy.
    """

    arn: str
    name: str
    cluster: str
    status: str
    desired: int
    running: int
    pending: int
    task_definition: str
    deployments: tuple[Deployment, ...]
    events: tuple[Event, ...]
    load_balancers: tuple[LoadBalancer, ...]
    controller: str
    minimum_percent: int
    maximum_percent: int
    circuit_breaker: bool
    circuit_breaker_rollback: bool
    grace_seconds: int
    az_rebalancing: str
    network: Mapping[str, Any]
    launch_type: str
    strategy: str = "ROLLING"
    early_success: bool = False

    @property
    def resource_id(self) -> str:
        """What Application Auto Scaling calls it."""
        return f"service/{self.cluster}/{self.name}"

    @property
    def primary(self) -> Deployment | None:
        """The deployment that is wanted."""
        return next((one for one in self.deployments if one.status == "PRIMARY"), None)

    @property
    def deploying(self) -> bool:
        """Whether a deployment is under way. Counts alone do not tell (aws-semantics 0.8)."""
        primary = self.primary
        return len(self.deployments) != 1 or primary is None or primary.rollout_state not in ("COMPLETED", "")

    @property
    def steady(self) -> bool:
        """Whether every task that is wanted runs, and no deployment is under way. Says nothing about their health."""
        return self.running == self.desired and not self.pending and not self.deploying


@dataclass(frozen=True)
class Task:
    """A task as DescribeTasks gives it. A stopped one is shown for about an hour (aws-semantics 4.5).

    Attributes:
        address: the private IP of its network interface; None before it has one, and with host networking.
        group: "service:<name>" for a service's own.
        started_by: the deployment's id for a service's own; what RunTask was told for others.
        exit_codes: container to exit code, of those that have ended.
        reasons: container to why it never started or was killed, where ECS says so.
        digests: container to its image's digest, of those whose image was pulled.
    """

    arn: str
    group: str
    task_definition: str
    last_status: str
    desired_status: str
    health: str
    address: str | None
    started_by: str
    stop_code: str
    stopped_reason: str
    exit_codes: Mapping[str, int]
    reasons: Mapping[str, str]
    digests: Mapping[str, str]
    created_at: datetime | None
    connectivity_at: datetime | None
    pull_started_at: datetime | None
    pull_stopped_at: datetime | None
    started_at: datetime | None
    stopping_at: datetime | None
    execution_stopped_at: datetime | None
    stopped_at: datetime | None

    @property
    def id(self) -> str:
        """The last part of its ARN."""
        return self.arn.rpartition("/")[2]


def service(aws: Aws, name: str, cluster: str) -> Service:
    """A service as it is.

    Raises:
        NotFound: there is no such service or cluster; says where the name came from.
        AwsError, UsageError: as `Aws.call`.
    """
    what = f"Service {name} of cluster {cluster} cannot be read"
    try:
        answer = aws.call("ecs.DescribeServices", what=what, cluster=cluster, services=[name])
    except NotFound as error:
        raise aws.not_found(f"There is no cluster {cluster}, where service {name} should be", cluster) from error
    if not answer["services"]:
        reason = answer["failures"][0].get("reason", "MISSING") if answer["failures"] else "MISSING"
        raise aws.not_found(f"There is no service {name} in cluster {cluster}: ECS says {reason}", name, cluster)
    return _service(answer["services"][0])


def tasks(aws: Aws, cluster: str, service: str, *, status: str = "RUNNING") -> list[Task]:
    """A service's tasks, oldest first, whose *desired* status is RUNNING (or STOPPED: of about the last hour)."""
    what = f"The tasks of service {service} cannot be read"
    found = aws.pages(
        "ecs.ListTasks", "taskArns", what=what, cluster=cluster, serviceName=service, desiredStatus=status
    )
    return described(aws, cluster, list(found))


def tasks_started_by(aws: Aws, cluster: str, started_by: str) -> list[Task]:
    """The tasks that RunTask started under a name and that shall run. ECS allows no other filter beside this one."""
    what = f"The tasks started by {started_by} cannot be read"
    found = aws.pages("ecs.ListTasks", "taskArns", what=what, cluster=cluster, startedBy=started_by)
    return described(aws, cluster, list(found))


def described(aws: Aws, cluster: str, arns: Sequence[str]) -> list[Task]:
    """The tasks of these ARNs that ECS still shows, oldest first."""
    rows: list[dict[str, Any]] = []
    for start in range(0, len(arns), PAGE):
        page = list(arns[start : start + PAGE])
        what = f"{len(page)} tasks of cluster {cluster} cannot be read"
        rows += aws.call("ecs.DescribeTasks", what=what, cluster=cluster, tasks=page)["tasks"]
    return sorted(map(_task, rows), key=lambda task: (task.created_at is not None, task.created_at, task.arn))


def set_desired_count(aws: Aws, journal: Journal, service: Service, *, count: int) -> Service:
    """Ask for another number of tasks. What stood there before is the inverse, not what a template says.

    Auto scaling is not asked and not stopped: suspend it first (aws-semantics 4.3).
    """
    arguments = {"cluster": service.cluster, "service": service.name, "desiredCount": count}
    inverse = Inverse(
        "ecs.UpdateService",
        {**arguments, "desiredCount": service.desired, "set": count},
        f"service {service.name} desired count {service.desired}",
    )
    what = f"The desired count of service {service.name} cannot be set to {count}"
    return _service(aws.act(journal, Act("ecs.UpdateService", arguments, inverse, what))["service"])


def set_task_definition(aws: Aws, journal: Journal, service: Service, definition: str) -> Service:
    """Deploy another task definition (its ARN). The one that was deployed before is the inverse."""
    arguments = {"cluster": service.cluster, "service": service.name, "taskDefinition": definition}
    before = service.task_definition
    inverse = Inverse(
        "ecs.UpdateService",
        {**arguments, "taskDefinition": before, "set": definition},
        f"service {service.name} task definition {before.rpartition('/')[2]}",
    )
    what = f"{definition.rpartition('/')[2]} cannot be deployed to service {service.name}"
    return _service(aws.act(journal, Act("ecs.UpdateService", arguments, inverse, what))["service"])


def stop_task(aws: Aws, journal: Journal, task: Task, *, cluster: str, reason: str) -> None:
    """Stop a service's task: SIGTERM, then SIGKILL. The service's scheduler starts another; so nothing is owed.

    `reason` is shown by ECS, up to 255 characters.
    """
    arguments = {"cluster": cluster, "task": task.arn, "reason": reason[:255]}
    inverse = Inverse.healed(f"a task in the place of {task.id}, which the scheduler of {task.group} starts")
    aws.act(journal, Act("ecs.StopTask", arguments, inverse, f"Task {task.id} cannot be stopped"))


def run_task(
    aws: Aws,
    journal: Journal,
    service: Service,
    *,
    container: str,
    command: Sequence[str] = (),
    environment: Mapping[str, str] = NO_VARIABLES,
    security_groups: Sequence[str] = (),
) -> Task:
    """Run a task like the service's own once, beside it. Undone, it is stopped if it still runs.

    Args:
        aws: the account.
        journal: where the stopping is written first.
        service: whose task definition, network and launch type are taken.
        container: which of its containers the rest is about.
        command: another command than the task definition's; none leaves it.
        environment: variables beside the task definition's, or in their place.
        security_groups: ids, beside the service's own.

    Raises:
        AwsError: ECS could not start it; says why.
    """
    started_by = f"envdr-{uuid4().hex[:12]}"
    override: dict[str, Any] = {"name": container}
    if command:
        override["command"] = list(command)
    if environment:
        override["environment"] = [{"name": name, "value": value} for name, value in environment.items()]
    arguments = {
        "cluster": service.cluster,
        "taskDefinition": service.task_definition,
        "launchType": service.launch_type,
        "networkConfiguration": _network(service, security_groups),
        "overrides": {"containerOverrides": [override]},
        "startedBy": started_by,
        # A retry of the same call starts no second task.
        "clientToken": started_by,
        "tags": [{"key": "envdr:exercise", "value": journal.header.exercise}],
    }
    words = " ".join(command) or container
    what = f"`{words}` cannot be run in a task of {service.name}"
    inverse = Inverse(
        "ecs.StopTask", {"cluster": service.cluster, "startedBy": started_by}, f"no task of `{words}` left running"
    )
    act = Act("ecs.RunTask", {key: value for key, value in arguments.items() if value}, inverse, what)
    answer = aws.act(journal, act, kept=_started)
    if not answer["tasks"]:
        reasons = "; ".join(str(failure.get("reason")) for failure in answer["failures"])
        raise aws.refused(f"{what}: ECS says {reasons or 'nothing'}", code=reasons)
    return _task(answer["tasks"][0])


def _network(service: Service, security_groups: Sequence[str]) -> dict[str, Any]:
    network = dict(service.network)
    if security_groups and "awsvpcConfiguration" in network:
        inner = network["awsvpcConfiguration"]
        groups = [*inner.get("securityGroups", []), *security_groups]
        network["awsvpcConfiguration"] = {**inner, "securityGroups": groups}
    return network


def _started(answer: dict[str, Any]) -> dict[str, Any]:
    return {"tasks": [task["taskArn"] for task in answer["tasks"]]}


def _service(row: dict[str, Any]) -> Service:
    configuration = row.get("deploymentConfiguration", {})
    breaker = configuration.get("deploymentCircuitBreaker", {})
    return Service(
        arn=row["serviceArn"],
        name=row["serviceName"],
        cluster=row["clusterArn"].rpartition("/")[2],
        status=row["status"],
        desired=row["desiredCount"],
        running=row["runningCount"],
        pending=row["pendingCount"],
        task_definition=row.get("taskDefinition", ""),
        deployments=tuple(map(_deployment, row.get("deployments", []))),
        events=tuple(Event(event["id"], event["createdAt"], event["message"]) for event in row.get("events", [])),
        load_balancers=tuple(map(_load_balancer, row.get("loadBalancers", []))),
        controller=row.get("deploymentController", {}).get("type", "ECS"),
        minimum_percent=configuration.get("minimumHealthyPercent", 100),
        maximum_percent=configuration.get("maximumPercent", 200),
        circuit_breaker=breaker.get("enable", False),
        circuit_breaker_rollback=breaker.get("rollback", False),
        grace_seconds=row.get("healthCheckGracePeriodSeconds") or 0,
        az_rebalancing=row.get("availabilityZoneRebalancing", ""),
        network=row.get("networkConfiguration", {}),
        launch_type=row.get("launchType", ""),
        strategy=configuration.get("strategy", "ROLLING"),
        early_success=configuration.get("earlySuccessCriteria", {}).get("enable", False),
    )


def _load_balancer(row: dict[str, Any]) -> LoadBalancer:
    return LoadBalancer(row.get("targetGroupArn", ""), row.get("containerName", ""), row.get("containerPort", 0))


def _deployment(row: dict[str, Any]) -> Deployment:
    return Deployment(
        id=row["id"],
        status=row["status"],
        rollout_state=row.get("rolloutState", ""),
        rollout_reason=row.get("rolloutStateReason", ""),
        task_definition=row["taskDefinition"],
        desired=row["desiredCount"],
        running=row["runningCount"],
        pending=row["pendingCount"],
        failed=row.get("failedTasks", 0),
        created_at=row["createdAt"],
        updated_at=row["updatedAt"],
    )


def _task(row: dict[str, Any]) -> Task:
    return Task(
        arn=row["taskArn"],
        group=row.get("group", ""),
        task_definition=row.get("taskDefinitionArn", ""),
        last_status=row["lastStatus"],
        desired_status=row.get("desiredStatus", ""),
        health=row.get("healthStatus", "UNKNOWN"),
        address=_address(row),
        started_by=row.get("startedBy", ""),
        stop_code=row.get("stopCode", ""),
        stopped_reason=row.get("stoppedReason", ""),
        exit_codes={one["name"]: one["exitCode"] for one in row.get("containers", []) if "exitCode" in one},
        reasons={one["name"]: one["reason"] for one in row.get("containers", []) if one.get("reason")},
        digests={one["name"]: one["imageDigest"] for one in row.get("containers", []) if one.get("imageDigest")},
        created_at=row.get("createdAt"),
        connectivity_at=row.get("connectivityAt"),
        pull_started_at=row.get("pullStartedAt"),
        pull_stopped_at=row.get("pullStoppedAt"),
        started_at=row.get("startedAt"),
        stopping_at=row.get("stoppingAt"),
        execution_stopped_at=row.get("executionStoppedAt"),
        stopped_at=row.get("stoppedAt"),
    )


def _address(row: dict[str, Any]) -> str | None:
    details = [detail for one in row.get("attachments", []) for detail in one.get("details", [])]
    return next((one["value"] for one in details if one.get("name") == "privateIPv4Address"), None)
