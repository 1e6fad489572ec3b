"""What a step scaling policy makes of a capacity. Pure.

Source: Application Auto Scaling user guide, "Step scaling policies", and API reference, StepAdjustment.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Direction = Literal["out", "in"]


@dataclass(frozen=True)
class Bounds:
    """A scalable target's range."""

    least: int
    most: int

    def hold(self, capacity: int) -> int:
        return min(max(capacity, self.least), self.most)


def step(configuration: Mapping[str, Any], current: int, breach: float) -> int | None:
    """The capacity that the policy asks for, not yet held within bounds; None where no step is meant.

    Args:
        configuration: `StepScalingPolicyConfiguration`.
        current: the capacity now.
        breach: the metric's value minus the alarm's threshold.
    """
    for adjustment in configuration["StepAdjustments"]:
        if _applies(adjustment, breach):
            return _adjusted(configuration, current, int(adjustment["ScalingAdjustment"]))
    return None


def bounded(current: int, asked: int, bounds: Bounds) -> tuple[Direction, int] | None:
    """Which way a request goes and where it ends; None where nothing changes.

    Out of a capacity below the range, scaling out goes to the minimum at least, and scaling in does nothing; the other
    way round above it.
    """
    if asked > current and current < bounds.most:
        return "out", bounds.hold(asked)
    if asked < current and current > bounds.least:
        return "in", bounds.hold(asked)
    return None


def _applies(adjustment: Mapping[str, Any], breach: float) -> bool:
    """The lower bound belongs to steps above the threshold, the upper one to those below."""
    low = float(adjustment.get("MetricIntervalLowerBound", -math.inf))
    high = float(adjustment.get("MetricIntervalUpperBound", math.inf))
    if low >= 0:
        return low <= breach < high
    return low < breach <= high


def _adjusted(configuration: Mapping[str, Any], current: int, adjustment: int) -> int:
    kind = configuration["AdjustmentType"]
    if kind == "ExactCapacity":
        return adjustment
    if kind == "ChangeInCapacity":
        return current + adjustment
    change = current * adjustment / 100
    whole = math.trunc(change) or int(math.copysign(1, change)) * (change != 0)
    least = int(configuration.get("MinAdjustmentMagnitude", 0))
    return current + int(math.copysign(max(abs(whole), least), adjustment))
