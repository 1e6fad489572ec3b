"""Desired counts that Application Auto Scaling raises and lowers, through boto3."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError
from moto.ecs.models import EC2ContainerServiceBackend
from moto.ecs.responses import EC2ContainerServiceResponse

from pytest_envdr.sandbox.control_plane import application_autoscaling, cloudwatch
from pytest_envdr.sandbox.control_plane.extension import extend, on_each_path
from pytest_envdr.waiting import pause, wait_until
from tests.sandbox.control_plane.served import Served, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

SUSPENDED = {
    "DynamicScalingInSuspended": True,
    "DynamicScalingOutSuspended": True,
    "ScheduledScalingSuspended": True,
}
OUT = {
    "AdjustmentType": "ChangeInCapacity",
    "StepAdjustments": [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}],
}
IN = {
    "AdjustmentType": "ChangeInCapacity",
    "StepAdjustments": [{"MetricIntervalUpperBound": 0, "ScalingAdjustment": -1}],
}
LONG_ENOUGH = 1.0
"""Wall seconds in which an alarm of 10 s is evaluated five times at this speed."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    directory = tmp_path_factory.mktemp("scaling")
    # Counts alone are looked at: moto's own ECS does, whatever an earlier file of this process has put in its place.
    extend("ecs", EC2ContainerServiceBackend)
    on_each_path("ecs", EC2ContainerServiceResponse)
    modules = {"application-autoscaling": application_autoscaling, "cloudwatch": cloudwatch}
    with serving(directory, modules, region="eu-west-3", network="127.206.0.0/16", speed=50) as served:
        yield served


@dataclass
class Scaled:
    """One ECS service and its scalable target."""

    served: Served
    name: str = field(default_factory=lambda: f"web-{uuid4().hex[:8]}")

    def __post_init__(self) -> None:
        self.ecs, self.scaling = self.served.client("ecs"), self.served.client("application-autoscaling")
        self.cloudwatch = self.served.client("cloudwatch")
        self.ecs.create_cluster(clusterName=self.name)
        container = {"name": "web", "image": "web:1", "memory": 128}
        self.ecs.register_task_definition(family=self.name, containerDefinitions=[container])
        self.ecs.create_service(cluster=self.name, serviceName=self.name, taskDefinition=self.name, desiredCount=2)
        dimension, resource = "ecs:service:DesiredCount", f"service/{self.name}/{self.name}"
        self.target = {"ServiceNamespace": "ecs", "ResourceId": resource, "ScalableDimension": dimension}

    def register(self, **other: Any) -> Scaled:
        self.scaling.register_scalable_target(**self.target, **other)
        return self

    def want(self, count: int) -> Scaled:
        self.ecs.update_service(cluster=self.name, service=self.name, desiredCount=count)
        return self

    @property
    def desired(self) -> int:
        return int(self.ecs.describe_services(cluster=self.name, services=[self.name])["services"][0]["desiredCount"])

    def wait_for(self, count: int) -> None:
        wait_until(lambda: self.desired, lambda desired: desired == count, what=f"{count} desired", deadline=10)

    def activities(self) -> list[dict[str, Any]]:
        return list(self.scaling.describe_scaling_activities(**self.target)["ScalingActivities"])

    def policy(self, configuration: dict[str, Any], name: str = "step") -> str:
        answer = self.scaling.put_scaling_policy(
            **self.target, PolicyName=name, PolicyType="StepScaling", StepScalingPolicyConfiguration=configuration
        )
        return str(answer["PolicyARN"])

    def alarm(self, policy: str, **other: Any) -> None:
        """An alarm that a missing metric puts into ALARM, so that it drives the policy at once."""
        settings = {
            "AlarmName": self.name,
            "Namespace": "Shop",
            "MetricName": self.name,
            "Statistic": "Sum",
            "Period": 10,
            "EvaluationPeriods": 1,
            "Threshold": 1,
            "ComparisonOperator": "GreaterThanThreshold",
            "TreatMissingData": "breaching",
            "AlarmActions": [policy],
        }
        self.cloudwatch.put_metric_alarm(**(settings | other))

    def schedule(self, **action: int) -> datetime:
        """A scheduled action a second from now."""
        at = datetime.now(UTC) + timedelta(seconds=2)
        self.scaling.put_scheduled_action(
            **self.target,
            ScheduledActionName="soon",
            Schedule=f"at({at:%Y-%m-%dT%H:%M:%S})",
            ScalableTargetAction=action,
        )
        return at


