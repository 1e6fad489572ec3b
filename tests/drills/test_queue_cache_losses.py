"""What a failover of the queue's cache loses: what the replica did not have, named job by job, and made again."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import redis

from pytest_envdr.drills import caches, queues
from pytest_envdr.waiting import wait_until
from tests.drills.queue_rig import WORKER, Hand, Rehearsal, stopping
from tests.drills.restored import exercising
from tests.drills.stranger import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pytest_envdr.exercise import Exercise
    from pytest_envdr.ledger import Page

GROUP = "envelope-prod-redis"
NOWHERE = ("127.0.0.1", "1")
"""Where no primary answers: a replica that follows it keeps what it has, and gets nothing more."""
KEPT = 2
LOG_LINES = 201
LASTING = 9
"""More than the queue's own keys."""
LATER = 4_000_000_000
"""A time that no worker will see."""


@pytest.fixture(scope="module")
def begun(battered_stack: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exercise]:
    """A run on the sandbox, whose workers are steady."""
    with exercising(battered_stack, tmp_path_factory.mktemp("queue-losses")) as begun:
        Hand(begun.aws).stranger.wait_until_steady(WORKER)
        yield begun


def replica(hand: Hand) -> redis.Redis:
    """The node of the cache that is no primary."""
    client = hand.stranger.client("elasticache")
    (row,) = client.describe_replication_groups(ReplicationGroupId=GROUP)["ReplicationGroups"]
    ((where,),) = (
        [one["ReadEndpoint"] for one in shard["NodeGroupMembers"] if one["CurrentRole"] == "replica"]
        for shard in row["NodeGroups"]
    )
    return redis.Redis(where["Address"], where["Port"], decode_responses=True)


@contextmanager
def behind(hand: Hand) -> Iterator[redis.Redis]:
    """A replica whose link to the primary is cut while the queue is empty."""
    wait_until(hand.places, lambda found: not any(found.values()), what="an empty queue", deadline=PATIENCE)
    with replica(hand) as node:
        node.replicaof(*NOWHERE)
        yield node


def waiting(page: Page) -> set[str]:
    """The jobs that were pending or delayed; what workers had in hand they bring to its end."""
    return {one.id for one in (*page.queue.pending, *page.queue.delayed)}


def table(rehearsal: Rehearsal, title: str) -> list[list[str]]:
    """The rows of the newest table of that title."""
    found = [entry.data for entry in rehearsal.drill.entries if entry.kind == "table" and entry.data["title"] == title]
    return [list(row) for row in found[-1]["rows"]]


def check_named(rehearsal: Rehearsal, lost: set[str]) -> None:
    """Exactly these are said to be lost, and how they can be had again; made again they are told all the same."""
    rehearsal.worker.wait_until_seen()
    found = rehearsal.validated()
    assert list(found) == ["queue.lost"]
    titles = [finding.title for finding in rehearsal.drill.failures]
    assert sorted(titles) == [
        f"Job {job} is lost: it has no effect and is in no place of the queue; it can be made again from the outbox"
        for job in sorted(lost)
    ]
    assert {row[0] for row in table(rehearsal, "Jobs that the queue lost")} == lost
    assert (rehearsal.drill.rpa_seconds or 0) > rehearsal.drill.rpo_seconds
    assert set(rehearsal.worker.recreate()) == lost
    rehearsal.worker.retry()
    recovery = rehearsal.worker.wait_until_recovered()
    assert recovery.lost == recovery.made_again == sorted(lost)
    point = rehearsal.drill.recovery_points[-1]
    kept = recovery.jobs - len(lost)
    assert f"{kept} of {recovery.jobs} marked jobs survived in the queue, {len(lost)} were lost" in point.newest
    (told,) = [finding for finding in rehearsal.drill.findings if finding.id == "queue.lost-made-again"]
    assert told.detail == ", ".join(sorted(lost))


@pytest.mark.sweep
def test_a_replica_that_had_nothing_of_it(begun: Exercise) -> None:
    """Its link was cut before a job was dispatched: all that waited is lost, each by its name, and nothing else; what
    the workers wrote meanwhile is attached."""
    with behind(Hand(begun.aws)), stopping(begun, "cache failed over") as rehearsal:
        check_named(rehearsal, waiting(rehearsal.before))
        attached = [entry.data for entry in rehearsal.drill.entries if entry.kind == "attachment"]
        (path,) = {one["path"] for one in attached if one["name"] == "workers' log.txt"}
        lines = (begun.directory / path).read_text().splitlines()
        assert 0 < len(lines) <= LOG_LINES
        assert any("Processing: App\\Jobs\\MarkedJob" in line for line in lines)
        assert not any("CloudWatchMetrics" in line for line in lines), "numbers are no words"


