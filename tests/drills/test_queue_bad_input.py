"""What a queue's drill refuses, with a reason, and without a call that changes anything."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import redis

from pytest_envdr import jobs
from pytest_envdr.aws import Aws
from pytest_envdr.drills import Drill, queues
from pytest_envdr.errors import EnvdrError, Refused
from pytest_envdr.guard import mutating
from pytest_envdr.journal import Header, Journal
from pytest_envdr.stack import Approval, Stack
from pytest_envdr.tables import Queue
from pytest_envdr.timeline import Clock
from pytest_envdr.waiting import wait_until
from tests.drills import lanes
from tests.drills.queue_rig import Hand
from tests.drills.restored import exercising
from tests.drills.stranger import CLUSTER, PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_envdr.exercise import Exercise

SECONDS = 5.0
"""How long it waits for a service to be steady, and for a page to answer."""
PAUSED = "envelope_database_envelope_cache:illuminate:queue:paused:redis:default"


@pytest.fixture(scope="module")
def begun(battered_stack: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exercise]:
    """A run on the sandbox, whose workers are steady."""
    with exercising(battered_stack, tmp_path_factory.mktemp("queue-bad-input")) as begun:
        Hand(begun.aws).stranger.wait_until_steady("worker")
        yield begun


@pytest.fixture(scope="module")
def hand(begun: Exercise) -> Hand:
    """Somebody else's hand."""
    return Hand(begun.aws)


def refusal(read: Stack, directory: Path, how: Any = "killed") -> str:
    """Why it is refused; nothing was called that changes anything, and nothing is owed."""
    changed: list[str] = []
    header = Header("refused", read.account, read.region, read.endpoint)
    with Journal.open(directory / "journal.jsonl", header) as journal:
        aws = Aws(read, journal, lambda call: changed.append(f"{call.service}.{call.operation}"))
        drill = Drill(
            "the drill that is refused",
            exercise_id="refused",
            objective=read.objectives["worker_queue_recovery"],
            directory=directory,
            sink=lambda _: None,
            clock=Clock(),
        )
        with pytest.raises(EnvdrError) as refused, queues.stopped(aws, journal, drill, how=how, settle_seconds=SECONDS):
            pass
        assert journal.owed() == []
    assert [call for call in changed if mutating(call)] == []
    return str(refused.value)


def changed(begun: Exercise, **changes: Any) -> Stack:
    """The stack file with other keys in its [queue]."""
    row = begun.stack.queue
    assert row is not None
    return begun.stack.model_copy(update={"queue": Queue(**row.model_dump() | changes)})


def test_a_connection_that_the_stack_does_not_have(begun: Exercise, tmp_path: Path) -> None:
    """A queue connection, or a queue, from which no worker takes jobs: refused with those that they do."""
    said = refusal(changed(begun, connection="beanstalkd"), tmp_path)
    assert "no worker takes jobs from the queue's connection 'beanstalkd'; they take them from redis" in said
    said = refusal(changed(begun, name="mails"), tmp_path)
    assert "no worker takes jobs from the queue's name 'mails'; they take them from default" in said


@pytest.mark.parametrize("key", ["service", "page_service"])
def test_an_unknown_service(begun: Exercise, tmp_path: Path, key: str) -> None:
    """Services that the stack file does not have: refused with those that it has."""
    said = refusal(changed(begun, **{key: "horizon"}), tmp_path)
    assert "names a service that the stack file does not have: horizon" in said
    assert "worker" in said


def test_a_service_that_ecs_does_not_have(begun: Exercise, tmp_path: Path) -> None:
    """The stack file names the workers' service otherwise than ECS does."""
    services = dict(begun.stack.services)
    services["worker"] = services["worker"].model_copy(update={"name": "envelope-prod-horizon"})
    said = refusal(begun.stack.model_copy(update={"services": services}), tmp_path)
    assert "envelope-prod-horizon" in said


def test_no_queue(begun: Exercise, tmp_path: Path) -> None:
    """A stack file without [queue]."""
    said = refusal(begun.stack.model_copy(update={"queue": None}), tmp_path)
    assert "[queue]" in said


