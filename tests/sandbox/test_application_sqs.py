"""Marked jobs and their ledger with the queue in SQS: Laravel's own queue and real workers over the sandbox's API."""

from __future__ import annotations

import json
import signal
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from pytest_envdr.ledger import Ledger, QueueState
from pytest_envdr.sandbox import programs
from pytest_envdr.sandbox.control_plane import sqs
from pytest_envdr.verify.queue import differences
from pytest_envdr.waiting import wait_until
from tests.sandbox.application import Application, running
from tests.sandbox.control_plane.served import Served, serving
from tests.sandbox.marked import ALWAYS, SECONDS, Marked

if TYPE_CHECKING:
    from collections.abc import Iterator

BACK_SECONDS = 6
"""The queues' visibility timeout."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(
        tmp_path_factory.mktemp("api"), {"sqs": sqs}, region="eu-west-2", network="127.19.0.0/16", speed=100
    ) as served:
        yield served


@pytest.fixture(scope="module")
def application(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    programs.require(queue="sqs")
    with running(tmp_path_factory.mktemp("sqs"), network="127.19", tenants=1) as application:
        application.connection = "sqs"
        application.variables = {
            "QUEUE_CONNECTION": "sqs",
            "AWS_ENDPOINT_URL": served.world.endpoint,
            "AWS_REGION": served.world.region,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "SQS_PREFIX": f"{served.world.endpoint}/{served.world.account}",
            "SQS_COUNTS_SETTLE": "1",
        }
        yield application


class Queues:
    """A queue with its dead-letter queue, as somebody else sees them."""

    def __init__(self, client: Any) -> None:
        self.client, self.name = client, f"jobs-{uuid4().hex[:8]}"
        self.dead = client.create_queue(QueueName=f"{self.name}-dlq")["QueueUrl"]
        self.url = client.create_queue(QueueName=self.name, Attributes={"VisibilityTimeout": str(BACK_SECONDS)})[
            "QueueUrl"
        ]
        self.allow(5)

    def allow(self, receives: int) -> None:
        """How often a message is received before it is dead."""
        names = {"QueueUrl": self.dead, "AttributeNames": ["QueueArn"]}
        arn = self.client.get_queue_attributes(**names)["Attributes"]["QueueArn"]
        policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": receives})
        self.client.set_queue_attributes(QueueUrl=self.url, Attributes={"RedrivePolicy": policy})

    def receive(self, url: str) -> list[dict[str, Any]]:
        """What is visible, for a second in nobody else's sight."""
        wanted = {"MaxNumberOfMessages": 10, "VisibilityTimeout": 1, "AttributeNames": ["All"]}
        return list(self.client.receive_message(QueueUrl=url, **wanted).get("Messages", []))


@pytest.fixture
def queues(served: Served, application: Application) -> Queues:
    made = Queues(served.client("sqs"))
    application.queue = application.variables["SQS_QUEUE"] = made.name
    return made


@pytest.fixture
def marked(queues: Queues, application: Application) -> Iterator[Marked]:
    """An exercise of its own; whatever it leaves is forgotten."""
    with Marked.of(application) as marked:
        yield marked
        for worker in marked.workers:
            worker.process.stop(grace=0.0)
        queues.client.purge_queue(QueueUrl=queues.url)


def found(marked: Marked, before: QueueState) -> list[tuple[str, str]]:
    """The differences by kind and subject."""
    queue = QueueState.of(marked.queue())
    return [(one.kind, one.subject) for one in differences(Ledger.of(marked.ledger()), queue, before=before)]


