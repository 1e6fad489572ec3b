"""The queue's drill on a stack whose queue is in SQS: as a user runs it, broken, and killed.

What SQS cannot tell of single messages the ledger does; what it does with them by itself, visibility timeout and
dead-letter queue, is seen in what becomes of the jobs.
"""

from __future__ import annotations

import json
import signal
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr.drills import queues
from pytest_envdr.errors import Refused
from pytest_envdr.exercise import Charge
from pytest_envdr.sandbox import Sandbox
from pytest_envdr.waiting import pause, wait_until
from tests.drills import runs
from tests.drills.queue_rig import Hand, failures, stopping
from tests.drills.restored import exercising
from tests.drills.stranger import PATIENCE, Stranger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_envdr.drills.queues import Fault
    from pytest_envdr.exercise import Exercise

pytestmark = pytest.mark.sweep

JOBS, DEAD = "envelope-prod-jobs", "envelope-prod-jobs-dlq"
DEATHS: list[tuple[Fault, float]] = [("killed", 0.0), ("all stopped", 3.0), ("killed", 9.0), ("all stopped", 0.0)]
"""Which drill is killed, and how many seconds after its fault."""
RECOVERY = ("-m", "worker_queue_recovery", "-k")


@pytest.fixture(scope="module")
def stack_file() -> Iterator[Path]:
    with Sandbox(speed=20, tenants=1, queue="sqs") as sandbox:
        yield sandbox.stack


@pytest.fixture(scope="module")
def begun(stack_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exercise]:
    """A run on the sandbox."""
    with exercising(stack_file, tmp_path_factory.mktemp("queue-sqs")) as begun:
        yield begun


class Messages:
    """Somebody else's hand on the queues."""

    def __init__(self, stack_file: Path) -> None:
        self.sqs = Stranger(stack_file).client("sqs")

    def url(self, name: str) -> str:
        return str(self.sqs.get_queue_url(QueueName=name)["QueueUrl"])

    def attributes(self, name: str = JOBS) -> dict[str, str]:
        return dict(self.sqs.get_queue_attributes(QueueUrl=self.url(name), AttributeNames=["All"])["Attributes"])

    def count(self, name: str = JOBS) -> int:
        """How many there are, in whatever state."""
        told = self.attributes(name)
        ends = ("", "Delayed", "NotVisible")
        return sum(int(told[f"ApproximateNumberOfMessages{end}"]) for end in ends)

    @contextmanager
    def changed(self, **attributes: str) -> Iterator[None]:
        """The queue with other attributes; those of before come back."""
        before, url = self.attributes(), self.url(JOBS)
        self.sqs.set_queue_attributes(QueueUrl=url, Attributes=attributes)
        try:
            yield
        finally:
            self.sqs.set_queue_attributes(QueueUrl=url, Attributes={name: before[name] for name in attributes})

    def drop_one(self) -> str:
        """Receive a marked job that simply works and waits, and delete it; its business id."""

        def taken() -> dict[str, Any] | None:
            found: list[dict[str, Any]] = self.sqs.receive_message(QueueUrl=self.url(JOBS)).get("Messages", [])
            return found[0] if found else None

        message = wait_until(taken, bool, what="a message", deadline=PATIENCE)
        assert message is not None
        self.sqs.delete_message(QueueUrl=self.url(JOBS), ReceiptHandle=message["ReceiptHandle"])
        return str(json.loads(message["Body"])["dr"]["id"])


@pytest.fixture
def messages(stack_file: Path) -> Messages:
    return Messages(stack_file)


@pytest.fixture(scope="module")
def place(stack_file: Path, tmp_path_factory: pytest.TempPathFactory) -> runs.Place:
    """A user's run with killed workers, that passed."""
    place = runs.Place(tmp_path_factory.mktemp("user"))
    code, said = runs.ended(runs.begin(place, stack_file, *RECOVERY, "test_recovery and killed"))
    assert code == 0, said
    return place


def test_recovery(place: runs.Place, messages: Messages) -> None:
    """Workers are killed in mid-job; all is done within the RTO, the queue is empty, and nothing failed the drill. What
    the killed ones had in hand was executed twice, or failed and was retried."""
    assert place.failures == {}
    assert {finding["id"] for finding in place.drill["findings"]} <= {"queue.executed-twice"}
    assert place.drill["rta_seconds"] <= place.drill["rto_seconds"]
    assert [table["title"] for table in place.drill["tables"]].count("Dead-letter queue") == 1
    assert (messages.count(), messages.count(DEAD)) == (0, 0)


def test_the_stack_file_says_which_queue(begun: Exercise) -> None:
    """The stack file names connection and queue, and what is tested is what it names."""
    assert begun.stack.queue is not None
    assert (begun.stack.queue.connection, begun.stack.queue.name) == ("sqs", JOBS)
    redis = begun.stack.queue.model_copy(update={"connection": "redis"})
    begun.aws.stack, kept = begun.stack.model_copy(update={"queue": redis}), begun.aws.stack
    drill = begun.drill(Charge("another queue", "worker_queue_recovery"))
    try:
        with (
            pytest.raises(Refused, match=r"no worker takes jobs from the queue's connection 'redis'.*sqs"),
            queues.stopped(begun.aws, begun.journal, drill, how="stopped", settle_seconds=PATIENCE),
        ):
            pass
    finally:
        begun.aws.stack = kept


