"""What the verification of a queue finds: each damage is done to the real queue, database or worker, and found."""

from __future__ import annotations

import json
import signal
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pytest_envdr.ledger import Effect, Job, Ledger, QueueState, Worker
from pytest_envdr.sandbox import programs
from pytest_envdr.verify.queue import Difference, check_settings, differences
from tests.sandbox.application import running
from tests.sandbox.marked import ALWAYS, Marked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.sandbox.application import Application

PENDING = "envelope_database_queues:default"
RESERVED = f"{PENDING}:reserved"


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    programs.require()
    with running(tmp_path_factory.mktemp("queue"), network="127.35", tenants=1) as application:
        yield application


@pytest.fixture
def marked(application: Application) -> Iterator[Marked]:
    with Marked.of(application) as marked:
        yield marked


@pytest.fixture
def before(marked: Marked) -> QueueState:
    """The queue before anything was dispatched."""
    return state(marked)


def state(marked: Marked) -> QueueState:
    return QueueState.of(marked.queue())


def found(marked: Marked, before: QueueState) -> list[tuple[str, str]]:
    """The differences by their kind and subject, and each says so in a sentence."""
    queue = state(marked)
    told = differences(Ledger.of(marked.ledger()), queue, before=before)
    assert all(one.subject in str(one) and str(one).endswith(".") for one in told)
    return [(one.kind, one.subject) for one in told]


def test_all_done(marked: Marked, before: QueueState) -> None:
    """Where every job is done once, also after it failed as ordered, there is no difference."""
    marked.dispatch({"kind": "works", "count": 2}, {"kind": "fails", "fails": 1}, {"kind": "unique"})
    marked.dispatch({"kind": "fails", "fails": ALWAYS})
    marked.work()
    marked.await_effects(4)
    marked.await_queue(lambda queue: queue["own"]["failed"], "the failed one")
    assert found(marked, before) == []


def test_a_job_that_a_worker_drops_is_lost(marked: Marked, before: QueueState, application: Application) -> None:
    """Popped and never done: in no place of the queue, and without effect."""
    kept, dropped = marked.dispatch({"kind": "works", "count": 2})
    assert application.redis_client().rpop(PENDING)
    assert found(marked, before) == [("unfinished", kept["id"]), ("lost", dropped["id"])]


def test_a_job_that_fails_while_the_database_is_away_is_lost(
    marked: Marked, before: QueueState, application: Application
) -> None:
    """Laravel takes a failing job out of the queue before it writes it down among the failed ones: where that cannot be
    written, the job is nowhere. The outbox has it."""
    application.rows("RENAME TABLE failed_jobs TO failed_jobs_away")
    try:
        (sent,) = marked.dispatch({"kind": "fails", "fails": 1, "tries": 1})
        worker = marked.work()
        marked.await_ledger(lambda ledger: [run for run in ledger["runs"] if run["outcome"]], "the run")
        worker.process.stop(grace=20.0)
    finally:
        application.rows("RENAME TABLE failed_jobs_away TO failed_jobs")
    assert found(marked, before) == [("lost", sent["id"])]
    marked.tell("dr:redispatch")
    marked.work()
    marked.await_effects(1)
    assert found(marked, before) == []


def test_a_job_that_the_queue_never_took(marked: Marked, before: QueueState) -> None:
    """A unique job whose lock is held is skipped without a word."""
    first, second = marked.dispatch({"kind": "unique", "count": 2, "lock": marked.exercise, "unique_for": 60})
    assert found(marked, before) == [("unfinished", first["id"]), ("not-queued", second["id"])]


def test_where_a_job_still_is(marked: Marked, before: QueueState) -> None:
    """Pending, delayed, reserved or failed: each is told by its place."""
    failed, reserved = marked.dispatch({"kind": "fails", "fails": 1, "tries": 1}, {"kind": "slow", "seconds": 30})
    worker = marked.work()
    marked.await_queue(lambda queue: queue["own"]["failed"] and queue["own"]["reserved"], "failed and reserved")
    worker.process.signal(signal.SIGSTOP)
    pending, delayed = marked.dispatch({"kind": "works"}, {"kind": "delayed", "delay": 600})
    queue = state(marked)
    told = differences(Ledger.of(marked.ledger()), queue, before=before)
    assert [(one.subject, one.kind) for one in told] == [
        (failed["id"], "failed"),
        (reserved["id"], "unfinished"),
        (pending["id"], "unfinished"),
        (delayed["id"], "unfinished"),
    ]
    assert [one.actual for one in told[1:]] == ["reserved", "pending", "delayed"]
    assert "as was ordered" in told[0].actual


