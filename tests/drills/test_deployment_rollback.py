"""Bad Deployment Rollback on a stack that is well: a user's runs are green, say who noticed what, and when, and agree
with what the control loop stamped."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from pytest_envdr.timeline import Mark
from tests.drills import lanes, runs
from tests.drills.deployment_rig import BREAKER, ENDS, HAND, Ran, at, drilled, service_deployments, stopped_tasks
from tests.drills.stranger import Stranger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

PROVED = (
    "ecs.UpdateService",
    "ecs.DescribeServices",
    "ecs.ListTasks",
    "ecs.DescribeTasks",
    "elbv2.DescribeTargetHealth",
)
"""What a recovery rests on: each of these answers must have had a real part behind it."""
ROUNDING = 0.002
"""The record's instants are whole milliseconds."""
TENTH = 0.1
"""A table's are tenths of a second."""


@dataclass(frozen=True)
class Case:
    """A kind of badness, which service gets it, which way back is taken, and how the tasks must have ended."""

    kind: str
    word: str
    way: str
    ends: tuple[str, str]

    @property
    def name(self) -> str:
        return f"{self.kind} to {self.word}"


ELB = ("ServiceSchedulerInitiated", "Task failed ELB health checks")
CAUGHT = [
    Case("unhealthy", "api", BREAKER, ELB),
    Case("exits", "hq", BREAKER, ("EssentialContainerExited", "Essential container in task exited")),
    Case("cannot-be-pulled", "tenant", BREAKER, ("TaskFailedToStart", "CannotPullContainerError")),
]
MISSED = [
    Case("answers-500", "tenant", HAND, ("ServiceSchedulerInitiated", "Scaling activity")),
    Case("grows", "api", HAND, ("EssentialContainerExited", "OutOfMemoryError")),
]
CASES = [*CAUGHT, *MISSED]
SWEPT = [CAUGHT[0], CAUGHT[-1], MISSED[-1]]


def gated(cases: list[Case]) -> list[Any]:
    """Those that only a sweep takes are marked: their mechanisms are others' too, and they take long or much memory."""
    return [pytest.param(case, marks=(pytest.mark.sweep,) if case in SWEPT else (), id=case.name) for case in cases]


@dataclass(frozen=True)
class Drilled:
    """A run, and what ECS says of it afterwards: the changes of the service and its stopped tasks."""

    ran: Ran
    changes: list[dict[str, Any]]
    stopped: list[dict[str, Any]]

    @property
    def broken(self) -> list[dict[str, Any]]:
        """The stopped tasks of the broken revision."""
        good, fault = self.ran.before["taskDefinition"], self.ran.mark(Mark.FAULT)
        return [one for one in self.stopped if one["taskDefinitionArn"] != good and one["createdAt"] >= fault]

    @property
    def blur(self) -> float:
        """How far an instant may be off that a client's answers tell: the stated error, and what the answer may have
        waited to be asked for."""
        drill = self.ran.place.drill
        return float(drill["error_seconds"] + drill["probe"]["longest_gap_seconds"]) + ROUNDING


@pytest.fixture(scope="module")
def outcome_of(
    request: pytest.FixtureRequest, sandbox_stack: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[Case], Drilled]]:
    """What became of a case; services are deployed to side by side."""
    above, stranger = tmp_path_factory.mktemp("deployments"), Stranger(sandbox_stack)

    def do(case: Case) -> Drilled:
        stranger.wait_until_steady(case.word)
        for alarm in stranger.stack["services"][case.word]["error_alarms"]:
            stranger.wait_until_alarm(alarm, "OK")
        directory = above / case.name.replace(" ", "-")
        directory.mkdir()
        ran = drilled(sandbox_stack, directory, case.word, case.way, case.kind)
        assert ran.code == pytest.ExitCode.OK, ran.said
        changes = service_deployments(stranger, case.word, since=ran.mark(Mark.FAULT))
        return Drilled(ran, changes, stopped_tasks(stranger, case.word))

    cases = lanes.wanted(request, CASES)
    with lanes.side_by_side(cases, lane=lambda case: case.word, do=do) as outcome_of:
        yield outcome_of


@pytest.mark.parametrize("case", gated(CASES))
def test_it_is_green_and_leaves_nothing(case: Case, outcome_of: Callable[[Case], Drilled]) -> None:
    """Passed within the RTO, with nothing found; the record keeps to its schema; what it rests on was acted out; the
    service is as before, with no other revision that could be deployed."""
    ran = outcome_of(case).ran
    drill = ran.place.drill
    assert drill["verdict"] == "passed"
    assert [one for one in drill["findings"] if one["severity"] != "note"] == []
    assert drill["rta_seconds"] <= drill["rto_seconds"]
    schema = json.loads((runs.ROOT / "pytest_envdr" / "evidence" / "record.schema.json").read_text())
    jsonschema.validate(ran.place.record, schema)
    for operation in PROVED:
        assert set(drill["fidelity"]["operations"][operation]) == {"acted"}, operation
    assert ran.as_before


@pytest.mark.parametrize("case", gated(CASES))
def test_it_tells_how_the_broken_tasks_ended(case: Case, outcome_of: Callable[[Case], Drilled]) -> None:
    """Each stopped task of the broken revision is in the report, with what ECS says of its end."""
    outcome = outcome_of(case)
    code, reason = case.ends
    told = {row[0]: row for row in outcome.ran.table(ENDS)}
    assert told.keys() >= {task["taskArn"].rpartition("/")[2] for task in outcome.broken}
    assert any(row[4] == code and reason in row[6] for row in told.values()), told
    if case.kind == "grows":
        assert any(row[5] == "137" for row in told.values()), told


