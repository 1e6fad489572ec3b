"""Step scaling policies and schedules, as pure functions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pytest_envdr.sandbox.control_plane.application_autoscaling.schedules import parse
from pytest_envdr.sandbox.control_plane.application_autoscaling.steps import Bounds, bounded, step

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)  # a Monday


def policy(kind: str, *steps: tuple[float | None, float | None, int], **other: Any) -> dict[str, Any]:
    names = ("MetricIntervalLowerBound", "MetricIntervalUpperBound", "ScalingAdjustment")
    adjustments = [
        {name: value for name, value in zip(names, each, strict=True) if value is not None} for each in steps
    ]
    return {"AdjustmentType": kind, "StepAdjustments": adjustments} | other


UPWARD = policy("ChangeInCapacity", (0, 10, 1), (10, None, 3))
DOWNWARD = policy("ChangeInCapacity", (-10, 0, -1), (None, -10, -2))


@pytest.mark.parametrize(
    ("configuration", "breach", "capacity"),
    [
        (UPWARD, 0, 3),
        (UPWARD, 9.9, 3),
        (UPWARD, 10, 5),
        (UPWARD, -1, None),
        (DOWNWARD, 0, 1),
        (DOWNWARD, -10, 0),
        (DOWNWARD, -9.9, 1),
        (policy("ExactCapacity", (0, None, 7)), 1, 7),
        (policy("PercentChangeInCapacity", (0, None, 25)), 1, 3),
        (policy("PercentChangeInCapacity", (0, None, 160)), 1, 5),
        (policy("PercentChangeInCapacity", (None, 0, -25)), -1, 1),
        (policy("PercentChangeInCapacity", (0, None, 25), MinAdjustmentMagnitude=2), 1, 4),
    ],
)
def test_a_step_follows_from_the_size_of_the_breach(
    configuration: dict[str, Any], breach: float, capacity: int | None
) -> None:
    """Of a capacity of 2, the step that the breach lies in gives the documented capacity, rounded as documented."""
    assert step(configuration, 2, breach) == capacity


@pytest.mark.parametrize(
    ("current", "asked", "outcome"),
    [
        (3, 4, ("out", 4)),
        (3, 9, ("out", 5)),
        (5, 6, None),
        (3, 1, ("in", 2)),
        (2, 1, None),
        (0, 1, ("out", 2)),
        (0, -1, None),
        (1, 0, None),
        (8, 7, ("in", 5)),
        (8, 9, None),
    ],
)
def test_the_range_holds(current: int, asked: int, outcome: tuple[str, int] | None) -> None:
    """Within 2..5: out of a capacity below, scale-out goes to the minimum and scale-in does nothing; above likewise."""
    assert bounded(current, asked, Bounds(2, 5)) == outcome


@pytest.mark.parametrize(
    ("expression", "timezone", "times"),
    [
        ("at(2026-11-23T12:00:00)", None, ["12:00"]),
        ("at(2026-11-23T12:30:00)", "Europe/Dublin", ["12:30"]),
        ("at(2026-11-23T13:30:00)", "Europe/Berlin", ["12:30"]),
        ("rate(30 minutes)", None, ["11:40", "12:10", "12:40"]),
        ("rate(1 hour)", None, ["12:10"]),
        ("cron(0/20 * * * ? *)", None, ["11:40", "12:00", "12:20", "12:40"]),
        ("cron(15 12-13 ? * MON-FRI 2026)", None, ["12:15"]),
        ("cron(15 12 ? * SUN *)", None, []),
        ("cron(5 13 23 NOV ? *)", "Europe/Berlin", ["12:05"]),
    ],
)
def test_schedules_become_due_when_they_say(expression: str, timezone: str | None, times: list[str]) -> None:
    """Between 11:35 and 12:45 UTC, a schedule made at 11:10 is due at these minutes and at no other."""
    schedule = parse(expression, timezone=timezone, origin=NOON - timedelta(minutes=50))
    minutes = [NOON + timedelta(minutes=number) for number in range(-25, 46)]
    due = [now for now in minutes if schedule.due(now - timedelta(seconds=1), now)]
    assert [f"{now:%H:%M}" for now in due] == times


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "daily()",
        "at(tomorrow)",
        "rate(0 minutes)",
        "rate(5 years)",
        "cron(* * * * *)",
        "cron(61 * * * ? *)",
        "cron(0 0 1 * 1 *)",
        "cron(a * * * ? *)",
        "cron(0/0 * * * ? *)",
    ],
)
def test_a_wrong_schedule_is_an_error(expression: str) -> None:
    """What is no at(), rate() or cron() is refused."""
    with pytest.raises(ValueError):  # noqa: PT011 (any text)
        parse(expression, timezone=None, origin=NOON)
