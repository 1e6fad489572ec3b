"""Each way in which a queue's recovery may go wrong turns its own finding red, and no other.

One drill is held when all its jobs are done, broken in one way after the other, and mended. What must happen while
jobs are under way has a drill of its own.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from pytest_envdr import undo
from pytest_envdr.drills import queue_fit
from pytest_envdr.errors import UndoFailed
from pytest_envdr.exercise import Charge
from tests.drills.queue_rig import WORKER, Hand, Rehearsal, failures, stopping
from tests.drills.restored import exercising

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_envdr.exercise import Exercise


@pytest.fixture(scope="module")
def begun(battered_stack: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exercise]:
    """A run on the sandbox."""
    with exercising(battered_stack, tmp_path_factory.mktemp("queue-broken")) as begun:
        yield begun


@pytest.fixture(scope="module")
def apart(battered_stack: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exercise]:
    """Another run, with a journal of its own: what it puts back is not what the drill that is held owes."""
    with exercising(battered_stack, tmp_path_factory.mktemp("queue-apart")) as begun:
        yield begun


@pytest.fixture(scope="module")
def foreign(begun: Exercise) -> Iterator[str]:
    """The uuid of a failed job that is nobody's here."""
    hand = Hand(begun.aws)
    uuid = hand.strange_failure()
    yield uuid
    hand.sql("DELETE FROM failed_jobs WHERE uuid = %s", uuid)


@pytest.fixture(scope="module")
def first(begun: Exercise, foreign: str) -> Iterator[tuple[Rehearsal, dict[str, str]]]:
    """A drill whose failed jobs were not retried yet, and what it found then."""
    assert foreign
    with stopping(begun) as rehearsal:
        rehearsal.worker.wait_until_seen()
        found = rehearsal.validated()
        rehearsal.worker.retry()
        yield rehearsal, found


@pytest.fixture(scope="module")
def rehearsal(first: tuple[Rehearsal, dict[str, str]]) -> Rehearsal:
    """The same, all of whose jobs are done."""
    return first[0]


def test_not_retried(first: tuple[Rehearsal, dict[str, str]]) -> None:
    """A job that failed and that nobody retried is found, with why it failed."""
    rehearsal, found = first
    assert list(found) == ["queue.failed"]
    assert f"Job {rehearsal.job('fails', 1)} failed and was not retried: RuntimeException" in found["queue.failed"]


def test_nothing_broken(rehearsal: Rehearsal) -> None:
    """Nothing is found where nobody broke anything: what the tests below see is what they did."""
    assert rehearsal.validated() == {}
    assert rehearsal.drill.actuals.rta_seconds is not None


@contextmanager
def taken_away(rehearsal: Rehearsal, table: str, job: str) -> Iterator[None]:
    """A job's rows of a table."""
    sql = rehearsal.hand.sql
    sql(f"CREATE TABLE kept AS SELECT * FROM {table} WHERE business_id = %s", job)  # noqa: S608
    sql(f"DELETE FROM {table} WHERE business_id = %s", job)  # noqa: S608
    try:
        yield
    finally:
        sql(f"INSERT INTO {table} SELECT * FROM kept")  # noqa: S608
        sql("DROP TABLE kept")


def test_dropped_by_a_worker(apart: Exercise) -> None:
    """A worker that takes a job and acknowledges it without a stroke of work: lost, by name, with an RPA."""
    with stopping(apart) as rehearsal:
        keys, job = rehearsal.before.queue.keys, rehearsal.job("delayed")
        cache = rehearsal.hand.cache
        rows = [str(row) for row in cache.zrange(keys["delayed"], 0, -1)]
        assert cache.zrem(keys["delayed"], *(row for row in rows if json.loads(row)["dr"]["id"] == job)) == 1
        rehearsal.worker.wait_until_seen()
        rehearsal.worker.retry()
        found = rehearsal.validated()
        assert list(found) == ["queue.lost"]
        assert job in found["queue.lost"]
        assert rehearsal.drill.actuals.rta_seconds is None
        assert rehearsal.drill.recovery_points[-1].lost == 1
        assert (rehearsal.drill.rpa_seconds or 0) > rehearsal.drill.rpo_seconds