def held(node: redis.Redis, key: str) -> Sequence[str]:
    """The payloads of a queue's pending list at a node."""
    rows: Any = node.lrange(key, 0, -1)
    return [str(row) for row in rows]


@pytest.mark.sweep
def test_a_replica_that_was_behind(begun: Exercise, monkeypatch: pytest.MonkeyPatch) -> None:
    """It had the first jobs and not the last ones: those that it had are done, and exactly the others are lost."""
    hand, survivors = Hand(begun.aws), set[str]()

    def inflict(*given: Any) -> None:
        """It gets the first few, and no more; then the primary fails."""
        (key,) = {row.queue.keys["pending"] for row in (given[-1].page,)}
        rows = held(hand.cache, key)[:KEPT]
        node.config_set("replica-read-only", "no")
        node.rpush(key, *rows)
        survivors.update(json.loads(row)["dr"]["id"] for row in rows)
        caches.FAILED_OVER.inflict(*given)

    monkeypatch.setitem(queues.WAYS, "cache failed over", replace(caches.FAILED_OVER, inflict=inflict))
    with behind(hand) as node:
        try:
            with stopping(begun, "cache failed over") as rehearsal:
                assert len(survivors) == KEPT
                check_named(rehearsal, waiting(rehearsal.before) - survivors)
        finally:
            node.config_set("replica-read-only", "yes")


@pytest.mark.sweep
def test_a_cache_that_does_not_fail_over(begun: Exercise, monkeypatch: pytest.MonkeyPatch) -> None:
    """The primary comes back as the primary: that was no failover, and is red."""
    other = replace(caches.FAILED_OVER, inflict=caches.REBOOTED.inflict)
    monkeypatch.setitem(queues.WAYS, "cache failed over", other)
    with stopping(begun, "cache failed over") as rehearsal:
        rehearsal.worker.wait_until_seen()
        assert [finding.id for finding in rehearsal.drill.failures] == ["cache.not-failed-over"]
        rehearsal.worker.recreate()
        rehearsal.worker.retry()
        assert rehearsal.validated() == {}


@pytest.mark.sweep
def test_a_replica_that_had_everything(begun: Exercise) -> None:
    """Nothing is lost: said to be a warning, since that what is lost can be made again was not shown."""
    with stopping(begun, "cache failed over") as rehearsal:
        rehearsal.worker.wait_until_seen()
        assert rehearsal.worker.recreate() == []
        rehearsal.worker.retry()
        assert "queue.nothing-lost" in rehearsal.warnings()
        assert rehearsal.validated() == {}
        assert "queue.lost-made-again" not in rehearsal.warnings()


@pytest.mark.sweep
def test_what_of_others_may_be_lost(begun: Exercise) -> None:
    """Where it was approved that jobs of others are lost, that is a warning, with how many; and so are entries that
    never expire."""
    hand, kept = Hand(begun.aws), begun.aws.stack
    key, job = "envelope_database_queues:default:delayed", json.dumps({"displayName": "SendInvoice", "attempts": 0})
    approval = kept.approvals["worker_queue_recovery"].model_copy(update={"allows": ["reboot", "lose_queue"]})
    allowed = kept.approvals | {"worker_queue_recovery": approval}
    begun.aws.stack = kept.model_copy(update={"approvals": allowed})
    hand.cache.zadd(key, {job: LATER})
    for number in range(LASTING):
        hand.cache.set(f"basket:{number}", "full")
    try:
        with stopping(begun, "cache rebooted") as rehearsal:
            found = {finding.id: finding.title for finding in rehearsal.drill.findings}
            rehearsal.worker.wait_until_seen()
            assert job not in hand.cache.zrange(key, 0, -1)
    finally:
        begun.aws.stack = kept
        hand.cache.zrem(key, job)
        hand.cache.delete(*(f"basket:{number}" for number in range(LASTING)))
    assert found["cache.jobs-of-others"] == "1 jobs of others may be lost"
    assert "entries that never expire" in found["cache.entries"]
