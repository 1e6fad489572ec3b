"""SNS and SQS: a subscriber of the drill's own as proof that a message is delivered."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from pytest_envdr.aws import Aws, sns, sqs
from pytest_envdr.errors import NotFound
from pytest_envdr.journal import Header, Journal
from tests import account

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """An open journal of an exercise with a long id."""
    header = Header("20260301-120000-" + "x" * 80, account.ACCOUNT, account.REGION, account.endpoint())
    with Journal.open(tmp_path / "journal", header) as journal:
        yield journal


@pytest.fixture
def aws(journal: Journal) -> Aws:
    """The account."""
    return Aws(account.stack(), journal)


@pytest.fixture
def topic() -> str:
    """A topic of this test's own."""
    return str(account.plain("sns").create_topic(Name=account.unique("topic"))["TopicArn"])


def test_what_is_published_is_received_once(aws: Aws, journal: Journal, topic: str) -> None:
    """A message to the topic arrives in the drill's queue, is told from others, and is received only once."""
    queue = sqs.create_queue(aws, journal, purpose="alarms", topic=topic)
    sns.subscribe_queue(aws, journal, topic, queue=queue.arn)
    account.plain("sns").publish(TopicArn=topic, Subject="ALARM: api", Message='{"AlarmName": "api"}')
    (message,) = sqs.receive(aws, queue)
    told = sns.notification(message.body)
    assert told is not None
    assert (told.topic, told.subject, told.message) == (topic, "ALARM: api", '{"AlarmName": "api"}')
    assert message.sent_at.tzinfo is not None
    assert sqs.receive(aws, queue, wait_seconds=0) == []


@pytest.mark.parametrize("body", ["plain words", "[]", "{}", '{"Message": "raw"}', "null"])
def test_what_sns_did_not_send_is_told_apart(body: str) -> None:
    """Raw delivery, or another sender: None, not an error."""
    assert sns.notification(body) is None


def test_the_queue_says_whose_it_is(aws: Aws, journal: Journal, topic: str) -> None:
    """Its name fits SQS's 80 characters, its tags name the exercise and an end, its policy lets that topic send and
    nobody else."""
    queue = sqs.create_queue(aws, journal, purpose="alarms", topic=topic)
    client = account.plain("sqs")
    assert len(queue.name) <= 80
    tags = client.list_queue_tags(QueueUrl=queue.url)["Tags"]
    assert (tags["envdr:exercise"], tags["envdr:source"]) == (journal.header.exercise, topic)
    assert "envdr:expires-at" in tags
    attributes = client.get_queue_attributes(QueueUrl=queue.url, AttributeNames=["All"])["Attributes"]
    assert attributes["QueueArn"] == queue.arn
    (statement,) = json.loads(attributes["Policy"])["Statement"]
    assert statement["Condition"] == {"ArnEquals": {"aws:SourceArn": topic}}
    assert sqs.queue_url(aws, queue.name) == queue.url


def test_subscriptions_tell_the_pending_ones(aws: Aws, topic: str) -> None:
    """Each with protocol and endpoint; one that was never confirmed is pending: nothing is delivered to it."""
    account.plain("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint="arn:aws:sqs:eu-west-1:1:q")
    (row,) = sns.subscriptions(aws, topic)
    assert (row.topic, row.protocol, row.endpoint, row.pending) == (topic, "sqs", "arn:aws:sqs:eu-west-1:1:q", False)


def test_more_subscriptions_than_a_page_are_all_read(aws: Aws, topic: str) -> None:
    """SNS answers a hundred at a time."""
    for number in range(103):
        account.plain("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=f"arn:aws:sqs:eu-west-1:1:q{number}")
    assert len(sns.subscriptions(aws, topic)) == 103


def test_an_unknown_queue_is_named(aws: Aws) -> None:
    """A queue that is not there is NotFound with its name."""
    with pytest.raises(NotFound, match="Queue no-such-queue"):
        sqs.queue_url(aws, "no-such-queue")
