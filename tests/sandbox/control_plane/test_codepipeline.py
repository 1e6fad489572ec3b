"""CodePipeline: a new version of a source is really built and really deployed."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from pytest_envdr.sandbox.control_plane import codebuild, codepipeline, ecs, logs, s3
from pytest_envdr.waiting import pause
from tests.sandbox.control_plane.fargate import IDLE, Fargate, until
from tests.sandbox.control_plane.pipeline_rig import APPROVAL, BUILD, Rig, deploy
from tests.sandbox.control_plane.served import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

BREAKER = {
    "minimumHealthyPercent": 100,
    "maximumPercent": 200,
    "deploymentCircuitBreaker": {"enable": True, "rollback": True},
}


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """Pipelines at speed 100."""
    modules = {"logs": logs, "ecs": ecs, "s3": s3, "codebuild": codebuild, "codepipeline": codepipeline}
    directory = tmp_path_factory.mktemp("codepipeline")
    with serving(directory, modules, region="eu-south-2", network="127.247.0.0/16", speed=100) as served:
        yield Rig(served, Fargate(served, directory))


@pytest.fixture(scope="module")
def shop(rig: Rig) -> str:
    """A service, and a pipeline of that name that has deployed to it once."""
    fargate = rig.fargate
    fargate.create("shop", fargate.definition("shop", fargate.image(IDLE)), deploymentConfiguration=BREAKER)
    fargate.stable("shop")
    rig.push("shop.zip", IDLE)
    first = rig.create("shop", [BUILD], [deploy("shop", DeploymentTimeout="60")])
    assert rig.status("shop", first) == "Succeeded", rig.actions("shop", first)
    return "shop"


def test_a_pipeline_deploys_its_source(rig: Rig, shop: str) -> None:
    """What was built from the very version of the source runs; every action says what it did."""
    version = rig.push("shop.zip", f"# second\n{IDLE}")
    identifier = rig.start(shop)
    assert rig.status(shop, identifier) == "Succeeded"
    assert rig.image("shop") == f"registry/shop:{version[:8]}"
    image = rig.served.world.images.pull(rig.image("shop")).directory
    assert (image / "main.sh").read_text().startswith("# second")
    found = rig.execution(shop, identifier)
    assert [row["revisionId"] for row in found["artifactRevisions"]] == [version]
    assert (found["executionType"], found["executionMode"]) == ("STANDARD", "SUPERSEDED")
    assert found["trigger"]["triggerType"] == "StartPipelineExecution"
    actions = rig.actions(shop, identifier)
    assert [(row["stageName"], row["status"]) for row in actions] == [
        ("Source", "Succeeded"),
        ("Build", "Succeeded"),
        ("Deploy", "Succeeded"),
    ]
    build = actions[1]["output"]["executionResult"]["externalExecutionId"]
    shown = rig.served.client("codebuild").batch_get_builds(ids=[build])["builds"][0]
    assert (shown["initiator"], shown["resolvedSourceVersion"]) == ("codepipeline/shop", version)
    deployment = actions[2]["output"]["executionResult"]["externalExecutionId"]
    assert [row["id"] for row in rig.fargate.service("shop")["deployments"]] == [deployment]
    assert rig.stage(shop, "Source")["actionStates"][0]["currentRevision"]["revisionId"] == version


def test_another_revision_can_be_named(rig: Rig, shop: str) -> None:
    """A version of the object, or another object: the test branch; the source's own version stays what it is."""
    old = rig.s3.head_object(Bucket=rig.bucket, Key="shop.zip")["VersionId"]
    rig.push("shop.zip", f"# third\n{IDLE}")
    first = rig.start(shop, VERSION_ID=old)
    assert rig.status(shop, first) == "Succeeded"
    assert rig.image("shop") == f"registry/shop:{old[:8]}"
    branch = rig.push("test.zip", f"# branch\n{IDLE}")
    second = rig.start(shop, KEY="test.zip")
    assert rig.status(shop, second) == "Succeeded"
    assert rig.execution(shop, second)["artifactRevisions"][0]["revisionId"] == branch
    assert rig.image("shop") == f"registry/shop:{branch[:8]}"


def test_a_stage_is_rolled_back(rig: Rig, shop: str) -> None:
    """A new execution of the stage alone, with the target's revision and image; not through the transition."""
    target = rig.executions(shop)[-1]
    rig.switch(shop, "Deploy", enabled=False)
    answer = rig.pipelines.rollback_stage(
        pipelineName=shop, stageName="Deploy", targetPipelineExecutionId=target["pipelineExecutionId"]
    )
    identifier = answer["pipelineExecutionId"]
    assert rig.status(shop, identifier) == "Succeeded"
    rig.switch(shop, "Deploy", enabled=True)
    found = rig.execution(shop, identifier)
    assert found["executionType"] == "ROLLBACK"
    assert found["rollbackMetadata"]["rollbackTargetPipelineExecutionId"] == target["pipelineExecutionId"]
    assert found["trigger"]["triggerType"] == "ManualRollback"
    good = target["sourceRevisions"][0]["revisionId"]
    assert [row["revisionId"] for row in found["artifactRevisions"]] == [good]
    assert rig.image("shop") == f"registry/shop:{good[:8]}"
    assert [row["actionName"] for row in rig.actions(shop, identifier)] == ["Deploy"]


