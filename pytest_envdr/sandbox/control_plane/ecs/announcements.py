"""What ECS tells EventBridge: a service's deployments, on the account's default bus.

Source: ECS developer guide, "Amazon ECS service deployment state change events". Collected under moto's lock, published
without it: a rule's target may take its time.
"""

from __future__ import annotations

import json
import logging
from collections import deque
from typing import TYPE_CHECKING, Any

from moto.core.exceptions import ServiceException
from moto.events.models import events_backends
from werkzeug.exceptions import HTTPException

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_envdr.sandbox.control_plane.ecs.deployment import Deployment
    from pytest_envdr.sandbox.world import World

EVENTS = {
    "IN_PROGRESS": ("INFO", "SERVICE_DEPLOYMENT_IN_PROGRESS"),
    "COMPLETED": ("INFO", "SERVICE_DEPLOYMENT_COMPLETED"),
    "FAILED": ("ERROR", "SERVICE_DEPLOYMENT_FAILED"),
}
"""Event type and name by the deployment's rollout state."""

log = logging.getLogger("envdr.sandbox")


class Announcements:
    """One service's, until they are taken."""

    def __init__(self, service_arn: str) -> None:
        self._service = service_arn
        self._waiting: list[dict[str, Any]] = []

    def state_of(self, deployment: Deployment) -> None:
        """A deployment has entered its present state."""
        kind, name = EVENTS[deployment.rollout_state]
        detail = {
            "eventType": kind,
            "eventName": name,
            "deploymentId": deployment.id,
            "updatedAt": deployment.updated_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "reason": deployment.rollout_reason,
        }
        self._waiting.append(
            {
                "Source": "aws.ecs",
                "DetailType": "ECS Deployment State Change",
                "Resources": [self._service],
                "Detail": json.dumps(detail),
            }
        )

    def take(self) -> list[dict[str, Any]]:
        """Those that wait, oldest first; they wait no more."""
        taken, self._waiting = self._waiting, []
        return taken


class Bus:
    """The account's default event bus."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._queue: deque[dict[str, Any]] = deque()

    def add(self, entries: Iterable[dict[str, Any]]) -> None:
        """Have events put on the bus, soon."""
        self._queue.extend(entries)

    def publish(self) -> None:
        """Put them on the bus, each once at least. One that a target refuses is lost, as it is for AWS at last."""
        backend = events_backends[self._world.account][self._world.region]
        while self._queue:
            try:
                backend.put_events([self._queue[0]])
            except (ServiceException, HTTPException) as error:
                log.warning("event not delivered: %s", error)
            self._queue.popleft()
