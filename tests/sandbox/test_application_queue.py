"""Marked jobs and their ledger, over a real queue, a real database and real workers."""

from __future__ import annotations

import json
import signal
import subprocess
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr.sandbox import programs
from pytest_envdr.sandbox.envelope import database
from tests.sandbox.application import running
from tests.sandbox.marked import ALWAYS, Marked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.sandbox.application import Application

(TENANT,) = (tenant.slug for tenant in database.tenants(1))
PLACES = ("pending", "delayed", "reserved", "failed")


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    programs.require()
    with running(tmp_path_factory.mktemp("marked"), network="127.33", tenants=1) as application:
        yield application


@pytest.fixture
def marked(application: Application) -> Iterator[Marked]:
    """An exercise of its own; whatever it leaves is forgotten, and its workers end."""
    with Marked.of(application) as marked:
        yield marked


def test_each_kind_does_what_was_ordered(marked: Marked) -> None:
    """Jobs that work, wait, fail for a while or are unique are executed once each, with the runs that were ordered; one
    that always fails ends among the failed jobs."""
    sent = marked.dispatch(
        {"kind": "works", "count": 2},
        {"kind": "delayed", "delay": 1},
        {"kind": "unique", "unique_for": 60},
        {"kind": "fails", "fails": 1},
        {"kind": "fails", "fails": ALWAYS},
    )
    assert [job["kind"] for job in sent] == ["works", "works", "delayed", "unique", "fails", "fails"]
    marked.work()
    marked.await_effects(5)
    marked.await_queue(lambda queue: len(queue["own"]["failed"]) == 1, "the failed job")
    ledger, queue = marked.ledger(), marked.queue()
    assert len({effect["id"] for effect in ledger["effects"]}) == len(ledger["effects"]) == 5
    assert [run["outcome"] for run in ledger["runs"] if run["id"] == sent[4]["id"]] == ["failed", "done"]
    assert [run["attempt"] for run in ledger["runs"] if run["id"] == sent[5]["id"]] == [1, 2, 3]
    (failed,) = queue["own"]["failed"]
    assert failed["id"] == sent[5]["id"]
    assert failed["uuid"] == sent[5]["uuid"]
    assert "fails, as was ordered" in failed["reason"]
    assert queue["locks"] == []


def test_the_outbox_row_comes_before_the_job(marked: Marked, application: Application) -> None:
    """With the queue away nothing is dispatched, and the outbox says what: it can be dispatched again from there."""
    application.redis.stop()
    try:
        (sent,) = marked.dispatch({"kind": "works"})
        assert sent["uuid"] is None
    finally:
        application.redis.start()
        application.redis.wait_until_ready(deadline=30)
    (row,) = marked.ledger()["outbox"]
    assert (row["id"], row["dispatches"], row["dispatched_at"]) == (sent["id"], 0, None)
    (again,) = marked.tell("dr:redispatch")["jobs"]
    assert again["id"] == sent["id"]
    marked.work()
    marked.await_effects(1)


def test_a_lost_job_is_found_and_made_again(marked: Marked, application: Application) -> None:
    """The queue loses all its data: the outbox knows every job, and those that are lost, no others, are made again."""
    done, lost, other = marked.dispatch({"kind": "works", "count": 3})
    marked.apply(done["id"])
    application.redis_client().flushall()
    assert [job["id"] for job in marked.tell("dr:redispatch", lost["id"])["jobs"]] == [lost["id"]]
    assert [job["id"] for job in marked.tell("dr:redispatch")["jobs"]] == [other["id"]]
    assert marked.tell("dr:redispatch")["jobs"] == []
    marked.work()
    marked.await_effects(3)


