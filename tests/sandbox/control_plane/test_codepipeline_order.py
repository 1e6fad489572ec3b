"""CodePipeline's rules: who enters a stage, who waits and is overtaken, what can be stopped, retried, rolled back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from pytest_envdr.sandbox.control_plane import codebuild, codepipeline, ecs, logs, s3
from tests.sandbox.control_plane.fargate import IDLE, Fargate, until
from tests.sandbox.control_plane.pipeline_rig import APPROVAL, BUILD, Rig
from tests.sandbox.control_plane.served import serving

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """Pipelines at speed 200."""
    modules = {"logs": logs, "ecs": ecs, "s3": s3, "codebuild": codebuild, "codepipeline": codepipeline}
    directory = tmp_path_factory.mktemp("codepipeline-order")
    with serving(directory, modules, region="me-south-1", network="127.36.0.0/16", speed=200) as served:
        yield Rig(served, Fargate(served, directory))


def made(rig: Rig, name: str, *stages: list[dict[str, Any]], **more: Any) -> str:
    """A pipeline with a source; the id of its first execution."""
    rig.push(f"{name}.zip", IDLE)
    return rig.create(name, *stages, **more)


def refusal(call: Any, **asked: Any) -> str:
    """The error code that a call is answered with."""
    with pytest.raises(ClientError) as refused:
        call(**asked)
    return str(refused.value.response["Error"]["Code"])


def test_a_disabled_transition_holds_executions_back(rig: Rig) -> None:
    """An execution waits in front of it; the newer one takes its place; enabled again, that one goes on."""
    first = made(rig, "held", [BUILD])
    assert rig.status("held", first) == "Succeeded"
    assert rig.stage("held", "Build")["inboundTransitionState"] == {"enabled": True}
    rig.switch("held", "Build", enabled=False)
    shown = rig.stage("held", "Build")["inboundTransitionState"]
    assert (shown["enabled"], shown["disabledReason"]) == (False, "a drill")
    assert shown["lastChangedBy"].endswith(":root")
    second = rig.start("held")
    rig.waits("held", "Build", second)
    assert rig.execution("held", second)["status"] == "InProgress"
    assert rig.stage("held", "Build")["latestExecution"]["pipelineExecutionId"] == first
    third = rig.start("held")
    rig.waits("held", "Build", third)
    assert rig.status("held", second) == "Superseded"
    rig.switch("held", "Build", enabled=True)
    assert rig.status("held", third) == "Succeeded"
    assert "inboundExecution" not in rig.stage("held", "Build")
    assert "disabledReason" not in rig.stage("held", "Build")["inboundTransitionState"]


def test_a_stage_is_one_executions_at_a_time(rig: Rig) -> None:
    """While one is in a stage, the next waits; in mode QUEUED all do, in their order."""
    first = made(rig, "queued", [APPROVAL], executionMode="QUEUED", pipelineType="V2")
    until(lambda: rig.latest("queued", "Ask").get("token"))
    others = [rig.start("queued") for _ in range(2)]
    until(lambda: len(rig.stage("queued", "Ask")["inboundExecutions"]) == 2)
    waiting = [row["pipelineExecutionId"] for row in rig.stage("queued", "Ask")["inboundExecutions"]]
    assert waiting == others
    for identifier in (first, *others):
        until(lambda: rig.stage("queued", "Ask")["latestExecution"]["pipelineExecutionId"] == identifier)  # noqa: B023
        rig.approve("queued")
        assert rig.status("queued", identifier) == "Succeeded"


def test_an_execution_is_stopped(rig: Rig) -> None:
    """Abandoned at once, or when its actions are done, or while it waits; a second request is refused, and so is one
    for what has ended."""
    first = made(rig, "stopped", [APPROVAL], [BUILD])
    until(lambda: rig.latest("stopped", "Ask").get("token"))
    second = rig.start("stopped")
    rig.waits("stopped", "Ask", second)
    stop = rig.pipelines.stop_pipeline_execution
    stop(pipelineName="stopped", pipelineExecutionId=second)
    assert rig.status("stopped", second) == "Stopped"
    stop(pipelineName="stopped", pipelineExecutionId=first)
    assert rig.execution("stopped", first)["status"] == "Stopping"
    asked = {"pipelineName": "stopped", "pipelineExecutionId": first}
    assert refusal(stop, **asked) == "DuplicatedStopRequestException"
    rig.approve("stopped")
    assert rig.status("stopped", first) == "Stopped"
    assert rig.stage("stopped", "Ask")["latestExecution"]["status"] == "Succeeded"
    assert refusal(stop, **asked) == "PipelineExecutionNotStoppableException"
    third = rig.start("stopped")
    until(lambda: rig.latest("stopped", "Ask").get("token"))
    stop(pipelineName="stopped", pipelineExecutionId=third, abandon=True)
    assert rig.status("stopped", third) == "Stopped"
    assert rig.latest("stopped", "Ask")["status"] == "Abandoned"


def test_a_failed_stage_is_retried(rig: Rig) -> None:
    """The same execution with the same revision; what succeeded in the stage runs again only with ALL_ACTIONS."""
    variables = json.dumps([{"name": "PART", "value": "check"}])
    configuration = {"ProjectName": "shop-build", "EnvironmentVariables": variables}
    check = {**BUILD, "name": "Check", "outputArtifacts": [], "runOrder": 2, "configuration": configuration}
    marker = rig.served.world.directory / "mended"
    condition = f'[ "$PART" != check ] || test -e {marker}'
    version = rig.push("retried.zip", IDLE, check=condition)
    identifier = rig.create("retried", [BUILD, check])
    assert rig.status("retried", identifier) == "Failed"
    rig.push("retried.zip", f"# newer\n{IDLE}", check=condition)
    asked = {"pipelineName": "retried", "stageName": "Build", "pipelineExecutionId": identifier}
    for mode, names in (("FAILED_ACTIONS", ["Check"]), ("ALL_ACTIONS", ["Build", "Check"])):
        if mode == "ALL_ACTIONS":
            marker.unlink()
            identifier = rig.start("retried")
            assert rig.status("retried", identifier) == "Failed"
        marker.touch()
        asked["pipelineExecutionId"] = identifier
        before = len(rig.actions("retried", identifier))
        answer = rig.pipelines.retry_stage_execution(**asked, retryMode=mode)
        assert answer["pipelineExecutionId"] == identifier
        assert rig.status("retried", identifier) == "Succeeded"
        assert [row["actionName"] for row in rig.actions("retried", identifier)][before:] == names
        newest = rig.execution("retried", identifier)["artifactRevisions"][0]["revisionId"]
        assert (newest == version) == (mode == "FAILED_ACTIONS")
    assert rig.stage("retried", "Build")["retryStageMetadata"]["manualStageRetryAttempt"] == 1
    assert refusal(rig.pipelines.retry_stage_execution, **asked, retryMode=mode) == "StageNotRetryableException"
    asked["pipelineExecutionId"] = rig.executions("retried")[-1]["pipelineExecutionId"]
    assert (
        refusal(rig.pipelines.retry_stage_execution, **asked, retryMode=mode) == "NotLatestPipelineExecutionException"
    )


def test_what_cannot_be_rolled_back_to_is_refused(rig: Rig) -> None:
    """A source stage, a target that did not succeed there, a rollback, a stage that runs, an older structure."""
    good = made(rig, "refused", [APPROVAL])
    rig.approve("refused")
    assert rig.status("refused", good) == "Succeeded"
    bad = rig.start("refused")
    rig.approve("refused", approved=False)
    assert rig.status("refused", bad) == "Failed"
    roll_back, asked = rig.pipelines.rollback_stage, {"pipelineName": "refused", "stageName": "Ask"}
    unable = "UnableToRollbackStageException"
    assert refusal(roll_back, **{**asked, "stageName": "Source"}, targetPipelineExecutionId=good) == unable
    assert refusal(roll_back, **asked, targetPipelineExecutionId=bad) == unable
    unknown = "00000000-0000-0000-0000-000000000000"
    assert refusal(roll_back, **asked, targetPipelineExecutionId=unknown) == "PipelineExecutionNotFoundException"
    rollback = roll_back(**asked, targetPipelineExecutionId=good)["pipelineExecutionId"]
    assert refusal(roll_back, **asked, targetPipelineExecutionId=good) == unable
    rig.approve("refused")
    assert rig.status("refused", rollback) == "Succeeded"
    assert refusal(roll_back, **asked, targetPipelineExecutionId=rollback) == unable
    row = rig.pipelines.get_pipeline(name="refused")["pipeline"]
    assert rig.pipelines.update_pipeline(pipeline=row)["pipeline"]["version"] == 2
    outdated = refusal(roll_back, **asked, targetPipelineExecutionId=good)
    assert outdated == "PipelineExecutionOutdatedException"


def test_another_structure_cancels_what_is_under_way(rig: Rig) -> None:
    """UpdatePipeline: the execution is Cancelled, its actions abandoned; a new one runs in the new version."""
    first = made(rig, "changed", [APPROVAL])
    until(lambda: rig.latest("changed", "Ask").get("token"))
    row = rig.pipelines.get_pipeline(name="changed")["pipeline"]
    rig.pipelines.update_pipeline(pipeline=row)
    assert rig.status("changed", first) == "Cancelled"
    second = rig.start("changed")
    assert rig.execution("changed", second)["pipelineVersion"] == 2
    rig.pipelines.delete_pipeline(name="changed")
    assert refusal(rig.pipelines.get_pipeline_state, name="changed") == "PipelineNotFoundException"


def test_a_source_that_is_not_there_fails(rig: Rig) -> None:
    """And says so; the stage is free again: the next execution with an object succeeds, once for a token."""
    first = rig.create("bare", [APPROVAL])
    assert rig.status("bare", first) == "Failed"
    assert rig.latest("bare", "Source")["errorDetails"]["code"] == "ConfigurationError"
    rig.push("bare.zip", IDLE)
    start = rig.pipelines.start_pipeline_execution
    twice = [start(name="bare", clientRequestToken="once")["pipelineExecutionId"] for _ in range(2)]
    assert twice[0] == twice[1]
    rig.approve("bare")
    assert rig.status("bare", twice[0]) == "Succeeded"


def test_bad_requests_are_refused(rig: Rig) -> None:
    """With AWS's codes; what is not built answers 501."""
    made(rig, "sound", [APPROVAL])
    call = rig.pipelines
    where = {"pipelineName": "sound", "stageName": "Nowhere", "transitionType": "Inbound"}
    assert refusal(call.disable_stage_transition, **where, reason="x") == "StageNotFoundException"
    assert refusal(call.get_pipeline_state, name="nobody") == "PipelineNotFoundException"
    assert refusal(call.start_pipeline_execution, name="nobody") == "PipelineNotFoundException"
    revision = {"actionName": "Source", "revisionType": "COMMIT_ID", "revisionValue": "abc"}
    assert refusal(call.start_pipeline_execution, name="sound", sourceRevisions=[revision]) == "ValidationException"
    assert refusal(rig.create, name="sound") == "InvalidStructureException"
    with pytest.raises(ClientError, match="PipelineNameInUse"):
        rig.create("sound", [APPROVAL])
    early = {**BUILD, "inputArtifacts": [{"name": "Nothing"}]}
    with pytest.raises(ClientError, match="InvalidActionDeclaration"):
        rig.create("early", [early])
    token = {"token": "11111111-1111-1111-1111-111111111111", "result": {"summary": "", "status": "Approved"}}
    until(lambda: rig.latest("sound", "Ask").get("token"))
    approval = {"pipelineName": "sound", "stageName": "Ask", "actionName": "Ask", **token}
    assert refusal(call.put_approval_result, **approval) == "InvalidApprovalTokenException"
    kind = {"category": "Build", "owner": "Custom", "provider": "Jenkins", "version": "1"}
    foreign = {**BUILD, "actionTypeId": kind}
    with pytest.raises(ClientError, match="NotImplementedInSandbox"):
        rig.create("foreign", [foreign])
    assert refusal(call.list_webhooks) == "NotImplementedInSandbox"
