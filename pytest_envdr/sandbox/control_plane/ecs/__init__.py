"""ECS on Fargate, with a real process for each container.

Where to look: `responses` and `backend`/`task_requests` take requests and record what is wanted. `controller` is the
control loop's step: `agent` takes each task through its life, `scheduler` makes each service's tasks what it wants,
with `rollout` for the arithmetic. A deployment is watched by its `circuit_breaker` and its `deployment_alarms`; what
follows when one of them finds it bad is in `rollback`. `announcements` tells EventBridge. `delays` holds every AWS-side
time.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, cast

from moto.ecs.models import ecs_backends

from pytest_envdr.sandbox.control_plane import logs
from pytest_envdr.sandbox.control_plane.ecs.backend import SandboxEcs
from pytest_envdr.sandbox.control_plane.ecs.controller import EcsController
from pytest_envdr.sandbox.control_plane.ecs.responses import EcsResponses
from pytest_envdr.sandbox.control_plane.extension import extend, on_each_path
from pytest_envdr.sandbox.fidelity import ACTED, SIMULATED, Fidelity

if TYPE_CHECKING:
    from pytest_envdr.sandbox.control_loop import Controller
    from pytest_envdr.sandbox.world import World

__all__ = ["FIDELITY", "install"]

FIDELITY: dict[str, Fidelity] = {
    # A frozen process fails its health checks: the task turns UNHEALTHY and is replaced, and counts and
    # lists change with it.
    "DescribeClusters": ACTED,
    "DescribeServices": ACTED,
    "DescribeTasks": ACTED,
    "ListTasks": ACTED,
    "UpdateService": ACTED,
    # Their answers only say that the intent was recorded.
    "CreateService": SIMULATED,
    "DeleteService": SIMULATED,
    "RunTask": SIMULATED,
    "StopServiceDeployment": SIMULATED,
    "StopTask": SIMULATED,
    # How far the tasks' processes are decides the status, but the history itself is ours.
    "DescribeServiceDeployments": SIMULATED,
    "DescribeServiceRevisions": SIMULATED,
    "ListServiceDeployments": SIMULATED,
    "ListServices": SIMULATED,
    "ListTaskDefinitions": SIMULATED,
}


def install(world: World) -> Controller:
    """Put our backend and responses in moto's place; the controller acts for the world's account and Region."""
    extend("ecs", SandboxEcs)
    on_each_path("ecs", EcsResponses)
    cast("SandboxEcs", ecs_backends[world.account][world.region]).world = world
    return EcsController(world, partial(logs.ship, world))
