"""A fault that was not what its name says makes another drill of it: that is red, whatever became of the jobs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pytest_envdr.drills import queue_faults, queues
from tests.drills.queue_rig import WORKER, Hand, failures, stopping
from tests.drills.restored import exercising

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_envdr.exercise import Exercise


@pytest.fixture(scope="module")
def begun(battered_stack: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exercise]:
    """A run on the sandbox, whose workers are steady."""
    with exercising(battered_stack, tmp_path_factory.mktemp("queue-faults")) as begun:
        Hand(begun.aws).stranger.wait_until_steady(WORKER)
        yield begun


def test_killed_workers_that_ended_in_good_order(begun: Exercise, monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs that are shorter than stopTimeout: nobody was killed in mid-job, and what such a job needs was not shown."""
    short = replace(queue_faults.KILLED, orders=queue_faults.STOPPED.orders, busy=queue_faults.STOPPED.busy)
    monkeypatch.setitem(queues.WAYS, "killed", short)
    with stopping(begun, "killed") as rehearsal:
        rehearsal.worker.wait_until_seen()
        found = failures(rehearsal.drill)
        assert list(found) == ["queue.not-killed"]
        assert "exit code [0]" in found["queue.not-killed"]


@pytest.mark.sweep
def test_stopped_workers_that_were_killed(begun: Exercise, monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs that are longer than stopTimeout: whoever is told to stop is killed in mid-job, at every deployment too."""
    long = replace(queue_faults.STOPPED, orders=queue_faults.KILLED.orders, busy=queue_faults.KILLED.busy)
    monkeypatch.setitem(queues.WAYS, "stopped", long)
    with stopping(begun, "stopped") as rehearsal:
        rehearsal.worker.wait_until_seen()
        found = failures(rehearsal.drill)
        assert list(found) == ["queue.killed"]
        assert all(task.id in found["queue.killed"] for task in rehearsal.case.hit)
