"""CodePipeline: what a pipeline deploys to, where its executions are, and the way into a stage closed and opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_envdr import undo
from pytest_envdr.aws import Aws, codepipeline, codepipeline_executions
from pytest_envdr.errors import NotFound
from pytest_envdr.journal import Header, Journal
from pytest_envdr.sandbox.control_plane import codebuild, ecs, logs, s3
from pytest_envdr.sandbox.control_plane import codepipeline as sandbox
from tests import account
from tests.sandbox.control_plane.fargate import CLUSTER, Fargate, until
from tests.sandbox.control_plane.pipeline_rig import APPROVAL, Rig, deploy
from tests.sandbox.control_plane.served import ACCOUNT, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EXERCISE = "2026-11-24T03:30,ex_1"
REGION = "ap-northeast-1"
SHOP = "shop"


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """A pipeline that asks, and waits for the answer, before it deploys."""
    modules = {"logs": logs, "ecs": ecs, "s3": s3, "codebuild": codebuild, "codepipeline": sandbox}
    directory = tmp_path_factory.mktemp("pipelines")
    with serving(directory, modules, region=REGION, network="127.220.0.0/16", speed=100) as served:
        rig = Rig(served, Fargate(served, directory))
        rig.push(f"{SHOP}.zip", "true\n")
        rig.create(SHOP, [APPROVAL], [{**deploy("front"), "inputArtifacts": [{"name": "App"}]}])
        yield rig


@pytest.fixture
def journal(rig: Rig, tmp_path: Path) -> Iterator[Journal]:
    """An open journal."""
    with Journal.open(tmp_path / "journal", Header(EXERCISE, ACCOUNT, REGION, rig.served.world.endpoint)) as journal:
        yield journal


@pytest.fixture
def aws(rig: Rig, journal: Journal) -> Aws:
    """The account."""
    return Aws(account.stack(endpoint=rig.served.world.endpoint, account=ACCOUNT, region=REGION), journal)


def test_what_it_deploys_to(aws: Aws) -> None:
    """The deploy action's stage, cluster and service; other actions deploy nothing."""
    assert codepipeline.deploys(aws, SHOP) == [codepipeline.Deploy("Deploy", "Deploy", CLUSTER, "front")]


def test_its_stages_and_executions(aws: Aws, rig: Rig) -> None:
    """Which execution is in a stage, and how; which revision it took; that it is under way."""
    until(lambda: rig.latest(SHOP, "Ask").get("token"))
    (execution,) = codepipeline_executions.executions(aws, SHOP)
    stages = codepipeline.stages(aws, SHOP)
    assert list(stages) == ["Source", "Ask", "Deploy"]
    assert execution.under_way
    assert execution.trigger == "CreatePipeline"
    assert (stages["Source"].execution, stages["Source"].status) == (execution.id, "Succeeded")
    assert (stages["Deploy"].execution, stages["Deploy"].status, stages["Deploy"].waiting) == ("", "", "")
    assert stages["Deploy"].inbound.enabled


def test_the_way_is_closed_and_opened(aws: Aws, journal: Journal) -> None:
    """Closed in the exercise's name, with nothing in it that CodePipeline refuses; an undo opens it, a second one finds
    nothing to do."""
    codepipeline.disable_inbound(aws, journal, SHOP, "Deploy")
    closed = codepipeline.stages(aws, SHOP)["Deploy"].inbound
    assert (closed.enabled, closed.reason) == (False, "envdr drill 2026-11-24T03-30-ex-1")
    assert closed.changed_at is not None
    (undone,) = undo.replay(aws, journal)
    assert undone.how == "brought back"
    assert codepipeline.stages(aws, SHOP)["Deploy"].inbound.enabled
    assert undo.replay(aws, journal) == []


def test_what_stays_owed_for_now(aws: Aws, journal: Journal) -> None:
    """An act that is left out of an undo stays owed, until one that does not leave it out."""
    codepipeline.disable_inbound(aws, journal, SHOP, "Deploy")
    assert undo.replay(aws, journal, but={"codepipeline.DisableStageTransition"}) == []
    assert not codepipeline.stages(aws, SHOP)["Deploy"].inbound.enabled
    assert len(undo.replay(aws, journal)) == 1


def test_closed_by_somebody_else_meanwhile(aws: Aws, journal: Journal, rig: Rig) -> None:
    """A way that somebody opened and closed again for a reason of their own stays closed."""
    codepipeline.disable_inbound(aws, journal, SHOP, "Deploy")
    rig.switch(SHOP, "Deploy", enabled=True)
    rig.switch(SHOP, "Deploy", enabled=False)
    (undone,) = undo.replay(aws, journal)
    assert undone.how == "it was closed by somebody else (a drill): left as it is"
    assert not codepipeline.stages(aws, SHOP)["Deploy"].inbound.enabled
    rig.switch(SHOP, "Deploy", enabled=True)


def test_a_pipeline_that_is_not_there(aws: Aws) -> None:
    """All reads say so."""
    for read in (codepipeline.deploys, codepipeline.stages, lambda *of: list(codepipeline_executions.executions(*of))):
        with pytest.raises(NotFound, match="nowhere"):
            read(aws, "nowhere")
