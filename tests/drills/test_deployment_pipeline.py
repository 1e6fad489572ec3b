"""The pipeline that ships to the service of a bad deployment: kept out meanwhile, and as it was afterwards."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr.drills import pipelines
from pytest_envdr.errors import EnvdrError, NotFound, Refused
from pytest_envdr.exercise import Charge
from pytest_envdr.sandbox import Sandbox
from pytest_envdr.sandbox.envelope import pipeline
from pytest_envdr.sandbox.envelope.pipeline import BUILD, DEPLOY, PIPELINE
from pytest_envdr.waiting import wait_until
from tests.drills import deployment_rig as rig
from tests.drills import restored, runs
from tests.drills.deployment_deaths import Order
from tests.drills.stranger import Stranger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE = 180.0
CLOSES = "codepipeline.DisableStageTransition"
STEPS = ("intended", "answered", "settled", "reversing", "reversed")
WHERE = {"pipelineName": PIPELINE, "stageName": DEPLOY, "transitionType": "Inbound"}


pytestmark = pytest.mark.sweep
"""A whole sandbox, and a pipeline that ships: too dear for the gate, which refuses by values."""


@pytest.fixture(scope="module")
def stranger() -> Iterator[Stranger]:
    """A developer of a sandbox of its own: commits reach its api."""
    with Sandbox(speed=20, tenants=1) as sandbox:
        yield Stranger(sandbox.stack)


def aimed(stranger: Stranger, directory: Path, word: str = "api", name: str = PIPELINE) -> Path:
    """A stack file whose bad deployments go to a service that a pipeline ships to."""
    return rig.aimed(stranger.stack_file, directory, word, bad_deployment={"service": word, "pipeline": name})


def stages(stranger: Stranger) -> dict[str, dict[str, Any]]:
    """The pipeline's stages as they are."""
    rows = stranger.client("codepipeline").get_pipeline_state(name=PIPELINE)["stageStates"]
    return {row["stageName"]: row for row in rows}


def transition(stranger: Stranger) -> dict[str, Any]:
    """The way into the stage that deploys."""
    return dict(stages(stranger)[DEPLOY]["inboundTransitionState"])


def wait_until_shipped(stranger: Stranger, identifier: str) -> None:
    """Until an execution has deployed what it built, and the service is steady."""

    def status() -> str:
        answer = stranger.client("codepipeline").get_pipeline_execution(
            pipelineName=PIPELINE, pipelineExecutionId=identifier
        )
        return str(answer["pipelineExecution"]["status"])

    wait_until(status, lambda now: now == "Succeeded", what="a commit that ships", deadline=PATIENCE)
    stranger.wait_until_steady("api")


def refused(
    stranger: Stranger, directory: Path, *, error: type[EnvdrError] = Refused, **aim: str
) -> tuple[str, list[str]]:
    """Why a drill is refused, and what it has changed; it must owe nothing."""
    stack = aimed(stranger, directory, **aim)
    with pytest.raises(error) as told, rig.rehearsing(stack, directory, "exits"):
        pass
    place = runs.Place(directory)
    assert place.owed == []
    return str(told.value), place.changes


def test_a_commit_waits_until_the_drill_is_over(stranger: Stranger, tmp_path: Path) -> None:
    """The way into Deploy is closed in the drill's name. A commit on main is built, waits, and ships only when the
    service was back and the way open again."""
    before = stranger.service("api")["taskDefinition"]
    with rig.rehearsing(aimed(stranger, tmp_path), tmp_path, "exits") as (_, drill, bad):
        assert transition(stranger)["disabledReason"] == f"envdr drill {drill.exercise_id}"
        body = pipeline.source({"NOTE": "in the midst of a drill"})
        stranger.client("s3").put_object(Bucket=pipeline.SOURCES, Key=pipeline.MAIN, Body=body)
        bad.wait_until_rolled_back()
        bad.wait_until_recovered()
        waiting = wait_until(
            lambda: stages(stranger)[DEPLOY].get("inboundExecution"), what="a commit that waits", deadline=PATIENCE
        )
        assert waiting
        identifier = waiting["pipelineExecutionId"]
        assert stages(stranger)[BUILD]["latestExecution"]["status"] == "Succeeded"
        assert stranger.service("api")["taskDefinition"] == before
    assert drill.failures == []
    assert transition(stranger)["enabled"]
    assert runs.Place(tmp_path).owed == []
    wait_until_shipped(stranger, identifier)
    assert stranger.service("api")["taskDefinition"] != before


