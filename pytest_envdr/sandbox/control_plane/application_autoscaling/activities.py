"""The record of scaling activities, as DescribeScalingActivities tells them."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from typing import Any

KEPT = 1000
"""Activities kept; AWS keeps six weeks'."""


@dataclass
class Activity:
    """One change of a capacity or of its range. Times are seconds since the epoch.

    Attributes:
        awaited: the capacity that the service has to reach before the activity ends; None where nothing is awaited.
    """

    namespace: str
    resource: str
    dimension: str
    description: str
    cause: str
    message: str
    status: str
    awaited: int | None = None
    started: float = field(default_factory=time.time)
    ended: float | None = None
    identifier: str = field(default_factory=lambda: str(uuid.uuid4()))

    def end(self, status: str, message: str) -> None:
        self.status, self.message, self.ended = status, message, time.time()

    def shown(self) -> dict[str, Any]:
        shown = {
            "ActivityId": self.identifier,
            "ServiceNamespace": self.namespace,
            "ResourceId": self.resource,
            "ScalableDimension": self.dimension,
            "Description": self.description,
            "Cause": self.cause,
            "StartTime": self.started,
            "EndTime": self.ended,
            "StatusCode": self.status,
            "StatusMessage": self.message,
        }
        return {key: value for key, value in shown.items() if value is not None}
