"""CodeBuild: a build runs its buildspec's commands as real processes; their exit codes decide.

Where to look: `responses` and `backend` take requests; `build` is what is known of one; the `controller` gives each
queued build to a thread, where `runner` takes it through its phases: `sources` brings what is built and takes what
came of it, `buildspec` reads what to do, `shell` does it, and `images` is the `docker` that the commands find.

The `docker` of a build: there is no Docker here, and an image is a directory. `docker build -t <reference> <directory>`
makes an image of that directory, laid over the image that the first FROM of a Dockerfile in it names; every other
instruction is passed over. `docker tag` and `docker push` work on such images, and what was pushed, ECS can run.

For the pipeline, in process: `SandboxCodeBuild.start_for_pipeline`.

Not here, answered 501: sources but S3 and CodePipeline's, secondary sources and artifacts, variables from the parameter
store or Secrets Manager, report groups, batches, fleets, webhooks. `runtime-versions` are passed over: commands run
with this machine's programs. Roles, caches and VPC settings are kept, and do nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from moto.codebuild.models import codebuild_backends

from pytest_envdr.sandbox.control_plane.calling import Caller
from pytest_envdr.sandbox.control_plane.codebuild.backend import SandboxCodeBuild
from pytest_envdr.sandbox.control_plane.codebuild.build import Build, Destination, Origin
from pytest_envdr.sandbox.control_plane.codebuild.controller import BuildController
from pytest_envdr.sandbox.control_plane.codebuild.responses import SandboxCodeBuildResponse
from pytest_envdr.sandbox.control_plane.extension import extend, on_each_path
from pytest_envdr.sandbox.fidelity import ACTED, SIMULATED, Fidelity

if TYPE_CHECKING:
    from pytest_envdr.sandbox.control_loop import Controller
    from pytest_envdr.sandbox.world import World

__all__ = ["FIDELITY", "Build", "Destination", "Origin", "SandboxCodeBuild", "install"]

FIDELITY: dict[str, Fidelity] = {
    # A build whose process is frozen does not get on.
    "BatchGetBuilds": ACTED,
    # Their answers only say that the intent was recorded, or what was.
    **dict.fromkeys(
        (
            "BatchGetProjects",
            "CreateProject",
            "DeleteProject",
            "ListBuilds",
            "ListBuildsForProject",
            "ListProjects",
            "StartBuild",
            "StopBuild",
        ),
        SIMULATED,
    ),
}


def install(world: World) -> Controller:
    """Put our backend and responses in moto's place, before the first request."""
    extend("codebuild", SandboxCodeBuild)
    on_each_path("codebuild", SandboxCodeBuildResponse)
    backend = cast("SandboxCodeBuild", codebuild_backends[world.account][world.region])
    backend.world = world
    return BuildController(world, backend, Caller(world))