@pytest.mark.parametrize("case", gated(CASES))
def test_it_tells_what_ran_before_and_runs_now(case: Case, outcome_of: Callable[[Case], Drilled]) -> None:
    """By revision and digest: each task of now runs what all of before ran."""
    ran = outcome_of(case).ran
    (before, *now) = ran.table("What ran before, and runs now")
    assert len(now) == ran.before["desiredCount"]
    assert [row[2:] for row in now] == [before[2:]] * len(now)
    assert before[2] == ran.before["taskDefinition"].rpartition("/")[2]
    assert before[4].startswith("sha256:")


@pytest.mark.parametrize("case", gated(CAUGHT))
def test_the_circuit_breaker_is_who_noticed(case: Case, outcome_of: Callable[[Case], Drilled]) -> None:
    """The report says that the breaker was triggered, and when; no client noticed anything; the deployment is the one
    that ECS says was rolled back, and no other was made."""
    outcome = outcome_of(case)
    noticed = outcome.ran.noticed()
    (change,) = outcome.changes
    assert change["status"] == "ROLLBACK_SUCCESSFUL"
    assert noticed["circuit breaker"][1].startswith("TRIGGERED")
    assert noticed["rolled back by ECS"][1] == change["rollback"]["reason"]
    assert noticed["circuit breaker"][0] == noticed["rolled back by ECS"][0] != "never"
    assert noticed["a client"][0] == "never"
    assert outcome.ran.place.drill["probe"]["failures"] == 0


@pytest.mark.parametrize("case", gated(CAUGHT))
def test_detection_and_recovery_are_the_control_loops(case: Case, outcome_of: Callable[[Case], Drilled]) -> None:
    """Seen is the instant at which ECS began to roll back, after as many tasks had failed as its threshold says;
    recovered is the first answer after the rollback had ended and the last broken task was gone, within the stated
    error."""
    outcome = outcome_of(case)
    (change,) = outcome.changes
    rollback, breaker = change["rollback"]["startedAt"], change["deploymentCircuitBreaker"]
    assert abs((outcome.ran.mark(Mark.SEEN) - rollback).total_seconds()) <= ROUNDING
    failed = sorted(first_stamp(task) for task in outcome.broken)
    assert failed[breaker["threshold"] - 1] <= rollback
    gone = [task["executionStoppedAt"] for task in outcome.broken if "executionStoppedAt" in task]
    over = max([change["finishedAt"], *gone])
    late = (outcome.ran.mark(Mark.RECOVERED) - over).total_seconds()
    assert -ROUNDING <= late <= outcome.blur


@pytest.mark.parametrize("case", gated(MISSED))
def test_a_hand_rolled_back(case: Case, outcome_of: Callable[[Case], Drilled]) -> None:
    """ECS calls the deployment a success, or would have, had it not been replaced; the report says since when clients
    suffered or tasks died, that a hand brought the previous revision back, and when the error alarm fired."""
    outcome = outcome_of(case)
    noticed = outcome.ran.noticed()
    bad, back = (change["status"] for change in outcome.changes)
    assert bad in ("SUCCESSFUL", "STOPPED")
    assert back == "SUCCESSFUL"
    assert noticed["circuit breaker"][0] == "never"
    assert case.kind == "grows" or "requests failed" in noticed["a client"][1]
    assert case.kind != "grows" or "exit code 137, OutOfMemoryError" in noticed["ECS, by its tasks"][1]
    assert noticed["rolled back by hand"][0] != "never"
    if case.kind == "answers-500":
        alarm, facts = f"alarm envelope-prod-{case.word}-5xx", outcome.ran.place.drill["facts"]
        fired = [
            fact for fact in facts if fact["what"] == f"{alarm}: StateUpdate" and fact["text"].endswith("to ALARM")
        ]
        when, what = noticed[alarm]
        assert what == fired[0]["text"]
        assert abs(float(when.removesuffix(" s")) - fired[0]["offset_seconds"]) < TENTH
        assert at(fired[0]["at"]) > outcome.ran.mark(Mark.FAULT)


@pytest.mark.parametrize("case", gated(MISSED[:1]))
def test_what_a_client_saw_agrees_with_the_control_loop(case: Case, outcome_of: Callable[[Case], Drilled]) -> None:
    """Clients get no good answer any more between the instant at which the last task of before was told to stop and a
    few requests after it was gone; the first good answer that held came when the last broken task was gone."""
    outcome = outcome_of(case)
    before = [task for task in outcome.stopped if task["startedBy"] not in bad_deployments(outcome)]
    fault = outcome.ran.mark(Mark.FAULT)
    ours = [task for task in before if task["stoppingAt"] > fault]
    told, gone = max(task["stoppingAt"] for task in ours), max(task["executionStoppedAt"] for task in ours)
    seen = outcome.ran.mark(Mark.SEEN)
    assert (told - seen).total_seconds() <= outcome.blur
    assert (seen - gone).total_seconds() <= 6 * outcome.blur, "five failures in a row"
    over = max(task["executionStoppedAt"] for task in outcome.broken)
    late = (outcome.ran.mark(Mark.RECOVERED) - over).total_seconds()
    assert -ROUNDING <= late <= outcome.blur


def bad_deployments(outcome: Drilled) -> set[str]:
    """The ids of the deployments that broken tasks were started by."""
    return {task["startedBy"] for task in outcome.broken}


def first_stamp(task: dict[str, Any]) -> datetime:
    """When ECS knew that a task would not do."""
    found: datetime = task.get("stoppingAt") or task["stoppedAt"]
    return found