def test_each_kind_does_what_was_ordered(marked: Marked, queues: Queues, application: Application) -> None:
    """Each kind is executed as it is with Redis; what fails for good is listed in the central database, and retried by
    its uuid under the same uuid. Where the jobs were is told, with the queue's settings."""
    before = QueueState.of(marked.queue())
    sent = marked.dispatch(
        {"kind": "works", "count": 2},
        {"kind": "delayed", "delay": 1},
        {"kind": "unique", "unique_for": 60},
        {"kind": "fails", "fails": 1},
        {"kind": "fails", "fails": 1, "tries": 1},
    )
    queue = QueueState.of(marked.queue())
    assert len(queue.pending) + len(queue.delayed) == 6
    assert queue.keys == {"pending": queues.url, "dead": queues.dead}
    assert queue.message_queue is not None
    assert (queue.message_queue.visibility_timeout, queue.message_queue.max_receives) == (BACK_SECONDS, 5)
    assert len(queue.locks) == 1
    marked.work()
    marked.await_effects(5)
    failed = marked.await_queue(lambda told: told["own"]["failed"], "the failed job")["own"]["failed"]
    assert [(job["id"], job["uuid"]) for job in failed] == [(sent[5]["id"], sent[5]["uuid"])]
    application.artisan("queue:retry", failed[0]["uuid"])
    marked.await_effects(6)
    assert [run["attempt"] for run in marked.ledger()["runs"] if run["id"] == sent[4]["id"]] == [1, 2]
    assert found(marked, before) == []


def test_in_hand(marked: Marked, queues: Queues) -> None:
    """What a worker has in hand is reserved until the visibility timeout is over; what is not due yet is delayed."""
    queues.client.set_queue_attributes(QueueUrl=queues.url, Attributes={"VisibilityTimeout": "600"})
    sent, late = marked.dispatch({"kind": "slow", "seconds": 300}, {"kind": "delayed", "delay": 900})
    marked.work()
    told = marked.await_queue(lambda told: told["own"]["reserved"] and told["counts"]["reserved"], "it in hand")
    (held,) = told["own"]["reserved"]
    assert held["id"] == sent["id"]
    assert 0 < held["back_at"] - told["at"] <= 600
    assert [job["id"] for job in told["own"]["delayed"]] == [late["id"]]
    assert told["counts"] == {"pending": 0, "delayed": 1, "reserved": 1, "failed": 0, "dead": 0}


def test_a_worker_killed_in_mid_job(marked: Marked) -> None:
    """Its message stays in flight until the visibility timeout has passed, and is then received again: executed twice,
    with one effect. One that may be tried once is failed without being run again."""
    before = QueueState.of(marked.queue())
    twice, once = marked.dispatch({"kind": "slow", "seconds": 4}, {"kind": "slow", "seconds": 4, "tries": 1})
    workers = [marked.work(), marked.work()]
    marked.await_ledger(lambda told: len(told["runs"]) == 2, "both in hand")
    for worker in workers:
        worker.process.signal(signal.SIGKILL)
    marked.work()
    marked.await_effects(1)
    marked.await_queue(lambda told: told["own"]["failed"], "the one that was tried")
    assert found(marked, before) == [("executed-twice", twice["id"]), ("failed", once["id"])]


@pytest.mark.sweep
def test_received_too_often(marked: Marked, queues: Queues) -> None:
    """Where SQS allows fewer receives than the workers tries, a killed worker's job ends in the dead-letter queue, and
    not among the failed ones. It is found there and put back, and others' messages are left as they are."""
    before = QueueState.of(marked.queue())
    queues.allow(1)
    queues.client.send_message(QueueUrl=queues.dead, MessageBody="somebody else's")
    (sent,) = marked.dispatch({"kind": "slow", "seconds": 4})
    worker = marked.work()
    marked.await_ledger(lambda told: told["runs"], "it in hand")
    worker.process.signal(signal.SIGKILL)
    marked.work()
    told = marked.await_queue(lambda told: told["own"]["dead"] and told["counts"]["dead"] == 2, "it dead")
    assert [job["id"] for job in told["own"]["dead"]] == [sent["id"]]
    assert told["own"]["failed"] == []
    assert found(marked, before) == [("dead", sent["id"])]
    assert marked.tell("dr:redrive") == {"jobs": [sent["id"]]}
    marked.await_effects(1)
    assert found(marked, before) == [("executed-twice", sent["id"])]
    assert [message["Body"] for message in queues.receive(queues.dead)] == ["somebody else's"]