def test_a_job_executed_twice(marked: Marked, before: QueueState) -> None:
    """A job that takes longer than retry_after runs twice, and has its effect once: no harm, but told."""
    (sent,) = marked.dispatch({"kind": "slow", "seconds": 3})
    marked.work()
    marked.work()
    marked.await_ledger(lambda told: "repeated" in [run["outcome"] for run in told["runs"]], "the second run")
    told = differences(Ledger.of(marked.ledger()), state(marked), before=before)
    (twice,) = [one for one in told if one.kind == "executed-twice"]
    assert (twice.subject, int(twice.actual) >= 2, twice.harmless) == (sent["id"], True, True)
    assert [one for one in told if not one.harmless] == []


def test_an_effect_that_comes_about_twice(marked: Marked, before: QueueState, application: Application) -> None:
    """Without the key that makes the effect idempotent, the second run of a job has it again."""
    application.rows("ALTER TABLE dr_effects DROP KEY dr_effects_business_id")
    try:
        (sent,) = marked.dispatch({"kind": "slow", "seconds": 3})
        marked.work()
        marked.work()
        marked.await_ledger(lambda ledger: len(ledger["effects"]) >= 2, "the second effect")
        assert found(marked, before) == [("effect-twice", sent["id"]), ("executed-twice", sent["id"])]
    finally:
        marked.tell("dr:forget")
        application.rows("ALTER TABLE dr_effects ADD UNIQUE KEY dr_effects_business_id (business_id)")


def test_an_effect_that_is_not_there(marked: Marked, before: QueueState, application: Application) -> None:
    """A run says that it is done, and nothing came of it."""
    (sent,) = marked.dispatch({"kind": "works"})
    marked.work()
    marked.await_effects(1)
    application.rows("DELETE FROM dr_effects WHERE business_id = %s", sent["id"])
    assert found(marked, before) == [("effect-missing", sent["id"])]


def test_an_effect_of_one_that_was_to_fail(marked: Marked, before: QueueState) -> None:
    """A job that fails in every run has no effect."""
    (sent,) = marked.dispatch({"kind": "fails", "fails": ALWAYS})
    marked.apply(sent["id"])
    assert found(marked, before) == [("effect-unexpected", sent["id"])]


def test_a_job_retried_under_a_new_id(marked: Marked, before: QueueState, application: Application) -> None:
    """As Horizon retries: the job comes back under another uuid. By its business id it is the same."""
    (sent,) = marked.dispatch({"kind": "fails", "fails": 1, "tries": 1})
    marked.work()
    marked.await_queue(lambda queue: queue["own"]["failed"], "the failed job")
    ((payload,),) = application.rows("SELECT payload FROM failed_jobs WHERE uuid = %s", sent["uuid"])
    again = json.loads(payload) | {"uuid": "new", "retry_of": sent["uuid"], "attempts": 0}
    application.redis_client().rpush(PENDING, json.dumps(again))
    application.rows("DELETE FROM failed_jobs WHERE uuid = %s", sent["uuid"])
    marked.await_effects(1)
    assert found(marked, before) == [("new-id", sent["id"])]


@pytest.mark.parametrize(("worked_for", "told"), [("acme", []), ("globex", ["globex"]), (None, ["no tenant"])])
def test_a_tenant_s_job(before: QueueState, worked_for: str | None, told: list[str]) -> None:
    """One that was retried and worked in another tenant's database, or in none's: named with both."""
    job = Job("x.fails.1", "fails", {"fails": 1, "tenant": "acme"}, "u1", 1, 0.0)
    ledger = Ledger((job,), (), (Effect(job.id, 1, 1.0, worked_for),))
    found = differences(ledger, before, before=before)
    assert [(one.kind, one.subject, one.actual) for one in found] == [("wrong-tenant", job.id, one) for one in told]
    assert not any(one.harmless for one in found)


