"""Somebody else's hands on a running sandbox: plain boto3 and the machine's processes, no guard, no journal."""

from __future__ import annotations

import json
import os
import signal
import threading
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from pytest_envdr.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping

CLUSTER = "envelope-prod-cluster"
DIMENSION = {"ServiceNamespace": "ecs", "ScalableDimension": "ecs:service:DesiredCount"}
PATIENCE = 90.0
"""How long anything may take on a slow machine, in seconds."""
_MAKING = threading.Lock()
"""boto3 makes clients one at a time only."""


class Stranger:
    """Whoever else works on the stack of a stack file."""

    def __init__(self, stack_file: Path) -> None:
        self.stack_file = stack_file
        self.stack = tomllib.loads(stack_file.read_text())
        self._clients: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        """The boto3 client of a service."""
        with _MAKING:
            if service not in self._clients:
                key = self.stack["credentials"]
                make: Any = boto3.Session(key["access_key_id"], key["secret_access_key"]).client
                self._clients[service] = make(
                    service,
                    region_name=self.stack["region"],
                    endpoint_url=self.stack["endpoint"],
                    config=Config(proxies={}, retries={"mode": "standard", "total_max_attempts": 5}),
                )
            return self._clients[service]

    def name(self, word: str) -> str:
        """What ECS calls a service."""
        return str(self.stack["services"][word]["name"])

    def service(self, word: str) -> dict[str, Any]:
        """A service as DescribeServices gives it."""
        answer = self.client("ecs").describe_services(cluster=CLUSTER, services=[self.name(word)])
        return dict(answer["services"][0])

    def change(self, word: str, **arguments: Any) -> None:
        """UpdateService."""
        self.client("ecs").update_service(cluster=CLUSTER, service=self.name(word), **arguments)

    def scaling(self, word: str) -> dict[str, Any] | None:
        """The bounds of a service and what of its scaling is suspended; None where it is not scaled."""
        rows = self.client("application-autoscaling").describe_scalable_targets(
            ResourceIds=[f"service/{CLUSTER}/{self.name(word)}"], **DIMENSION
        )["ScalableTargets"]
        keys = ("MinCapacity", "MaxCapacity", "SuspendedState")
        return {key: rows[0].get(key) for key in keys} if rows else None

    def register(self, word: str, **arguments: Any) -> None:
        """RegisterScalableTarget."""
        self.client("application-autoscaling").register_scalable_target(
            ResourceId=f"service/{CLUSTER}/{self.name(word)}", **DIMENSION, **arguments
        )

    def state(self, word: str) -> dict[str, Any]:
        """All of a service that a drill changes, or might."""
        row = self.service(word)
        return {
            **{key: row[key] for key in ("status", "desiredCount", "taskDefinition", "deploymentConfiguration")},
            "scaling": self.scaling(word),
        }

    def left_by(self, exercise: str) -> list[str]:
        """The queues and subscriptions of an exercise that are still there."""
        prefix = f"envdr-{exercise}-"
        queues = self.client("sqs").list_queues(QueueNamePrefix=prefix).get("QueueUrls", [])
        topic = self.stack["notifications"]["topic"]
        rows = self.client("sns").get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic)
        endpoints = [row["Endpoint"] for page in rows for row in page["Subscriptions"]]
        return [*queues, *(endpoint for endpoint in endpoints if prefix in endpoint)]

    def healthy(self, word: str) -> bool:
        """Whether as many targets are healthy as tasks are wanted; a service without a port has no target."""
        row = self.service(word)
        for group in (one["targetGroupArn"] for one in row["loadBalancers"]):
            rows = self.client("elbv2").describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
            if sum(one["TargetHealth"]["State"] == "healthy" for one in rows) != row["desiredCount"]:
                return False
        return True

    def wait_until_steady(self, word: str) -> None:
        """Until a service runs what it shall, with one deployment and healthy targets."""

        def steady() -> bool:
            row = self.service(word)
            counted = row["runningCount"] == row["desiredCount"] and not row["pendingCount"]
            return bool(counted) and [one["rolloutState"] for one in row["deployments"]] == ["COMPLETED"]

        wait_until(lambda: steady() and self.healthy(word), what=f"{word} steady", deadline=PATIENCE)

    def alarm(self, name: str) -> dict[str, Any]:
        """An alarm as PutMetricAlarm takes it."""
        client = self.client("cloudwatch")
        row = client.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]
        taken = client.meta.service_model.operation_model("PutMetricAlarm").input_shape.members
        return {key: value for key, value in row.items() if key in taken}

    def wait_until_alarm(self, name: str, state: str) -> None:
        """Until an alarm is in a state."""
        client = self.client("cloudwatch")
        wait_until(
            lambda: client.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["StateValue"],
            lambda now: bool(now == state),
            what=f"{name} {state}",
            deadline=PATIENCE,
        )

    def kill(self, word: str) -> None:
        """SIGKILL to every process of a service's tasks."""
        marks = (f"LARAVEL_STORAGE_PATH={self.stack_file.parent}", f"APP_SERVICE={word}\0")
        for process in Path("/proc").glob("[0-9]*"):
            try:
                said = (process / "environ").read_bytes().decode(errors="replace")
                if all(mark in said for mark in marks):
                    os.kill(int(process.name), signal.SIGKILL)
            except OSError:
                continue  # it ended meanwhile, or is not ours to look at


def copied(stack_file: Path, to: Path, **changes: Mapping[str, Any]) -> Path:
    """A copy of a stack file with keys of its tables changed: `services__hq={"alarms": []}`."""
    content = tomllib.loads(stack_file.read_text())
    for path, rows in changes.items():
        table = content
        for part in path.split("__"):
            table = table[part]
        table.update(rows)
    to.write_text("\n".join(_lines(content, "")) + "\n")
    return to


def _lines(table: Mapping[str, Any], name: str) -> list[str]:
    # A JSON string, number or list of strings is TOML as well; as a key, a string may have dots.
    rows = [f"{json.dumps(key)} = {json.dumps(value)}" for key, value in table.items() if not isinstance(value, dict)]
    for key, value in table.items():
        if isinstance(value, dict):
            inner = f"{name}.{json.dumps(key)}".lstrip(".")
            rows += ["", f"[{inner}]", *_lines(value, inner)]
    return rows