def test_a_killed_worker_s_job_is_run_again_and_counts_once(marked: Marked) -> None:
    """SIGKILL in mid-job: the job stays reserved until `retry_after` has passed; then it is run again, and both runs
    are in the ledger, the first without an end."""
    (sent,) = marked.dispatch({"kind": "works", "seconds": 1.5})
    first = marked.work()
    marked.await_ledger(lambda ledger: ledger["runs"], "the first run")
    first.process.signal(signal.SIGKILL)
    (reserved,) = marked.queue()["own"]["reserved"]
    assert (reserved["id"], reserved["attempts"]) == (sent["id"], 1)
    assert reserved["back_at"] > marked.ledger()["runs"][0]["started_at"]
    second = marked.work()
    marked.await_effects(1)
    runs = marked.ledger()["runs"]
    assert [(run["worker"], run["attempt"], run["outcome"]) for run in runs] == [
        (first.address, 1, None),
        (second.address, 2, "done"),
    ]
    assert runs[0]["finished_at"] is None


def test_a_job_longer_than_retry_after_is_run_twice(marked: Marked) -> None:
    """Two workers, and a job that takes longer than `retry_after`: both run it, its effect comes about once."""
    (sent,) = marked.dispatch({"kind": "slow", "seconds": 4})
    marked.work()
    marked.work()
    marked.await_ledger(
        lambda ledger: [run for run in ledger["runs"] if run["outcome"] == "repeated"], "the second run"
    )
    ledger = marked.ledger()
    assert [run["id"] for run in ledger["runs"]][:2] == [sent["id"]] * 2
    assert [effect["id"] for effect in ledger["effects"]] == [sent["id"]]


def test_tries_move_a_killed_job_to_the_failed_ones(marked: Marked, application: Application) -> None:
    """A job with one try, whose worker was killed, fails without being run again; retried by its uuid it is done, and a
    tenant's in that tenant's database, by the word of the database itself."""
    (sent,) = marked.dispatch({"kind": "works", "seconds": 1, "tries": 1, "tenant": TENANT})
    worker = marked.work()
    marked.await_ledger(lambda ledger: ledger["runs"], "the first run")
    worker.process.signal(signal.SIGKILL)
    marked.work()
    queue = marked.await_queue(lambda queue: queue["own"]["failed"], "the failed job")
    assert "MaxAttemptsExceededException" in queue["own"]["failed"][0]["reason"]
    assert len(marked.ledger()["runs"]) == 1
    assert sent["uuid"] in application.artisan("queue:retry", sent["uuid"])
    marked.await_effects(1)
    assert [effect["tenant"] for effect in marked.ledger()["effects"]] == [TENANT]


def test_a_lock_that_a_killed_worker_leaves(marked: Marked) -> None:
    """While a unique job's lock is held another of the same name is skipped without a word; a null uuid tells."""
    first, second = marked.dispatch({"kind": "unique", "count": 2, "unique_for": 600, "lock": marked.exercise})
    assert first["uuid"] is not None
    assert second["uuid"] is None
    (lock,) = marked.queue()["locks"]
    assert lock["ids"] == [first["id"], second["id"]]
    assert 0 < lock["ttl"] <= 600
    assert lock["key"].startswith("envelope_database_")


def test_what_the_queue_tells(marked: Marked, application: Application) -> None:
    """Key names with their prefix, counts of all places, settings in force, the state of the cache."""
    marked.dispatch({"kind": "works"}, {"kind": "delayed", "delay": 600})
    queue = marked.queue()
    redis = application.redis_client()
    assert redis.llen(queue["keys"]["pending"]) == queue["counts"]["pending"]
    assert redis.zcard(queue["keys"]["delayed"]) == queue["counts"]["delayed"]
    assert [len(queue["own"][place]) for place in PLACES] == [1, 1, 0, 0]
    assert (queue["paused"], queue["maintenance"]) == (False, False)
    assert queue["cache"]["maxmemory_policy"] == "noeviction"
    worker = marked.work()
    queue = marked.await_queue(
        lambda queue: [row for row in queue["workers"] if row["task"] == worker.address], "the worker's settings"
    )
    (row,) = [row for row in queue["workers"] if row["task"] == worker.address]
    assert (row["tries"], row["timeout"], row["retry_after"]) == (3, 60, 2)