def test_a_lock_that_is_left_behind(marked: Marked, before: QueueState, application: Application) -> None:
    """A worker killed after the effect and before the lock's release leaves it, and nobody will release it."""
    marked.dispatch({"kind": "unique", "unique_for": 600})
    (lock,) = state(marked).locks
    value = application.redis_client().get(lock.key)
    marked.work()
    marked.await_effects(1)
    marked.await_queue(lambda queue: not queue["locks"], "the lock released")
    application.redis_client().set(lock.key, str(value))
    assert found(marked, before) == [("stuck", lock.key)]
    (told,) = differences(Ledger.of(marked.ledger()), state(marked), before=before)
    assert told.actual == "never ends"


def test_a_lock_of_a_job_that_will_run_is_not_stuck(marked: Marked, before: QueueState) -> None:
    """While its job is in the queue a lock is where it belongs."""
    (sent,) = marked.dispatch({"kind": "unique", "unique_for": 600})
    assert found(marked, before) == [("unfinished", sent["id"])]


@pytest.mark.parametrize("command", ["queue:retry", "queue:forget"])
def test_a_failed_job_of_others(marked: Marked, application: Application, command: str) -> None:
    """Retried or deleted, it is told by its uuid; one more of them is not."""
    uuid = marked.strange_failure()
    before = state(marked)
    marked.strange_failure()
    assert found(marked, before) == []
    application.artisan(command, uuid)
    assert found(marked, before) == [("foreign-gone", uuid)]
    application.redis_client().delete(PENDING)


def test_more_failed_jobs_of_others_than_are_listed(before: QueueState) -> None:
    """Where they are too many to be listed one by one, their number tells."""
    was = replace(before, foreign=replace(before.foreign, count=5_000, uuids=("a", "b")))
    gone = replace(was, foreign=replace(was.foreign, count=4_998, uuids=("b", "c")))
    assert [one.subject for one in differences(Ledger(), gone, before=was)] == ["(one of 2)"]
    assert differences(Ledger(), replace(was, foreign=replace(was.foreign, count=5_001)), before=was) == []


@pytest.mark.parametrize(
    ("retry_after", "timeout", "tries", "kinds"),
    [
        (90, 60, 3, []),
        (60, 60, 3, ["retry-after"]),
        (30, 60, 3, ["retry-after"]),
        (90, 30, 3, ["timeout"]),
        (40, 0, 3, ["retry-after"]),
        (None, 0, 0, []),
        (90, 60, 1, ["tries"]),
        (20, 10, 1, ["retry-after", "timeout", "tries"]),
    ],
)
def test_settings(before: QueueState, retry_after: int | None, timeout: int, tries: int, kinds: list[str]) -> None:
    """retry_after must be more than the timeout, and that more than the longest job; one try is told."""
    queue = replace(before, workers=(Worker("127.0.0.1", tries, timeout, retry_after),))
    told = check_settings(queue, longest_seconds=45)
    assert [one.kind for one in told] == kinds
    assert all("127.0.0.1" in str(one) for one in told)


def test_settings_as_a_worker_runs_with_them(marked: Marked, application: Application) -> None:
    """Read from a real worker and a real cache: a queue whose retry_after is shorter than its timeout, in a cache that
    may evict it."""
    redis = application.redis_client()
    redis.config_set("maxmemory-policy", "allkeys-lru")
    try:
        worker = marked.work()
        queue = QueueState.of(
            marked.await_queue(lambda told: worker.address in [row["task"] for row in told["workers"]], "its settings")
        )
    finally:
        redis.config_set("maxmemory-policy", "noeviction")
    queue = replace(queue, workers=tuple(one for one in queue.workers if one.task == worker.address))
    assert check_settings(queue, longest_seconds=1) == [
        Difference(worker.address, "retry-after", "the timeout, 60 s", "2 s"),
        Difference(str(queue.cache["run_id"]), "eviction", "noeviction", "allkeys-lru"),
    ]