def test_closed_by_somebody_else(stranger: Stranger, tmp_path: Path) -> None:
    """A way that was closed before is closed afterwards, by whom, when and why it was; the drill runs."""
    client = stranger.client("codepipeline")
    stranger.wait_until_steady("api")
    client.disable_stage_transition(**WHERE, reason="a freeze")
    try:
        before = transition(stranger)
        with rig.rehearsing(aimed(stranger, tmp_path), tmp_path, "cannot-be-pulled"):
            assert transition(stranger) == before
        assert transition(stranger) == before
        assert CLOSES not in runs.Place(tmp_path).changes
    finally:
        client.enable_stage_transition(**WHERE)


def test_an_unknown_pipeline(stranger: Stranger, tmp_path: Path) -> None:
    """Nothing of that name is there: refused, nothing was touched."""
    said, changes = refused(stranger, tmp_path, error=NotFound, name="nowhere")
    assert "Pipeline nowhere cannot be read" in said
    assert changes == []


def test_a_pipeline_that_ships_elsewhere(stranger: Stranger, tmp_path: Path) -> None:
    """The pipeline deploys to another service than the drill: the message says to which."""
    said, changes = refused(stranger, tmp_path, word="hq")
    assert f"pipeline {PIPELINE} does not deploy to envelope-prod-hq" in said
    assert "but to envelope-prod-api" in said
    assert changes == []


def test_a_pipeline_at_work(stranger: Stranger, tmp_path: Path) -> None:
    """An execution is in progress at kick-off: refused with its id, nothing was touched."""
    stranger.wait_until_steady("api")
    asked = stranger.client("codepipeline").start_pipeline_execution(name=PIPELINE)["pipelineExecutionId"]
    wait_until(
        lambda: any(row.get("latestExecution", {}).get("status") == "InProgress" for row in stages(stranger).values()),
        what="the pipeline at work",
        deadline=PATIENCE,
    )
    try:
        # The drill's other checks take so long that the service may be in the midst of its deployment by then.
        with restored.exercising(aimed(stranger, tmp_path), tmp_path) as exercise:
            drill = exercise.drill(Charge("rehearsal", rig.SCENARIO))
            held = pipelines.kept_out(
                exercise.aws, exercise.journal, drill, exercise.aws.stack.services["api"], PIPELINE
            )
            with pytest.raises(Refused, match=f"execution {asked} of pipeline {PIPELINE} is in stage"), held:
                pass
        assert runs.Place(tmp_path).changes == []
    finally:
        wait_until_shipped(stranger, asked)


@pytest.mark.parametrize("step", STEPS)
def test_killed(step: str, stranger: Stranger, tmp_path: Path) -> None:
    """SIGKILL around closing the way and around opening it: `envdr undo` opens it, and the service runs its previous
    revision, with no other that could be deployed."""
    stranger.wait_until_steady("api")
    before, place = rig.looked_at(stranger, "api"), runs.Place(tmp_path)
    stack = aimed(stranger, tmp_path)
    order = Order(str(stack), str(place.state), "api", f"die-{step}", step=f"{step} {CLOSES}", kind="cannot-be-pulled")
    command = [sys.executable, "-m", "tests.drills.deployment_deaths", order.to_json()]
    made = subprocess.run(command, cwd=runs.ROOT, text=True, capture_output=True, timeout=runs.SECONDS, check=False)
    assert made.returncode == -signal.SIGKILL, made.stdout + made.stderr
    assert transition(stranger)["enabled"] == (step in ("intended", "reversed"))
    code, said = runs.envdr(place, "undo")
    assert code == 0, said
    assert transition(stranger)["enabled"]
    assert rig.looked_at(stranger, "api") == before
    assert place.owed == []
