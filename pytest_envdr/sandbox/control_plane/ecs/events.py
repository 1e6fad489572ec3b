"""A service's events, in AWS's words (ECS developer guide, "service event messages"): the latest 100, newest first."""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pytest_envdr.sandbox.control_plane.ecs.identifiers import event_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_envdr.sandbox.control_plane.ecs.targets import Verdict
    from pytest_envdr.sandbox.control_plane.ecs.task import Task

KEPT = 100
_GUIDE = "For more information, see the Troubleshooting section of the Amazon ECS Developer Guide."


class Events:
    """One service's events."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._events: deque[dict[str, Any]] = deque(maxlen=KEPT)

    def describe(self) -> list[dict[str, Any]]:
        return list(self._events)

    def steady(self) -> None:
        self._say("has reached a steady state.")

    def completed(self, deployment: str) -> None:
        self._say(f"(deployment {deployment}) deployment completed.")

    def failed(self, deployment: str, finding: str) -> None:
        self._say(f"(deployment {deployment}) deployment failed: {finding}.")

    def rolling_back(self, deployment: str) -> None:
        self._say(f"rolling back to deployment {deployment}.")

    def started(self, tasks: Sequence[Task]) -> None:
        self._say(f"has started {len(tasks)} tasks: {_named(tasks)}.")

    def stopped(self, tasks: Sequence[Task]) -> None:
        self._say(f"has stopped {len(tasks)} running tasks: {_named(tasks)}.")

    def draining(self, count: int) -> None:
        self._say(f"has begun draining connections on {count} tasks.")

    def registered(self, count: int, group: str) -> None:
        self._say(f"registered {count} targets in (target-group {group})")

    def deregistered(self, count: int, group: str) -> None:
        self._say(f"deregistered {count} targets in (target-group {group})")

    def unhealthy_target(self, task: Task, verdict: Verdict) -> None:
        reason = verdict.description or "Health checks failed"
        where = f"(target-group {verdict.group})"
        self._say(f"(task {task.id}) (port {verdict.port}) is unhealthy in {where} due to (reason {reason})")

    def unhealthy_container(self, task: Task) -> None:
        self._say(f"(task {task.id}) failed container health checks.")

    def cannot_start(self) -> None:
        self._say(f"is unable to consistently start tasks successfully. {_GUIDE}")

    def cannot_place(self) -> None:
        self._say(
            "was unable to place a task because no container instance met all of its requirements. "
            f"Reason: No Container Instances were found in your cluster. {_GUIDE}"
        )

    def _say(self, message: str) -> None:
        text = f"(service {self._service}) {message}"
        self._events.appendleft({"id": event_id(), "createdAt": datetime.now(UTC), "message": text})


def _named(tasks: Sequence[Task]) -> str:
    return " ".join(f"(task {task.id})" for task in tasks)