def test_made_again(apart: Exercise) -> None:
    """A job that is lost while workers are stopped, and made again from its outbox, is no failure; but it is told."""
    with stopping(apart) as rehearsal:
        job = rehearsal.job("delayed", 1)
        rehearsal.hand.cache.delete(rehearsal.before.queue.keys["delayed"])
        rehearsal.worker.wait_until_seen()
        rehearsal.worker.retry()
        made = rehearsal.worker.recreate()
        recovery = rehearsal.worker.wait_until_recovered()
        assert job in made
        assert recovery.lost == recovery.made_again == sorted(made)
        assert failures(rehearsal.drill) == {}
        assert "queue.lost-made-again" in rehearsal.warnings()
        assert recovery.rpa_seconds == 0


def test_done_without_an_effect(rehearsal: Rehearsal) -> None:
    """A job that says that it is done, and whose effect is not there."""
    job = rehearsal.job("unique")
    with taken_away(rehearsal, "dr_effects", job):
        found = rehearsal.validated()
    assert list(found) == ["queue.effect-missing"]
    assert job in found["queue.effect-missing"]


def test_executed_twice(rehearsal: Rehearsal) -> None:
    """Two executions of which the second changed nothing are told, counted, and no failure."""
    job = rehearsal.job("works")
    with repeated(rehearsal, job):
        assert rehearsal.validated() == {}
        assert rehearsal.warnings() == ["queue.executed-twice"]


def test_executed_twice_with_double_effect(rehearsal: Rehearsal) -> None:
    """Two executions of a job that does not guard its effect: the effect is there twice, which is red."""
    job, sql = rehearsal.job("works"), rehearsal.hand.sql
    sql("ALTER TABLE dr_effects DROP INDEX dr_effects_business_id")
    sql(
        "INSERT INTO dr_effects (exercise, business_id, run_id, applied_at) "
        "SELECT exercise, business_id, run_id, NOW(6) FROM dr_effects WHERE business_id = %s",
        job,
    )
    try:
        with repeated(rehearsal, job):
            found = rehearsal.validated()
    finally:
        sql("DELETE FROM dr_effects WHERE business_id = %s ORDER BY id DESC LIMIT 1", job)
        sql("ALTER TABLE dr_effects ADD UNIQUE KEY dr_effects_business_id (business_id)")
    assert list(found) == ["queue.effect-twice"]
    assert f"Job {job} had its effect 2 times, expected 1" in found["queue.effect-twice"]


@contextmanager
def repeated(rehearsal: Rehearsal, job: str, uuid: str = "") -> Iterator[None]:
    """A second execution of a job, by its own uuid or another."""
    sql, said = rehearsal.hand.sql, uuid4().hex[:8]
    sql(
        "INSERT INTO dr_runs (exercise, business_id, uuid, attempt, worker, started_at, finished_at, outcome) "
        "SELECT exercise, business_id, IF(%s = '', uuid, %s), 1, %s, NOW(6), NOW(6), 'repeated' FROM dr_runs "
        "WHERE business_id = %s LIMIT 1",
        uuid,
        uuid,
        said,
        job,
    )
    try:
        yield
    finally:
        sql("DELETE FROM dr_runs WHERE worker = %s", said)


def test_retried_with_a_new_id(rehearsal: Rehearsal) -> None:
    """As Horizon retries: the job is known by its business id all the same, and the other uuid is told."""
    uuid = str(uuid4())
    with repeated(rehearsal, rehearsal.job("works", 1), uuid):
        assert rehearsal.validated() == {}
        assert set(rehearsal.warnings()) == {"queue.new-id", "queue.executed-twice"}
        assert any(uuid in finding.title for finding in rehearsal.drill.findings)


def test_a_lock_left_behind(rehearsal: Rehearsal) -> None:
    """A unique job's lock that nobody will release: new jobs of its name would be skipped without a word."""
    (lock,) = rehearsal.before.queue.locks
    rehearsal.hand.cache.set(lock.key, "owner", ex=3600)
    try:
        found = rehearsal.validated()
    finally:
        rehearsal.hand.cache.delete(lock.key)
    assert list(found) == ["queue.stuck"]
    assert lock.key in found["queue.stuck"]


@pytest.mark.sweep
def test_a_tenant_s_job_that_lost_its_tenant(rehearsal: Rehearsal) -> None:
    """One that was retried says whose database it worked in: another's is red."""
    sql, job = rehearsal.hand.sql, rehearsal.job("fails", 1)
    ((tenant,),) = sql("SELECT tenant FROM dr_effects WHERE business_id = %s", job)
    assert tenant == rehearsal.case.row.tenant != ""
    sql("UPDATE dr_effects SET tenant = 'elsewhere' WHERE business_id = %s", job)
    try:
        found = rehearsal.validated()
    finally:
        sql("UPDATE dr_effects SET tenant = %s WHERE business_id = %s", tenant, job)
    assert list(found) == ["queue.wrong-tenant"]
    assert f"Job {job} worked for elsewhere, and was {tenant}'s" in found["queue.wrong-tenant"]


