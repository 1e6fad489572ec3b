"""Worker Queue Recovery on a stack that is well: a user's run of every fault of workers and database is green, says
what became of each job, and leaves nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from pytest_envdr import stack
from pytest_envdr.aws import Aws
from tests.drills import runs
from tests.drills.queue_rig import WORKER, Hand

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RECOVERIES = ("Recovery · killed", "Recovery · stopped", "Recovery · all stopped")
LOST = "Lost jobs · database away"
FIRST, SECOND, THIRD = RECOVERIES[:1], RECOVERIES[1:], (LOST,)
CHOSEN = {FIRST: "killed", SECOND: "stopped", THIRD: "database"}
"""Three runs: the gate takes the first, a sweep all. Faults of the cache have tests of their own."""
EVERY = [
    pytest.param(FIRST, id="killed"),
    pytest.param(SECOND, marks=pytest.mark.sweep, id="stopped"),
    pytest.param(THIRD, marks=pytest.mark.sweep, id="database"),
]
RECOVERED = EVERY[:2]
PROVED = ("ecs.DescribeServices", "ecs.ListTasks", "ecs.DescribeTasks")
"""What a recovery rests on: each of these answers must have had a real part behind it."""
DATABASE = "rds.DescribeDBInstances"
"""And this one's, where it was the database that was away."""
ERROR_SECONDS = 1.0
"""How far the instants of the drill and the control loop's own may be apart: the application's clock is the machine's,
and ECS's stamps are of milliseconds."""


@pytest.fixture(scope="module")
def hand(sandbox_stack: Path) -> Iterator[tuple[Hand, str]]:
    """Somebody else's hand, and the uuid of a failed job that is no drill's."""
    hand = Hand(Aws(stack.read(sandbox_stack)))
    uuid = hand.strange_failure()
    yield hand, uuid
    hand.sql("DELETE FROM failed_jobs WHERE uuid = %s", uuid)


@pytest.fixture(scope="module")
def before(hand: tuple[Hand, str]) -> dict[str, Any]:
    """All that a drill may leave behind, before the run."""
    hand[0].stranger.wait_until_steady(WORKER)
    return hand[0].left()


