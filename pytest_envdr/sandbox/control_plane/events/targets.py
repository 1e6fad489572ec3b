"""What targets do with an event: over the API, as EventBridge does it, in a thread that may wait.

A target that another account's or Region's service owns is refused where the rule is made; see `require_supported`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import BotoCoreError, ClientError
from moto.awslambda.models import lambda_backends
from moto.core.exceptions import ServiceException
from werkzeug.exceptions import HTTPException

from pytest_envdr.sandbox.control_plane import logs
from pytest_envdr.sandbox.control_plane.awslambda import NotPermitted, SandboxLambda
from pytest_envdr.sandbox.control_plane.events.delivery import Undeliverable
from pytest_envdr.sandbox.control_plane.s3.policy import ALLOW, verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_envdr.sandbox.control_plane.calling import Caller
    from pytest_envdr.sandbox.control_plane.events.delivery import Delivery
    from pytest_envdr.sandbox.world import World

PRINCIPAL = "events.amazonaws.com"
SERVICES = frozenset({"lambda", "sqs", "sns", "events", "logs"})


class Targets:
    """What rules of one account and Region may send to."""

    def __init__(self, world: World, caller: Caller) -> None:
        self._world, self._caller = world, caller

    def deliver(self, delivery: Delivery) -> None:
        """Give an event to its target.

        Raises:
            Undeliverable: it was not taken.
        """
        arn = delivery.target["Arn"]
        send = {
            "lambda": self._invoke,
            "sqs": self._queue,
            "sns": self._publish,
            "events": self._pass_on,
            "logs": self._write,
        }[arn.split(":")[2]]
        try:
            send(arn, delivery)
        except ClientError as error:
            raise _undeliverable(error) from error
        except BotoCoreError as error:
            raise Undeliverable("SDK_CLIENT_ERROR", str(error), again=True) from error

    def bury(self, delivery: Delivery, attributes: Mapping[str, str]) -> None:
        """Put an event into its target's dead-letter queue.

        Raises:
            Undeliverable: the queue does not take it.
            ClientError: likewise.
        """
        named = {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()}
        self._send(delivery.dead_letter, delivery, json.dumps(delivery.event), MessageAttributes=named)

    def _invoke(self, arn: str, delivery: Delivery) -> None:
        """Asynchronously: taken means delivered, also by a function that cannot run."""
        functions = cast("SandboxLambda", lambda_backends[self._world.account][self._world.region])
        try:
            functions.accept_from(PRINCIPAL, arn, delivery.body, source=delivery.rule_arn)
        except NotPermitted as error:
            raise Undeliverable("NO_PERMISSIONS", str(error), again=False) from error
        except (ServiceException, HTTPException) as error:
            gone = "not found" in str(error).lower()
            raise Undeliverable("NO_RESOURCE" if gone else "ERROR_FROM_TARGET", str(error), again=not gone) from error

    def _queue(self, arn: str, delivery: Delivery) -> None:
        group = delivery.target.get("SqsParameters", {}).get("MessageGroupId")
        self._send(arn, delivery, delivery.body, **({"MessageGroupId": group} if group else {}))

    def _send(self, arn: str, delivery: Delivery, body: str, **more: Any) -> None:
        sqs = self._caller.client("sqs")
        url = sqs.get_queue_url(QueueName=arn.rsplit(":", 1)[-1])["QueueUrl"]
        policy = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"]).get("Attributes", {}).get("Policy")
        self._require_allowed(policy, "sqs:SendMessage", arn, delivery)
        sqs.send_message(QueueUrl=url, MessageBody=body, **more)

    def _publish(self, arn: str, delivery: Delivery) -> None:
        sns = self._caller.client("sns")
        policy = sns.get_topic_attributes(TopicArn=arn)["Attributes"].get("Policy")
        self._require_allowed(policy, "sns:Publish", arn, delivery)
        sns.publish(TopicArn=arn, Message=delivery.body)

    def _pass_on(self, arn: str, delivery: Delivery) -> None:
        event = delivery.event
        entry = {
            "Source": event["source"],
            "DetailType": event["detail-type"],
            "Detail": json.dumps(event["detail"]),
            "Resources": event["resources"],
            "EventBusName": arn,
        }
        self._caller.client("events").put_events(Entries=[entry])

    def _write(self, arn: str, delivery: Delivery) -> None:
        logs.ship(self._world, arn.split(":")[6], delivery.event["id"], [(self._world.now(), delivery.body)])

    def _require_allowed(self, policy: str | None, action: str, arn: str, delivery: Delivery) -> None:
        asked = {
            "aws:principalservicename": PRINCIPAL,
            "aws:sourcearn": delivery.rule_arn,
            "aws:sourceaccount": self._world.account,
        }
        if verdict(policy, action=action, resource=arn, asked=asked) != ALLOW:
            raise Undeliverable("NO_PERMISSIONS", f"{PRINCIPAL} may not {action} on {arn}", again=False)


def require_supported(target: Mapping[str, Any], account: str, region: str) -> None:
    """Refuse a target that nothing would be sent to.

    Raises:
        NotImplementedError: naming it; answered 501.
    """
    parts = target["Arn"].split(":")
    if len(parts) < 6 or parts[2] not in SERVICES:
        raise NotImplementedError(f"the target {target['Arn']}")
    if (parts[3], parts[4]) != (region, account):
        raise NotImplementedError(f"a target in another account or Region: {target['Arn']}")
    if parts[2] == "events" and not parts[5].startswith("event-bus/"):
        raise NotImplementedError(f"the target {target['Arn']}")


def _undeliverable(error: ClientError) -> Undeliverable:
    code = str(error.response["Error"]["Code"])
    gone = code in {"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist", "NotFound"}
    return Undeliverable("NO_RESOURCE" if gone else "ERROR_FROM_TARGET", str(error), again=not gone)