@pytest.fixture
def service(served: Served) -> Scaled:
    return Scaled(served)


def test_ecs_itself_knows_no_minimum(service: Scaled) -> None:
    """An update below the minimum capacity is accepted and stands."""
    service.register(MinCapacity=1, MaxCapacity=4).want(0)
    pause(LONG_ENOUGH)
    assert service.desired == 0


def test_registering_raises_to_the_minimum_even_when_it_only_suspends(service: Scaled) -> None:
    """Registering a target again lifts the desired count to the minimum, though it names no capacity and suspends."""
    service.register(MinCapacity=1, MaxCapacity=4).want(0).register(SuspendedState=SUSPENDED)
    assert service.desired == 1
    [activity] = service.activities()
    assert (activity["Cause"], activity["Description"]) == (
        "minimum capacity was set to 1",
        "Setting desired count to 1.",
    )
    [target] = service.scaling.describe_scalable_targets(
        ServiceNamespace="ecs", ResourceIds=[service.target["ResourceId"]]
    )["ScalableTargets"]
    assert (target["MinCapacity"], target["MaxCapacity"], target["SuspendedState"]) == (1, 4, SUSPENDED)


def test_registering_keeps_what_it_does_not_name(service: Scaled) -> None:
    """A target keeps its suspension when registered again without one, and each member that is not named."""
    service.register(MinCapacity=1, MaxCapacity=4, SuspendedState=SUSPENDED).register(MaxCapacity=5)
    service.register(SuspendedState={"DynamicScalingInSuspended": False})
    [target] = service.scaling.describe_scalable_targets(
        ServiceNamespace="ecs", ResourceIds=[service.target["ResourceId"]]
    )["ScalableTargets"]
    assert target["SuspendedState"] == SUSPENDED | {"DynamicScalingInSuspended": False}
    assert target["MaxCapacity"] == 5


def test_registering_lowers_to_the_maximum(service: Scaled) -> None:
    """A desired count above the maximum is brought down to it."""
    service.want(6).register(MinCapacity=1, MaxCapacity=3)
    assert service.desired == 3


def test_an_alarm_scales_out_from_below_the_minimum(service: Scaled) -> None:
    """A scale-out while the desired count is below the minimum goes to the minimum, with the cause that AWS gives."""
    service.register(MinCapacity=2, MaxCapacity=4).want(0)
    service.alarm(service.policy(OUT))
    service.wait_for(2)
    [activity] = service.activities()
    assert activity["Cause"] == f"monitor alarm {service.name} in state ALARM triggered policy step"
    [policy] = service.scaling.describe_scaling_policies(
        ServiceNamespace="ecs", ResourceId=service.target["ResourceId"]
    )["ScalingPolicies"]
    assert [alarm["AlarmName"] for alarm in policy["Alarms"]] == [service.name]


def test_a_set_state_scales_by_the_datapoints_that_it_names(service: Scaled) -> None:
    """SetAlarmState with reason data drives the step that the newest data point lies in."""
    steps = [
        {"MetricIntervalLowerBound": 0, "MetricIntervalUpperBound": 10, "ScalingAdjustment": 1},
        {"MetricIntervalLowerBound": 10, "ScalingAdjustment": 2},
    ]
    service.register(MinCapacity=1, MaxCapacity=9)
    service.alarm(service.policy(OUT | {"StepAdjustments": steps}), TreatMissingData="ignore")
    service.cloudwatch.set_alarm_state(
        AlarmName=service.name, StateValue="ALARM", StateReason="x", StateReasonData='{"recentDatapoints": [1, 20]}'
    )
    service.wait_for(4)


def test_an_alarm_that_lasts_scales_on_to_the_maximum(service: Scaled) -> None:
    """While the alarm stays, its policy runs at each evaluation, a cooldown apart, until the maximum."""
    service.register(MinCapacity=1, MaxCapacity=4)
    service.alarm(service.policy(OUT | {"Cooldown": 10}))
    service.wait_for(4)
    pause(LONG_ENOUGH)
    assert service.desired == 4


