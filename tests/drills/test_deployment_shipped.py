"""A broken revision that the pipeline ships: taken back, followed by what ran before, and nothing of it is left."""

from __future__ import annotations

import io
import json
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr.errors import EnvdrError, NotFound, Refused
from pytest_envdr.sandbox import Sandbox
from pytest_envdr.sandbox.envelope import images, pipeline
from pytest_envdr.sandbox.envelope.pipeline import BUILD, CONTAINER, DEPLOY, PIPELINE, SOURCE
from pytest_envdr.waiting import wait_until
from tests.drills import deployment_rig as rig
from tests.drills import runs
from tests.drills.shipping_rig import PATIENCE, aimed, at_rest, broken, executions, retired, stage
from tests.drills.stranger import Stranger
from tests.drills.test_deployment_rollback import ROUNDING, TENTH

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

pytestmark = pytest.mark.sweep

PROVED = (
    "codepipeline.GetPipelineExecution",
    "codepipeline.GetPipelineState",
    "codepipeline.ListActionExecutions",
    "ecs.DescribeServices",
    "ecs.DescribeTasks",
)
"""What a recovery and the pipeline's part in it rest on: a real part must have stood behind each of these answers."""


@pytest.fixture(scope="module")
def stranger() -> Iterator[Stranger]:
    """A developer of a sandbox of its own: its pipeline ships to its api."""
    with Sandbox(speed=20, tenants=1) as sandbox:
        yield Stranger(sandbox.stack)


def check_run(stranger: Stranger, directory: Path, kind: str) -> runs.Place:
    """A user's run is green and leaves nothing; its evidence, for more."""
    at_rest(stranger)
    before, retired_before, place = rig.looked_at(stranger, "api"), retired(stranger), runs.Place(directory)
    first = executions(stranger)[-1]
    process = runs.begin(place, aimed(stranger, directory), "-m", rig.SCENARIO, "-k", f"pipeline and {kind}")
    code, said = runs.ended(process)
    assert code == pytest.ExitCode.OK, said
    assert rig.looked_at(stranger, "api") == before
    assert place.owed == []
    assert len(retired(stranger) - retired_before) == 2, "the broken one, and the one that was shipped again"
    assert stage(stranger, DEPLOY)["inboundTransitionState"]["enabled"]
    again, bad = executions(stranger)[:2]
    assert [row["revisionId"] for row in bad["sourceRevisions"]] == [broken(stranger, kind)]
    assert bad["status"] != "InProgress"
    assert again["rollbackMetadata"]["rollbackTargetPipelineExecutionId"] == first["pipelineExecutionId"]
    assert (again["status"], again["sourceRevisions"]) == ("Succeeded", first["sourceRevisions"])
    drill = place.drill
    assert drill["verdict"] == "passed"
    assert drill["rta_seconds"] <= drill["rto_seconds"]
    for operation in PROVED:
        assert set(drill["fidelity"]["operations"][operation]) == {"acted"}, operation
    (told,) = (one["rows"] for one in drill["tables"] if one["title"] == f"What pipeline {PIPELINE} made of it")
    assert [(row[0], row[2], row[3]) for row in told] == [
        (bad["pipelineExecutionId"], broken(stranger, kind), name) for name in (SOURCE, BUILD, DEPLOY)
    ]
    return place


def test_ecs_takes_it_back(stranger: Stranger, tmp_path: Path) -> None:
    """Shipped, rolled back by ECS, no client noticed; the pipeline had not noticed either, and was told to ship the
    last good revision; the service is as before, and what the pipeline registered is deregistered."""
    place = check_run(stranger, tmp_path, "exits")
    found = {one["id"]: one["severity"] for one in place.drill["findings"]}
    assert found == {"pipeline.unaware": "note"}
    assert place.drill["probe"]["failures"] == 0
    check_agrees(stranger, place)


