"""AWS/Lambda: what CloudWatch hears of a function, by FunctionName.

What is counted when ("Using CloudWatch metrics with Lambda"): an execution is one of Invocations and has a Duration,
and one of Errors if it failed; one that was throttled is neither, but one of Throttles. An event that never succeeded
is one of AsyncEventsDropped, also where a queue or destination took it. **[inf]** An event that a reserved concurrency
of 0 ends is not counted as throttled: nobody tried to run it. A synchronous call is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from moto.cloudwatch.models import cloudwatch_backends

if TYPE_CHECKING:
    from pytest_envdr.sandbox.world import World

NAMESPACE = "AWS/Lambda"
MILLISECONDS = frozenset({"Duration", "AsyncEventAge"})


def publish(world: World, function: str, **values: float) -> None:
    """Tell CloudWatch values of metrics of a function, as of now."""
    at = world.now().replace(tzinfo=None)  # moto keeps naive times, in UTC
    data = [
        {
            "MetricName": name,
            "Dimensions": [{"Name": "FunctionName", "Value": function}],
            "Timestamp": at,
            "Value": value,
            "Unit": "Milliseconds" if name in MILLISECONDS else "Count",
        }
        for name, value in values.items()
    ]
    cloudwatch_backends[world.account][world.region].put_metric_data(NAMESPACE, data)
