"""The cache that a queue is in, broken: a user's run, what is not made again, and what is refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from pytest_envdr import stack
from pytest_envdr.aws import Aws
from tests.drills import runs
from tests.drills.queue_rig import WORKER, Hand, stopping
from tests.drills.restored import exercising
from tests.drills.test_queue_bad_input import changed, refusal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_envdr.exercise import Exercise

LATER = 4_000_000_000
"""A time that no worker will see."""


@pytest.fixture(scope="module")
def begun(battered_stack: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exercise]:
    """A run on the sandbox, whose workers are steady."""
    with exercising(battered_stack, tmp_path_factory.mktemp("queue-cache")) as begun:
        Hand(begun.aws).stranger.wait_until_steady(WORKER)
        yield begun


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "does not say which cache the queue is in"),
        ("envelope-prod-memory", "no replication group and no cluster envelope-prod-memory"),
        ("envelope-prod-redis-001", "is a node of envelope-prod-redis"),
    ],
)
def test_a_cache_that_the_stack_does_not_have(begun: Exercise, tmp_path: Path, name: str, reason: str) -> None:
    """None named, one that is not there, a node instead of its group: refused with what to name."""
    assert reason in refusal(changed(begun, cache=name), tmp_path, how="cache rebooted")


@pytest.mark.parametrize("how", ["cache rebooted", "cache failed over"])
def test_jobs_of_others_are_not_lost(begun: Exercise, tmp_path: Path, how: Any) -> None:
    """A job in the queue that is not the drill's: refused with the key that allows to lose it."""
    cache, key = Hand(begun.aws).cache, "envelope_database_queues:default:delayed"
    job = json.dumps({"uuid": str(uuid4()), "displayName": "SendInvoice", "job": "x", "data": {}, "attempts": 0})
    cache.zadd(key, {job: LATER})
    try:
        said = refusal(begun.stack, tmp_path, how=how)
    finally:
        cache.zrem(key, job)
    assert "1 jobs in the queue are not this drill's" in said
    assert 'allows = ["reboot", "lose_queue"]' in said


@pytest.mark.sweep
def test_what_a_restart_lost_is_red_until_it_is_made_again(begun: Exercise) -> None:
    """Each job that was waiting is lost, by name; made again, nothing fails the drill."""
    with stopping(begun, "cache rebooted") as rehearsal:
        rehearsal.worker.wait_until_seen()
        found = rehearsal.validated()
        assert list(found) == ["queue.lost"]
        waiting = {rehearsal.job("delayed"), rehearsal.job("unique"), rehearsal.job("fails")}
        assert all(job in found["queue.lost"] for job in waiting)
        made = set(rehearsal.worker.recreate())
        assert waiting <= made
        rehearsal.worker.retry()
        assert rehearsal.validated() == {}
        assert "queue.lost-made-again" in rehearsal.warnings()


@pytest.mark.sweep
def test_a_users_run(sandbox_stack: Path, tmp_path: Path) -> None:
    """Restarted and failed over: both green; the report names what was lost, and the nodes' events; nothing is left."""
    hand = Hand(Aws(stack.read(sandbox_stack)))
    hand.stranger.wait_until_steady(WORKER)
    before = hand.left()
    place = runs.Place(tmp_path)
    code, said = runs.ended(runs.begin(place, sandbox_stack, "-m", "worker_queue_recovery", "-k", "cache"))
    assert code == 0, said
    (scenario,) = place.record["scenarios"]
    drills = {drill["name"]: drill for drill in scenario["drills"]}
    assert set(drills) == {"Lost jobs · cache rebooted", "Lost jobs · cache failed over"}
    tables = {table["title"]: table["rows"] for table in drills["Lost jobs · cache rebooted"]["tables"]}
    assert len(tables["Jobs that the queue lost"]) >= 5
    told = [event["data"]["text"] for event in place.events if event["kind"] == "aws.fact"]
    assert any("restarted" in text for text in told)
    assert any(text.startswith("Failover from primary node") for text in told)
    hand.stranger.wait_until_steady(WORKER)
    assert place.owed == []
    assert hand.left() == before
