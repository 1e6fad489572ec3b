"""CodePipeline: what its executions and their actions did; one of the drill's own, started and ended."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from pytest_envdr import undo
from pytest_envdr.aws import Aws, codepipeline_executions
from pytest_envdr.errors import AwsError, NotFound
from pytest_envdr.journal import Header, Inverse, Journal
from pytest_envdr.sandbox.control_plane import codebuild, codepipeline, ecs, logs, s3
from pytest_envdr.tables import SourceRevision
from tests import account
from tests.sandbox.control_plane.fargate import IDLE, Fargate, until
from tests.sandbox.control_plane.pipeline_rig import BUILD, Rig, deploy
from tests.sandbox.control_plane.served import ACCOUNT, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.sweep

REGION = "ap-northeast-2"
SHOP = "shop"
NOWHERE = "00000000-0000-0000-0000-000000000000"


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """Pipelines at speed 100."""
    modules = {"logs": logs, "ecs": ecs, "s3": s3, "codebuild": codebuild, "codepipeline": codepipeline}
    directory = tmp_path_factory.mktemp("executions")
    with serving(directory, modules, region=REGION, network="127.221.0.0/16", speed=100) as served:
        yield Rig(served, Fargate(served, directory))


@pytest.fixture(scope="module")
def shipped(rig: Rig) -> tuple[str, str]:
    """A service that a pipeline has deployed to once: that execution, and the revision that it took."""
    rig.fargate.create(SHOP, rig.fargate.definition(SHOP, rig.fargate.image(IDLE)))
    rig.fargate.stable(SHOP)
    version = rig.push(f"{SHOP}.zip", IDLE)
    first = rig.create(SHOP, [BUILD], [deploy(SHOP)])
    assert rig.status(SHOP, first) == "Succeeded", rig.actions(SHOP, first)
    return first, version


@pytest.fixture
def journal(rig: Rig, tmp_path: Path) -> Iterator[Journal]:
    """An open journal."""
    with Journal.open(tmp_path / "journal", Header("ex-4", ACCOUNT, REGION, rig.served.world.endpoint)) as journal:
        yield journal


@pytest.fixture
def aws(rig: Rig, journal: Journal) -> Aws:
    """The account."""
    return Aws(account.stack(endpoint=rig.served.world.endpoint, account=ACCOUNT, region=REGION), journal)


@pytest.fixture
def closed(rig: Rig, shipped: tuple[str, str]) -> Iterator[None]:
    """The way into Deploy, closed by somebody: what comes waits in front of it."""
    assert shipped
    rig.switch(SHOP, "Deploy", enabled=False)
    yield
    rig.switch(SHOP, "Deploy", enabled=True)


def test_what_an_execution_did(aws: Aws, rig: Rig, shipped: tuple[str, str]) -> None:
    """Its revision and how it began; each action with what it is called where it really happened: the build's id, the
    deployment's."""
    first, version = shipped
    (told,) = codepipeline_executions.executions(aws, SHOP, succeeded_in="Deploy")
    assert (told.id, told.status, told.trigger) == (first, "Succeeded", "CreatePipeline")
    assert (told.type, told.target, told.under_way) == ("STANDARD", "", False)
    assert told.revisions == {"Source": version}
    now = codepipeline_executions.detail(aws, SHOP, first)
    assert (now.status, now.version, now.revisions, now.under_way) == ("Succeeded", 1, (version,), False)
    source, build, deployed = codepipeline_executions.actions(aws, SHOP, first)
    assert [(one.stage, one.name, one.status, one.error) for one in (source, build, deployed)] == [
        (name, name, "Succeeded", "") for name in ("Source", "Build", "Deploy")
    ]
    assert rig.served.client("codebuild").batch_get_builds(ids=[build.external])["builds"]
    assert [one["id"] for one in rig.fargate.service(SHOP)["deployments"]] == [deployed.external]
    assert told.started_at <= source.started_at <= source.updated_at <= build.started_at <= deployed.started_at


def test_a_retried_action_is_told_twice(aws: Aws, rig: Rig) -> None:
    """With the error of the first time; what failed in a stage has not succeeded in it."""
    marker = rig.served.world.directory / "mended"
    rig.push("retried.zip", IDLE, check=f"test -e {marker}")
    execution = rig.create("retried", [BUILD])
    assert rig.status("retried", execution) == "Failed"
    assert list(codepipeline_executions.executions(aws, "retried", succeeded_in="Build")) == []
    marker.touch()
    rig.pipelines.retry_stage_execution(
        pipelineName="retried", stageName="Build", pipelineExecutionId=execution, retryMode="FAILED_ACTIONS"
    )
    assert rig.status("retried", execution) == "Succeeded"
    _, failed, retried = codepipeline_executions.actions(aws, "retried", execution)
    assert (failed.name, failed.status, retried.name, retried.status) == ("Build", "Failed", "Build", "Succeeded")
    assert failed.error.startswith("JobFailed: Build terminated with state: FAILED")
    assert failed.external != retried.external
    assert [one.id for one in codepipeline_executions.executions(aws, "retried", succeeded_in="Build")] == [execution]


