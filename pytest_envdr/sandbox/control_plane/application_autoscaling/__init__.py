"""Application Auto Scaling: what raises and lowers the desired counts of ECS services.

`steps` and `schedules` are pure; `backend` decides and acts, `activities` remembers, `responses` answers. Cooldowns are
divided by `speed`, schedules are not. Target tracking is stored only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from moto.applicationautoscaling.models import applicationautoscaling_backends

from pytest_envdr.sandbox.control_plane.application_autoscaling.backend import SandboxApplicationAutoScaling, Trigger
from pytest_envdr.sandbox.control_plane.application_autoscaling.responses import SandboxApplicationAutoScalingResponse
from pytest_envdr.sandbox.control_plane.extension import extend, on_each_path
from pytest_envdr.sandbox.fidelity import SIMULATED, Fidelity

if TYPE_CHECKING:
    from pytest_envdr.sandbox.control_loop import Controller
    from pytest_envdr.sandbox.world import World

__all__ = ["FIDELITY", "SandboxApplicationAutoScaling", "Trigger", "install"]

FIDELITY: dict[str, Fidelity] = {
    # The desired counts that follow are acted out by ECS; the decisions here are our state machine's.
    "RegisterScalableTarget": SIMULATED,
    "DeregisterScalableTarget": SIMULATED,
    "DescribeScalableTargets": SIMULATED,
    "PutScalingPolicy": SIMULATED,
    "DeleteScalingPolicy": SIMULATED,
    "DescribeScalingPolicies": SIMULATED,
    "PutScheduledAction": SIMULATED,
    "DeleteScheduledAction": SIMULATED,
    "DescribeScheduledActions": SIMULATED,
    "DescribeScalingActivities": SIMULATED,
}


class ScalingController:
    """The loop's part: schedules, and the ends of activities."""

    def __init__(self, world: World) -> None:
        self._world = world

    def step(self) -> None:
        """Run what is due, end what is done."""
        backend = applicationautoscaling_backends[self._world.account][self._world.region]
        if isinstance(backend, SandboxApplicationAutoScaling):
            backend.run_due_actions()
            backend.settle_activities()

    def close(self) -> None:
        """Nothing to stop."""


def install(world: World) -> Controller:
    """Put our backend and answers in moto's place, before the first request."""
    SandboxApplicationAutoScaling.speed = world.speed
    extend("applicationautoscaling", SandboxApplicationAutoScaling)
    on_each_path("applicationautoscaling", SandboxApplicationAutoScalingResponse)
    return ScalingController(world)
