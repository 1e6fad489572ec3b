"""A sandbox's pipeline and the api that it ships to, as somebody outside of a drill sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_envdr.sandbox.envelope.pipeline import PIPELINE
from pytest_envdr.waiting import wait_until
from tests.drills import deployment_rig as rig

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.drills.stranger import Stranger

PATIENCE = 180.0


def aimed(stranger: Stranger, directory: Path, **tables: Mapping[str, Any]) -> Path:
    """A stack file whose bad deployments go through the pipeline to the api."""
    aim = {"bad_deployment": {"service": "api", "pipeline": PIPELINE}}
    return rig.aimed(stranger.stack_file, directory, "api", **{**aim, **tables})


def executions(stranger: Stranger) -> list[dict[str, Any]]:
    """The newest first."""
    answer = stranger.client("codepipeline").list_pipeline_executions(pipelineName=PIPELINE)
    return list(answer["pipelineExecutionSummaries"])


def stage(stranger: Stranger, name: str) -> dict[str, Any]:
    """A stage as it is."""
    rows = stranger.client("codepipeline").get_pipeline_state(name=PIPELINE)["stageStates"]
    return next(dict(row) for row in rows if row["stageName"] == name)


def broken(stranger: Stranger, kind: str) -> str:
    """The revision that is broken in a way, as the stack file names it."""
    return str(stranger.stack["bad_deployment"]["revisions"][kind]["s3_object_version_id"])


def retired(stranger: Stranger) -> set[str]:
    """The api's revisions that cannot be deployed any more."""
    listed = stranger.client("ecs").list_task_definitions(familyPrefix=stranger.name("api"), status="INACTIVE")
    return set(listed["taskDefinitionArns"])


def at_rest(stranger: Stranger) -> None:
    """Wait until the service and the pipeline are."""
    stranger.wait_until_steady("api")
    wait_until(
        lambda: not [row for row in executions(stranger) if row["status"] in ("InProgress", "Stopping")],
        what="the pipeline at rest",
        deadline=PATIENCE,
    )