@pytest.fixture(scope="module")
def place(
    request: pytest.FixtureRequest,
    sandbox_stack: Path,
    before: dict[str, Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> runs.Place:
    """A user's run of `dr_tests`."""
    assert before
    place = runs.Place(tmp_path_factory.mktemp("queue"))
    chosen = CHOSEN[request.param]
    code, said = runs.ended(runs.begin(place, sandbox_stack, "-m", "worker_queue_recovery", "-k", chosen))
    assert code == 0, said
    return place


@pytest.fixture(scope="module")
def drills(place: runs.Place) -> dict[str, dict[str, Any]]:
    """The record's drills by name."""
    (scenario,) = place.record["scenarios"]
    return {drill["name"]: drill for drill in scenario["drills"]}


@pytest.mark.parametrize("place", EVERY, indirect=True)
def test_every_fault_is_recovered_from(place: runs.Place, drills: dict[str, dict[str, Any]]) -> None:
    """One drill for each fault: passed, within RTO and RPO, its parts apart; the record keeps to its schema."""
    assert tuple(drills) in CHOSEN
    for name, drill in drills.items():
        assert drill["verdict"] == "passed", name
        assert {finding["severity"] for finding in drill["findings"]} <= {"note", "warning"}
        parts = (drill["detect_seconds"], drill["recover_seconds"], drill["validate_seconds"])
        assert sum(parts) == pytest.approx(drill["rta_seconds"], abs=0.01)
        assert 0 < drill["rta_seconds"] <= drill["rto_seconds"]
    schema = json.loads((runs.ROOT / "pytest_envdr" / "evidence" / "record.schema.json").read_text())
    jsonschema.validate(place.record, schema)


def table(drill: dict[str, Any], title: str) -> list[list[str]]:
    """The rows of a table of the report."""
    (found,) = [one for one in drill["tables"] if one["title"] == title]
    return [list(map(str, row)) for row in found["rows"]]


@pytest.mark.parametrize("place", RECOVERED, indirect=True)
def test_every_worker_is_killed_in_mid_job(drills: dict[str, dict[str, Any]]) -> None:
    """Exit code 137, with a job left behind; what had one try failed, and was retried by its uuid; both are executed
    twice, which is told."""
    (name,) = (one for one in (RECOVERIES[0], RECOVERIES[2]) if one in drills)
    ends = table(drills[name], "How the workers ended")
    assert [row[3] for row in ends] == ["137", "137"]
    left = {row[4] for row in ends}
    assert {job.rpartition(".")[0].rpartition(".")[2] for job in left} == {"works"}
    assert {row[0] for row in table(drills[name], "Jobs executed more than once")} == left
    failed = {row[0]: row[2] for row in table(drills[name], "Failed jobs")}
    assert any("MaxAttemptsExceededException" in why for job, why in failed.items() if job in left)
    assert table(drills[name], "Jobs that the queue lost") == []
    how = {row[0]: row[4] for row in table(drills[name], "What happened to each job")}
    assert {how[job] for job in left} == {"given out again by the queue", "failed, retried by its uuid"}


@pytest.mark.parametrize("place", EVERY[1:2], indirect=True)
def test_a_worker_that_is_told_to_stop_does_its_job_to_the_end(drills: dict[str, dict[str, Any]]) -> None:
    """Exit code 0, no job left behind, and none executed twice."""
    ends = table(drills[RECOVERIES[1]], "How the workers ended")
    assert {(row[3], row[4]) for row in ends} == {("0", "none")}
    assert table(drills[RECOVERIES[1]], "Jobs executed more than once") == []


@pytest.mark.parametrize("place", EVERY[2:], indirect=True)
def test_what_the_database_made_the_framework_lose(drills: dict[str, dict[str, Any]]) -> None:
    """Some jobs were in no place of the queue and not among the failed: named, made again, and not called "no loss"."""
    drill = drills[LOST]
    lost = table(drill, "Jobs that the queue lost")
    assert lost
    assert all("made again from the outbox" in row[2] for row in lost)
    (found,) = [one for one in drill["findings"] if one["id"] == "queue.lost-made-again"]
    assert all(row[0] in found["detail"] for row in lost)
    (point,) = drill["recovery_points"]
    assert f"{len(lost)} were lost there and made again" in point["newest"]
    stories = {row[0]: row[3] for row in table(drill, "What happened to each job")}
    assert "none" not in stories.values()


@pytest.mark.parametrize("place", EVERY, indirect=True)
def test_the_plans_own_commands(place: runs.Place, drills: dict[str, dict[str, Any]], hand: tuple[Hand, str]) -> None:
    """queue:failed and queue:retry, as CloudWatch Logs has what they wrote: the listing shows what failed before the
    retry and not after it, and the job of others all the time; only the drill's own were retried."""
    for drill in drills.values():
        written = {one["name"]: (place.evidence / one["path"]).read_text() for one in drill["attachments"]}
        retried = [row[1] for row in table(drill, "Failed jobs")]
        assert retried
        assert all(uuid in written["queue-failed before the retry.txt"] for uuid in retried)
        assert not any(uuid in written["queue-failed after the retry.txt"] for uuid in retried)
        assert all(hand[1] in text for name, text in written.items() if name.startswith("queue-failed"))
        assert written["queue-retry.txt"].startswith(f"$ php artisan queue:retry {' '.join(retried)}\n")
        assert hand[1] not in written["queue-retry.txt"]


@pytest.mark.parametrize("place", RECOVERED, indirect=True)
def test_the_instants_agree_with_the_control_loop(drills: dict[str, dict[str, Any]]) -> None:
    """A worker's end by ECS's stamp, and its last run by the application's, lie where the drill says."""
    for name in drills.keys() & set(RECOVERIES):
        rows = table(drills[name], "How the workers ended")
        assert all(-ERROR_SECONDS <= float(row[2]) <= drills[name]["rta_seconds"] for row in rows)
        done = [float(row[3]) for row in table(drills[name], "What happened to each job")]
        last = drills[name]["detect_seconds"] + drills[name]["recover_seconds"]
        assert max(done) == pytest.approx(last, abs=ERROR_SECONDS)


@pytest.mark.parametrize("place", EVERY[::2], indirect=True)
def test_what_it_proved_was_acted_out(place: runs.Place, drills: dict[str, dict[str, Any]]) -> None:
    """No answer that the recovery rests on was only stored."""
    rows = [event["data"] for event in place.events if event["kind"] == "aws.call"]
    acted = {f"{row['service']}.{row['operation']}": row.get("fidelity") for row in rows}
    proved = (*PROVED, DATABASE) if LOST in drills else PROVED
    assert {name: acted.get(name) for name in proved} == dict.fromkeys(proved, "acted")


@pytest.mark.parametrize("place", EVERY, indirect=True)
def test_nothing_is_left(place: runs.Place, hand: tuple[Hand, str], before: dict[str, Any]) -> None:
    """No job in any place, no lock, no row, no task; workers and scaling as before, and the job of others is there."""
    hand[0].stranger.wait_until_steady(WORKER)
    assert place.owed == []
    assert hand[0].left() == before
    assert (hand[1],) in before["failed"]
