"""How the workers deal with their queue, in Redis or in SQS, and how long the drills' jobs work.

`retry_after` and the time-out are the application's own times and not divided by the sandbox's speed; but they must
suit ECS's stopTimeout, which is: a job that is to be killed works longer than ECS waits between SIGTERM and SIGKILL.
An account at true speed would rather have Laravel's 60 and 90 seconds. With SQS the queue's visibility timeout does
what `retry_after` does, and is as long.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_envdr.sandbox.envelope.names import DEAD_JOBS, JOBS, MANAGED, MESSAGE_BYTES

if TYPE_CHECKING:
    from pytest_envdr.sandbox.envelope.account import Account
    from pytest_envdr.sandbox.world import World

STOP_TIMEOUT_SECONDS = 30.0
"""ECS's default, in AWS's seconds."""
MARGIN_SECONDS = 4.0
"""How much longer than that a job works that is to be killed."""


@dataclass(frozen=True)
class Times:
    """In wall seconds. `long` is killed in mid-job, `short` ends in time; retry_after > timeout > long."""

    long: float
    short: float
    timeout: int
    retry_after: int


TRIES = 3
MOST_RECEIVES = 5
"""More than the tries, so that it is the application which gives a job up: it must be received once more for that."""
DAY_SECONDS = 86_400
RETENTION_SECONDS, DEAD_RETENTION_SECONDS = 4 * DAY_SECONDS, 14 * DAY_SECONDS
"""A dead job expires by when it was first sent: its queue must keep messages longer than the one it comes from."""
COUNTS_SETTLE_SECONDS = 60.0
"""How long SQS's counts may be wrong, in AWS's seconds."""


def times(world: World) -> Times:
    """What suits the sandbox's speed."""
    stop = world.scaled(STOP_TIMEOUT_SECONDS)
    long = round(stop + MARGIN_SECONDS, 1)
    timeout = math.ceil(long) + 4
    return Times(long, round(min(1.0, stop / 3), 2), timeout, timeout + 3)


def work(world: World) -> list[str]:
    """The workers' command."""
    command = f"php artisan queue:work {world.queue} --queue={name(world)} --sleep=0.5 --tries={TRIES}"
    return [*command.split(), f"--timeout={times(world).timeout}"]


def name(world: World) -> str:
    """What the queue is called."""
    return JOBS if world.queue == "sqs" else "default"


def create(account: Account) -> None:
    """The queue and its dead-letter queue, where they are SQS's; Redis needs nothing made.

    Without long polling (ReceiveMessageWaitTimeSeconds): a worker that waits in a request gives no sign of life.
    """
    if account.world.queue != "sqs":
        return
    sqs = account.client("sqs")
    attributes = {"MessageRetentionPeriod": str(DEAD_RETENTION_SECONDS), "MaximumMessageSize": MESSAGE_BYTES}
    dead = sqs.create_queue(QueueName=DEAD_JOBS, Attributes=attributes, tags=MANAGED)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = {"deadLetterTargetArn": arn, "maxReceiveCount": MOST_RECEIVES}
    attributes = {
        "VisibilityTimeout": str(times(account.world).retry_after),
        "MessageRetentionPeriod": str(RETENTION_SECONDS),
        "MaximumMessageSize": MESSAGE_BYTES,
        "RedrivePolicy": json.dumps(policy),
    }
    sqs.create_queue(QueueName=JOBS, Attributes=attributes, tags=MANAGED)


def environment(world: World) -> dict[str, str]:
    """What tells the application where its queue is."""
    if world.queue != "sqs":
        return {"QUEUE_CONNECTION": "redis", "QUEUE_RETRY_AFTER": str(times(world).retry_after)}
    return {
        "QUEUE_CONNECTION": "sqs",
        "SQS_PREFIX": f"{world.endpoint}/{world.account}",
        "SQS_QUEUE": JOBS,
        "SQS_COUNTS_SETTLE": f"{world.scaled(COUNTS_SETTLE_SECONDS):g}",
    }