@pytest.mark.usefixtures("closed")
def test_one_is_started_with_another_revision(aws: Aws, journal: Journal, rig: Rig, shipped: tuple[str, str]) -> None:
    """It takes that one and not the newest, is listed first, and is owed; an undo stops it, abandoned, in the drill's
    name; a second one has nothing to do."""
    first, old = shipped
    newest = rig.push(f"{SHOP}.zip", f"# newest\n{IDLE}")
    execution = codepipeline_executions.start(aws, journal, SHOP, SourceRevision(s3_object_version_id=old))
    rig.waits(SHOP, "Deploy", execution)
    told = [(one.id, one.revisions["Source"]) for one in codepipeline_executions.executions(aws, SHOP)]
    assert told == [(execution, old), (first, old)]
    assert newest != old
    assert codepipeline_executions.detail(aws, SHOP, execution).under_way
    (entry,) = journal.owed()
    assert (entry.inverse.operation, entry.result) == (
        "codepipeline.StopPipelineExecution",
        {"pipelineExecutionId": execution},
    )
    (undone,) = undo.replay(aws, journal)
    assert undone.how == "brought back"
    assert codepipeline_executions.detail(aws, SHOP, execution).status == "Stopped"
    assert rig.executions(SHOP)[0]["stopTrigger"]["reason"] == "envdr drill ex-4"
    assert undo.replay(aws, journal) == []


@pytest.mark.usefixtures("closed")
def test_one_whose_id_nobody_was_told(aws: Aws, journal: Journal, rig: Rig, shipped: tuple[str, str]) -> None:
    """Killed between call and answer: the undo finds it by the revision that it was started with, and stops it, and not
    the one of another revision beside it."""
    _, old = shipped
    rig.push(f"{SHOP}.zip", f"# another\n{IDLE}")
    told = {"pipelineName": SHOP, "revision": old}
    journal.intend(
        "codepipeline.StartPipelineExecution", {}, inverse=Inverse("codepipeline.StopPipelineExecution", told, "none")
    )
    ours = rig.start(SHOP, VERSION_ID=old)
    rig.waits(SHOP, "Deploy", ours)
    rig.switch(SHOP, "Build", enabled=False)  # so that the other one does not overtake it
    theirs = rig.start(SHOP)
    rig.waits(SHOP, "Build", theirs)
    try:
        (undone,) = undo.replay(aws, journal)
        assert undone.how == "brought back"
        assert codepipeline_executions.detail(aws, SHOP, ours).status == "Stopped"
        assert codepipeline_executions.detail(aws, SHOP, theirs).under_way
    finally:
        rig.pipelines.stop_pipeline_execution(pipelineName=SHOP, pipelineExecutionId=theirs, abandon=True)
        rig.switch(SHOP, "Build", enabled=True)


@pytest.mark.usefixtures("closed")
def test_a_stage_is_rolled_back(aws: Aws, journal: Journal, shipped: tuple[str, str], rig: Rig) -> None:
    """A new execution of its kind, with the target's revision, that ends by itself: then nothing is left to undo."""
    first, old = shipped
    execution = codepipeline_executions.roll_back_stage(aws, journal, SHOP, "Deploy", to=first)
    (told, *_) = codepipeline_executions.executions(aws, SHOP)
    assert (told.id, told.type, told.target) == (execution, codepipeline_executions.ROLLBACK, first)
    assert rig.status(SHOP, execution) == "Succeeded"
    assert codepipeline_executions.detail(aws, SHOP, execution).revisions == (old,)
    assert [one.name for one in codepipeline_executions.actions(aws, SHOP, execution)] == ["Deploy"]
    (undone,) = undo.replay(aws, journal)
    assert undone.how == "was as before"
    assert codepipeline_executions.detail(aws, SHOP, execution).status == "Succeeded"


@pytest.mark.usefixtures("closed")
def test_a_rollback_is_ended_under_way(aws: Aws, journal: Journal, shipped: tuple[str, str], rig: Rig) -> None:
    """Stopped while its action deploys, also where nobody was told its id: its target tells it."""
    first, _ = shipped
    told = {"pipelineName": SHOP, "target": first}
    journal.intend(
        "codepipeline.RollbackStage", {}, inverse=Inverse("codepipeline.StopPipelineExecution", told, "none")
    )
    where = {"pipelineName": SHOP, "stageName": "Deploy"}
    execution = rig.pipelines.rollback_stage(**where, targetPipelineExecutionId=first)["pipelineExecutionId"]
    until(lambda: codepipeline_executions.actions(aws, SHOP, execution))
    (undone,) = undo.replay(aws, journal)
    assert undone.how == "brought back"
    assert codepipeline_executions.detail(aws, SHOP, execution).status == "Stopped"
    (action,) = codepipeline_executions.actions(aws, SHOP, execution)
    assert action.status == "Abandoned"
    assert action.updated_at - action.started_at < timedelta(minutes=1)
    until(lambda: rig.fargate.completed(SHOP))


def test_what_is_not_there(aws: Aws, journal: Journal, shipped: tuple[str, str]) -> None:
    """An unknown pipeline or execution is named; what cannot be rolled back to is refused in CodePipeline's words, and
    nothing is left to undo."""
    assert shipped
    with pytest.raises(NotFound, match="nowhere"):
        list(codepipeline_executions.executions(aws, "nowhere"))
    for read in (codepipeline_executions.detail, codepipeline_executions.actions):
        with pytest.raises(NotFound, match=NOWHERE):
            read(aws, SHOP, NOWHERE)
    with pytest.raises(NotFound, match="nowhere"):
        codepipeline_executions.start(aws, journal, "nowhere", SourceRevision(s3_object_version_id="v"))
    with pytest.raises(AwsError, match=NOWHERE):
        codepipeline_executions.roll_back_stage(aws, journal, SHOP, "Deploy", to=NOWHERE)
    assert {one.how for one in undo.replay(aws, journal)} == {"was as before"}