@pytest.mark.parametrize("way", ["retried", pytest.param("deleted", marks=pytest.mark.sweep)])
def test_a_foreign_failed_job(rehearsal: Rehearsal, foreign: str, way: str) -> None:
    """A failed job that waits for somebody else, and is retried (queue:retry all) or deleted during the drill."""
    hand = rehearsal.hand
    hand.sql("CREATE TABLE kept AS SELECT * FROM failed_jobs WHERE uuid = %s", foreign)
    if way == "retried":
        # What queue:retry does: pushed under the same uuid, then taken from the table.
        delayed = rehearsal.before.queue.keys["delayed"]
        hand.cache.zadd(delayed, {json.dumps({"uuid": foreign, "attempts": 0}): 4e9})
    hand.sql("DELETE FROM failed_jobs WHERE uuid = %s", foreign)
    try:
        found = rehearsal.validated()
    finally:
        hand.sql("INSERT INTO failed_jobs SELECT * FROM kept")
        hand.sql("DROP TABLE kept")
        hand.cache.delete(rehearsal.before.queue.keys["delayed"])
    assert list(found) == ["queue.foreign-gone"]
    assert foreign in found["queue.foreign-gone"]


def test_a_cache_that_evicts(apart: Exercise) -> None:
    """A parameter group that lets the cache evict what it holds when it is full: red before anything is broken."""
    hand, row = Hand(apart.aws), apart.stack.queue
    assert row is not None
    drill = apart.drill(Charge("a cache that evicts", "worker_queue_recovery"))
    assert queue_fit.check_queue(apart.aws, drill, row, "nobody").cache["maxmemory_policy"] == "noeviction"
    assert failures(drill) == {}
    with hand.evicting("allkeys-lru"):
        queue_fit.check_queue(apart.aws, drill, row, "nobody")
    assert list(failures(drill)) == ["queue.eviction"]
    assert "maxmemory-policy is allkeys-lru, expected noeviction" in failures(drill)["queue.eviction"]


@pytest.mark.sweep
@pytest.mark.parametrize("left", ["a marked job", "a worker less"])
def test_what_is_not_as_before(apart: Exercise, monkeypatch: pytest.MonkeyPatch, left: str) -> None:
    """What is not as before when all that was owed has been undone fails the drill, and says what and how to go on."""
    hand, replay = Hand(apart.aws), undo.replay
    reason = "Marked jobs of [^ ]+ are left" if left == "a marked job" else "desired count 2, now 1"

    def undone(*given: Any) -> Any:
        """And then somebody undoes a part of it."""
        told = replay(*given)
        if left == "a marked job":
            leave_behind(hand, drilled[0])
        else:
            hand.stranger.change(WORKER, desiredCount=1)
        return told

    def rehearse() -> None:
        with stopping(apart) as rehearsal:
            drilled.append(rehearsal.case.exercise)

    drilled: list[str] = []
    monkeypatch.setattr(undo, "replay", undone)
    try:
        with pytest.raises(UndoFailed, match=reason):
            rehearse()
    finally:
        hand.sql("DELETE FROM dr_runs WHERE exercise = %s", *drilled)
        hand.stranger.change(WORKER, desiredCount=2)
        hand.stranger.wait_until_steady(WORKER)


def leave_behind(hand: Hand, exercise: str) -> None:
    """A row of an exercise's, as a worker writes it that was not waited for."""
    hand.sql(
        "INSERT INTO dr_runs (exercise, business_id, uuid, attempt, worker, started_at) VALUES (%s, 'x', 'x', 1, 'x', "
        "NOW(6))",
        exercise,
    )


@pytest.mark.sweep
def test_retry_after_shorter_than_the_job(apart: Exercise) -> None:
    """Workers whose queue gives a job out again while it is still being worked on: red before anything is broken, and
    then it is really executed twice."""
    with Hand(apart.aws).deployed({"QUEUE_RETRY_AFTER": "1"}), stopping(apart, "killed") as rehearsal:
        found = failures(rehearsal.drill)
        rehearsal.worker.wait_until_seen()
        rehearsal.worker.retry()
        recovery = rehearsal.worker.wait_until_recovered()
        assert list(found) == ["queue.retry-after"]
        assert "jobs may be executed twice" in found["queue.retry-after"]
        assert recovery.duplicates
        assert recovery.differences == []
        assert recovery.lost == []