def test_the_page_tells_the_same(marked: Marked, application: Application) -> None:
    """GET /dr/ledger/{exercise} answers what both commands print."""
    marked.dispatch({"kind": "delayed", "delay": 600})
    api = application.start("api", 15)
    page = marked.await_page(api)
    queue = marked.queue()
    assert {key: page[key] for key in ("outbox", "runs", "effects")} == marked.ledger()
    assert page["queue"]["own"] == queue["own"]
    assert page["queue"]["counts"] == queue["counts"]
    with pytest.raises(urllib.error.HTTPError, match="422"):
        urllib.request.urlopen(f"http://{api.address}:8000/dr/ledger/a%20b", timeout=10)


def test_forgetting_takes_its_own_and_nothing_else(marked: Marked, application: Application) -> None:
    """An exercise's jobs go from all four places, with locks and rows; another's, and failed jobs of nobody's, stay."""
    with Marked.of(application) as other:
        kinds: list[dict[str, Any]] = [
            {"kind": "fails", "fails": ALWAYS, "tries": 1},
            {"kind": "slow", "seconds": 30},
            {"kind": "works"},
            {"kind": "delayed", "delay": 600},
            {"kind": "unique", "unique_for": 600},
        ]
        marked.dispatch(*kinds[:2])
        marked.work()
        marked.await_queue(
            lambda queue: queue["own"]["reserved"] and queue["own"]["failed"], "one failed, one reserved"
        )
        marked.dispatch(*kinds[2:])
        other.dispatch(*kinds[2:])
        stranger = marked.strange_failure()
        before, foreign = other.queue(), marked.queue()["foreign_failed"]
        removed = marked.tell("dr:forget")["removed"]
        assert (removed["outbox"], removed["runs"], removed["effects"], removed["locks"]) == (5, 2, 0, 1)
        assert [removed[place] for place in PLACES] == [2, 1, 1, 1]
        after = other.queue()
        assert after["own"] == before["own"]
        assert foreign["uuids"] == [stranger]
        assert marked.queue()["foreign_failed"] == foreign
        assert {lock["key"] for lock in after["locks"]} == {lock["key"] for lock in before["locks"]}
        assert len(other.ledger()["outbox"]) == 3
        assert set(marked.tell("dr:forget")["removed"].values()) == {0}


def test_one_that_was_forgotten_does_nothing(marked: Marked) -> None:
    """A job that a worker runs while its exercise is forgotten has no effect, and is not put back."""
    marked.dispatch({"kind": "fails", "fails": ALWAYS, "seconds": 1}, {"kind": "works", "seconds": 1})
    workers = [marked.work(), marked.work()]
    marked.await_ledger(lambda ledger: len(ledger["runs"]) == 2, "both runs")
    marked.tell("dr:forget")
    for worker in workers:
        worker.process.stop(grace=10.0)
    marked.await_queue(lambda queue: not any(queue["own"].values()), "no job left")
    assert marked.ledger() == {"outbox": [], "runs": [], "effects": []}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["dr:dispatch", "x", "{}"], "JSON list"),
        (["dr:dispatch", "x", "[]"], "JSON list"),
        (["dr:dispatch", "x", '[{"kind": "sleeps"}]'], "kind"),
        (["dr:dispatch", "x", '[{"kind": "works", "count": 0}]'], "count"),
        (["dr:dispatch", "x", '[{"kind": "works", "seconds": -1}]'], "seconds"),
        (["dr:dispatch", "x", '[{"kind": "works", "second": 1}]'], "has no second"),
        (["dr:dispatch", "x", '[{"kind": "works", "tenant": 1}]'], "tenant"),
        (["dr:dispatch", "no such, name", '[{"kind": "works"}]'], "exercise has"),
        (["dr:ledger", ""], "exercise has"),
    ],
)
def test_a_wrong_order_is_refused(application: Application, arguments: list[str], words: str) -> None:
    """A wrong order dispatches nothing, ends with exit code 2, and its line says what is wrong."""
    with pytest.raises(subprocess.CalledProcessError) as refused:
        application.artisan(*arguments)
    assert refused.value.returncode == 2
    assert words in json.loads(refused.value.stdout)["error"]
    assert application.rows("SELECT COUNT(*) FROM dr_outbox WHERE exercise = 'x'") == [(0,)]