@pytest.mark.parametrize(
    "changes", lanes.thinned([{"path": "/nothing/{exercise}"}, {"page_service": "reverb"}], every=2)
)
def test_a_page_that_does_not_answer(begun: Exercise, tmp_path: Path, changes: dict[str, str]) -> None:
    """Where nobody tells of marked jobs, nothing could be proven: refused with the address that was asked."""
    said = refusal(changed(begun, **changes), tmp_path)
    assert "the page that tells of marked jobs does not answer" in said
    assert "Looked at: http" in said


@pytest.mark.sweep
def test_a_queue_that_is_paused(begun: Exercise, hand: Hand, tmp_path: Path) -> None:
    """Workers that rightly take no job look like an outage, and are none."""
    said = hand.environment()
    with redis.Redis(said["REDIS_HOST"], int(said["REDIS_PORT"]), db=1) as cache:
        cache.set(PAUSED, "1")
        try:
            assert "the queue is paused" in refusal(begun.stack, tmp_path)
        finally:
            cache.delete(PAUSED)


def artisan(hand: Hand, *words: str) -> None:
    """A command of the application's, in a task, to its end."""
    ecs, service = hand.stranger.client("ecs"), hand.stranger.service("worker")
    (task,) = ecs.run_task(
        cluster=CLUSTER,
        taskDefinition=service["taskDefinition"],
        launchType="FARGATE",
        networkConfiguration=service["networkConfiguration"],
        overrides={"containerOverrides": [{"name": "worker", "command": ["php", "artisan", *words]}]},
    )["tasks"]
    wait_until(
        lambda: ecs.describe_tasks(cluster=CLUSTER, tasks=[task["taskArn"]])["tasks"][0]["lastStatus"],
        lambda status: bool(status == "STOPPED"),
        what=f"the end of {words}",
        deadline=PATIENCE,
    )


def test_maintenance_mode(begun: Exercise, hand: Hand, tmp_path: Path) -> None:
    """An application in maintenance mode, whose workers rest, is refused as that."""
    artisan(hand, "down", "--retry=5")
    try:
        assert "in maintenance mode" in refusal(begun.stack, tmp_path)
    finally:
        artisan(hand, "up")


@contextmanager
def nobody_alive(hand: Hand) -> Iterator[None]:
    """No worker says that it is alive."""
    said = Path(hand.environment()["LARAVEL_STORAGE_PATH"]) / "workers"
    aside = said.with_name("workers-aside")
    said.rename(aside)
    try:
        yield
    finally:
        aside.rename(said)


def test_no_worker_alive(begun: Exercise, hand: Hand, tmp_path: Path) -> None:
    """Where nobody would take the jobs, what became of them says nothing of this fault."""
    with nobody_alive(hand):
        assert "no worker says that it is alive" in refusal(begun.stack, tmp_path)


def test_an_unknown_fault(begun: Exercise, tmp_path: Path) -> None:
    """A fault that there is not: refused with those that there are."""
    said = refusal(begun.stack, tmp_path, how="struck by lightning")
    assert "they can be killed, stopped, all stopped, database away, cache rebooted, cache failed over" in said


@pytest.mark.parametrize("uuids", [[], ["all"], ["8c7c6a7e-0000-4000-8000-000000000000", "all"]])
def test_a_retry_of_more_than_the_drill_s_own(begun: Exercise, uuids: list[str]) -> None:
    """Without a uuid Laravel retries nothing and says so to nobody; "all" runs what failed of others too."""
    with pytest.raises(Refused, match="by their uuids only"):
        jobs.retry(begun.aws, begun.journal, uuids)


def test_a_reboot_that_nobody_allowed(begun: Exercise, tmp_path: Path) -> None:
    """The database is rebooted only where who approves the scenario allows it."""
    approvals = dict(begun.stack.approvals)
    approvals["worker_queue_recovery"] = Approval(by="somebody")
    read = begun.stack.model_copy(update={"approvals": approvals})
    assert 'allows = ["reboot"]' in refusal(read, tmp_path, how="database away")
    assert 'allows = ["reboot"]' in queues.unsuited(read, "database away"), "and the test is skipped with that"
    assert queues.unsuited(read, "killed") == ""
    assert queues.unsuited(begun.stack, "database away") == ""