def test_a_new_version_starts_an_execution(rig: Rig) -> None:
    """Change detection sees it, once; what does not build ends the execution, and the log says why."""
    rig.push("polled.zip", IDLE, check="true")
    first = rig.create("polled", [BUILD], polls=True)
    assert rig.status("polled", first) == "Succeeded"
    version = rig.push("polled.zip", IDLE, check="echo broken; exit 3")
    second = until(lambda: next((row for row in rig.executions("polled") if row["pipelineExecutionId"] != first), None))
    assert second["trigger"]["triggerType"] == "PollForSourceChanges"
    assert rig.status("polled", second["pipelineExecutionId"]) == "Failed"
    assert rig.executions("polled")[0]["sourceRevisions"][0]["revisionId"] == version
    details = rig.latest("polled", "Build")["errorDetails"]
    assert details["code"] == "JobFailed"
    assert "Build terminated with state: FAILED" in details["message"]
    assert "sh check.sh. Reason: exit status 3" in details["message"]
    assert len(rig.executions("polled")) == 2
    rig.pipelines.delete_pipeline(name="polled")


def test_a_frozen_build_does_not_get_on(rig: Rig) -> None:
    """Its command is stopped for longer than it would have taken: build, action, stage and execution are in progress;
    it goes on, and they have succeeded."""
    rig.push("frozen.zip", IDLE, check="sleep 1.618")
    execution = rig.create("frozen", [BUILD])
    found = until(lambda: subprocess.run(["pgrep", "-xf", "sleep 1.618"], capture_output=True, check=False).stdout)
    os.kill(int(found), signal.SIGSTOP)
    pause(3)
    build = rig.latest("frozen", "Build")
    client = rig.served.client("codebuild")
    shown = client.batch_get_builds(ids=[build["externalExecutionId"]])["builds"][0]["buildStatus"]
    action = rig.actions("frozen", execution)[-1]["status"]
    assert (shown, action, build["status"]) == ("IN_PROGRESS", "InProgress", "InProgress")
    assert rig.execution("frozen", execution)["status"] == "InProgress"
    os.kill(int(found), signal.SIGCONT)
    assert rig.status("frozen", execution) == "Succeeded"


def test_an_approval_is_waited_for(rig: Rig) -> None:
    """Nothing goes on before it; a rejection fails the stage, and its token counts once."""
    rig.push("asked.zip", IDLE)
    first = rig.create("asked", [APPROVAL], [BUILD])
    rig.approve("asked")
    assert rig.status("asked", first) == "Succeeded"
    second = rig.start("asked")
    rig.approve("asked", approved=False)
    assert rig.status("asked", second) == "Failed"
    assert rig.latest("asked", "Ask")["summary"] == "looked at it"
    assert [row["actionName"] for row in rig.actions("asked", second)] == ["Source", "Ask"]


def test_the_pipeline_does_not_notice_a_rollback_by_the_circuit_breaker(rig: Rig) -> None:
    """ECS has rolled back and is steady on the old revision; the action is in progress all the same."""
    fargate = rig.fargate
    old = fargate.definition("unlucky", fargate.image(IDLE))
    fargate.create("unlucky", old, deploymentConfiguration=BREAKER)
    fargate.stable("unlucky")
    until(lambda: fargate.service("unlucky")["deployments"][0]["rolloutState"] == "COMPLETED")
    rig.push("unlucky.zip", "exit 1\n")
    identifier = rig.create("unlucky", [BUILD], [deploy("unlucky")])
    until(lambda: "unlucky" in rig.latest("unlucky", "Deploy").get("externalExecutionUrl", ""))
    until(lambda: len(fargate.service("unlucky")["deployments"]) == 1)
    assert fargate.service("unlucky")["taskDefinition"] == old
    assert rig.execution("unlucky", identifier)["status"] == "InProgress"
    rig.pipelines.stop_pipeline_execution(
        pipelineName="unlucky", pipelineExecutionId=identifier, abandon=True, reason="seen enough"
    )
    assert rig.status("unlucky", identifier) == "Stopped"
    assert rig.executions("unlucky")[0]["stopTrigger"]["reason"] == "seen enough"
    assert rig.latest("unlucky", "Deploy")["status"] == "Abandoned"


def test_a_deployment_has_its_time(rig: Rig) -> None:
    """What is not steady within `DeploymentTimeout` fails; what ECS or the artifact does not have fails at once."""
    fargate = rig.fargate
    fargate.create("slow", fargate.definition("slow", fargate.image(IDLE)))
    rig.push("slow.zip", "exit 1\n")
    late = rig.create("slow", [BUILD], [deploy("slow", DeploymentTimeout="1")])
    assert rig.status("slow", late) == "Failed"
    details = rig.latest("slow", "Deploy")["errorDetails"]
    assert details["message"] == "The service slow was not steady on the new revision within 1 minutes"
    wrong = {
        "nobody": ({}, "The service nobody in the cluster shop is not ACTIVE"),
        "slow": ({"FileName": "images.json"}, "Did not find the file images.json in the input artifact"),
    }
    for service, (configuration, words) in wrong.items():
        name = f"wrong-{service}"
        rig.push(f"{name}.zip", IDLE)
        assert rig.status(name, rig.create(name, [BUILD], [deploy(service, **configuration)])) == "Failed"
        assert rig.latest(name, "Deploy")["errorDetails"] == {"code": "ConfigurationError", "message": words}


def test_the_aws_cli_reads_and_starts(rig: Rig, shop: str) -> None:
    """Debian's AWS CLI starts an execution and sees its state."""
    answer = rig.served.cli_json("codepipeline", "start-pipeline-execution", "--name", shop)
    assert rig.status(shop, answer["pipelineExecutionId"]) == "Succeeded"
    state = rig.served.cli_json("codepipeline", "get-pipeline-state", "--name", shop)
    assert [row["stageName"] for row in state["stageStates"]] == ["Source", "Build", "Deploy"]
    assert {row["latestExecution"]["pipelineExecutionId"] for row in state["stageStates"]} == set(answer.values())
    pipeline = rig.served.cli_json("codepipeline", "get-pipeline", "--name", shop)
    assert pipeline["metadata"]["pipelineArn"].endswith(":shop")
