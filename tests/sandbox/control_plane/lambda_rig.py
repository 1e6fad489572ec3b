"""Functions, rules and queues for tests of Lambda and EventBridge."""

from __future__ import annotations

import io
import json
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from pytest_envdr.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.sandbox.control_plane.served import Served

SECONDS = 60.0
ECHO = "def handler(event, context):\n    return event\n"
BROKEN = "def handler(event, context):\n    raise ValueError('no bucket today')\n"


def zipped(source: str, name: str = "function.py") -> bytes:
    """A deployment package of one module."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(name, source)
    return packed.getvalue()


@dataclass
class Rig:
    """Makes what a test needs, under names of its own, and sees what becomes of it."""

    served: Served

    def client(self, service: str) -> Any:
        return self.served.client(service)

    @contextmanager
    def at_speed(self, speed: float) -> Iterator[None]:
        """What begins meanwhile takes its time as at that speed."""
        usual, self.served.world.speed = self.served.world.speed, speed
        try:
            yield
        finally:
            self.served.world.speed = usual

    @property
    def role(self) -> str:
        """The ARN of a role that functions may run under."""
        iam = self.client("iam")
        return str(iam.create_role(RoleName=uuid4().hex, AssumeRolePolicyDocument="{}")["Role"]["Arn"])

    def function(self, source: str = ECHO, **settings: Any) -> str:
        """A function that can be invoked; its name."""
        name = f"f-{uuid4().hex[:12]}"
        client = self.client("lambda")
        wanted = {"Runtime": "python3.12", "Handler": "function.handler", "Timeout": 30, **settings}
        client.create_function(FunctionName=name, Role=self.role, Code={"ZipFile": zipped(source)}, **wanted)
        client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.1})
        return name

    def function_arn(self, name: str) -> str:
        return str(self.client("lambda").get_function_configuration(FunctionName=name)["FunctionArn"])

    def queue(self, policy: Mapping[str, Any] | None = None) -> tuple[str, str]:
        """A queue: URL and ARN."""
        sqs = self.client("sqs")
        url = sqs.create_queue(QueueName=f"q-{uuid4().hex[:12]}")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        if policy is not None:
            sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
        return url, arn

    def messages(self, url: str) -> list[dict[str, Any]]:
        """What can be received now."""
        answer = self.client("sqs").receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], VisibilityTimeout=600
        )
        return list(answer.get("Messages", []))

    def message(self, url: str) -> dict[str, Any]:
        """The next message."""
        return wait_until(lambda: self.messages(url), bool, what="a message", deadline=SECONDS)[0]

    def total(self, namespace: str, name: str, **dimensions: str) -> float:
        """The sum of all that was published of a metric in the last hour."""
        now = self.served.world.now()
        answer = self.client("cloudwatch").get_metric_data(
            StartTime=now.replace(year=now.year - 1),
            EndTime=now.replace(year=now.year + 1),
            MetricDataQueries=[
                {
                    "Id": "m",
                    "MetricStat": {
                        "Metric": {
                            "Namespace": namespace,
                            "MetricName": name,
                            "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions.items()],
                        },
                        "Period": 86_400,
                        "Stat": "Sum",
                    },
                }
            ],
        )
        return float(sum(answer["MetricDataResults"][0]["Values"]))

    def metric(self, function: str, name: str) -> float:
        """The sum of a function's metric."""
        return self.total("AWS/Lambda", name, FunctionName=function)

    def lines(self, function: str) -> list[str]:
        """What is in a function's log."""
        client, name = self.client("logs"), f"/aws/lambda/{function}"
        if not client.describe_log_groups(logGroupNamePrefix=name)["logGroups"]:
            return []
        return [event["message"] for event in client.filter_log_events(logGroupName=name)["events"]]

    def pid(self, function: str) -> int:
        """The process that a function has said it is: `pid <number>`."""

        def said() -> list[str]:
            return [line for line in self.lines(function) if line.startswith("pid ")]

        return int(self.awaited(said, "the function's process")[0].split()[1])

    def awaited(self, look: Callable[[], Any], what: str) -> Any:
        """What `look` gives as soon as it is true."""
        return wait_until(look, bool, what=what, deadline=SECONDS)


def allow_events(queue: str) -> dict[str, Any]:
    """The policy that lets EventBridge send to a queue."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue,
    }
    return {"Version": "2012-10-17", "Statement": [statement]}
