"""SQS: moto's queues, which keep visibility timeouts, delays, receive counts and redrive policies by themselves; here
they do so with many clients at once, and are as strict about receipt handles as AWS.

Times that a queue or a request names (visibility timeout, delay, retention, how long a receive waits) are whoever set
them's own, as Laravel's `retry_after` is, and not divided by the sandbox's speed; the minute after which CloudWatch is
told the counts again is AWS's, and is. Counts are exact, where those of AWS are approximate and late; messages come in
order and once, where a standard queue promises neither.

Not here, answered 501: StartMessageMoveTask.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from moto.cloudwatch.models import cloudwatch_backends
from moto.sqs.exceptions import SQSException
from moto.sqs.models import Message, Queue, SQSBackend, sqs_backends
from typing_extensions import override

from pytest_envdr.sandbox.control_plane.extension import backend_lock, extend, moto_urls
from pytest_envdr.sandbox.fidelity import SIMULATED, Fidelity
from pytest_envdr.waiting import pause

if TYPE_CHECKING:
    from datetime import datetime
    from types import ModuleType

    from pytest_envdr.sandbox.control_loop import Controller
    from pytest_envdr.sandbox.world import World

FIDELITY: dict[str, Fidelity] = {
    # Messages really go from one process to another, but there is nothing of AWS's that could be frozen.
    "ChangeMessageVisibility": SIMULATED,
    "ChangeMessageVisibilityBatch": SIMULATED,
    "DeleteMessage": SIMULATED,
    "DeleteMessageBatch": SIMULATED,
    "GetQueueAttributes": SIMULATED,
    "ReceiveMessage": SIMULATED,
    "SendMessage": SIMULATED,
    "SendMessageBatch": SIMULATED,
}
METRICS_SECONDS = 60.0
"""How often CloudWatch is told of each queue, in AWS's seconds."""
LOOK_SECONDS = 0.25
"""How often a receive that waits looks for messages that became visible; one that is sent wakes it at once."""


class MessageNotInflight(SQSException):
    """A message's visibility cannot be changed: it is visible again."""

    def __init__(self) -> None:
        super().__init__(
            "AWS.SimpleQueueService.MessageNotInflight", "The specified message isn't in flight or has been deleted."
        )


class SandboxSqs(SQSBackend):
    """moto's queues, of which one request at a time changes something: else a message is given to two receivers, and
    one that is sent while another is deleted gets lost."""

    @property
    @override
    def _url_module(self) -> ModuleType:
        return moto_urls("sqs")

    @override
    def get_queue_attributes(self, queue_name: str, attribute_names: list[str]) -> dict[str, Any]:
        """GetQueueAttributes: a redrive policy without spaces, as SQS has it; Terraform compares the text."""
        found = super().get_queue_attributes(queue_name, attribute_names)
        if policy := found.get("RedrivePolicy"):
            found["RedrivePolicy"] = json.dumps(json.loads(policy), separators=(",", ":"))
        return found

    @override
    def send_message(self, *arguments: Any, **named: Any) -> Message:
        """SendMessage, and each entry of SendMessageBatch."""
        with backend_lock:
            return super().send_message(*arguments, **named)

    @override
    def receive_message(
        self,
        queue_name: str,
        count: int,
        wait_seconds_timeout: int,
        visibility_timeout: int,
        message_attribute_names: list[str] | None = None,
    ) -> list[Message]:
        """ReceiveMessage. The lock is not held while it waits."""
        end = time.monotonic() + wait_seconds_timeout
        while True:
            with backend_lock:
                found = super().receive_message(queue_name, count, 0, visibility_timeout, message_attribute_names)
                queue = self.get_queue(queue_name)
            left = end - time.monotonic()
            if found or left <= 0:
                return found
            _wait(queue, min(left, LOOK_SECONDS))

    @override
    def delete_message(self, queue_name: str, receipt_handle: str) -> None:
        """DeleteMessage: with an old receipt handle it "will succeed, but the message might not be deleted"; here it
        never is."""
        with backend_lock:
            message = _of_handle(self.get_queue(queue_name), receipt_handle)
            if message is None or message.receipt_handle == receipt_handle:
                super().delete_message(queue_name, receipt_handle)

    @override
    def change_message_visibility(self, queue_name: str, receipt_handle: str, visibility_timeout: int) -> None:
        """ChangeMessageVisibility.

        Raises:
            MessageNotInflight: it is visible already.
        """
        with backend_lock:
            message = _of_handle(self.get_queue(queue_name), receipt_handle)
            if message is not None and message.visible:
                raise MessageNotInflight
            super().change_message_visibility(queue_name, receipt_handle, visibility_timeout)


class SqsController:
    """Tells CloudWatch, each minute, how many messages there are. Nothing else moves by itself: a message is visible
    again as soon as somebody asks after its time."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._told = 0

    def step(self) -> None:
        """Tell it at the beginning of each minute, so that each period of an alarm has one value."""
        minute = int(time.time() / self._world.scaled(METRICS_SECONDS))
        if minute == self._told:
            return
        self._told = minute
        with backend_lock:
            queues = list(sqs_backends[self._world.account][self._world.region].queues.values())
            data = [datum for queue in queues for datum in _metrics(queue, self._world.now())]
        if data:
            cloudwatch_backends[self._world.account][self._world.region].put_metric_data("AWS/SQS", data)

    def close(self) -> None:
        """Nothing to stop."""


def install(world: World) -> Controller:
    """Put our backend in moto's place."""
    extend("sqs", SandboxSqs)
    return SqsController(world)


def _metrics(queue: Queue, now: datetime) -> list[dict[str, Any]]:
    counts = {
        "ApproximateNumberOfMessagesVisible": queue.approximate_number_of_messages,
        "ApproximateNumberOfMessagesNotVisible": queue.approximate_number_of_messages_not_visible,
        "ApproximateNumberOfMessagesDelayed": queue.approximate_number_of_messages_delayed,
    }
    return [
        {
            "MetricName": name,
            "Dimensions": [{"Name": "QueueName", "Value": queue.name}],
            "Timestamp": now.replace(tzinfo=None),  # moto keeps naive times, in UTC
            "Value": float(count),
            "Unit": "Count",
        }
        for name, count in counts.items()
    ]


def _of_handle(queue: Queue, receipt_handle: str) -> Message | None:
    found = [message for message in queue._messages if message.had_receipt_handle(receipt_handle)]
    return found[0] if found else None


def _wait(queue: Queue, seconds: float) -> None:
    if queue.messages:  # visible, but not for this receiver: a FIFO group that another one has in hand
        pause(seconds)
    else:
        queue.wait_for_messages(seconds)  # type: ignore[arg-type] # a condition takes fractions