def check_agrees(stranger: Stranger, place: runs.Place) -> None:
    """Seen is the instant at which ECS began to roll back; recovered is the first answer after that had ended and the
    last broken task was gone; what the pipeline did is told by its own time stamps: all within the stated error."""
    marks = {one["name"]: rig.at(one["at"]) for one in place.drill["marks"]}
    change = next(
        one for one in rig.service_deployments(stranger, "api", since=marks["fault"]) if one.get("rollback") is not None
    )
    began = change["rollback"]["startedAt"]
    assert abs((marks["seen"] - began).total_seconds()) <= ROUNDING
    broken = [one for one in rig.stopped_tasks(stranger, "api") if marks["fault"] <= one["createdAt"] <= began]
    assert len(broken) >= change["deploymentCircuitBreaker"]["threshold"]
    over = max([change["finishedAt"], *(one["executionStoppedAt"] for one in broken if "executionStoppedAt" in one)])
    late = (marks["recovered"] - over).total_seconds()
    assert -ROUNDING <= late <= place.drill["error_seconds"] + place.drill["probe"]["longest_gap_seconds"] + ROUNDING
    (told,) = (one["rows"] for one in place.drill["tables"] if one["title"] == f"What pipeline {PIPELINE} made of it")
    actions = stranger.client("codepipeline").list_action_executions(
        pipelineName=PIPELINE, filter={"pipelineExecutionId": told[0][0]}
    )["actionExecutionDetails"]
    starts = {one["actionName"]: (one["startTime"] - marks["fault"]).total_seconds() for one in actions}
    assert {row[4] for row in told} == starts.keys()
    assert all(abs(float(row[6].removesuffix(" s")) - starts[row[4]]) < TENTH for row in told)


@pytest.mark.sweep
def test_a_hand_takes_it_back(stranger: Stranger, tmp_path: Path) -> None:
    """Shipped, seen at clients, rolled back by hand, and nothing of it left."""
    place = check_run(stranger, tmp_path, "answers-500")
    assert "HTTP 500" in place.drill["probe"]["classes"]
    assert {one["severity"] for one in place.drill["findings"]} <= {"note", "warning"}


def test_an_artifact_that_says_another_image(stranger: Stranger, tmp_path: Path) -> None:
    """Rolled back to the last good execution, the pipeline takes the good revision and ships the bad image all the
    same: somebody has changed what the build had made. The running digests tell; the service is as before."""
    at_rest(stranger)
    before, s3 = rig.looked_at(stranger, "api"), stranger.client("s3")
    where = {"Bucket": pipeline.ARTIFACTS, "Key": f"{PIPELINE}/Built/first"}
    kept, packed = s3.get_object(**where)["Body"].read(), io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        said = [{"name": CONTAINER, "imageUri": images.reference("answers-500")}]
        archive.writestr("imagedefinitions.json", json.dumps(said))
    s3.put_object(**where, Body=packed.getvalue())
    try:
        with rig.rehearsing(aimed(stranger, tmp_path), tmp_path, "exits", way="pipeline") as (_, drill, bad):
            bad.wait_until_rolled_back()
            again = bad.ship_again()
    finally:
        s3.put_object(**where, Body=kept)
    assert again.revisions == again.intended
    assert [one.id for one in drill.failures if one.id != "pipeline.outage"] == ["pipeline.digest"]
    assert rig.looked_at(stranger, "api") == before
    assert runs.Place(tmp_path).owed == []


def test_green_over_a_service_that_was_rolled_back(stranger: Stranger, tmp_path: Path) -> None:
    """The pipeline has ended well by the time that a hand takes the deployment back: it is green over a service that
    runs something else, and the drill says so, by the execution's id and the revision's."""
    at_rest(stranger)
    before = rig.looked_at(stranger, "api")
    stack = aimed(stranger, tmp_path)
    with rig.rehearsing(stack, tmp_path, "answers-500", way="pipeline") as (_, drill, bad):
        wait_until(lambda: executions(stranger)[0]["status"] == "Succeeded", what="green", deadline=PATIENCE)
        shipped = executions(stranger)[0]["pipelineExecutionId"]
        bad.wait_until_seen()
        bad.roll_back()
        bad.wait_until_recovered()
    (green,) = [one for one in drill.findings if one.severity != "note"]
    assert (green.id, green.severity) == ("pipeline.green", "warning")
    assert green.detail.startswith(f"execution {shipped} of revision {broken(stranger, 'answers-500')} is Succeeded")
    assert rig.looked_at(stranger, "api") == before
    assert runs.Place(tmp_path).owed == []


