"""AWS/Events: what CloudWatch hears of a rule.

"Metrics that specify only the RuleName dimension refer to the default event bus. Metrics that specify both the
EventBusName and RuleName dimensions refer to a custom event bus" ("Monitoring Amazon EventBridge", user guide). A count
is there only where it is not zero.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from moto.cloudwatch.models import cloudwatch_backends

if TYPE_CHECKING:
    from pytest_envdr.sandbox.world import World

NAMESPACE = "AWS/Events"
DEFAULT = "default"


def count(world: World, bus: str, rule: str, *names: str) -> None:
    """Add one to metrics of a rule."""
    dimensions = [{"Name": "RuleName", "Value": rule}]
    if bus != DEFAULT:
        dimensions.append({"Name": "EventBusName", "Value": bus})
    at = world.now().replace(tzinfo=None)  # moto keeps naive times, in UTC
    data = [
        {"MetricName": name, "Dimensions": dimensions, "Timestamp": at, "Value": 1.0, "Unit": "Count"} for name in names
    ]
    cloudwatch_backends[world.account][world.region].put_metric_data(NAMESPACE, data)
