"""The build action: a build of the input artifact by CodeBuild."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from moto.codebuild.models import codebuild_backends

from pytest_envdr.sandbox.control_plane import codebuild
from pytest_envdr.sandbox.control_plane.codebuild.errors import ResourceNotFoundException
from pytest_envdr.sandbox.control_plane.codepipeline.errors import Abandoned, ActionFailed
from pytest_envdr.sandbox.control_plane.codepipeline.execution import Location, Outcome

if TYPE_CHECKING:
    from pytest_envdr.sandbox.control_plane.codepipeline.job import Job


def run(job: Job) -> Outcome:
    """Build, and wait for it.

    Raises:
        ActionFailed: there is no such project, or the build did not succeed.
        Abandoned: nobody waits any more; the build is stopped.
    """
    # Which pipeline started it, and from which revision, CodeBuild's API leaves to CodePipeline alone to say.
    backend = codebuild_backends[job.world.account][job.world.region]
    if not isinstance(backend, codebuild.SandboxCodeBuild):
        raise ActionFailed("ConfigurationError", "There is no CodeBuild")
    (artifact, where), *_ = job.run.inputs.items()
    outputs = {name: job.place(name) for name in job.action.outputs}
    build = _start(job, backend, where, next(iter(outputs.values()), job.place(artifact)), _revision(job, artifact))
    region = job.world.region
    job.note(
        build.identifier, f"https://console.aws.amazon.com/codebuild/home?region={region}#/builds/{build.identifier}"
    )
    try:
        found = _ended(job, build.identifier)
    except Abandoned:
        build.stopping = True
        raise
    if found["buildStatus"] != "SUCCEEDED":
        raise ActionFailed("JobFailed", f"Build terminated with state: {found['buildStatus']}. {build.failure()}")
    return Outcome(outputs)


def _start(
    job: Job, backend: codebuild.SandboxCodeBuild, source: Location, target: Location, revision: str
) -> codebuild.Build:
    configuration = job.action.configuration
    variables = json.loads(configuration.get("EnvironmentVariables", "[]"))
    try:
        return backend.start_for_pipeline(
            configuration["ProjectName"],
            job.execution.declaration.name,
            codebuild.Origin(source.bucket, source.key),
            codebuild.Destination(target.bucket, target.key) if job.action.outputs else None,
            revision=revision,
            variables=variables,
        )
    except ResourceNotFoundException as error:
        raise ActionFailed("ConfigurationError", f"Error calling startBuild: {error.message}") from error


def _revision(job: Job, artifact: str) -> str:
    """Which version of its source an artifact is; empty for one that was made on the way."""
    found = [one for one in job.execution.revisions.values() if one.artifact == artifact]
    return found[0].identifier if found else ""


def _ended(job: Job, identifier: str) -> dict[str, Any]:
    while True:
        found = job.client("codebuild").batch_get_builds(ids=[identifier])["builds"]
        if not found:
            raise ActionFailed("JobFailed", f"The build {identifier} was deleted")
        if found[0]["buildComplete"]:
            return cast("dict[str, Any]", found[0])
        job.pause()
