"""How many tasks of a service to start and which to stop: pure arithmetic, no state.

Source: ECS API reference, DeploymentConfiguration (minimumHealthyPercent, maximumPercent), and the developer guide on
how the scheduler replaces unhealthy tasks: replacements first where maximumPercent allows, else one by one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Condition(Enum):
    """A task as the scheduler counts it."""

    COMING = "coming"
    """Not RUNNING yet."""
    UNPROVEN = "unproven"
    """RUNNING, and nothing has called it healthy yet."""
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


T = TypeVar("T")


@dataclass(frozen=True)
class Limits:
    """Of a service's tasks: at least `lower` healthy, at most `upper` running or pending."""

    lower: int
    upper: int

    @classmethod
    def of(cls, desired: int, configuration: Mapping[str, Any]) -> Limits:
        """AWS rounds the minimum up and the maximum down."""
        minimum = configuration.get("minimumHealthyPercent", 100)
        maximum = configuration.get("maximumPercent", 200)
        return cls(math.ceil(desired * minimum / 100), math.floor(desired * maximum / 100))


@dataclass(frozen=True)
class Plan(Generic[T]):
    """What to do now."""

    start: int
    unhealthy: list[T]
    """To be stopped because they are unhealthy."""
    surplus: list[T]
    """To be stopped because they are not needed."""


def plan(
    desired: int,
    limits: Limits,
    primary: Sequence[tuple[T, Condition]],
    older: Sequence[tuple[T, Condition]],
    *,
    launching: bool = True,
) -> Plan[T]:
    """What brings a service nearer to `desired` tasks of its primary deployment, oldest task first in both lists.

    With `launching` off, nothing is started, and nothing makes room for it.
    """
    good = [(task, condition) for task, condition in primary if condition is not Condition.UNHEALTHY]
    bad = [task for task, condition in primary if condition is Condition.UNHEALTHY]
    healthy = _count(good, Condition.HEALTHY)
    missing = max(0, desired - len(good)) if launching else 0
    room = max(0, limits.upper - len(primary) - len(older))
    start = min(missing, room)
    crowded = missing - start

    surplus = _surplus_of_primary(good, desired)
    stop_older, bad_older = _older_to_stop(older, desired, limits, healthy, crowded)
    freed = len(stop_older) + len(bad_older)
    unhealthy = bad[: _replaceable(len(bad), desired, healthy, waiting=len(good) - healthy, stuck=crowded > freed)]
    return Plan(start, [*unhealthy, *bad_older], [*surplus, *stop_older])


def _surplus_of_primary(good: Sequence[tuple[T, Condition]], desired: int) -> list[T]:
    """The youngest go first, and before them those that are of no use yet."""
    order = {Condition.COMING: 0, Condition.UNPROVEN: 1, Condition.HEALTHY: 2}
    youngest_first = good[::-1]
    ranked = sorted(youngest_first, key=lambda pair: order[pair[1]])
    return [task for task, _ in ranked[: max(0, len(good) - desired)]]


def _replaceable(bad: int, desired: int, healthy: int, *, waiting: int, stuck: bool) -> int:
    """How many unhealthy tasks may go: those with a healthy replacement, or one where there is no room for any."""
    replaced = max(0, bad - max(0, desired - healthy))
    if replaced == 0 and bad and stuck and not waiting:
        return 1
    return replaced


def _older_to_stop(
    older: Sequence[tuple[T, Condition]], desired: int, limits: Limits, healthy: int, crowded: int
) -> tuple[list[T], list[T]]:
    """Tasks of superseded deployments that may go: not needed, and unhealthy ones.

    A task that nothing has called healthy yet is not counted by AWS; it is kept here as long as a healthy one would be.
    """
    coming = [task for task, condition in older if condition is Condition.COMING]
    running = [(task, condition) for task, condition in older if condition is not Condition.COMING]
    bad = [task for task, condition in running if condition is Condition.UNHEALTHY]
    serving = [task for task, condition in running if condition is not Condition.UNHEALTHY]
    wanted = max(0, len(running) - max(0, desired - healthy)) + max(0, crowded - len(coming))
    stop_bad = bad[:wanted]
    spare = max(0, healthy + len(serving) - limits.lower)
    return [*coming, *serving[: min(spare, max(0, wanted - len(stop_bad)))]], stop_bad


def _count(tasks: Sequence[tuple[T, Condition]], condition: Condition) -> int:
    return sum(1 for _, each in tasks if each is condition)
