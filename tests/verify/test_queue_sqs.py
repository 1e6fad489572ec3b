"""What the verification of a queue in SQS finds, of settings and of dead jobs. How the application tells of them is
shown by `tests/sandbox/test_application_sqs.py`."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_envdr.ledger import Foreign, Held, Job, Ledger, MessageQueue, QueueState, Run, Worker
from pytest_envdr.verify.queue import check_settings, differences

DAY = 86_400
WELL = MessageQueue(visibility_timeout=90, retention=4 * DAY, max_receives=5, dead_letter_retention=14 * DAY)
KEYS = {"pending": "https://sqs.eu-west-1.amazonaws.com/1/jobs", "dead": "https://sqs.eu-west-1.amazonaws.com/1/dead"}
STATE = QueueState(
    at=0.0,
    keys=KEYS,
    counts={"pending": 0, "delayed": 0, "reserved": 0, "failed": 0, "dead": 0},
    pending=(),
    delayed=(),
    reserved=(),
    failed=(),
    foreign=Foreign(0, "", ()),
    workers=(Worker("127.0.0.1", tries=3, timeout=60, retry_after=None),),
    message_queue=WELL,
)


@pytest.mark.parametrize(
    ("settings", "longest", "delay", "found"),
    [
        (WELL, 45, 45, []),
        (replace(WELL, visibility_timeout=60), 45, 0, [("visibility", "127.0.0.1")]),
        (replace(WELL, visibility_timeout=30), 45, 0, [("visibility", "127.0.0.1")]),
        (replace(WELL, max_receives=3), 45, 0, [("receives", "127.0.0.1")]),
        (replace(WELL, max_receives=4), 45, 0, []),
        (replace(WELL, max_receives=None, dead_letter_retention=None), 45, 0, [("no-dead-letters", "jobs")]),
        (replace(WELL, retention=3600), 45, 0, [("retention", "jobs")]),
        (replace(WELL, dead_letter_retention=4 * DAY), 45, 0, [("retention", "dead")]),
        (WELL, 45, 901, [("delay", "jobs")]),
        (WELL, 75, 0, [("timeout", "127.0.0.1")]),
    ],
)
def test_settings(settings: MessageQueue, longest: float, delay: float, found: list[tuple[str, str]]) -> None:
    """The visibility timeout must be more than the workers' time-out and than the longest job, the receives more than
    the tries; there must be a dead-letter queue that keeps messages longer; no job may be delayed too long."""
    queue = replace(STATE, message_queue=settings)
    told = check_settings(queue, longest_seconds=longest, longest_delay_seconds=delay)
    assert [(one.kind, one.subject) for one in told] == found
    assert all(one.subject in str(one) for one in told)


def test_what_harms() -> None:
    """A visibility timeout that is too short fails a drill, as a retry_after does; what moves a dead job elsewhere is
    told only."""
    bad = MessageQueue(visibility_timeout=10, retention=60, max_receives=2, dead_letter_retention=60)
    told = check_settings(replace(STATE, message_queue=bad), longest_seconds=45, longest_delay_seconds=901)
    assert {one.kind for one in told if not one.harmless} == {"visibility", "delay"}
    assert {one.kind for one in told if one.harmless} == {"receives", "retention"}


def test_a_job_in_the_dead_letter_queue() -> None:
    """It is not lost and nothing more comes of it by itself: told as dead until it is put back, and is done."""
    job = Job("x.works.1", "works", {"fails": 0}, "u1", 1, 0.0)
    run = Run(1, job.id, "u1", 1, "127.0.0.1", None, 1.0, None)
    dead = replace(STATE, dead=(Held(job.id, "u1", 0),))
    (told,) = differences(Ledger((job,), (run,)), dead, before=STATE)
    assert (told.kind, told.subject, told.harmless) == ("dead", job.id, False)
    assert (job.id in dead.held, job.id in dead.queued) == (True, False)
    (other,) = differences(Ledger((job,)), replace(STATE, dead=(Held(job.id, "u2", 0),)), before=STATE)[1:]
    assert (other.kind, other.actual) == ("new-id", "u2")


def test_as_the_application_tells_it() -> None:
    """A page of a queue in SQS is read with what only SQS has; one of a queue in Redis has neither."""
    told = {
        "at": 1.0,
        "keys": KEYS,
        "counts": STATE.counts,
        "own": {"pending": [], "delayed": [], "reserved": [], "failed": []},
        "foreign_failed": {"count": 0, "digest": "", "uuids": []},
        "locks": [],
        "paused": False,
        "maintenance": False,
        "workers": [],
        "cache": [],
    }
    redis = QueueState.of(told | {"message_queue": None})
    assert (redis.dead, redis.message_queue, redis.cache) == ((), None, {})
    own = {**told["own"], "dead": [{"id": "x", "uuid": "u", "attempts": 0}]}  # type: ignore[dict-item]
    sqs = QueueState.of(told | {"own": own, "message_queue": vars(WELL)})
    assert (sqs.dead, sqs.message_queue) == ((Held("x", "u", 0),), WELL)