def test_looking_counts_as_no_attempt(marked: Marked, queues: Queues) -> None:
    """The application tells where jobs are without receiving one: those of others come no nearer to their last try."""
    queues.client.send_message(QueueUrl=queues.url, MessageBody="somebody else's")
    marked.dispatch({"kind": "works"})
    assert marked.queue()["counts"]["pending"] == 2
    messages = wait_until(lambda: queues.receive(queues.url), bool, what="the messages", deadline=SECONDS)
    assert {message["Attributes"]["ApproximateReceiveCount"] for message in messages} == {"1"}


def test_a_message_that_somebody_deletes_is_lost(marked: Marked, queues: Queues) -> None:
    """Known from the outbox, once the queue is empty for longer than its counts may be wrong; and made again."""
    before = QueueState.of(marked.queue())
    (sent,) = marked.dispatch({"kind": "works"})
    (message,) = queues.receive(queues.url)
    queues.client.delete_message(QueueUrl=queues.url, ReceiptHandle=message["ReceiptHandle"])
    marked.application.variables["SQS_COUNTS_SETTLE"] = "600"
    assert found(marked, before) == [("unfinished", sent["id"])]
    marked.application.variables["SQS_COUNTS_SETTLE"] = "1"
    marked.await_queue(lambda told: not told["own"]["pending"], "it known to be lost")
    assert found(marked, before) == [("lost", sent["id"])]
    assert [job["id"] for job in marked.tell("dr:redispatch")["jobs"]] == [sent["id"]]
    marked.work()
    marked.await_effects(1)
    assert found(marked, before) == []


def test_forgotten(marked: Marked, queues: Queues) -> None:
    """What is forgotten is dropped by the next worker that receives it, without a run and without a failure, also what
    a killed worker had used up its only try of. dr:forget waits for that; dead ones it deletes."""
    (once,) = marked.dispatch({"kind": "slow", "seconds": 30, "tries": 1})
    worker = marked.work()
    marked.await_ledger(lambda told: told["runs"], "it in hand")
    worker.process.signal(signal.SIGKILL)
    marked.dispatch({"kind": "works", "count": 3}, {"kind": "delayed", "delay": 2}, {"kind": "fails", "fails": ALWAYS})
    body = json.dumps({"dr": {"exercise": marked.exercise, "id": once["id"]}, "uuid": once["uuid"]})
    for text in (body, "somebody else's"):
        queues.client.send_message(QueueUrl=queues.dead, MessageBody=text)
    with ThreadPoolExecutor(1) as pool:
        forgetting = pool.submit(marked.tell, "dr:forget")
        marked.await_ledger(lambda told: not told["outbox"], "its rows gone")
        marked.work()
        removed = forgetting.result()["removed"]
    assert (removed["left"], removed["dead"], removed["failed"]) == (0, 1, 0)
    assert sum(removed[place] for place in ("pending", "delayed", "reserved")) == 5
    told = marked.queue()
    assert not any(told["own"].values())
    assert sum(told["counts"].values()) == 1
    assert [message["Body"] for message in queues.receive(queues.dead)] == ["somebody else's"]


def test_a_delay_that_sqs_does_not_take(marked: Marked) -> None:
    """More than 15 minutes: the queue was never given the job, and the outbox knows."""
    before = QueueState.of(marked.queue())
    (sent,) = marked.dispatch({"kind": "delayed", "delay": 901})
    assert sent["uuid"] is None
    assert found(marked, before) == [("not-queued", sent["id"])]


def test_no_dead_letter_queue(marked: Marked, queues: Queues) -> None:
    """A queue without one is told as such, also where the one that it names has been deleted."""
    queues.client.delete_queue(QueueUrl=queues.dead)
    queue = QueueState.of(marked.queue())
    assert queue.message_queue is not None
    assert (queue.message_queue.max_receives, queue.message_queue.dead_letter_retention) == (None, None)
    assert "dead" not in queue.keys
