"""The drill's instants held against those that ECS and the database have themselves, read by somebody else."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr.drills import queue_checks
from pytest_envdr.timeline import Mark
from tests.drills.queue_rig import WORKER, Hand, Rehearsal, stopping
from tests.drills.restored import exercising
from tests.drills.stranger import CLUSTER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_envdr.drills.queues import Fault
    from pytest_envdr.exercise import Exercise

ERROR_SECONDS = 0.1
"""How far the drill's instants and the stamps may be apart: ECS's are of milliseconds, and all clocks are the
machine's. What a drill marks is the stamp, and not when it happened to look."""
CALL_SECONDS = 30.0
"""How long the calls of a fault may take on a slow machine, or a message to be received."""
SKEW = timedelta(seconds=2)
"""How much further back events are asked for: their stamps may be of whole seconds."""


@pytest.fixture(scope="module")
def begun(battered_stack: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exercise]:
    """A run on the sandbox, whose workers are steady."""
    with exercising(battered_stack, tmp_path_factory.mktemp("queue-instants")) as begun:
        Hand(begun.aws).stranger.wait_until_steady(WORKER)
        yield begun


@pytest.fixture(scope="module")
def begun_slower(sandbox_stack: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exercise]:
    """The same on a sandbox that is slow enough for the alarms on the workers' own beats."""
    with exercising(sandbox_stack, tmp_path_factory.mktemp("queue-alarms")) as begun:
        Hand(begun.aws).stranger.wait_until_steady(WORKER)
        yield begun


def described(hand: Hand, *, of: list[str] | None = None) -> list[dict[str, Any]]:
    """Tasks as DescribeTasks gives them: those named, or those that the workers' service has now."""
    client = hand.stranger.client("ecs")
    named = of or client.list_tasks(cluster=CLUSTER, serviceName=hand.stranger.name(WORKER))["taskArns"]
    return list(client.describe_tasks(cluster=CLUSTER, tasks=named)["tasks"])


def marked(rehearsal: Rehearsal, mark: Mark) -> datetime:
    """The instant of a mark."""
    found = rehearsal.drill.marked(mark)
    assert found is not None
    return rehearsal.drill.clock.at(found.clock)


def apart(one: datetime, other: datetime) -> float:
    """Seconds between two instants."""
    return abs((one - other).total_seconds())


def table(rehearsal: Rehearsal, title: str) -> list[list[str]]:
    """The rows of a table of the report."""
    (found,) = [entry for entry in rehearsal.drill.entries if entry.kind == "table" and entry.data["title"] == title]
    return [list(row) for row in found.data["rows"]]


def check_detection(rehearsal: Rehearsal) -> None:
    """The fault is when ECS began to stop the tasks, SEEN is when it made the first in their place, and each worker
    ended when its containers did."""
    hit = described(rehearsal.hand, of=[task.arn for task in rehearsal.case.hit])
    fault, seen = marked(rehearsal, Mark.FAULT), marked(rehearsal, Mark.SEEN)
    assert len(hit) == len(rehearsal.case.before.tasks)
    first = min(task["stoppingAt"] for task in hit)
    assert -ERROR_SECONDS <= (first - fault).total_seconds() <= CALL_SECONDS
    before = {task.arn for task in rehearsal.case.before.tasks}
    made = [task["createdAt"] for task in described(rehearsal.hand) if task["taskArn"] not in before]
    assert apart(min(made), seen) <= ERROR_SECONDS
    ended = {row[0]: float(row[2]) for row in table(rehearsal, "How the workers ended")}
    for task in hit:
        stamp = (task["executionStoppedAt"] - fault).total_seconds()
        assert ended[task["taskArn"].rsplit("/", 1)[-1]] == pytest.approx(stamp, abs=ERROR_SECONDS)


