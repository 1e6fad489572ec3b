"""SQS: a queue of the drill's own that a topic may send to; what is in a dead-letter queue."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from pytest_envdr.aws import Act
from pytest_envdr.journal import Inverse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_envdr.aws import Aws
    from pytest_envdr.journal import Journal

NAME_LIMIT = 80
BATCH = 10
"""How many messages one ReceiveMessage gives at most."""
LOOK_SECONDS = 2
"""For how long nobody else sees a message that was looked at."""
LIFETIME = timedelta(hours=12)
"""After that what still stands may be swept away by its tag."""


@dataclass(frozen=True)
class Queue:
    """A queue."""

    url: str
    arn: str
    name: str


@dataclass(frozen=True)
class Message:
    """A message as it was received; `sent_at` is when SQS took it."""

    id: str
    body: str
    sent_at: datetime


@dataclass(frozen=True)
class Letter:
    """A message of a dead-letter queue. `told` is what whoever gave up says of it: ErrorMessage and RequestID by
    Lambda, ERROR_CODE and RULE_ARN by EventBridge, and others."""

    queue: str
    id: str
    receipt: str
    body: str
    told: Mapping[str, str]
    sent_at: datetime


def create_queue(aws: Aws, journal: Journal, *, purpose: str, topic: str) -> Queue:
    """Create a queue "envdr-<exercise id>-<purpose>-..." that a topic may send to.

    Its visibility timeout is the longest that there is: nothing has to be deleted to be received only once.

    Raises:
        AwsError, UsageError: as `Aws.call`.
    """
    exercise = journal.header.exercise
    name = f"{f'envdr-{exercise}-{purpose}'[: NAME_LIMIT - 9]}-{uuid4().hex[:8]}"
    arn = f"arn:{topic.split(':')[1]}:sqs:{aws.stack.region}:{aws.stack.account}:{name}"
    arguments = {
        "QueueName": name,
        "Attributes": {
            "Policy": json.dumps(_policy(arn, topic)),
            "VisibilityTimeout": "43200",
            "ReceiveMessageWaitTimeSeconds": "1",
        },
        "tags": {
            "envdr:exercise": exercise,
            "envdr:source": topic,
            "envdr:expires-at": (datetime.now(UTC) + LIFETIME).isoformat(timespec="seconds"),
        },
    }
    inverse = Inverse("sqs.DeleteQueue", {"QueueName": name}, f"no queue {name}")
    act = Act("sqs.CreateQueue", arguments, inverse, f"Queue {name} cannot be created")
    answer = aws.act(journal, act, kept=lambda answer: {"QueueUrl": answer["QueueUrl"]})
    return Queue(answer["QueueUrl"], arn, name)


def queue_url(aws: Aws, name: str) -> str:
    """Where a queue is.

    Raises:
        NotFound: there is none; up to 60 s after its deletion AWS may still know it.
    """
    what = f"Queue {name} cannot be found"
    return str(aws.call("sqs.GetQueueUrl", what=what, QueueName=name)["QueueUrl"])


def receive(aws: Aws, queue: Queue, *, wait_seconds: int = 1) -> list[Message]:
    """Up to ten messages that were not received before; waits up to 20 s for the first. Standard queues deliver at
    least once, in any order."""
    rows = aws.call(
        "sqs.ReceiveMessage",
        what=f"The messages of queue {queue.name} cannot be received",
        QueueUrl=queue.url,
        MaxNumberOfMessages=BATCH,
        WaitTimeSeconds=wait_seconds,
        MessageSystemAttributeNames=["SentTimestamp"],
    ).get("Messages", [])
    return [Message(row["MessageId"], row["Body"], _sent_at(row)) for row in rows]


def depth(aws: Aws, name: str) -> int:
    """How many messages a queue holds, in somebody's hand or not; approximate, and up to a minute late."""
    return _counted(aws, name, "ApproximateNumberOfMessages") + in_hand(aws, name)


def in_hand(aws: Aws, name: str) -> int:
    """How many of them somebody has received, and nobody else sees; approximate."""
    return _counted(aws, name, "ApproximateNumberOfMessagesNotVisible")


def letters(aws: Aws, name: str, *, hidden_seconds: int = LOOK_SECONDS) -> list[Letter]:
    """All messages of a dead-letter queue that are visible now. Nobody else sees them for `hidden_seconds`; SQS shows
    no message otherwise. Which is why this is for queues that nobody works on.

    Raises:
        NotFound: there is no such queue.
    """
    url, found = queue_url(aws, name), dict[str, Letter]()
    what = f"The messages of queue {name} cannot be received"
    while rows := aws.call(
        "sqs.ReceiveMessage",
        what=what,
        QueueUrl=url,
        MaxNumberOfMessages=BATCH,
        VisibilityTimeout=hidden_seconds,
        MessageSystemAttributeNames=["SentTimestamp"],
        MessageAttributeNames=["All"],
    ).get("Messages"):
        new = [_letter(name, row) for row in rows if row["MessageId"] not in found]
        if not new:
            break
        found |= {letter.id: letter for letter in new}
    return list(found.values())


def delete(aws: Aws, journal: Journal, letter: Letter, *, why: str) -> None:
    """Delete a message that is the drill's own, and whose content is in the evidence.

    Raises:
        AwsError: AWS refuses it, such as with the receipt of an earlier look.
    """
    arguments = {"QueueUrl": queue_url(aws, letter.queue), "ReceiptHandle": letter.receipt}
    inverse = Inverse.healed(f"nothing: message {letter.id} of {letter.queue} was the drill's own, {why}")
    what = f"Message {letter.id} of queue {letter.queue} cannot be deleted"
    aws.act(journal, Act("sqs.DeleteMessage", arguments, inverse, what))


def _counted(aws: Aws, name: str, attribute: str) -> int:
    what = f"The messages of queue {name} cannot be counted"
    answer = aws.call("sqs.GetQueueAttributes", what=what, QueueUrl=queue_url(aws, name), AttributeNames=[attribute])
    return int(answer["Attributes"].get(attribute, 0))


def _letter(queue: str, row: Mapping[str, Any]) -> Letter:
    told = {name: value.get("StringValue", "") for name, value in row.get("MessageAttributes", {}).items()}
    return Letter(queue, row["MessageId"], row["ReceiptHandle"], row["Body"], told, _sent_at(row))


def _sent_at(row: Mapping[str, Any]) -> datetime:
    return datetime.fromtimestamp(int(row["Attributes"]["SentTimestamp"]) / 1000, UTC)


def _policy(queue: str, topic: str) -> dict[str, Any]:
    """Lets one topic send to a queue, and nobody else."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "sns.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": queue,
                "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
            }
        ],
    }
