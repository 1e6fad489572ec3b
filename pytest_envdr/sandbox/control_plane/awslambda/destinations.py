"""Where an event goes that has ended: a destination is told, a dead-letter queue gets the event itself.

Over the API, as Lambda does it, in a thread that may wait. That the execution role may do so is not checked.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from pytest_envdr.sandbox.control_plane.awslambda import metrics
from pytest_envdr.sandbox.control_plane.awslambda.asynchronous import SUCCESS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_envdr.sandbox.control_plane.awslambda.asynchronous import Event
    from pytest_envdr.sandbox.control_plane.awslambda.function import InvokeConfig
    from pytest_envdr.sandbox.control_plane.calling import Caller
    from pytest_envdr.sandbox.world import World

log = logging.getLogger("envdr.sandbox")


class Courier:
    """Hands on what has ended."""

    def __init__(self, world: World, caller: Caller) -> None:
        self._world, self._caller = world, caller

    def hand_on(self, event: Event, config: InvokeConfig | None, condition: str) -> None:
        """To the destination for that end, and to the dead-letter queue where it is a failure; then it is dropped."""
        name = event.function.function_name
        if config is not None and (to := config.on_success if condition == SUCCESS else config.on_failure):
            self._try("DestinationDeliveryFailures", name, to, lambda: self._tell(to, event, condition))
        if condition == SUCCESS:
            return
        if letters := event.function.life.dead_letter:
            attributes = event.letter(condition)
            self._try("DeadLetterErrors", name, letters, lambda: self._put(letters, event.payload, attributes))
        metrics.publish(self._world, name, AsyncEventsDropped=1)

    def _try(self, metric: str, name: str, to: str, work: Callable[[], None]) -> None:
        try:
            work()
        except (ClientError, BotoCoreError, NotImplementedError) as error:
            log.warning("lambda %s: %s: %s", name, to, error)
            metrics.publish(self._world, name, **{metric: 1})

    def _tell(self, arn: str, event: Event, condition: str) -> None:
        record = json.dumps(event.record(condition, self._world.now()))
        service = arn.split(":")[2]
        if service in {"sqs", "sns"}:
            self._put(arn, record, {})
        elif service == "lambda":
            self._caller.client("lambda").invoke(FunctionName=arn, InvocationType="Event", Payload=record)
        elif service == "events":
            kind = "Success" if condition == SUCCESS else "Failure"
            entry = {
                "Source": "lambda",
                "DetailType": f"Lambda Function Invocation Result - {kind}",
                "Detail": record,
                "Resources": [arn, f"{event.function.root_arn}:{event.qualifier}"],
                "EventBusName": arn,
            }
            self._caller.client("events").put_events(Entries=[entry])
        else:
            raise NotImplementedError(f"destinations of the service {service}")

    def _put(self, arn: str, body: str, attributes: Mapping[str, str]) -> None:
        """Into a queue or onto a topic."""
        named = {
            name: {"DataType": "Number" if name == "ErrorCode" else "String", "StringValue": value}
            for name, value in attributes.items()
        }
        if arn.split(":")[2] == "sns":
            self._caller.client("sns").publish(TopicArn=arn, Message=body, MessageAttributes=named)
            return
        sqs = self._caller.client("sqs")
        url = sqs.get_queue_url(QueueName=arn.rsplit(":", 1)[-1])["QueueUrl"]
        sqs.send_message(QueueUrl=url, MessageBody=body, MessageAttributes=named)