def check_recovery(rehearsal: Rehearsal) -> None:
    """The recovery is the last effect that the database has, within the error that the drill states, and not before ECS
    had started somebody to do it."""
    recovery = rehearsal.worker.wait_until_recovered()
    assert recovery.differences == []
    rows = rehearsal.hand.sql(
        "SELECT UNIX_TIMESTAMP(MAX(applied_at)) FROM dr_effects WHERE exercise = %s", rehearsal.case.exercise
    )
    last = datetime.fromtimestamp(float(rows[0][0]), UTC)
    fault, recovered = marked(rehearsal, Mark.FAULT), marked(rehearsal, Mark.RECOVERED)
    stated = rehearsal.drill.actuals.error_seconds
    assert stated is not None
    assert 0 < stated <= ERROR_SECONDS * 10
    assert apart(last, recovered) <= stated
    assert recovery.last_done_seconds == pytest.approx((last - fault).total_seconds(), abs=stated)
    started = min(task["startedAt"] for task in described(rehearsal.hand))
    assert started <= recovered, "nobody worked before ECS had started somebody"


@pytest.mark.sweep
def test_killed_workers(begun: Exercise) -> None:
    """Detection and recovery are where ECS's own stamps and the database's rows have them."""
    with stopping(begun, "killed") as rehearsal:
        rehearsal.worker.wait_until_seen()
        check_detection(rehearsal)
        rehearsal.worker.retry()
        check_recovery(rehearsal)


@pytest.mark.sweep
def test_a_service_that_is_taken_down(begun_slower: Exercise) -> None:
    """Detection is when a subscriber was told, which is after CloudWatch's own stamp of the alarm, and soon."""
    with stopping(begun_slower, "all stopped") as rehearsal:
        rehearsal.worker.wait_until_seen()
        fault, seen = marked(rehearsal, Mark.FAULT), marked(rehearsal, Mark.SEEN)
        fired = [at for at in alarmed(rehearsal) if at >= fault]
        assert -ERROR_SECONDS <= (seen - min(fired)).total_seconds() <= CALL_SECONDS
        rehearsal.worker.restore()
        rehearsal.worker.retry()
        check_recovery(rehearsal)
        assert min(task["startedAt"] for task in described(rehearsal.hand)) >= seen


@pytest.mark.sweep
@pytest.mark.parametrize("how", ["database away", "cache rebooted"])
def test_what_the_queue_stands_on(begun: Exercise, how: Fault) -> None:
    """Detection is when RDS, or ElastiCache, says that it happened."""
    with stopping(begun, how) as rehearsal:
        rehearsal.worker.wait_until_seen()
        fault, seen = marked(rehearsal, Mark.FAULT), marked(rehearsal, Mark.SEEN)
        assert apart(max(min(told(rehearsal, how, since=fault)), fault), seen) <= ERROR_SECONDS
        rehearsal.worker.recreate()
        rehearsal.worker.retry()
        check_recovery(rehearsal)


def alarmed(rehearsal: Rehearsal) -> list[datetime]:
    """When the workers' alarms went to ALARM, by CloudWatch's own history."""
    client = rehearsal.hand.stranger.client("cloudwatch")
    rows = [
        row
        for name in rehearsal.case.before.row.alarms
        for row in client.describe_alarm_history(AlarmName=name, HistoryItemType="StateUpdate")["AlarmHistoryItems"]
    ]
    return [row["Timestamp"] for row in rows if json.loads(row["HistoryData"])["newState"]["stateValue"] == "ALARM"]


def told(rehearsal: Rehearsal, how: Fault, *, since: datetime) -> list[datetime]:
    """When RDS or ElastiCache says that something happened since then; stamps may be of whole seconds."""
    service = "rds" if how == "database away" else "elasticache"
    rows = rehearsal.hand.stranger.client(service).describe_events(StartTime=since - SKEW)["Events"]
    about = [row for row in rows if service == "elasticache" or "availability" in row["EventCategories"]]
    return [row["Date"] for row in about if row["Date"] >= since.replace(microsecond=0)]


@pytest.mark.parametrize(("stamp", "error"), [(10.2, 0.2), (10.0, 0.4), (10.4, 0.4), (9.0, 1.4), (13.0, 3.0)])
def test_the_stated_error(stamp: float, error: float) -> None:
    """A clock whose stamp lies outside of question and answer is off by so much more than the answer took."""
    assert queue_checks.clock_error(stamp, asked=10.0, answered=10.4) == pytest.approx(error)
