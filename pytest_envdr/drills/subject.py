"""A service as it was before anything was touched, and whether it is fit to be broken."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from pytest_envdr.aws import application_autoscaling, ecs, elbv2
from pytest_envdr.drills import Finding
from pytest_envdr.errors import Refused, WaitTimedOut

if TYPE_CHECKING:
    from pytest_envdr.aws import Aws
    from pytest_envdr.drills import Drill
    from pytest_envdr.stack import Service

SETTLE_SECONDS = 60.0
"""How long the traces of an earlier drill may take to go: a deployment, targets, an alarm."""


@dataclass(frozen=True)
class Subject:
    """A service with all that belongs to it, as it was read at one moment.

    Attributes:
        row: the stack file's.
        service: ECS's.
        tasks: those that were wanted.
        target_groups: those it registers with; none for a service without a port.
        scaling: its scalable target, None where it is not scaled.
        policies, scheduled_actions: what may change its desired count.
    """

    row: Service
    service: ecs.Service
    tasks: tuple[ecs.Task, ...]
    target_groups: tuple[elbv2.TargetGroup, ...]
    scaling: application_autoscaling.ScalableTarget | None
    policies: tuple[application_autoscaling.Policy, ...]
    scheduled_actions: tuple[application_autoscaling.ScheduledAction, ...]

    @property
    def task_ids(self) -> frozenset[str]:
        return frozenset(task.id for task in self.tasks)

    @property
    def as_json(self) -> str:
        """All of it, for the evidence."""
        plain = {key: value for key, value in asdict(self).items() if key != "row"}
        return json.dumps(plain, indent=2, default=str)


def subject(aws: Aws, row: Service) -> Subject:
    """A service as it is now.

    Raises:
        NotFound: there is no such service.
    """
    service = ecs.service(aws, row.name, row.cluster)
    groups = [one.target_group for one in service.load_balancers if one.target_group]
    scaling = application_autoscaling.scalable_target(aws, service.resource_id)
    scaled = scaling is not None
    return Subject(
        row=row,
        service=service,
        tasks=tuple(ecs.tasks(aws, row.cluster, row.name)),
        target_groups=tuple(elbv2.target_group(aws, arn) for arn in groups),
        scaling=scaling,
        policies=tuple(application_autoscaling.policies(aws, service.resource_id)) if scaled else (),
        scheduled_actions=tuple(application_autoscaling.scheduled_actions(aws, service.resource_id)) if scaled else (),
    )


def unsteady(aws: Aws, service: ecs.Service) -> str:
    """Why a service is not as it should be, or "": deployments (whose tasks would confuse the counts), counts, the
    targets' health."""
    if service.deploying:
        states = ", ".join(f"{one.status} {one.rollout_state}" for one in service.deployments)
        only = len(service.deployments) == 1
        return f"no deployment of it has completed ({states})" if only else f"a deployment is in progress ({states})"
    if service.running != service.desired or service.pending:
        return f"{service.running} of {service.desired} tasks run, {service.pending} are pending"
    for group in (one.target_group for one in service.load_balancers if one.target_group):
        if reason := unhealthy(elbv2.target_health(aws, group), wanted=service.desired):
            return reason
    return ""


def unhealthy(targets: list[elbv2.Target], *, wanted: int) -> str:
    """Why a target group does not carry the service, or "". Those draining do not count: they are gone already."""
    counted = [target for target in targets if target.state != "draining"]
    bad = [target for target in counted if target.state != "healthy"]
    if bad:
        return f"target {bad[0].id}:{bad[0].port} is {bad[0].state} ({bad[0].reason or 'no reason'})"
    return "" if len(counted) == wanted else f"{len(counted)} of {wanted} targets are registered"


def check_fit(aws: Aws, drill: Drill, row: Service, *, settle_seconds: float = SETTLE_SECONDS) -> Subject:
    """The service before anything is touched, steady, or a refusal (aws-semantics 4.10).

    Raises:
        UsageError: the drill has no recovery time objective.
        Refused: it is not active, not ECS's own to control, wants no task, or does not become steady in time.
        NotFound: there is no such service.
    """
    drill.check_objective()
    service = ecs.service(aws, row.name, row.cluster)
    if service.status != "ACTIVE":
        raise Refused(f"Service {row.name} is {service.status}, not ACTIVE: there is nothing to exercise.")
    if service.controller != "ECS":
        raise Refused(
            f"Service {row.name} is deployed by {service.controller}: ECS allows no change of its desired count, and "
            "its recovery is not ECS's own."
        )
    if service.desired == 0:
        raise Refused(f"Service {row.name} wants no task: it is down already, and an outage would prove nothing.")
    _await_steady(aws, drill, row, settle_seconds)
    found = subject(aws, row)
    drill.attach(f"{row.name} before.json", found.as_json, media_type="application/json")
    for finding in _weaknesses(found):
        drill.finding(finding)
    return found


def _await_steady(aws: Aws, drill: Drill, row: Service, deadline: float) -> None:
    try:
        drill.wait_until(
            lambda: unsteady(aws, ecs.service(aws, row.name, row.cluster)),
            lambda reason: not reason,
            what=f"{row.name} steady",
            deadline=deadline,
            longest_interval=1.0,
        )
    except WaitTimedOut as error:
        raise Refused(
            f"Service {row.name} is not steady, so nothing was touched: {error.last} (for {deadline:g} s).\n"
            "To go on: wait for the deployment to end, or mend the service."
        ) from error


def _weaknesses(found: Subject) -> list[Finding]:
    """What in the configuration would make a recovery slow or endless, though it need not today."""
    service = found.service
    findings = []
    if found.target_groups and not service.grace_seconds:
        findings.append(
            Finding(
                "service.no-grace",
                "warning",
                f"{service.name} gives new tasks no health-check grace: one that boots slowly is killed for ever",
                "healthCheckGracePeriodSeconds is 0",
                "Set it above the measured start time.",
            )
        )
    if service.az_rebalancing == "ENABLED":
        findings.append(
            Finding(
                "service.rebalancing",
                "note",
                f"{service.name} may be rebalanced between Availability Zones, which stops and starts tasks by itself",
                "availabilityZoneRebalancing is ENABLED",
            )
        )
    return findings
