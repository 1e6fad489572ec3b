"""Elastic Load Balancing v2, Application Load Balancers: HAProxy carries the traffic, the control loop decides health.

How the parts stand to each other: requests change `backend` (moto's objects and the targets' states); `controller`
steps `target_health`, and tells each `node` what its HAProxy shall do; `checker` asks the targets; `traffic` hears what
HAProxy did and `metrics` sends it to CloudWatch; `routing` translates listeners and rules.

Not acted out: TLS listeners, stickiness, authentication actions, slow start, lambda targets, network load balancers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import moto.elb.urls
from moto.elbv2.models import elbv2_backends

from pytest_envdr.sandbox.control_plane.elbv2.backend import SandboxELBv2
from pytest_envdr.sandbox.control_plane.elbv2.controller import Controller
from pytest_envdr.sandbox.control_plane.elbv2.responses import SandboxELBv2Response
from pytest_envdr.sandbox.control_plane.extension import extend
from pytest_envdr.sandbox.data_plane.haproxy import check_installed
from pytest_envdr.sandbox.fidelity import ACTED, SIMULATED, Fidelity

if TYPE_CHECKING:
    from pytest_envdr.sandbox.world import World

FIDELITY: dict[str, Fidelity] = {
    # A frozen target turns unhealthy, a frozen HAProxy makes its load balancer `failed`.
    "DescribeTargetHealth": ACTED,
    "DescribeLoadBalancers": ACTED,
    # Their answers only say that the intent was recorded.
    **dict.fromkeys(
        (
            "RegisterTargets",
            "DeregisterTargets",
            "CreateLoadBalancer",
            "DeleteLoadBalancer",
            "CreateListener",
            "ModifyListener",
            "DeleteListener",
            "CreateRule",
            "ModifyRule",
            "DeleteRule",
            "SetRulePriorities",
            "CreateTargetGroup",
            "ModifyTargetGroup",
            "ModifyTargetGroupAttributes",
            "DeleteTargetGroup",
            "ModifyLoadBalancerAttributes",
        ),
        SIMULATED,
    ),
}


def install(world: World) -> Controller:
    """Put our backend in moto's place, before the first request.

    Raises:
        MissingProgram: HAProxy is not installed.
    """
    check_installed()
    extend("elbv2", SandboxELBv2)
    # elb and elbv2 share one path; elb's dispatcher names moto's class.
    moto.elb.urls.ELBV2Response = SandboxELBv2Response  # type: ignore[attr-defined]
    backend = cast("SandboxELBv2", elbv2_backends[world.account][world.region])
    backend.world = world
    return Controller(world, backend)
