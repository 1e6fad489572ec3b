"""Application Auto Scaling of ECS services: what may change a desired count while a drill runs, and holding it still.

Registering a scalable target raises the desired count to the minimum, even when no minimum is given (aws-semantics
0.13). So: suspend first, then lower the desired count; put the desired count back first, then resume.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

from pytest_envdr.aws import Act
from pytest_envdr.journal import Inverse

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from pytest_envdr.aws import Aws
    from pytest_envdr.journal import Journal

NAMESPACE = {"ServiceNamespace": "ecs"}
DIMENSION = {**NAMESPACE, "ScalableDimension": "ecs:service:DesiredCount"}


@dataclass(frozen=True)
class Suspended:
    """What of scaling is suspended."""

    scale_in: bool
    scale_out: bool
    scheduled: bool

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """From AWS's SuspendedState; what it does not name is not suspended."""
        return cls(
            scale_in=row.get("DynamicScalingInSuspended", False),
            scale_out=row.get("DynamicScalingOutSuspended", False),
            scheduled=row.get("ScheduledScalingSuspended", False),
        )

    @property
    def state(self) -> dict[str, bool]:
        """As AWS's SuspendedState, every key given: one that is left out stays as it is."""
        return {
            "DynamicScalingInSuspended": self.scale_in,
            "DynamicScalingOutSuspended": self.scale_out,
            "ScheduledScalingSuspended": self.scheduled,
        }


ALL = Suspended(scale_in=True, scale_out=True, scheduled=True)


@dataclass(frozen=True)
class ScalableTarget:
    """A service that is scaled between `minimum` and `maximum`; `resource_id` is "service/<cluster>/<name>"."""

    resource_id: str
    minimum: int
    maximum: int
    suspended: Suspended


@dataclass(frozen=True)
class Policy:
    """A scaling policy and the alarms that drive it."""

    name: str
    kind: str
    alarms: tuple[str, ...]


@dataclass(frozen=True)
class ScheduledAction:
    """A planned change of the bounds; None where it leaves one alone."""

    name: str
    schedule: str
    minimum: int | None
    maximum: int | None


@dataclass(frozen=True)
class Activity:
    """One change that scaling made, or tried."""

    id: str
    description: str
    cause: str
    status: str
    at: datetime


def scalable_target(aws: Aws, resource_id: str) -> ScalableTarget | None:
    """The scalable target of a service; None where it is not scaled."""
    what = f"The scalable target {resource_id} cannot be read"
    found = list(
        aws.pages(
            "application-autoscaling.DescribeScalableTargets",
            "ScalableTargets",
            what=what,
            ResourceIds=[resource_id],
            **DIMENSION,
        )
    )
    if not found:
        return None
    row = found[0]
    return ScalableTarget(
        row["ResourceId"], row["MinCapacity"], row["MaxCapacity"], Suspended.of(row.get("SuspendedState", {}))
    )


def policies(aws: Aws, resource_id: str) -> list[Policy]:
    """The scaling policies of a service."""
    what = f"The scaling policies of {resource_id} cannot be read"
    rows = aws.pages(
        "application-autoscaling.DescribeScalingPolicies",
        "ScalingPolicies",
        what=what,
        ResourceId=resource_id,
        **DIMENSION,
    )
    return [
        Policy(row["PolicyName"], row["PolicyType"], tuple(alarm["AlarmName"] for alarm in row.get("Alarms", [])))
        for row in rows
    ]


def scheduled_actions(aws: Aws, resource_id: str) -> list[ScheduledAction]:
    """The scheduled actions of a service."""
    what = f"The scheduled actions of {resource_id} cannot be read"
    rows = aws.pages(
        "application-autoscaling.DescribeScheduledActions",
        "ScheduledActions",
        what=what,
        ResourceId=resource_id,
        **DIMENSION,
    )
    return [_scheduled_action(row) for row in rows]


def activities(aws: Aws, resource_id: str, *, since: datetime) -> list[Activity]:
    """What scaling did to a service since an instant, oldest first. AWS shows six weeks."""
    what = f"The scaling activities of {resource_id} cannot be read"
    rows = aws.pages(
        "application-autoscaling.DescribeScalingActivities",
        "ScalingActivities",
        what=what,
        ResourceId=resource_id,
        **DIMENSION,
    )
    found = [
        Activity(row["ActivityId"], row["Description"], row["Cause"], row["StatusCode"], row["StartTime"])
        for row in rows
    ]
    return sorted((one for one in found if one.at >= since), key=lambda one: one.at)


def suspend(aws: Aws, journal: Journal, target: ScalableTarget) -> None:
    """Suspend all scaling of a service, while its desired count is not below the minimum.

    The inverse brings back exactly what was suspended before, not "nothing".
    """
    resource = {"ResourceId": target.resource_id, **DIMENSION}
    before = asdict(target.suspended)
    name = target.resource_id.rpartition("/")[2]
    words = ", ".join(key for key, value in before.items() if value) or "none of it"
    aws.act(
        journal,
        Act(
            "application-autoscaling.RegisterScalableTarget",
            {**resource, "SuspendedState": ALL.state},
            Inverse(
                "application-autoscaling.RegisterScalableTarget",
                {**resource, "SuspendedState": target.suspended.state},
                f"auto scaling of service {name}, suspended: {words}",
            ),
            f"Auto scaling of {target.resource_id} cannot be suspended",
        ),
    )


def _scheduled_action(row: Mapping[str, Any]) -> ScheduledAction:
    bounds = row.get("ScalableTargetAction", {})
    return ScheduledAction(
        row["ScheduledActionName"], row["Schedule"], bounds.get("MinCapacity"), bounds.get("MaxCapacity")
    )
