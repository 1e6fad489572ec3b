"""Application Auto Scaling: what may change a desired count, read whole."""

from __future__ import annotations

from pytest_envdr.aws import Aws, application_autoscaling
from pytest_envdr.aws.application_autoscaling import Policy, ScheduledAction, Suspended
from tests import account

RESOURCE = {"ServiceNamespace": "ecs", "ScalableDimension": "ecs:service:DesiredCount"}


def test_a_service_that_is_not_scaled_has_no_target() -> None:
    """None, not an error."""
    assert application_autoscaling.scalable_target(Aws(account.stack()), "service/none/none") is None


def test_a_scalable_target_is_read_with_what_is_suspended() -> None:
    """The bounds, and each of the three suspensions; what AWS does not name is not suspended."""
    name = f"service/{account.CLUSTER}/{account.ecs_service(minimum=1)}"
    aws = Aws(account.stack())
    target = application_autoscaling.scalable_target(aws, name)
    assert target is not None
    assert (target.resource_id, target.minimum, target.maximum) == (name, 1, 4)
    assert target.suspended == Suspended(scale_in=False, scale_out=False, scheduled=False)
    account.plain("application-autoscaling").register_scalable_target(
        ResourceId=name, SuspendedState={"ScheduledScalingSuspended": True}, **RESOURCE
    )
    target = application_autoscaling.scalable_target(aws, name)
    assert target is not None
    assert target.suspended == Suspended(scale_in=False, scale_out=False, scheduled=True)
    assert Suspended.of(target.suspended.state) == target.suspended


def test_policies_and_scheduled_actions_are_read() -> None:
    """What could move the count: policies, and planned changes of the bounds with None where they leave one alone."""
    name = f"service/{account.CLUSTER}/{account.ecs_service(minimum=1)}"
    client = account.plain("application-autoscaling")
    client.put_scaling_policy(PolicyName="steps", ResourceId=name, PolicyType="StepScaling", **RESOURCE)
    client.put_scheduled_action(
        ScheduledActionName="morning",
        Schedule="cron(0 6 * * ? *)",
        ResourceId=name,
        ScalableTargetAction={"MinCapacity": 2},
        **RESOURCE,
    )
    aws = Aws(account.stack())
    assert application_autoscaling.policies(aws, name) == [Policy("steps", "StepScaling", ())]
    assert application_autoscaling.scheduled_actions(aws, name) == [
        ScheduledAction("morning", "cron(0 6 * * ? *)", 2, None)
    ]