def test_overtaken_on_the_way(stranger: Stranger, tmp_path: Path) -> None:
    """A commit of somebody's overtakes the drill's execution while that waits: Superseded is no success. The drill is
    refused, nothing was broken, and the commit's execution goes its way."""
    at_rest(stranger)
    before, client = rig.looked_at(stranger, "api"), stranger.client("codepipeline")
    way = {"pipelineName": PIPELINE, "stageName": BUILD, "transitionType": "Inbound"}
    client.disable_stage_transition(**way, reason="a freeze")

    def overtake() -> None:
        ours = wait_until(
            lambda: stage(stranger, BUILD).get("inboundExecution"), what="the drill's execution", deadline=PATIENCE
        )
        assert ours
        stop = client.start_pipeline_execution(name=PIPELINE)["pipelineExecutionId"]
        wait_until(
            lambda: stage(stranger, BUILD)["inboundExecution"]["pipelineExecutionId"] == stop,
            what="the other one in its place",
            deadline=PATIENCE,
        )

    try:
        with (
            rig.meanwhile(overtake),
            pytest.raises(Refused, match="is Superseded, and has not come to the service"),
            rig.rehearsing(aimed(stranger, tmp_path), tmp_path, "exits", way="pipeline"),
        ):
            pass
        assert rig.looked_at(stranger, "api") == before
        assert runs.Place(tmp_path).owed == []
        other = stage(stranger, BUILD)["inboundExecution"]["pipelineExecutionId"]
        client.stop_pipeline_execution(pipelineName=PIPELINE, pipelineExecutionId=other, abandon=True)
    finally:
        client.enable_stage_transition(**way)


def refused(
    stranger: Stranger,
    directory: Path,
    *,
    kind: str = "exits",
    error: type[EnvdrError] = Refused,
    **tables: Mapping[str, Any],
) -> str:
    """Why a drill through the pipeline is refused; it has changed nothing, and owes nothing."""
    before = executions(stranger)
    stack = aimed(stranger, directory, **tables)
    with pytest.raises(error) as told, rig.rehearsing(stack, directory, kind, way="pipeline"):
        pass
    place = runs.Place(directory)
    assert (place.changes, place.owed) == ([], [])
    assert executions(stranger) == before
    return str(told.value)


def test_no_pipeline_is_named(stranger: Stranger, tmp_path: Path) -> None:
    """Nothing could ship."""
    said = refused(stranger, tmp_path, bad_deployment={"service": "api", "pipeline": ""})
    assert "no pipeline is named that could ship" in said


def test_an_unknown_pipeline(stranger: Stranger, tmp_path: Path) -> None:
    """Nothing of that name is there."""
    said = refused(stranger, tmp_path, error=NotFound, bad_deployment={"service": "api", "pipeline": "nowhere"})
    assert "Pipeline nowhere cannot be read" in said


def test_a_kind_without_a_revision(stranger: Stranger, tmp_path: Path) -> None:
    """What cannot be pulled, no pipeline can build: the message lists what there is."""
    said = refused(stranger, tmp_path, kind="cannot-be-pulled")
    assert "no revision of which one can say: cannot-be-pulled" in said
    assert "exits, unhealthy, answers-500, grows" in said


def test_a_source_action_that_is_not_there(stranger: Stranger, tmp_path: Path) -> None:
    """The revision is for another action than the pipeline has."""
    said = refused(stranger, tmp_path, bad_deployment__revisions__exits={"action": "GitHub"})
    assert "it has no source action GitHub, but Source" in said


def test_the_way_is_closed_by_somebody(stranger: Stranger, tmp_path: Path) -> None:
    """A freeze is not the drill's to lift."""
    client = stranger.client("codepipeline")
    way = {"pipelineName": PIPELINE, "stageName": DEPLOY, "transitionType": "Inbound"}
    client.disable_stage_transition(**way, reason="a freeze")
    try:
        assert "the way into Deploy is closed: a freeze" in refused(stranger, tmp_path)
    finally:
        client.enable_stage_transition(**way)


def test_no_good_execution_to_go_back_to(stranger: Stranger, tmp_path: Path) -> None:
    """What succeeded last in the stage is the very revision that the stack file calls broken: to go back there would be
    to ship it again."""
    good = executions(stranger)[-1]["sourceRevisions"][0]["revisionId"]
    revision = {"s3_object_version_id": good, "s3_object_key": pipeline.MAIN}
    said = refused(stranger, tmp_path, bad_deployment__revisions__grows=revision)
    assert "no execution of a good revision has succeeded in Deploy" in said


def test_a_revision_that_the_source_lacks(stranger: Stranger, tmp_path: Path) -> None:
    """The source action fails: the drill says so in its words, nothing came to the service, and nothing is owed."""
    at_rest(stranger)
    before = rig.looked_at(stranger, "api")
    stack = aimed(stranger, tmp_path, bad_deployment__revisions__exits={"s3_object_version_id": "nothing"})
    with (
        pytest.raises(Refused, match="is Failed, and has not come to the service: Source: ConfigurationError"),
        rig.rehearsing(stack, tmp_path, "exits", way="pipeline"),
    ):
        pass
    assert rig.looked_at(stranger, "api") == before
    assert runs.Place(tmp_path).owed == []
    assert stage(stranger, DEPLOY)["inboundTransitionState"]["enabled"]
