"""CodePipeline: executions go from stage to stage, and each action really does what it says.

Where to look: `responses`, `backend` and `requests` take requests; `views` shows what is known. `line` has the rules:
who is in which stage, who waits, who is overtaken. `declaration` is what a pipeline is told to be, `execution` what is
known of one execution. The `controller` steps all that and gives each action to a thread, where a `job` takes it to
`source_action` (S3), `build_action` (CodeBuild) or `deploy_action` (ECS), which call these services; an approval waits
for PutApprovalResult.

For the seed, in process: `history.record`.

What may surprise, and is so on AWS: a pipeline runs once when it is created; the deploy action does not notice that the
circuit breaker rolls back, and stays in progress until its `DeploymentTimeout`. Inferred, as the references say only
that a rollback starts in its stage: a disabled transition does not keep it out, and it goes no further.

Not here, answered 501: other providers, PARALLEL mode, triggers, conditions and automatic rollback or retry, webhooks,
jobs and custom actions, outbound transitions, a bucket a Region. Variables of a pipeline are kept, and stand for
nothing in a configuration.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from moto.codepipeline.models import codepipeline_backends

from pytest_envdr.sandbox.control_plane.calling import Caller
from pytest_envdr.sandbox.control_plane.codepipeline.backend import SandboxCodePipeline
from pytest_envdr.sandbox.control_plane.codepipeline.controller import PipelineController
from pytest_envdr.sandbox.control_plane.codepipeline.responses import SandboxCodePipelineResponse
from pytest_envdr.sandbox.control_plane.extension import extend, on_each_path
from pytest_envdr.sandbox.fidelity import ACTED, SIMULATED, Fidelity

if TYPE_CHECKING:
    from pytest_envdr.sandbox.control_loop import Controller
    from pytest_envdr.sandbox.world import World

__all__ = ["FIDELITY", "SandboxCodePipeline", "install"]

FIDELITY: dict[str, Fidelity] = {
    # An action is Succeeded only after its object was fetched, its commands ran, its service is steady.
    **dict.fromkeys(("GetPipelineExecution", "GetPipelineState", "ListActionExecutions"), ACTED),
    # Their answers only say that the intent was recorded, or what was; a past may have been made up.
    **dict.fromkeys(
        (
            "CreatePipeline",
            "DeletePipeline",
            "DisableStageTransition",
            "EnableStageTransition",
            "GetPipeline",
            "ListPipelineExecutions",
            "PutApprovalResult",
            "RetryStageExecution",
            "RollbackStage",
            "StartPipelineExecution",
            "StopPipelineExecution",
            "UpdatePipeline",
        ),
        SIMULATED,
    ),
}


def install(world: World) -> Controller:
    """Put our backend and responses in moto's place, before the first request."""
    extend("codepipeline", SandboxCodePipeline)
    on_each_path("codepipeline", SandboxCodePipelineResponse)
    backend = cast("SandboxCodePipeline", codepipeline_backends[world.account][world.region])
    backend.world = world
    return PipelineController(world, backend, Caller(world))