def test_a_cooldown_holds_the_next_step(service: Scaled) -> None:
    """Within the cooldown, the same policy does not scale out again."""
    service.register(MinCapacity=1, MaxCapacity=4)
    service.alarm(service.policy(OUT | {"Cooldown": 3000}))
    service.wait_for(3)
    pause(LONG_ENOUGH)
    assert service.desired == 3


def test_an_alarm_does_not_scale_in_below_the_minimum(service: Scaled) -> None:
    """Scale-in stops at the minimum, and does nothing below it."""
    service.register(MinCapacity=1, MaxCapacity=4)
    service.alarm(service.policy(IN | {"Cooldown": 1}))
    service.wait_for(1)
    service.want(0)
    pause(LONG_ENOUGH)
    assert service.desired == 0


def test_suspension_holds_dynamic_scaling(service: Scaled) -> None:
    """A suspended target does not follow its alarm; resumed, it does."""
    service.register(MinCapacity=1, MaxCapacity=4, SuspendedState=SUSPENDED)
    service.alarm(service.policy(OUT))
    pause(LONG_ENOUGH)
    assert (service.desired, service.activities()) == (2, [])
    service.register(SuspendedState={"DynamicScalingOutSuspended": False})
    service.wait_for(3)


def test_a_scheduled_action_lifts_to_its_minimum(service: Scaled) -> None:
    """A scheduled action sets the range at its time and brings the desired count into it."""
    service.register(MinCapacity=1, MaxCapacity=4).want(0)
    service.schedule(MinCapacity=3, MaxCapacity=6)
    service.wait_for(3)
    causes = [activity["Cause"] for activity in service.activities()]
    assert causes == ["minimum capacity was set to 3", "scheduled action name soon was triggered"]
    [action] = service.scaling.describe_scheduled_actions(
        ServiceNamespace="ecs", ResourceId=service.target["ResourceId"]
    )["ScheduledActions"]
    assert action["ScalableTargetAction"] == {"MinCapacity": 3, "MaxCapacity": 6}


def test_suspension_holds_scheduled_actions(service: Scaled) -> None:
    """A scheduled action of a suspended target passes without effect and is not made up for."""
    service.register(MinCapacity=1, MaxCapacity=4, SuspendedState=SUSPENDED).want(0)
    at = service.schedule(MinCapacity=3)
    wait_until(lambda: datetime.now(UTC) > at + timedelta(seconds=0.5), what="the action's time", deadline=10)
    assert service.desired == 0


def test_a_target_takes_its_policies_and_actions_with_it(service: Scaled) -> None:
    """Deregistering deletes policies and scheduled actions; a second time, the target is not found."""
    service.register(MinCapacity=1, MaxCapacity=4)
    service.policy(OUT)
    service.scaling.deregister_scalable_target(**service.target)
    wanted = {"ServiceNamespace": "ecs", "ResourceId": service.target["ResourceId"]}
    assert service.scaling.describe_scaling_policies(**wanted)["ScalingPolicies"] == []
    with pytest.raises(service.scaling.exceptions.ObjectNotFoundException):
        service.scaling.deregister_scalable_target(**service.target)
    with pytest.raises(service.scaling.exceptions.ObjectNotFoundException):
        service.policy(OUT)


def test_a_changed_policy_keeps_its_arn(service: Scaled) -> None:
    """An alarm goes on finding a policy that was changed."""
    service.register(MinCapacity=1, MaxCapacity=4)
    assert service.policy(OUT) == service.policy(IN)


def test_wrong_settings_are_refused(service: Scaled) -> None:
    """A new target without capacities, a range upside down and a schedule that is none are validation errors."""
    with pytest.raises(ClientError, match="ValidationException"):
        service.register()
    with pytest.raises(ClientError, match="ValidationException"):
        service.register(MinCapacity=3, MaxCapacity=1)
    service.register(MinCapacity=1, MaxCapacity=3)
    with pytest.raises(ClientError, match="ValidationException"):
        service.scaling.put_scheduled_action(**service.target, ScheduledActionName="x", Schedule="now()")
