"""CloudWatch Logs: what containers print reaches its log group, and the metrics that it carries reach CloudWatch.

Source: "Specification: Embedded metric format" (CloudWatch user guide): a line that is a JSON object with the root
member `_aws` is a log event and at the same time one value for each metric and dimension set that it names. CloudWatch
drops what does not follow the specification without telling the writer; so do we.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from moto.cloudwatch.models import cloudwatch_backends
from moto.logs.models import LogEvent, LogGroup, LogsBackend, LogStream, logs_backends
from typing_extensions import override

from pytest_envdr.sandbox.control_plane.extension import backend_lock, extend, moto_urls
from pytest_envdr.sandbox.fidelity import SIMULATED, Fidelity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import ModuleType

    from pytest_envdr.sandbox.control_loop import Controller
    from pytest_envdr.sandbox.world import World

FIDELITY: dict[str, Fidelity] = {
    # The lines are what real processes printed, but the store is ours: a frozen process leaves its old lines readable.
    "FilterLogEvents": SIMULATED,
    "GetLogEvents": SIMULATED,
    "DescribeLogGroups": SIMULATED,
    "DescribeLogStreams": SIMULATED,
    "PutLogEvents": SIMULATED,
}

KEPT_EVENTS = 20_000
"""Events kept of a stream; older ones go first. CloudWatch keeps them for the group's retention time."""

EMF_MAX_VALUES = 100
"""Values that one metric may have in one embedded-metric event; CloudWatch ignores an event with more."""


class SandboxLogs(LogsBackend):
    """moto's logs, which also take the metrics out of events that come through the API."""

    @property
    @override
    def _url_module(self) -> ModuleType:
        return moto_urls("logs")

    @override
    def put_log_events(
        self, log_group_name: str, log_stream_name: str, log_events: list[dict[str, Any]]
    ) -> tuple[str, dict[str, Any]]:
        """PutLogEvents; the token and which events were rejected."""
        answer = super().put_log_events(log_group_name, log_stream_name, log_events)
        _publish_embedded_metrics(self.account_id, self.region_name, (event["message"] for event in log_events))
        return answer


class LogsController:
    """Nothing moves by itself here: writers ship their lines when they have some."""

    def step(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to stop."""


def install(world: World) -> Controller:  # noqa: ARG001 (every service installs alike)
    """Put our backend in moto's place."""
    extend("logs", SandboxLogs)
    return LogsController()


def ship(world: World, group: str, stream: str, lines: list[tuple[datetime, str]]) -> None:
    """Append a container's output to a log stream, as the `awslogs` driver does; makes group and stream where needed.

    Args:
        world: whose account and Region.
        group: the log group's name.
        stream: the log stream's name, `<prefix>/<container>/<task id>` for ECS.
        lines: when each line was printed (aware), and the line; empty ones are dropped, as the driver does.
    """
    events = [{"timestamp": int(at.timestamp() * 1000), "message": line} for at, line in lines if line]
    if not events:
        return
    events.sort(key=lambda event: event["timestamp"])  # type: ignore[arg-type, return-value] # ints
    with backend_lock:
        target = _stream(_group(world, group), stream)
        target.put_log_events(events)
        del target.events[:-KEPT_EVENTS]
        # moto keeps each one for its own dashboard, for ever.
        LogEvent.instances_tracked.clear()  # type: ignore[attr-defined] # set by moto's metaclass
    _publish_embedded_metrics(world.account, world.region, (line for _, line in lines))


def _group(world: World, name: str) -> LogGroup:
    backend = logs_backends[world.account][world.region]
    if name not in backend.groups:
        # A new dictionary, not a new key: another thread may be in the middle of listing the old one.
        group = LogGroup(world.account, world.region, name)  # type: ignore[abstract] # moto makes them so itself
        backend.groups = {**backend.groups, name: group}
    return backend.groups[name]


def _stream(group: LogGroup, name: str) -> LogStream:
    if name not in group.streams:
        group.streams = {**group.streams, name: LogStream(group, name)}
    return group.streams[name]


def _publish_embedded_metrics(account: str, region: str, lines: Iterable[str]) -> None:
    metrics = cloudwatch_backends[account][region]
    for line in lines:
        for namespace, datum in embedded_metrics(line):
            metrics.put_metric_data(namespace, [datum])


def embedded_metrics(line: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The metrics that a log line carries: namespace and PutMetricData's `MetricDatum`, one for each dimension set."""
    if "_aws" not in line:
        return
    try:
        event = json.loads(line)
    except ValueError:
        return
    if not isinstance(event, dict) or not isinstance(event.get("_aws"), dict):
        return
    at = event["_aws"].get("Timestamp")
    if not isinstance(at, int):
        return
    for directive in event["_aws"].get("CloudWatchMetrics", []):
        yield from _directive(event, directive, datetime.fromtimestamp(at / 1000, UTC).replace(tzinfo=None))


def _directive(event: dict[str, Any], directive: dict[str, Any], at: datetime) -> Iterator[tuple[str, dict[str, Any]]]:
    for metric in directive.get("Metrics", []):
        values = _values(event.get(metric.get("Name")))
        if not values:
            continue
        for names in directive.get("Dimensions", [[]]):
            if any(name not in event for name in names):
                continue
            yield (
                directive["Namespace"],
                {
                    "MetricName": metric["Name"],
                    "Dimensions": [{"Name": name, "Value": str(event[name])} for name in names],
                    "Timestamp": at,
                    "Values": values,
                    "Unit": metric.get("Unit", "None"),
                },
            )


def _values(value: object) -> list[float]:
    values = value if isinstance(value, list) else [value]
    numbers = [float(each) for each in values if isinstance(each, int | float) and not isinstance(each, bool)]
    return numbers if len(numbers) == len(values) <= EMF_MAX_VALUES else []
