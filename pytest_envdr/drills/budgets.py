"""How long ECS's circuit breaker may take to see a deployment fail: from its threshold, from how many new tasks there
may be at once, and from how long one takes to fail (aws-semantics 5.5)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_envdr.drills.subject import Subject


@dataclass(frozen=True)
class Budget:
    """Seconds until the circuit breaker triggers where each new task fails its health checks, as the slowest do.

    Attributes:
        threshold: how many failures trigger it, as ECS says.
        at_once: how many new tasks there may be at a time.
        failing_seconds: from a task's creation until it is given up.
    """

    threshold: int
    at_once: int
    failing_seconds: float

    @property
    def seconds(self) -> float:
        """All rounds of new tasks, one after another."""
        return math.ceil(self.threshold / self.at_once) * self.failing_seconds

    def __str__(self) -> str:
        return (
            f"{self.threshold} tasks must fail, {self.at_once} at a time, each within about {self.failing_seconds:.0f} "
            f"s where it fails its health checks: at most about {self.seconds:.0f} s"
        )


def budget(before: Subject, *, threshold: int, speed: float) -> Budget:
    """What a service's deployment may take to fail.

    Args:
        before: the service, and how long its tasks took to start.
        threshold: the circuit breaker's.
        speed: what AWS-side delays are divided by.
    """
    service = before.service
    most, least = service.desired * service.maximum_percent // 100, service.desired * service.minimum_percent / 100
    at_once = max(1, min(service.desired, most - math.ceil(least)))
    starts = [
        (task.started_at - task.created_at).total_seconds()
        for task in before.tasks
        if task.started_at and task.created_at
    ]
    checked = max((group.detection_seconds for group in before.target_groups), default=0)
    waits = (service.grace_seconds + checked) / speed
    return Budget(threshold, at_once, (median(starts) if starts else 0.0) + waits)
