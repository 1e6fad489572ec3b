"""The drill's instants held against those that ECS and the database have themselves, read by somebody else."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr.timeline import Mark
from tests.drills.queue_rig import WORKER, Hand, Rehearsal, stopping
from tests.drills.restored import exercising
from tests.drills.stranger import CLUSTER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_envdr.exercise import Exercise

ERROR_SECONDS = 0.1
"""How far the drill's instants and the stamps may be apart: ECS's are of milliseconds, and all clocks are the
machine's. What a drill marks is the stamp, and not when it happened to look."""
CALL_SECONDS = 30.0
"""How long the calls of a fault may take on a slow machine."""


@pytest.fixture(scope="module")
def begun(battered_stack: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exercise]:
    """A run on the sandbox, whose workers are steady."""
    with exercising(battered_stack, tmp_path_factory.mktemp("queue-instants")) as begun:
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


@pytest.mark.sweep
def test_killed_workers(begun: Exercise) -> None:
    """Detection and recovery are where ECS's own stamps and the database's rows have them."""
    with stopping(begun, "killed") as rehearsal:
        rehearsal.worker.wait_until_seen()
        check_detection(rehearsal)
        rehearsal.worker.retry()
        recovery = rehearsal.worker.wait_until_recovered()
        rows = rehearsal.hand.sql(
            "SELECT UNIX_TIMESTAMP(MAX(applied_at)) FROM dr_effects WHERE exercise = %s", rehearsal.case.exercise
        )
        last = datetime.fromtimestamp(float(rows[0][0]), UTC)
        fault, recovered = marked(rehearsal, Mark.FAULT), marked(rehearsal, Mark.RECOVERED)
        assert apart(last, recovered) <= ERROR_SECONDS
        assert recovery.last_done_seconds == pytest.approx((last - fault).total_seconds(), abs=ERROR_SECONDS)
        started = min(task["startedAt"] for task in described(rehearsal.hand))
        assert started <= recovered, "nobody worked before ECS had started somebody"
