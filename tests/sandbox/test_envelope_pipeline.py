"""The stack's own pipeline: a past that fits what runs, nothing by itself, and a commit that really reaches the api."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr.sandbox import Sandbox
from pytest_envdr.sandbox.envelope import pipeline
from pytest_envdr.sandbox.envelope.names import IMAGE
from pytest_envdr.waiting import wait_until
from tests.drills.stranger import CLUSTER, Stranger

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 180.0
ENDS = {"Succeeded", "Failed", "Stopped", "Superseded", "Cancelled"}


@pytest.fixture(scope="module")
def stranger() -> Iterator[Stranger]:
    """A developer of a sandbox of its own: what is shipped to it, nobody takes back."""
    with Sandbox(speed=40, tenants=1) as sandbox:
        yield Stranger(sandbox.stack)


def executions(stranger: Stranger) -> list[dict[str, Any]]:
    """The newest first."""
    answer = stranger.client("codepipeline").list_pipeline_executions(pipelineName=pipeline.PIPELINE)
    return list(answer["pipelineExecutionSummaries"])


def ended(stranger: Stranger, identifier: str) -> dict[str, Any]:
    """An execution that has ended."""

    def look() -> dict[str, Any]:
        rows = executions(stranger)
        return next((row for row in rows if row["pipelineExecutionId"] == identifier and row["status"] in ENDS), {})

    found = wait_until(look, what=f"the end of execution {identifier}", deadline=PATIENCE)
    assert found
    return found


def push(stranger: Stranger, key: str, word: str) -> str:
    """A commit that adds a file; its version id."""
    body = pipeline.source({"NOTE": word})
    answer = stranger.client("s3").put_object(Bucket=pipeline.SOURCES, Key=key, Body=body)
    return str(answer["VersionId"])


def running(stranger: Stranger) -> tuple[set[str], set[str]]:
    """The images and the digests that the api's tasks run."""
    ecs = stranger.client("ecs")
    tasks = ecs.list_tasks(cluster=CLUSTER, serviceName=pipeline.SERVICE)["taskArns"]
    rows = [one for task in ecs.describe_tasks(cluster=CLUSTER, tasks=tasks)["tasks"] for one in task["containers"]]
    return {row["image"] for row in rows}, {row["imageDigest"] for row in rows}


def held(stranger: Stranger, image: str) -> str:
    """The digest of an image in the registry."""
    tag = image.rpartition(":")[2]
    answer = stranger.client("ecr").describe_images(repositoryName="envelope", imageIds=[{"imageTag": tag}])
    return str(answer["imageDetails"][0]["imageDigest"])


def test_its_past_fits_what_runs(stranger: Stranger) -> None:
    """Every stage succeeded in the same execution, of the version that is on main; what it built is what runs; no
    transition is disabled."""
    client = stranger.client("codepipeline")
    stages = client.get_pipeline_state(name=pipeline.PIPELINE)["stageStates"]
    assert [row["stageName"] for row in stages] == [pipeline.SOURCE, pipeline.BUILD, pipeline.DEPLOY]
    (first,) = executions(stranger)
    assert {row["latestExecution"]["pipelineExecutionId"] for row in stages} == {first["pipelineExecutionId"]}
    assert {row["latestExecution"]["status"] for row in stages} == {first["status"]} == {"Succeeded"}
    assert all(row["inboundTransitionState"]["enabled"] for row in stages)
    main = stranger.client("s3").head_object(Bucket=pipeline.SOURCES, Key=pipeline.MAIN)["VersionId"]
    assert [row["revisionId"] for row in first["sourceRevisions"]] == [main]
    images, digests = running(stranger)
    assert images == {IMAGE}
    assert digests == {held(stranger, IMAGE)}


def test_the_test_branch_ships_only_when_asked_for(stranger: Stranger) -> None:
    """A commit on the test branch starts nothing; an execution that names the branch builds and deploys it, and its
    digest is what runs. Until then the sandbox has started no execution by itself."""
    _, before = running(stranger)
    pushed = push(stranger, pipeline.TEST, "on the test branch")
    client = stranger.client("codepipeline")
    override = {
        "actionName": pipeline.SOURCE,
        "revisionType": "S3_OBJECT_KEY",
        "revisionValue": pipeline.TEST,
    }
    asked = client.start_pipeline_execution(name=pipeline.PIPELINE, sourceRevisions=[override])
    row = ended(stranger, asked["pipelineExecutionId"])
    assert row["status"] == "Succeeded", row
    assert [one["revisionId"] for one in row["sourceRevisions"]] == [pushed]
    assert len(executions(stranger)) == 2, "the seeded one, and the one that was asked for"
    shipped(stranger, pushed, before)


def test_a_commit_on_main_ships(stranger: Stranger) -> None:
    """A new version of main starts an execution by itself, which builds an image of a new tag and digest and deploys
    it to the api."""
    _, before = running(stranger)
    known = {row["pipelineExecutionId"] for row in executions(stranger)}
    pushed = push(stranger, pipeline.MAIN, "on main")
    new = wait_until(
        lambda: [row for row in executions(stranger) if row["pipelineExecutionId"] not in known],
        what="an execution of the commit",
        deadline=PATIENCE,
    )
    assert new
    row = ended(stranger, new[0]["pipelineExecutionId"])
    assert row["status"] == "Succeeded", row
    assert [one["revisionId"] for one in row["sourceRevisions"]] == [pushed]
    shipped(stranger, pushed, before)


def shipped(stranger: Stranger, version: str, before: set[str]) -> None:
    """What runs, once the tasks of before are gone, is what was built from a version of the source."""
    stranger.wait_until_steady("api")
    images, digests = running(stranger)
    (image,) = images
    assert image.endswith(f"-{version[:8]}")
    assert digests == {held(stranger, image)}
    assert not digests & before
