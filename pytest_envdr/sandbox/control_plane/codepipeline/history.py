"""What was before the sandbox: an execution that succeeded, without anything having been done.

For the seed, in process. It is there to be rolled back to: what it deployed runs, and its artifacts are in the store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from moto.codepipeline.models import codepipeline_backends

from pytest_envdr.sandbox.control_plane.codepipeline import execution as status
from pytest_envdr.sandbox.control_plane.codepipeline.execution import Execution, Outcome, Revision, Run, StageRun
from pytest_envdr.sandbox.control_plane.extension import backend_lock

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_envdr.sandbox.control_plane.codepipeline.backend import SandboxCodePipeline
    from pytest_envdr.sandbox.control_plane.codepipeline.execution import Location
    from pytest_envdr.sandbox.world import World


def record(world: World, pipeline: str, *, revisions: Mapping[str, str], artifacts: Mapping[str, Location]) -> str:
    """Write down an execution that went through all stages; its id.

    Args:
        world: whose account and Region.
        pipeline: its name.
        revisions: the source actions' revision ids, by action.
        artifacts: where the artifacts are, by name.
    """
    backend = cast("SandboxCodePipeline", codepipeline_backends[world.account][world.region])
    now = world.now()
    with backend_lock:
        line = backend.line(pipeline)
        execution = Execution(line.declaration, now, "CreatePipeline", backend.caller)
        execution.set(status.SUCCEEDED, now)
        execution.artifacts |= artifacts
        line.executions[execution.identifier] = execution
        for stage in line.declaration.stages:
            line.latest[stage.name] = execution
            here = execution.stages[stage.name] = StageRun(status.SUCCEEDED)
            for action in stage.actions:
                given = {name: artifacts[name] for name in action.inputs}
                outputs = {name: artifacts[name] for name in action.outputs}
                run = Run(action, stage.name, line.declaration.version, now, now, given, status=status.SUCCEEDED)
                run.outcome = Outcome(outputs)
                if action.name in revisions:
                    identifier = revisions[action.name]
                    words = f"Amazon S3 version id: {identifier}"
                    revision = Revision(action.name, action.outputs[0], identifier, now, words, "")
                    run.outcome = Outcome(outputs, revision, words)
                    execution.revisions[action.name] = revision
                    line.seen[action.name] = identifier
                here.runs[action.name] = run
                execution.history.append(run)
    return execution.identifier
