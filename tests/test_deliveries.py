"""What a pipeline's deploy action brought to a service: by its deployment's id, and by time where that is not told."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from pytest_envdr import deliveries
from pytest_envdr.aws import Aws, codepipeline_executions
from pytest_envdr.deliveries import Deployed
from pytest_envdr.journal import Header, Journal
from pytest_envdr.sandbox.control_plane import codebuild, codepipeline, ecs, logs, s3
from tests import account
from tests.sandbox.control_plane.fargate import CLUSTER, IDLE, Fargate, until
from tests.sandbox.control_plane.pipeline_rig import BUILD, Rig, deploy
from tests.sandbox.control_plane.served import ACCOUNT, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_envdr.aws.codepipeline_executions import Action

pytestmark = pytest.mark.sweep

REGION = "ap-northeast-3"
BREAKER = {
    "minimumHealthyPercent": 100,
    "maximumPercent": 200,
    "deploymentCircuitBreaker": {"enable": True, "rollback": True},
}
NO_DEPLOYMENTS = ["", "not-an-id-of-ecs", f"arn:aws:ecs:{REGION}:{ACCOUNT}:service-deployment/shop/shop/abc"]
"""What an action may say instead of a deployment's id."""


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """Pipelines at speed 100."""
    modules = {"logs": logs, "ecs": ecs, "s3": s3, "codebuild": codebuild, "codepipeline": codepipeline}
    directory = tmp_path_factory.mktemp("deliveries")
    with serving(directory, modules, region=REGION, network="127.6.0.0/16", speed=100) as served:
        yield Rig(served, Fargate(served, directory))


@pytest.fixture
def aws(rig: Rig, tmp_path: Path) -> Iterator[Aws]:
    """The account."""
    endpoint = rig.served.world.endpoint
    with Journal.open(tmp_path / "journal", Header("ex-5", ACCOUNT, REGION, endpoint)) as journal:
        yield Aws(account.stack(endpoint=endpoint, account=ACCOUNT, region=REGION), journal)


def shipped(rig: Rig, name: str, program: str = IDLE, *, check: str = "true") -> str:
    """A service of that name, and a pipeline that begins to ship a program to it: the execution's id."""
    rig.fargate.create(name, rig.fargate.definition(name, rig.fargate.image(IDLE)), deploymentConfiguration=BREAKER)
    rig.fargate.completed(name)
    rig.push(f"{name}.zip", program, check=check)
    return rig.create(name, [BUILD], [deploy(name)])


def deploy_action(aws: Aws, name: str, execution: str) -> Action:
    """How an execution's deploy action ran."""
    return codepipeline_executions.actions(aws, name, execution)[-1]


def test_a_deployment_that_succeeded(aws: Aws, rig: Rig) -> None:
    """By its id; by time where the action says something else, or nothing: the same deployment and revision."""
    execution = shipped(rig, "well")
    assert rig.status("well", execution) == "Succeeded"
    row = rig.fargate.service("well")
    expected = [Deployed(row["deployments"][0]["id"], row["taskDefinition"])]
    action = deploy_action(aws, "well", execution)
    assert action.external == expected[0].deployment
    for said in (action.external, *NO_DEPLOYMENTS):
        assert deliveries.deployed(aws, CLUSTER, "well", replace(action, external=said)) == expected, said


def test_one_that_was_rolled_back(aws: Aws, rig: Rig) -> None:
    """The service does not list it any more; its tasks, or the service deployment, tell its revision all the same. What
    the service went back to was registered earlier, and is not the action's."""
    execution = shipped(rig, "unlucky", "exit 1\n")
    before = rig.fargate.service("unlucky")["taskDefinition"]
    rig.fargate.ended("unlucky", "ROLLBACK_SUCCESSFUL")
    action = deploy_action(aws, "unlucky", execution)
    (bad,) = {task["taskDefinitionArn"] for task in rig.fargate.tasks("unlucky", "STOPPED")} - {before}
    for said in (action.external, *NO_DEPLOYMENTS):
        assert deliveries.deployed(aws, CLUSTER, "unlucky", replace(action, external=said)) == [
            Deployed(action.external, bad)
        ], said
    rig.pipelines.stop_pipeline_execution(pipelineName="unlucky", pipelineExecutionId=execution, abandon=True)


def test_somebody_deploys_meanwhile(aws: Aws, rig: Rig) -> None:
    """With the deployment's id, the action's alone; without, both, and never one that was registered before."""
    execution = shipped(rig, "shared", "exit 1\n")
    before = rig.fargate.service("shared")["taskDefinition"]
    until(lambda: len(rig.actions("shared", execution)) == 3 and deploy_action(aws, "shared", execution).external)
    action = deploy_action(aws, "shared", execution)
    ours = rig.fargate.service("shared")["taskDefinition"]
    rig.fargate.update("shared", taskDefinition=before)
    theirs = rig.fargate.definition("shared", rig.fargate.image(IDLE))
    rig.fargate.update("shared", taskDefinition=theirs)
    assert [one.task_definition for one in deliveries.deployed(aws, CLUSTER, "shared", action)] == [ours]
    unknown = deliveries.deployed(aws, CLUSTER, "shared", replace(action, external=""))
    assert [one.task_definition for one in unknown] == [ours, theirs]
    ended = replace(action, status="Abandoned", external="", updated_at=datetime.now(UTC))
    rig.pipelines.stop_pipeline_execution(pipelineName="shared", pipelineExecutionId=execution, abandon=True)
    assert [one.task_definition for one in deliveries.deployed(aws, CLUSTER, "shared", ended)] == [ours, theirs]
    early = replace(ended, updated_at=ended.started_at - deliveries.BEGINS)
    assert deliveries.deployed(aws, CLUSTER, "shared", early) == []


def test_nothing_was_deployed(aws: Aws, rig: Rig) -> None:
    """An action that failed before it came as far as that, whatever somebody deploys meanwhile."""
    rig.fargate.create("idle", rig.fargate.definition("idle", rig.fargate.image(IDLE)))
    rig.push("idle.zip", IDLE)
    execution = rig.create("idle", [BUILD], [deploy("idle", FileName="images.json")])
    assert rig.status("idle", execution) == "Failed"
    rig.fargate.update("idle", taskDefinition=rig.fargate.definition("idle", rig.fargate.image(IDLE)))
    assert deliveries.deployed(aws, CLUSTER, "idle", deploy_action(aws, "idle", execution)) == []
