"""AWS/ApplicationELB, from what HAProxy did and the state of the targets.

What AWS documents ("CloudWatch metrics for your Application Load Balancer"), and what is done here:

- nothing is reported of requests while none flow, and a count is there only where it is not zero;
- RequestCount only counts requests for which a target was chosen: an empty target group's 503s are in
  HTTPCode_ELB_5XX_Count alone;
- HealthyHostCount and UnHealthyHostCount are reported while the group has registered targets: with the last one they
  do not fall to 0, they *vanish* (draining targets are not registered any more);
- dimension values are the ends of the ARNs, `app/<name>/<hex>` and `targetgroup/<name>/<hex>`.

AWS sends every 60 s. Here it is every PUBLISH_SECONDS divided by `speed`, time stamped when sent, so that an alarm's
period of 60 s holds several samples wherever its edge falls.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC
from typing import TYPE_CHECKING, Any

from moto.cloudwatch.models import cloudwatch_backends

from pytest_envdr.sandbox.control_plane.elbv2.target_health import State

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from pytest_envdr.sandbox.control_plane.elbv2.target_health import Target
    from pytest_envdr.sandbox.control_plane.elbv2.traffic import Request
    from pytest_envdr.sandbox.world import World

NAMESPACE = "AWS/ApplicationELB"
PUBLISH_SECONDS = 10.0
ELB_CODES = (500, 502, 503, 504)
"""The load balancer's own codes that have a metric each."""

Dimensions = tuple[tuple[str, str], ...]


@dataclass
class Statistics:
    """A statistic set, as PutMetricData takes it."""

    values: list[float] = field(default_factory=list)

    def datum(self, name: str, dimensions: Dimensions, unit: str, now: datetime) -> dict[str, Any]:
        return {
            "MetricName": name,
            "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions],
            # moto keeps naive times, in UTC.
            "Timestamp": now.astimezone(UTC).replace(tzinfo=None),
            "Unit": unit,
            "StatisticValues": {
                "SampleCount": len(self.values),
                "Sum": sum(self.values),
                "Minimum": min(self.values),
                "Maximum": max(self.values),
            },
        }


def full_name(arn: str) -> str:
    """The end of a load balancer's or target group's ARN that CloudWatch knows it by."""
    return arn.split(":", 5)[5].removeprefix("loadbalancer/")


def of_requests(
    balancer: str, groups: Mapping[str, str], requests: Iterable[Request], now: datetime
) -> list[dict[str, Any]]:
    """Metric data of a load balancer's requests. `balancer`: its full name, `groups`: HAProxy's names to full names."""
    found: dict[tuple[str, Dimensions], Statistics] = defaultdict(Statistics)
    whole: Dimensions = (("LoadBalancer", balancer),)
    for request in requests:
        part = groups.get(request.group) if request.group else None
        both = [whole, (("LoadBalancer", balancer), ("TargetGroup", part))] if part else [whole]
        for name, value in _of_targets(request):
            for dimensions in both:
                found[name, dimensions].values.append(value)
        for name in _of_the_balancer(request):
            found[name, whole].values.append(1)
    return [
        statistics.datum(name, dimensions, "Seconds" if name == "TargetResponseTime" else "Count", now)
        for (name, dimensions), statistics in found.items()
    ]


def of_hosts(balancer: str, group: str, targets: Iterable[Target], now: datetime) -> list[dict[str, Any]]:
    """Metric data of a group's targets; none where none is registered."""
    states = [target.state for target in targets if target.registered]
    if not states:
        return []
    dimensions = (("LoadBalancer", balancer), ("TargetGroup", group))
    counts = {"HealthyHostCount": states.count(State.HEALTHY), "UnHealthyHostCount": states.count(State.UNHEALTHY)}
    return [Statistics([count]).datum(name, dimensions, "Count", now) for name, count in counts.items()]


def publish(world: World, data: list[dict[str, Any]]) -> None:
    """Put metric data into CloudWatch, as any AWS service does."""
    if data:
        cloudwatch_backends[world.account][world.region].put_metric_data(NAMESPACE, data)


def _of_targets(request: Request) -> Iterable[tuple[str, float]]:
    """Names and values that count for the load balancer and for the target group."""
    if request.chosen:
        yield "RequestCount", 1
    if request.seconds is not None:
        yield f"HTTPCode_Target_{request.status // 100}XX_Count", 1
        yield "TargetResponseTime", request.seconds


def _of_the_balancer(request: Request) -> Iterable[str]:
    """Names that count for the load balancer: its own error codes."""
    if request.seconds is not None or request.status < 400 or not _is_error(request):
        return
    yield f"HTTPCode_ELB_{request.status // 100}XX_Count"
    if request.status in ELB_CODES:
        yield f"HTTPCode_ELB_{request.status}_Count"


def _is_error(request: Request) -> bool:
    """A fixed response of a rule is no error of the load balancer, whatever its code."""
    return request.group is not None or request.status in (400, 408)
