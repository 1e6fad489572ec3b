"""A bus with one rule, for tests of EventBridge."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from tests.sandbox.control_plane.lambda_rig import ECHO, allow_events

if TYPE_CHECKING:
    from tests.sandbox.control_plane.lambda_rig import Rig

ARN = "arn:aws:events:eu-south-2:123456789012"
PATTERN = {"source": ["shop"], "detail-type": ["order.placed"], "detail": {"total": [{"numeric": [">", 10]}]}}


@dataclass
class Bus:
    """A bus of the test's own with one rule."""

    rig: Rig
    name: str

    @classmethod
    def made(cls, rig: Rig) -> Bus:
        bus = cls(rig, f"bus-{uuid4().hex[:12]}")
        bus.events.create_event_bus(Name=bus.name)
        bus.events.put_rule(Name="rule", EventBusName=bus.name, EventPattern=json.dumps(PATTERN))
        return bus

    @property
    def events(self) -> Any:
        return self.rig.client("events")

    @property
    def arn(self) -> str:
        return f"{ARN}:event-bus/{self.name}"

    @property
    def rule_arn(self) -> str:
        return f"{ARN}:rule/{self.name}/rule"

    def put(self, total: int = 20, **more: Any) -> str:
        """The event's id."""
        entry = {
            "Source": "shop",
            "DetailType": "order.placed",
            "Detail": json.dumps({"total": total}),
            "EventBusName": self.name,
        }
        answer = self.events.put_events(Entries=[entry | more])
        assert answer["FailedEntryCount"] == 0
        return str(answer["Entries"][0]["EventId"])

    def target(self, arn: str, **more: Any) -> None:
        self.events.put_targets(Rule="rule", EventBusName=self.name, Targets=[{"Id": "target", "Arn": arn, **more}])

    def queue(self, **more: Any) -> str:
        """The URL of a queue that the rule sends to."""
        url, arn = self.rig.queue()
        self.rig.client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(allow_events(arn))})
        self.target(arn, **more)
        return url

    def function(self, *, allowed: bool = True) -> tuple[str, str]:
        """The name of a function that the rule calls, and the URL of the target's dead-letter queue."""
        url, letters = self.rig.queue()
        policy = json.dumps(allow_events(letters))
        self.rig.client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
        name = self.rig.function(ECHO.replace("return", "print(event['id'], event.get('replay-name'));  return"))
        if allowed:
            self.allow(name)
        self.target(self.rig.function_arn(name), DeadLetterConfig={"Arn": letters})
        return name, url

    def allow(self, function: str) -> None:
        self.rig.client("lambda").add_permission(
            FunctionName=function,
            StatementId="rule",
            Action="lambda:InvokeFunction",
            Principal="events.amazonaws.com",
            SourceArn=self.rule_arn,
        )

    def count(self, metric: str) -> float:
        return self.rig.total("AWS/Events", metric, EventBusName=self.name, RuleName="rule")

    def switch(self, *, on: bool) -> None:
        """Enable or disable the rule, and wait until that is in effect: AWS's five seconds, here 50 ms."""
        (self.events.enable_rule if on else self.events.disable_rule)(Name="rule", EventBusName=self.name)
        time.sleep(0.1)


def ran(rig: Rig, name: str) -> list[str]:
    """What the function printed."""
    return [line for line in rig.lines(name) if not line.startswith(("START", "END", "REPORT"))]
