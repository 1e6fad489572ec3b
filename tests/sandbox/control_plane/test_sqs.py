"""SQS through a plain client: visibility, receipt handles, redrive and delays, also with many clients at once."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

from pytest_envdr.sandbox.control_plane import sqs
from pytest_envdr.waiting import wait_until
from tests.sandbox.control_plane.served import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS = 60.0


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with serving(
        tmp_path_factory.mktemp("sqs"), {"sqs": sqs}, region="eu-north-1", network="127.18.0.0/16", speed=100
    ) as served:
        yield served.client("sqs")


@pytest.fixture
def url(client: Any) -> str:
    """A queue of the test's own, whose messages come back after a second."""
    return made(client)


def made(client: Any, **attributes: str) -> str:
    answer = client.create_queue(QueueName=uuid4().hex, Attributes={"VisibilityTimeout": "1"} | attributes)
    return str(answer["QueueUrl"])


def received(client: Any, url: str, **more: Any) -> list[dict[str, Any]]:
    return list(client.receive_message(QueueUrl=url, AttributeNames=["All"], **more).get("Messages", []))


def awaited(client: Any, url: str) -> dict[str, Any]:
    """The next message that is visible."""
    return wait_until(lambda: received(client, url), bool, what="a message", deadline=SECONDS)[0]


def counts(client: Any, url: str) -> tuple[int, int, int]:
    """Visible, delayed, in flight."""
    told = client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    names = ("", "Delayed", "NotVisible")
    return tuple(int(told[f"ApproximateNumberOfMessages{name}"]) for name in names)  # type: ignore[return-value]


def test_a_message_comes_back_after_its_visibility_timeout(client: Any, url: str) -> None:
    """Until then nobody else receives it; then it is received again, and says so. The timeout is the queue's own time,
    which the sandbox's speed (100) does not divide."""
    client.send_message(QueueUrl=url, MessageBody="x")
    (first,) = received(client, url)
    assert received(client, url) == []
    assert counts(client, url) == (0, 0, 1)
    again = awaited(client, url)
    assert (first["Attributes"]["ApproximateReceiveCount"], again["Attributes"]["ApproximateReceiveCount"]) == (
        "1",
        "2",
    )
    assert first["MessageId"] == again["MessageId"]


def test_an_old_receipt_handle_deletes_nothing(client: Any, url: str) -> None:
    """Who took longer than the timeout has an old handle: the request succeeds, and the message stays."""
    client.send_message(QueueUrl=url, MessageBody="x")
    (first,) = received(client, url)
    again = awaited(client, url)
    client.delete_message(QueueUrl=url, ReceiptHandle=first["ReceiptHandle"])
    assert sum(counts(client, url)) == 1
    client.delete_message(QueueUrl=url, ReceiptHandle=again["ReceiptHandle"])
    assert sum(counts(client, url)) == 0


def test_what_is_visible_cannot_be_made_so(client: Any, url: str) -> None:
    """A message in flight is given back at once by a timeout of 0; then it is in flight no more, and the request is
    refused."""
    client.send_message(QueueUrl=url, MessageBody="x")
    (message,) = received(client, url, VisibilityTimeout=600)
    change = {"QueueUrl": url, "ReceiptHandle": message["ReceiptHandle"], "VisibilityTimeout": 0}
    client.change_message_visibility(**change)
    wait_until(lambda: counts(client, url), lambda told: told == (1, 0, 0), what="it visible", deadline=SECONDS)
    with pytest.raises(ClientError) as refused:
        client.change_message_visibility(**change)
    assert "MessageNotInflight" in refused.value.response["Error"]["Code"]


def test_delays(client: Any, url: str) -> None:
    """A delayed message is counted as such, and not received; more than 15 minutes are refused."""
    client.send_message(QueueUrl=url, MessageBody="x", DelaySeconds=900)
    assert counts(client, url) == (0, 1, 0)
    assert received(client, url) == []
    with pytest.raises(ClientError, match="DelaySeconds"):
        client.send_message(QueueUrl=url, MessageBody="x", DelaySeconds=901)


def test_received_too_often(client: Any) -> None:
    """The receive after the last that is allowed finds it no more: it is in the dead-letter queue."""
    dead = made(client)
    arn = client.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    url = made(client, RedrivePolicy=json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 2}))
    client.send_message(QueueUrl=url, MessageBody="x")
    for _ in range(2):
        message = awaited(client, url)
        client.change_message_visibility(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)
    found = wait_until(
        lambda: (received(client, url), received(client, dead)), lambda pair: bool(pair[1]), what="x", deadline=SECONDS
    )
    assert found[0] == []
    assert [message["Body"] for message in found[1]] == ["x"]


def test_a_receive_that_waits_is_woken(client: Any, url: str) -> None:
    """A message that is sent meanwhile is given out, and so is one that becomes visible."""
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(received, client, url, WaitTimeSeconds=20)
        client.send_message(QueueUrl=url, MessageBody="x")
        assert [message["Body"] for message in waiting.result()] == ["x"]
    assert [message["Body"] for message in received(client, url, WaitTimeSeconds=20)] == ["x"]


def test_many_clients_at_once(client: Any) -> None:
    """Eight clients send, receive and delete at the same time: none is given what another has in hand, and none gets
    lost."""
    url, count = made(client, VisibilityTimeout="600"), 15

    def work(number: int) -> list[str]:
        taken = []
        for each in range(count):
            client.send_message(QueueUrl=url, MessageBody=f"{number}.{each}")
            for message in received(client, url):
                taken.append(message["Body"])
                client.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return taken

    with ThreadPoolExecutor(8) as pool:
        taken = [body for bodies in pool.map(work, range(8)) for body in bodies]
    while messages := received(client, url, MaxNumberOfMessages=10):
        taken += [message["Body"] for message in messages]
    assert sorted(taken) == sorted(f"{number}.{each}" for number in range(8) for each in range(count))
