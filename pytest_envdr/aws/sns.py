"""SNS: who is told, and a queue of the drill's own beside them, as proof of delivery (aws-semantics 10.2.5)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_envdr.aws import Act
from pytest_envdr.journal import Inverse

if TYPE_CHECKING:
    from pytest_envdr.aws import Aws
    from pytest_envdr.journal import Journal


@dataclass(frozen=True)
class Subscription:
    """Who is subscribed to a topic. `pending`: it was never confirmed, so nothing is delivered."""

    arn: str
    topic: str
    protocol: str
    endpoint: str
    pending: bool


@dataclass(frozen=True)
class Notification:
    """What SNS put into a queue. `sent_at` is SNS's own time stamp, ISO 8601."""

    topic: str
    subject: str
    message: str
    sent_at: str


def subscriptions(aws: Aws, topic: str) -> list[Subscription]:
    """The subscriptions of a topic's ARN.

    Raises:
        NotFound: there is no such topic.
    """
    what = f"The subscriptions of {topic} cannot be read ({aws.origin(topic)})"
    rows = aws.pages("sns.ListSubscriptionsByTopic", "Subscriptions", what=what, TopicArn=topic)
    return [
        Subscription(
            arn=row["SubscriptionArn"],
            topic=row["TopicArn"],
            protocol=row["Protocol"],
            endpoint=row["Endpoint"],
            # An unconfirmed one has "PendingConfirmation" in the place of its ARN, one being removed "Deleted".
            pending=not row["SubscriptionArn"].startswith("arn:"),
        )
        for row in rows
    ]


def subscribe_queue(aws: Aws, journal: Journal, topic: str, *, queue: str) -> str:
    """Subscribe a queue (its ARN) to a topic; the subscription's ARN. A queue of the same account needs no
    confirmation, but a policy that lets the topic send."""
    arguments = {"TopicArn": topic, "Protocol": "sqs", "Endpoint": queue}
    act = Act(
        "sns.Subscribe",
        {**arguments, "ReturnSubscriptionArn": True},
        # Not the ARN: it is known only after the call, and the process may end between.
        Inverse("sns.Unsubscribe", arguments, f"no subscription of {queue} to {topic}"),
        f"{queue} cannot be subscribed to {topic}",
    )
    answer = aws.act(journal, act, kept=lambda answer: {"SubscriptionArn": answer["SubscriptionArn"]})
    return str(answer["SubscriptionArn"])


def notification(body: str) -> Notification | None:
    """What SNS put into a queue's message; None when it is something else (raw delivery, another sender)."""
    try:
        row = json.loads(body)
        return Notification(row["TopicArn"], row.get("Subject") or "", row["Message"], row["Timestamp"])
    except (ValueError, TypeError, KeyError):
        return None
