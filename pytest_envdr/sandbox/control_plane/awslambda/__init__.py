"""Lambda: a function is a real process that runs the uploaded zip; another zip, other behaviour.

Where to look: `responses` and `backend` take requests; `function` is what is known of one; `execution` runs it once,
with `bootstrap` in the child and its `environment`; `concurrency` says how often at once; `asynchronous` is an accepted
event's way, which the `controller` takes it along, until `destinations` hands it on. `metrics` tells CloudWatch,
`delays` holds every AWS-side delay.

For other services, in process: `SandboxLambda.accept_from`, which checks the function's policy.

Python runtimes only, which all run with the sandbox's own interpreter and what is installed beside it. Roles are kept,
and do nothing. Not here, answered 501: other runtimes, images, layers, event source mappings, function URLs, functions
that are subscribed to topics.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from moto.awslambda.models import lambda_backends

from pytest_envdr.sandbox.control_plane.awslambda.backend import SandboxLambda
from pytest_envdr.sandbox.control_plane.awslambda.controller import LambdaController
from pytest_envdr.sandbox.control_plane.awslambda.errors import NotPermitted
from pytest_envdr.sandbox.control_plane.awslambda.responses import SandboxLambdaResponse
from pytest_envdr.sandbox.control_plane.calling import Caller
from pytest_envdr.sandbox.control_plane.extension import every_path, extend
from pytest_envdr.sandbox.fidelity import ACTED, SIMULATED, Fidelity

if TYPE_CHECKING:
    from pytest_envdr.sandbox.control_loop import Controller
    from pytest_envdr.sandbox.world import World

__all__ = ["FIDELITY", "NotPermitted", "SandboxLambda", "install"]

FIDELITY: dict[str, Fidelity] = {
    # A function whose process is frozen does not answer.
    "Invoke": ACTED,
    **dict.fromkeys(
        (
            "AddPermission",
            "CreateFunction",
            "DeleteFunction",
            "DeleteFunctionConcurrency",
            "DeleteFunctionEventInvokeConfig",
            "GetAccountSettings",
            "GetFunction",
            "GetFunctionConcurrency",
            "GetFunctionConfiguration",
            "GetFunctionEventInvokeConfig",
            "GetPolicy",
            "InvokeAsync",
            "ListFunctionEventInvokeConfigs",
            "ListFunctions",
            "PutFunctionConcurrency",
            "PutFunctionEventInvokeConfig",
            "RemovePermission",
            "UpdateFunctionCode",
            "UpdateFunctionConfiguration",
            "UpdateFunctionEventInvokeConfig",
        ),
        SIMULATED,
    ),
}


def install(world: World) -> Controller:
    """Put our backend and responses in moto's place, before the first request."""
    extend("lambda", SandboxLambda)
    every_path("awslambda", SandboxLambdaResponse)
    backend = cast("SandboxLambda", lambda_backends[world.account][world.region])
    backend.world = world
    return LambdaController(world, backend, Caller(world))