def test_a_fault_of_the_cache(begun: Exercise, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is done to a cache has no place where the queue is in none, and that is said; in Redis it has."""
    assert queues.unsuited(begun.stack, "killed") == ""
    monkeypatch.setitem(queues.WAYS, "killed", replace(queues.WAYS["killed"], in_cache=True))
    assert "'sqs', and no cache is broken" in queues.unsuited(begun.stack, "killed")
    assert begun.stack.queue is not None
    redis = begun.stack.queue.model_copy(update={"connection": "redis"})
    assert queues.unsuited(begun.stack.model_copy(update={"queue": redis}), "killed") == ""


def test_a_message_that_somebody_drops(begun: Exercise, messages: Messages) -> None:
    """Received and deleted without a stroke of work: lost, by name, once the queue is empty; made again from the outbox
    it is no failure any more, but told."""
    with stopping(begun) as rehearsal:
        job = messages.drop_one()
        rehearsal.worker.wait_until_seen()
        rehearsal.worker.retry()
        found = rehearsal.validated()
        assert list(found) == ["queue.lost"]
        assert job in found["queue.lost"]
        assert (rehearsal.drill.rpa_seconds or 0) > rehearsal.drill.rpo_seconds
        assert rehearsal.worker.recreate() == [job]
        assert rehearsal.validated() == {}
        assert "queue.lost-made-again" in rehearsal.warnings()


def test_a_visibility_timeout_shorter_than_the_job(begun: Exercise, messages: Messages) -> None:
    """Red before anything is broken; then jobs are really given out again while they are being worked on, and executed
    twice, with one effect."""
    with messages.changed(VisibilityTimeout="2"), stopping(begun, "killed") as rehearsal:
        found = failures(rehearsal.drill)
        rehearsal.worker.wait_until_seen()
        rehearsal.worker.retry()
        recovery = rehearsal.worker.wait_until_recovered()
        assert list(found) == ["queue.visibility"]
        assert "jobs may be executed twice" in found["queue.visibility"]
        assert recovery.duplicates
        assert (recovery.differences, recovery.lost) == ([], [])


def test_jobs_that_end_in_the_dead_letter_queue(begun: Exercise, messages: Messages) -> None:
    """Where SQS allows fewer receives than the workers tries, the killed workers' jobs are dead, and not failed: that
    is a warning before, they are listed, and the drill's own are put back, and nobody else's."""
    policy = json.loads(messages.attributes()["RedrivePolicy"]) | {"maxReceiveCount": 1}
    messages.sqs.send_message(QueueUrl=messages.url(DEAD), MessageBody="somebody else's")
    with messages.changed(RedrivePolicy=json.dumps(policy)), stopping(begun, "killed") as rehearsal:
        assert "queue.receives" in rehearsal.warnings()
        rehearsal.worker.wait_until_seen()
        rehearsal.worker.retry()
        (listed,) = [entry for entry in tables(rehearsal.drill) if entry["title"] == "Dead-letter queue"]
        assert {rehearsal.job("works"), rehearsal.job("works", 1)} <= {row[0] for row in listed["rows"]}
        recovery = rehearsal.worker.wait_until_recovered()
        assert (recovery.differences, recovery.lost, failures(rehearsal.drill)) == ([], [], {})
    assert messages.count(DEAD) == 1
    (message,) = messages.sqs.receive_message(QueueUrl=messages.url(DEAD))["Messages"]
    messages.sqs.delete_message(QueueUrl=messages.url(DEAD), ReceiptHandle=message["ReceiptHandle"])
    assert message["Body"] == "somebody else's"


def tables(drill: Any) -> list[dict[str, Any]]:
    """The tables that a drill has told so far."""
    return [entry.data for entry in drill.entries if entry.kind == "table"]


@pytest.mark.parametrize("death", DEATHS, ids=str)
def test_killed(
    begun: Exercise, messages: Messages, stack_file: Path, tmp_path: Path, death: tuple[Fault, float]
) -> None:
    """SIGKILL so many seconds after the fault, then `envdr undo`: the service is as before, no job of the drill is left
    in any queue, none has failed, and no row is left of it."""
    place, hand = runs.Place(tmp_path), Hand(begun.aws)
    hand.stranger.wait_until_steady("worker")
    before = left(hand)
    process = runs.begin(place, stack_file, *RECOVERY, f"test_recovery and {death[0].split()[0]}")
    place.wait_until_down()
    pause(death[1])
    process.kill()
    assert runs.ended(process)[0] == -signal.SIGKILL
    code, said = runs.envdr(place, "undo")
    assert code == 0, said
    assert place.owed == []
    wait_until(messages.count, lambda count: count == 0, what="the queue empty", deadline=PATIENCE)
    assert messages.count(DEAD) == 0
    hand.stranger.wait_until_steady("worker")
    assert left(hand) == before


def left(hand: Hand) -> dict[str, Any]:
    """What a drill may leave in the service and in the database."""
    tables = ("dr_outbox", "dr_runs", "dr_effects", "failed_jobs")
    rows = {table: hand.sql(f"SELECT COUNT(*) FROM {table}") for table in tables}  # noqa: S608
    return {"service": hand.stranger.state("worker"), "rows": rows}
